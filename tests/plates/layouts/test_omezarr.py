"""OME-Zarr plates as others write them: byte orders, versions, names, links."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from planes import plane_of, stored_plane
from sampled import slow
from zarr_plates import (
    WELLS,
    assert_planes,
    fields_of,
    in_both_forms,
    ingest_zarr,
    value_of,
    write_group,
    write_image,
    write_zarr_plate,
)

from unidino.core.errors import InputError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice


@in_both_forms
@pytest.mark.parametrize(
    "written",
    [
        {"separator": "/"},
        {"separator": "."},
        {"version": "0.5"},
    ],
    ids=["nested", "flat", "zarr 3"],
)
@pytest.mark.sample(3)
def test_a_big_endian_plate(
    new_lake: Lake, tmp_path: Path, in_place: bool, written: dict[str, Any]
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS, big_endian=True, **written)
    done = ingest_zarr(new_lake, tmp_path / "P.zarr", in_place=in_place)
    assert (done.landed, done.num_images, done.problems) == (("P",), 4, ())
    assert_planes(new_lake, "A01", "A/1", "0")
    assert_planes(new_lake, "B12", "B/12", "0")
    assert new_lake.query("select distinct dtype from image").rows() == [("uint16",)]
    assert ingest_zarr(new_lake, tmp_path / "P.zarr", in_place=in_place).skipped == ("P",)


@in_both_forms
def test_nested_chunks_whose_metadata_do_not_say_so(
    new_lake: Lake, tmp_path: Path, in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    for file in (tmp_path / "P.zarr").rglob(".zarray"):
        metadata = json.loads(file.read_text())
        del metadata["dimension_separator"]
        file.write_text(json.dumps(metadata))
    ingest_zarr(new_lake, tmp_path, in_place=in_place)
    assert_planes(new_lake, "B12", "B/12", "0")


@in_both_forms
def test_a_plate_in_the_group_of_a_series(new_lake: Lake, tmp_path: Path, in_place: bool) -> None:
    write_zarr_plate(tmp_path / "run" / "P.zarr" / "0", WELLS, big_endian=True)
    write_group(tmp_path / "run" / "P.zarr", {"bioformats2raw.layout": 3})
    write_group(tmp_path / "run" / "P.zarr" / "OME", {"series": ["0"]})
    assert ingest_zarr(new_lake, tmp_path / "run", in_place=in_place).landed == ("P",)
    assert_planes(new_lake, "A01", "A/1", "0")
    other = Lake.create(tmp_path / "other")
    assert ingest_zarr(other, tmp_path / "run" / "P.zarr", in_place=in_place).landed == ("P",)


@in_both_forms
@pytest.mark.parametrize("axes", [None, ["t", "c", "z", "y", "x"]], ids=["0.1", "0.3"])
@pytest.mark.sample(2)
def test_an_early_plate(new_lake: Lake, tmp_path: Path, in_place: bool, axes: object) -> None:
    """Before version 0.4, axes had names at most, wells had no index, and there were no scales."""
    write_zarr_plate(tmp_path / "P.zarr", {"C/4": []})
    well = tmp_path / "P.zarr" / "C" / "4"
    write_group(well, {"well": {"images": [{"path": "2"}]}})
    planes = np.stack([[plane_of(v) for v in (3, 5)], [plane_of(v) for v in (40, 30)]])[None]
    write_image(well / "2", planes, axes=axes, labels=None)
    image = json.loads((well / "2" / ".zattrs").read_text())["multiscales"][0]
    del image["datasets"][0]["coordinateTransformations"]
    if axes is None:
        del image["axes"]
    write_group(well / "2", {"multiscales": [image]})
    plate = {"wells": [{"path": "C/4"}], "rows": [{"name": "C"}], "columns": [{"name": "4"}]}
    write_group(tmp_path / "P.zarr", {"plate": plate})
    ingest_zarr(new_lake, tmp_path, in_place=in_place)
    assert fields_of(new_lake) == [("P", "C04", 2)]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 0"), plane_of(5))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 1"), plane_of(40))
    assert new_lake.query("select pixel_size_um from field").item() is None


NAMES = ["50% 'x' \"y\"", "a#t=1&z=max", "[1]*", *slow("Plate #3", "#", "t#z=1", " two  words ")]


@in_both_forms
@pytest.mark.parametrize("name", ["what?", *NAMES])
def test_any_name_of_a_plate(new_lake: Lake, tmp_path: Path, in_place: bool, name: str) -> None:
    write_zarr_plate(tmp_path / f"{name}.zarr", WELLS)
    assert ingest_zarr(new_lake, tmp_path, in_place=in_place).landed == (name.strip(),)
    assert check(new_lake) == []
    assert_planes(new_lake, "B12", "B/12", "0")


@in_both_forms
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_the_folder_of_a_lake(tmp_path: Path, in_place: bool, name: str) -> None:
    write_zarr_plate(tmp_path / name / "P.zarr", WELLS)
    lake = Lake.create(tmp_path / name / name)
    ingest_zarr(lake, tmp_path / name / "P.zarr", in_place=in_place)
    assert check(lake) == []
    assert_planes(lake, "B12", "B/12", "0")


@pytest.mark.parametrize("chosen", ["t=1&z=max", *slow("z=max", "z=1")])
def test_names_of_images_that_look_like_a_choice(
    new_lake: Lake, tmp_path: Path, chosen: str
) -> None:
    """The slices of a stack are chosen, whatever the group of the stack is called."""
    name = f"405 nm #{chosen}"
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": []})
    well = tmp_path / "P.zarr" / "A" / "1"
    write_group(well, {"well": {"images": [{"path": name}]}})
    stack = np.stack([[plane_of(v) for v in (3, 50)], [plane_of(v) for v in (40, 30)]])
    axes = [{"name": a} for a in "czyx"]
    write_image(well / name, stack, axes=axes, scale=[1, 1, 1, 1], unit=None)
    write_image(well / "405 nm ", np.zeros_like(stack), axes=axes, scale=[1, 1, 1, 1], unit=None)
    ingest_zarr(new_lake, tmp_path, in_place=True, choice=Choice(z="0"))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 1"), plane_of(40))
    assert check(new_lake) == []
    ingest_zarr(other := Lake.create(tmp_path / "other"), tmp_path / "P.zarr", in_place=True)
    np.testing.assert_array_equal(stored_plane(other, "channel_index = 0"), plane_of(50))


def test_zarr_groups_that_are_no_plates_are_named(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    write_image(tmp_path / "overview.zarr", np.stack([plane_of(1)] * 2))
    (tmp_path / "started.zarr").mkdir()
    assert ingest_zarr(new_lake, tmp_path).landed == ("P",)
    assert "no OME-Zarr plate" in caplog.text
    assert "overview.zarr' and 1 more" in caplog.text


def test_two_plates_of_one_name_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]})
    write_zarr_plate(tmp_path / "P.ome.zarr", {"A/2": ["0"]})
    with pytest.raises(InputError, match="is not the only plate named 'P'"):
        ingest_zarr(new_lake, tmp_path)


def test_options_of_ome_plates_are_refused_elsewhere(new_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--acquisition is for --layout ome-zarr and ome-tiff"):
        ingest(new_lake, tmp_path, "harmony", choice=Choice(acquisition=1))
    with pytest.raises(InputError, match="--image-name is for --layout ome-zarr"):
        ingest(new_lake, tmp_path, "ome-tiff", choice=Choice(image_name="0"))


def test_a_linked_image_stays_in_its_plate(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    image = tmp_path / "P.zarr" / "A" / "1" / "0"
    image.rename(tmp_path / "P.zarr" / "elsewhere")
    image.symlink_to(tmp_path / "P.zarr" / "elsewhere")
    ingest_zarr(new_lake, tmp_path / "P.zarr", in_place=True)
    assert new_lake.query("select uri from plate").item() == str(tmp_path / "P.zarr")
    assert_planes(new_lake, "A01", "A/1", "0")
    assert_planes(new_lake, "B12", "B/12", "0")


def test_zarr_reads_what_the_test_wrote(tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS, big_endian=True)
    array = zarr.open_array(str(tmp_path / "P.zarr" / "A" / "1" / "0" / "0"), mode="r")
    assert array.dtype == np.dtype(">u2")
    np.testing.assert_array_equal(array[1], plane_of(value_of("A/1", "0", 1)))
