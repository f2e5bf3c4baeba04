"""Illumination functions of a Harmony index divide the planes, or are refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from harmony_exports import entry_of, map_of, name_of, write_export
from planes import stored_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

# The mean of this profile over a plane of 96 x 64 px is 1 to four digits.
_SIZE = (64, 96)


def _profile(
    constant: float = 1.05, size: tuple[int, int] = _SIZE, kind: str = "Polynomial"
) -> str:
    height, width = size
    return (
        "{Background: {Character: NonFlat, Mean: 373.7, NoiseConst: 1.3, NonFlatness: {Corrected:"
        " 0.02, Original: 0.4}, Profile: {Coefficients: [["
        f"{constant}], [0.1, -0.05], [-0.4, 0.2, -0.2]], Dims: [{width}, {height}], Origin:"
        f" [{(width - 1) / 2}, {(height - 1) / 2}], Scale: [{1 / width}, {1 / height}], Type:"
        f" {kind}"
        "}, Quality: 1.0}, Channel: 1, ChannelName: HOECHST, 33342 {x}, Foreground: {Character:"
        " NonFlat, Profile: {Coefficients: [[2.0]], Dims: [3, 3], Origin: [1, 1], Scale: [1, 1],"
        " Type: Polynomial}}, Version: Acapella:2013}"
    )


def _with_profiles(folder: Path, profiles: dict[int, str], index: str = "Index.idx.xml") -> None:
    maps = map_of(
        *(entry_of(c, f"<FlatfieldProfile>{p}</FlatfieldProfile>") for c, p in profiles.items())
    )
    write_export(folder, maps=f"<Maps>{maps}</Maps>", index=index)
    for file in folder.glob("*.tiff"):
        tifffile.imwrite(file, np.full(_SIZE, 1000, np.uint16) + np.arange(96, dtype=np.uint16))


def test_the_functions_of_an_index_divide_the_planes(tmp_path: Path, new_lake: Lake) -> None:
    _with_profiles(tmp_path / "M", {1: _profile(), 2: _profile()})
    form = Form(illumination="harmony")
    choice = Choice(channel_names=["DNA", "Actin"])
    ingest(new_lake, tmp_path / "M", "harmony", form=form, choice=choice)
    x = (np.arange(96)[None, :] - 47.5) / 96
    y = (np.arange(64)[:, None] - 31.5) / 64
    expected = 1.05 + 0.1 * x - 0.05 * y - 0.4 * x**2 + 0.2 * x * y - 0.2 * y**2
    function = np.load(new_lake.resolve("illumination/BAR1/1.npy"))
    np.testing.assert_allclose(function, expected, rtol=1e-6)
    plane = stored_plane(new_lake, "well = 'B02' and channel = 'Actin'")
    raw = tifffile.imread(tmp_path / "M" / name_of(2, 2, 2))
    np.testing.assert_array_equal(plane, np.rint(raw / function))
    again = ingest(new_lake, tmp_path / "M", "harmony", form=form, choice=choice)
    assert again.skipped == ("BAR1",)


def test_the_function_of_a_real_index_has_a_mean_of_one(data: Path, new_lake: Lake) -> None:
    form = Form(illumination="harmony")
    ingest(new_lake, data / "formats" / "operetta", "harmony", form=form)
    function = np.load(new_lake.resolve("illumination/Test_Sample_BALL/0.npy"))
    assert function.shape == (1080, 1080)
    assert function.mean() == pytest.approx(1, abs=1e-4)
    assert function[540, 540] > 1.1 > 0.7 > function[0, 0]


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        ({1: _profile()}, "gives channel 2 no illumination function .*has no Background"),
        ({1: "{Channel: 1}", 2: _profile()}, "channel 1 .*its profile has no Background"),
        ({1: _profile(), 2: _profile(2.0)}, "channel 2 .*mean is 1.95; expected"),
        ({1: _profile(kind="Spline"), 2: _profile()}, "expected a background .*Polynomial"),
        ({1: _profile().replace("[0.1, -0.05]", "[0.1]"), 2: _profile()}, "degree 1 are"),
        ({1: _profile().replace("Scale", "Skale"), 2: _profile()}, "its profile has no Scale"),
        ({1: _profile().replace("[96, 64]", "[96.5, 64]"), 2: _profile()}, "size is 96.5 x 64"),
    ],
)
@pytest.mark.sample(3)
def test_a_profile_that_is_not_understood_is_refused(
    tmp_path: Path, new_lake: Lake, profiles: dict[int, str], message: str
) -> None:
    _with_profiles(tmp_path / "M", profiles)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "M", "harmony", form=Form(illumination="harmony"))
    assert "\n" not in str(caught.value)
    assert new_lake.query("from plate").is_empty()


def test_functions_of_an_index_need_an_index_of_raw_images(tmp_path: Path, new_lake: Lake) -> None:
    form = Form(illumination="harmony")
    _with_profiles(tmp_path / "M", {1: _profile(), 2: _profile()}, index="Index.ref.xml")
    with pytest.raises(InputError, match="may list images that Harmony corrected already"):
        ingest(new_lake, tmp_path / "M", "harmony", form=form)
    pattern = r"r(?P<well_row>\d+)c(?P<well_column>\d+).*ch(?P<channel_index>\d)"
    with pytest.raises(InputError, match="needs --layout harmony"):
        ingest(new_lake, tmp_path / "M", "filename", pattern=pattern, form=form)
    (tmp_path / "M" / "Index.ref.xml").unlink()
    with pytest.raises(InputError, match="no index lists"):
        ingest(new_lake, tmp_path / "M", "harmony", form=form)
