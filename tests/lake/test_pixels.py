"""What is written reads back, by this package and by others."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from conftest import ingest_tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr_plates import write_group

from unidino.core.errors import LakeError
from unidino.lake import ngff, pixels
from unidino.lake.lake import Lake
from unidino.plates.convert import Form


@settings(max_examples=30)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.just(2), st.integers(3, 40), st.integers(3, 40)),
    )
)
@pytest.mark.parametrize("version", ngff.VERSIONS)
def test_planes_round_trip(version: str, planes: np.ndarray) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "A" / "01" / "1"
        displays = [ngff.Display("a", 0, 9), ngff.Display("b", 1, 8)]
        pixels.write_field(path, list(planes), displays, 0.5, version)
        pixels._open_array.cache_clear()
        for index, plane in enumerate(planes):
            read = pixels.read_plane(path, index)
            assert read.dtype == plane.dtype
            np.testing.assert_array_equal(read, plane)


FORMS = [Form(), Form(ngff="0.4"), Form(pyramid=2), Form(ngff="0.4", pyramid=1)]


@pytest.fixture(params=FORMS, ids=lambda f: f"{f.ngff}, {f.pyramid} levels")
def plate(request: pytest.FixtureRequest, tiny_export: Path, tmp_path: Path) -> Path:
    """Folder of a plate in each form that plates are written in."""
    lake = Lake.create(tmp_path / "formed")
    ingest_tiny(lake, tiny_export, form=request.param)
    return lake.path / "plates" / "tiny_b1_p1.zarr"


def _expected(tiny_export: Path) -> np.ndarray:
    images = sorted((tiny_export / "tiny_b1_p1" / "Images").glob("r02c02f01*"))
    return np.stack([tifffile.imread(image) for image in images])


@pytest.mark.sample(2)
def test_ome_zarr_opens_a_plate(plate: Path, tiny_export: Path) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    assert list(Reader(parse_url(str(plate), mode="r"))())
    (image,) = Reader(parse_url(str(plate / "B" / "02" / "1"), mode="r"))()
    np.testing.assert_array_equal(np.asarray(image.data[0]), _expected(tiny_export))
    assert image.metadata["channel_names"] == ["DNA", "Actin", "Tubulin"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.sample(2)
def test_ngio_opens_a_plate(plate: Path, tiny_export: Path) -> None:
    import ngio

    opened = ngio.open_ome_zarr_plate(plate)
    assert opened.rows == ["B", "C"]
    assert len(opened.wells_paths()) == 6
    image = ngio.open_ome_zarr_container(plate / "B" / "02" / "1").get_image()
    assert image.channel_labels == ["DNA", "Actin", "Tubulin"]
    pixels = image.get_as_numpy()
    np.testing.assert_array_equal(np.squeeze(pixels), _expected(tiny_export))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.sample(2)
def test_the_reader_of_napari_opens_a_plate(plate: Path, tiny_export: Path) -> None:
    from napari_ome_zarr import napari_get_reader

    read = napari_get_reader(str(plate))
    assert read is not None
    (layer, *_) = read(str(plate))
    pixels = layer[0][0] if isinstance(layer[0], list) else layer[0]
    assert np.asarray(pixels).shape[-2] >= 2 * 96
    read = napari_get_reader(str(plate / "B" / "02" / "1"))
    assert read is not None
    layer = read(str(plate / "B" / "02" / "1"))[0]
    assert [name.split(": ")[1] for name in layer[1]["name"]] == ["DNA", "Actin", "Tubulin"]
    full = layer[0][0] if isinstance(layer[0], list) else layer[0]
    np.testing.assert_array_equal(np.asarray(full), _expected(tiny_export))


@pytest.mark.sample(2)
def test_yaozarrs_validates_a_plate(plate: Path) -> None:
    import yaozarrs

    group = yaozarrs.validate_zarr_store(str(plate))
    assert group is not None
    yaozarrs.validate_zarr_store(str(plate / "B" / "02" / "1"))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.sample(2)
def test_ome_zarr_models_validates_a_plate(plate: Path) -> None:
    import zarr
    from ome_zarr_models import v04, v05

    hcs = v05.HCS if (plate / "zarr.json").exists() else v04.HCS
    opened = hcs.from_zarr(zarr.open_group(str(plate), mode="r"))
    wells = list(opened.well_groups)
    assert len(wells) == 6
    assert sum(len(well.members) for well in wells) == 12


def test_a_pyramid_halves_by_means(tiny_export: Path, tmp_path: Path) -> None:
    import zarr

    lake = Lake.create(tmp_path / "formed")
    ingest_tiny(lake, tiny_export, form=Form(pyramid=2))
    field = lake.path / "plates" / "tiny_b1_p1.zarr" / "B" / "02" / "1"
    full = _expected(tiny_export).astype(np.uint32)
    half = (full.reshape(3, 48, 2, 48, 2).sum(axis=(2, 4)) + 2) // 4
    np.testing.assert_array_equal(zarr.open_array(str(field / "1"))[:], half)
    assert zarr.open_array(str(field / "2")).shape == (3, 24, 24)
    scales = [
        level["coordinateTransformations"][0]["scale"]
        for level in ngff.group_metadata(field)["multiscales"][0]["datasets"]
    ]
    assert scales == [[1, 1, 1], [1, 2, 2], [1, 4, 4]]


def test_a_damaged_plane_reads_as_zeros_and_the_others_as_they_are(tmp_path: Path) -> None:
    import zarr

    plane = np.arange(50 * 60, dtype=np.uint16).reshape(50, 60)
    displays = [ngff.Display(name, 0, 9) for name in "abc"]
    for version in ngff.VERSIONS:
        path = tmp_path / version / "A" / "01" / "1"
        pixels.write_field(path, [None, plane, None], displays, None, version)
        stored = zarr.open_array(str(path / "0"))[:]
        np.testing.assert_array_equal(stored[1], plane)
        assert not stored[[0, 2]].any()
        np.testing.assert_array_equal(pixels.read_plane(path, 1), plane)


def test_zarr_reads_the_same_pixels(lake: Lake) -> None:
    import zarr

    uri, path = lake.query(
        "select uri, path from field join plate on plate_id = plate limit 1"
    ).row(0)
    array = zarr.open_array(str(lake.resolve(uri) / path / "0"), mode="r")
    for index in range(3):
        plane = pixels.read_plane(lake.resolve(uri) / path, index)
        np.testing.assert_array_equal(array[index], plane)


def test_a_damaged_chunk_is_named(lake: Lake) -> None:
    uri, path = lake.query(
        "select uri, path from field join plate on plate_id = plate limit 1"
    ).row(0)
    field = lake.resolve(uri) / path
    shard = field / "0" / "c.0.0.0"
    whole = shard.read_bytes()
    for damaged in (whole[:50], whole[:5000], b"", whole[5000:], whole[:-3] + b"abc"):
        shard.write_bytes(damaged)
        with pytest.raises(LakeError, match="cannot read channel 0"):
            pixels.read_plane(field, 0)


_CODECS = {
    "gzip": {"compressors": numcodecs.GZip()},
    "lzma": {"compressors": numcodecs.LZMA(), "dtype": ">u2"},
    "blosc": {"compressors": numcodecs.Blosc()},
    "lz4": {"compressors": numcodecs.LZ4()},
    "zarr 3": {"zarr_format": 3},
    "zarr 3 gzip": {"zarr_format": 3, "compressors": zarr.codecs.GzipCodec()},
    "zarr 3 shard": {"zarr_format": 3, "shards": (2, 2, 4, 16, 16)},
}


def _write_stack(path: Path, form: dict[str, Any]) -> None:
    """A foreign image with the axes t, c, z, y, x, in small chunks."""
    form = {"zarr_format": 2, "dtype": "uint16"} | form
    axes = [{"name": axis} for axis in "tczyx"]
    image = {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    write_group(path, image, "0.4" if form["zarr_format"] == 2 else "0.5")
    shape, chunks = (2, 2, 3, 16, 16), (1, 1, 2, 8, 8)
    array = zarr.create_array(str(path / "0"), shape=shape, chunks=chunks, **form)
    array[:] = np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", _CODECS)
def test_any_damage_of_a_foreign_image_is_one_line(tmp_path: Path, form: str) -> None:
    _write_stack(tmp_path / "whole", _CODECS[form])
    rng = random.Random(form)
    expected = pixels.read_page(tmp_path / "whole", 4), pixels.read_plane(tmp_path / "whole", 1)
    assert all(plane.dtype == np.uint16 and plane.dtype.isnative for plane in expected)
    refused: list[str] = []
    for _ in range(25):
        group = tmp_path / "damaged"
        shutil.rmtree(group, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", group)
        file = rng.choice(sorted(f for f in group.rglob("*") if f.is_file()))
        data = bytearray(file.read_bytes())
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data[: rng.choice([len(data), len(data) // 2])])
        pixels._open_array.cache_clear()
        for read in (pixels.read_page, pixels.read_plane):
            try:
                read(group, 1)
            except LakeError as error:
                refused.append(str(error))
    assert refused
    assert all(str(group) in line and "\n" not in line for line in refused)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda group: (group / ".zattrs").write_text("[]"), "is not a JSON object"),
        (lambda group: (group / ".zattrs").write_text("{}"), "KeyError"),
        (lambda group: (group / "0" / ".zarray").unlink(), "No such file"),
        (lambda group: (group / "0" / ".zarray").write_text("null"), "NoneType"),
        (
            lambda group: (group / ".zattrs").write_text(
                (group / ".zattrs").read_text().replace('"x"', '"w"')
            ),
            "its axes are t, c, z, y, w; expected",
        ),
        (
            lambda group: (group / "0" / ".zarray").write_text(
                (group / "0" / ".zarray").read_text().replace('"<u2"', '"complicated"')
            ),
            "cannot read",
        ),
    ],
)
def test_metadata_that_cannot_be_read(
    tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    _write_stack(tmp_path / "0", {})
    damage(tmp_path / "0")
    pixels._open_array.cache_clear()
    for read in (pixels.read_page, pixels.read_plane):
        with pytest.raises(LakeError, match=said):
            read(tmp_path / "0", 1)
