"""A path that a layout cannot read names the layouts that it looks like."""

from pathlib import Path

import pytest

from unidino.core.errors import InputError
from unidino.plates.layouts.looks import hint, possible
from unidino.plates.layouts.read import read_manifest


@pytest.mark.parametrize(
    ("file", "layout"),
    [
        ("p/Images/r01c02f01p01-ch1sk1fk1fl1.tiff", "harmony"),
        ("p/plate.HTD", "imagexpress"),
        ("p/MeasurementData.mlf", "cellvoyager"),
        ("p/B2--W00014--P00001--Z00000--T00000--DAPI.tif", "scanr"),
        ("p/a.ome.tif", "ome-tiff"),
        ("plate.zarr/zarr.json", "ome-zarr"),
        ("BBBC021_v1_image.csv", "bbbc021"),
    ],
)
def test_a_folder_is_told_by_its_files(tmp_path: Path, file: str, layout: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert possible(tmp_path) == [layout]
    assert hint(tmp_path, layout) == ""
    with pytest.raises(InputError, match=f"it looks like --layout {layout}$"):
        read_manifest(tmp_path, "manifest")


def test_a_wrong_layout_names_a_file_and_the_right_one(tmp_path: Path) -> None:
    name = "r01c02f01p01-ch1sk1fk1fl1.tiff"
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"1 images .* .such as '{name}'.*--layout harmony$"):
        read_manifest(tmp_path, "scanr")


def test_nothing_is_guessed_where_nothing_is_known(tmp_path: Path) -> None:
    assert hint(tmp_path, "harmony") == ""
    (tmp_path / "image 1.tif").touch()
    assert possible(tmp_path) == []
    with pytest.raises(InputError, match=r"names such as 'image 1.tif': .*--layout filename"):
        read_manifest(tmp_path, "manifest")
    with pytest.raises(InputError, match=r"needs --pattern.*; a name here is 'image 1.tif'$"):
        read_manifest(tmp_path, "filename")
