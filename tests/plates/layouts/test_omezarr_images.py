"""Which images of an OME-Zarr well are its fields: acquisitions, copies, numbers."""

from pathlib import Path

import pytest
from zarr_plates import (
    assert_planes,
    fields_of,
    in_both_forms,
    ingest_zarr,
    write_zarr_plate,
)

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.manifest import Choice

CYCLES = {
    "A/1": [{"path": "0", "acquisition": 4}, {"path": "1", "acquisition": 7}],
    "B/12": [{"path": "0", "acquisition": 4}, {"path": "1", "acquisition": 7}],
}


NAMED = {"acquisitions": [{"id": 4, "name": "stain"}, {"id": 7}]}


@in_both_forms
def test_of_several_acquisitions_one_is_chosen(
    new_lake: Lake, tmp_path: Path, in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", CYCLES, plate=NAMED)
    with pytest.raises(InputError, match=r"acquisitions 4 \(stain\), 7; .*--acquisition"):
        ingest_zarr(new_lake, tmp_path, in_place=in_place)
    with pytest.raises(InputError, match=r"no acquisition 1; it has 4 \(stain\), 7"):
        ingest_zarr(new_lake, tmp_path, in_place=in_place, choice=Choice(acquisition=1))
    ingest_zarr(new_lake, tmp_path, in_place=in_place, choice=Choice(acquisition=7))
    assert fields_of(new_lake) == [("P", "A01", 1), ("P", "B12", 1)]
    assert_planes(new_lake, "A01", "A/1", "1", field=1)


def test_one_acquisition_needs_no_choice(new_lake: Lake, tmp_path: Path) -> None:
    wells = {"A/1": [{"path": "0", "acquisition": 3}, {"path": "1", "acquisition": 3}]}
    write_zarr_plate(tmp_path / "P.zarr", wells)
    ingest_zarr(new_lake, tmp_path)
    assert fields_of(new_lake) == [("P", "A01", 0), ("P", "A01", 1)]


COPIES = {"A/1": ["0", "0_reg", "0_illum_corr", "1"], "B/12": ["0_illum_corr", "1", "0_reg", "0"]}


@in_both_forms
def test_processed_copies_are_no_fields(
    new_lake: Lake, tmp_path: Path, in_place: bool, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", COPIES)
    ingest_zarr(new_lake, tmp_path, in_place=in_place)
    assert fields_of(new_lake) == [(*w, f) for w in (("P", "A01"), ("P", "B12")) for f in (0, 1)]
    assert_planes(new_lake, "B12", "B/12", "1", field=1)
    assert "0_reg' and 3 more" in caplog.text
    assert "--image-name" in caplog.text


@in_both_forms
def test_processed_copies_are_chosen_by_name(
    new_lake: Lake, tmp_path: Path, in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", COPIES)
    choice = Choice(image_name="*_illum_corr")
    ingest_zarr(new_lake, tmp_path, in_place=in_place, choice=choice)
    assert fields_of(new_lake) == [("P", "A01", 0), ("P", "B12", 0)]
    assert_planes(new_lake, "B12", "B/12", "0_illum_corr")
    with pytest.raises(InputError, match=r"no image named '9\*' .*'0', '0_reg'"):
        ingest_zarr(new_lake, tmp_path, choice=Choice(image_name="9*"))
    with pytest.raises(InputError, match="not clear which of the images named '0', '0_reg'"):
        ingest_zarr(new_lake, tmp_path, choice=Choice(image_name="*"))


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (["3", "11"], [3, 11]),
        (["field_02", "field_10"], [2, 10]),
        (["2_corr", "5_corr"], [2, 5]),
        (["left", "right"], [0, 1]),
        (["whole"], [0]),
    ],
)
@pytest.mark.sample(3)
def test_numbers_of_fields(
    new_lake: Lake, tmp_path: Path, names: list[str], fields: list[int]
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": names})
    ingest_zarr(new_lake, tmp_path)
    assert fields_of(new_lake) == [("P", "A01", field) for field in fields]
    for name, field in zip(names, fields, strict=True):
        assert_planes(new_lake, "A01", "A/1", name, field)


def test_copies_of_other_processings_alone_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0_corr", "0_reg"], "A/2": ["0_corr", "0_reg"]})
    with pytest.raises(InputError, match=r"not clear .*'0_corr', '0_reg'.*--image-name '\*_reg'"):
        ingest_zarr(new_lake, tmp_path)


def test_images_of_one_number_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["1", "01"], "A/2": ["1"]})
    with pytest.raises(InputError, match=r"A/1/1', '.*A/1/01' have the same number"):
        ingest_zarr(new_lake, tmp_path)
    ingest_zarr(new_lake, tmp_path, allow_incomplete=True)
    assert fields_of(new_lake) == [("P", "A02", 1)]
