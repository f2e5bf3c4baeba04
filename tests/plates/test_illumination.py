"""Planes are divided by illumination functions, given or estimated, which the lake keeps."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from unidino.core.errors import InputError
from unidino.lake import ngff, pixels
from unidino.lake.lake import Lake
from unidino.plates import illumination
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest

_SIDE, _FIELDS = 96, 40


def _vignette() -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    return 2.0 - 0.5 * (x**2 + y**2)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Fields of even light with shot noise; one of two channels has a vignette."""
    rng = np.random.default_rng(0)
    rows = ["path,plate,well,field,channel"]
    for field in range(_FIELDS):
        for channel, light in (("DNA", _vignette()), ("RNA", np.ones((_SIDE, _SIDE)))):
            plane = rng.poisson(1000 * light).astype(np.uint16)
            tifffile.imwrite(tmp_path / f"{field}{channel}.tif", plane)
            rows.append(f"{field}{channel}.tif,p,B02,{field},{channel}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "m.csv"


def _mean_plane(lake: Lake, channel_index: int) -> np.ndarray:
    uri = lake.resolve(lake.query("select uri from plate").item())
    planes = [
        pixels.read_plane(uri / ngff.field_path("B02", field), channel_index)
        for field in range(_FIELDS)
    ]
    return np.mean(planes, axis=0)


def _unevenness(plane: np.ndarray) -> float:
    """Largest mean of a ninth of the plane over the smallest."""
    third = _SIDE // 3
    ninths = plane.reshape(3, third, 3, third).mean(axis=(1, 3))
    return float(ninths.max() / ninths.min())


def test_an_estimate_evens_the_light(manifest: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    assert _unevenness(_vignette()) > 1.3
    ingest(lake, manifest, "manifest", form=Form(illumination="estimate"))
    assert _unevenness(_mean_plane(lake, 0)) < 1.06
    assert _unevenness(_mean_plane(lake, 1)) < 1.02
    uris = lake.query("select illumination from channel order by channel_index")
    assert uris.rows() == [("illumination/p/0.npy",), ("illumination/p/1.npy",)]
    function = np.load(lake.resolve("illumination/p/0.npy"))
    assert function.shape == (_SIDE, _SIDE)
    assert function.min() == 1


def test_a_given_function_divides_to_the_digit(manifest: Path, tmp_path: Path) -> None:
    functions = tmp_path / "functions" / "p"
    functions.mkdir(parents=True)
    np.save(functions / "p_IllumDNA.npy", _vignette())
    np.save(functions / "RNA.npy", np.full((_SIDE, _SIDE), 2.0))
    lake = Lake.create(tmp_path / "lake")
    form = Form(illumination=str(functions.parent))
    ingest(lake, manifest, "manifest", form=form)
    uri = lake.resolve(lake.query("select uri from plate").item())
    for index, (name, function) in enumerate(
        {"DNA": _vignette().astype(np.float32), "RNA": np.float32(2)}.items()
    ):
        raw = tifffile.imread(tmp_path / f"3{name}.tif")
        plane = pixels.read_plane(uri / ngff.field_path("B02", 3), index)
        np.testing.assert_array_equal(plane, np.rint(raw / function).astype(np.uint16))
    assert ingest(lake, manifest, "manifest", form=form).skipped == ("p",)
    np.save(functions / "RNA.npy", np.full((_SIDE, _SIDE), 3.0))
    with pytest.raises(InputError, match="--overwrite"):
        ingest(lake, manifest, "manifest", form=form)
    with pytest.raises(InputError, match="--overwrite"):
        ingest(lake, manifest, "manifest")


def test_a_quotient_beyond_the_type_is_its_maximum() -> None:
    plane = np.array([[60000, 10]], np.uint16)
    function = np.array([[0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(illumination.corrected(plane, function), [[65535, 20]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, "no illumination function of plate p, channel DNA .*p_IllumDNA.npy"),
        (np.ones(5), "expected \\(H, W\\), all positive"),
        (np.zeros((_SIDE, _SIDE)), "all positive"),
        (np.full((_SIDE, _SIDE), np.nan), "all positive"),
        (np.ones((5, 5)), "is \\(5, 5\\), but the image is"),
        (np.array([object()]), "not a .npy array"),
    ],
)
@pytest.mark.sample(3)
def test_a_function_that_cannot_be_used_is_named(
    manifest: Path, tmp_path: Path, array: np.ndarray | None, message: str
) -> None:
    folder = tmp_path / "functions"
    folder.mkdir()
    if array is not None:
        np.save(folder / "DNA.npy", array)
        np.save(folder / "RNA.npy", array)
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=message):
        ingest(lake, manifest, "manifest", form=Form(illumination=str(folder)))
    assert lake.query("from plate").is_empty()


@pytest.mark.parametrize("channel", ["../DNA", "/DNA", "a/../../DNA", ".."])
def test_a_channel_whose_name_leads_out_of_the_folder_is_refused(
    tmp_path: Path, channel: str
) -> None:
    np.save(tmp_path / "DNA.npy", np.ones((2, 2)))
    (tmp_path / "functions" / "p").mkdir(parents=True)
    with pytest.raises(InputError, match="give it another name by --channel-names"):
        illumination.load(tmp_path / "functions", "p", channel)
    with pytest.raises(InputError, match="no illumination function of plate p, channel a/b"):
        illumination.load(tmp_path / "functions", "p", "a/b")
