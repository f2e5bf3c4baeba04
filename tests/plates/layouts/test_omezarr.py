"""OME-Zarr plates as others write them: byte orders, names, holes, images, places, sizes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from planes import plane_of, stored_plane
from sampled import slow
from zarr_plates import value_of, write_group, write_image, write_zarr_plate

from unidino.core.errors import InputError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import Ingested, ingest
from unidino.plates.manifest import Choice

WELLS = {"A/1": ["0"], "B/12": ["0"]}
in_both_forms = pytest.mark.parametrize("in_place", [False, True], ids=["copied", "in place"])


def _ingest(lake: Lake, path: Path, *, in_place: bool = False, **options: Any) -> Ingested:
    return ingest(lake, path, "ome-zarr", form=Form(in_place=in_place), **options)


def _fields(lake: Lake) -> list[tuple[str, str, int]]:
    return lake.query("select plate, well, field from field order by all").rows()


def _assert_planes(lake: Lake, well: str, path: str, image: str, field: int = 0) -> None:
    for channel in (0, 1):
        plane = stored_plane(
            lake, f"well = '{well}' and field = {field} and channel_index = {channel}"
        )
        assert plane.dtype == np.uint16
        assert plane.dtype.isnative
        np.testing.assert_array_equal(plane, plane_of(value_of(path, image, channel)))


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
    done = _ingest(new_lake, tmp_path / "P.zarr", in_place=in_place)
    assert (done.landed, done.num_images, done.problems) == (("P",), 4, ())
    _assert_planes(new_lake, "A01", "A/1", "0")
    _assert_planes(new_lake, "B12", "B/12", "0")
    assert new_lake.query("select distinct dtype from image").rows() == [("uint16",)]
    assert _ingest(new_lake, tmp_path / "P.zarr", in_place=in_place).skipped == ("P",)


@in_both_forms
def test_nested_chunks_whose_metadata_do_not_say_so(
    new_lake: Lake, tmp_path: Path, in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    for file in (tmp_path / "P.zarr").rglob(".zarray"):
        metadata = json.loads(file.read_text())
        del metadata["dimension_separator"]
        file.write_text(json.dumps(metadata))
    _ingest(new_lake, tmp_path, in_place=in_place)
    _assert_planes(new_lake, "B12", "B/12", "0")


@in_both_forms
def test_a_plate_in_the_group_of_a_series(new_lake: Lake, tmp_path: Path, in_place: bool) -> None:
    write_zarr_plate(tmp_path / "run" / "P.zarr" / "0", WELLS, big_endian=True)
    write_group(tmp_path / "run" / "P.zarr", {"bioformats2raw.layout": 3})
    write_group(tmp_path / "run" / "P.zarr" / "OME", {"series": ["0"]})
    assert _ingest(new_lake, tmp_path / "run", in_place=in_place).landed == ("P",)
    _assert_planes(new_lake, "A01", "A/1", "0")
    other = Lake.create(tmp_path / "other")
    assert _ingest(other, tmp_path / "run" / "P.zarr", in_place=in_place).landed == ("P",)


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
    _ingest(new_lake, tmp_path, in_place=in_place)
    assert _fields(new_lake) == [("P", "C04", 2)]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 0"), plane_of(5))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 1"), plane_of(40))
    assert new_lake.query("select pixel_size_um from field").item() is None


NAMES = ["50% 'x' \"y\"", "a#t=1&z=max", "[1]*", *slow("Plate #3", "#", "t#z=1", " two  words ")]


@in_both_forms
@pytest.mark.parametrize("name", ["what?", *NAMES])
def test_any_name_of_a_plate(new_lake: Lake, tmp_path: Path, in_place: bool, name: str) -> None:
    write_zarr_plate(tmp_path / f"{name}.zarr", WELLS)
    assert _ingest(new_lake, tmp_path, in_place=in_place).landed == (name.strip(),)
    assert check(new_lake) == []
    _assert_planes(new_lake, "B12", "B/12", "0")


@in_both_forms
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_the_folder_of_a_lake(tmp_path: Path, in_place: bool, name: str) -> None:
    write_zarr_plate(tmp_path / name / "P.zarr", WELLS)
    lake = Lake.create(tmp_path / name / name)
    _ingest(lake, tmp_path / name / "P.zarr", in_place=in_place)
    assert check(lake) == []
    _assert_planes(lake, "B12", "B/12", "0")


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
    _ingest(new_lake, tmp_path, in_place=True, choice=Choice(z="0"))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel_index = 1"), plane_of(40))
    assert check(new_lake) == []
    _ingest(other := Lake.create(tmp_path / "other"), tmp_path / "P.zarr", in_place=True)
    np.testing.assert_array_equal(stored_plane(other, "channel_index = 0"), plane_of(50))


def _damage_text(name: str, text: str) -> Callable[[Path], object]:
    return lambda group: (group / name).write_text(text)


HOLES: dict[str, Callable[[Path], object]] = {
    "image not written": shutil.rmtree,
    "image without metadata": lambda group: (group / ".zattrs").unlink(),
    "image without arrays": lambda group: shutil.rmtree(group / "0"),
    "array without metadata": lambda group: (group / "0" / ".zarray").unlink(),
    "damaged attributes": _damage_text(".zattrs", '{"multiscales": ['),
    "attributes of another kind": _damage_text(".zattrs", "[1, 2]"),
    "null": _damage_text(".zattrs", '{"multiscales": [null]}'),
    "no level": _damage_text(".zattrs", '{"multiscales": [{"axes": [], "datasets": []}]}'),
    "other axes": _damage_text(
        ".zattrs",
        '{"multiscales": [{"axes": ["c", "x", "y"], "datasets": [{"path": "0"}]}]}',
    ),
    "too few axes": _damage_text(
        ".zattrs", '{"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}'
    ),
    "damaged array": _damage_text("0/.zarray", "{}"),
    "not text": lambda group: (group / ".zattrs").write_bytes(b"\xff\xfe\x00"),
}
_TRIED = ("image not written", "image without arrays", "null", "other axes", "not text")


@pytest.mark.parametrize("hole", [*_TRIED, *slow(*(h for h in HOLES if h not in _TRIED))])
def test_an_image_that_cannot_be_read(new_lake: Lake, tmp_path: Path, hole: str) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"], "B/12": ["0", "1"], "C/3": ["0"]})
    HOLES[hole](tmp_path / "P.zarr" / "B" / "12" / "1")
    with pytest.raises(InputError, match=r"B/12/1' is not a valid .*; .*--allow-incomplete") as e:
        _ingest(new_lake, tmp_path)
    assert "\n" not in str(e.value)
    assert len(new_lake.query("from plate")) == 0
    done = _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert _fields(new_lake) == [("P", "A01", 0), ("P", "B12", 0), ("P", "C03", 0)]
    (problem,) = done.problems
    assert "B/12/1'" in problem


def _drop_well(plate: Path) -> None:
    shutil.rmtree(plate / "B" / "12")


def _empty_well(plate: Path) -> None:
    (plate / "B" / "12" / ".zattrs").unlink()


def _damage_well(plate: Path) -> None:
    (plate / "B" / "12" / ".zattrs").write_text("{")


@pytest.mark.parametrize("damage", [_drop_well, _empty_well, _damage_well])
@in_both_forms
@pytest.mark.sample(3)
def test_a_well_that_cannot_be_read(
    new_lake: Lake, tmp_path: Path, damage: Callable[[Path], None], in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    damage(tmp_path / "P.zarr")
    with pytest.raises(InputError, match=r"B/12' is not a valid part"):
        _ingest(new_lake, tmp_path, in_place=in_place)
    done = _ingest(new_lake, tmp_path, in_place=in_place, allow_incomplete=True)
    assert _fields(new_lake) == [("P", "A01", 0)]
    assert len(done.problems) == 1


def test_a_damaged_plate_beside_others(new_lake: Lake, tmp_path: Path) -> None:
    for name in "PQR":
        write_zarr_plate(tmp_path / f"{name}.zarr", WELLS)
    (tmp_path / "Q.zarr" / ".zattrs").write_text('{"plate"')
    write_group(tmp_path / "R.zarr", {"plate": {"wells": None}})
    with pytest.raises(InputError, match=r"Q.zarr' is not a valid part .* \(and 1 more\)"):
        _ingest(new_lake, tmp_path)
    done = _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert done.landed == ("P",)
    assert ["Q.zarr'" in done.problems[0], "R.zarr'" in done.problems[1]] == [True, True]


def test_zarr_groups_that_are_no_plates_are_named(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS)
    write_image(tmp_path / "overview.zarr", np.stack([plane_of(1)] * 2))
    (tmp_path / "started.zarr").mkdir()
    assert _ingest(new_lake, tmp_path).landed == ("P",)
    assert "no OME-Zarr plate" in caplog.text
    assert "overview.zarr' and 1 more" in caplog.text


def test_two_plates_of_one_name_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]})
    write_zarr_plate(tmp_path / "P.ome.zarr", {"A/2": ["0"]})
    with pytest.raises(InputError, match="is not the only plate named 'P'"):
        _ingest(new_lake, tmp_path)


def test_missing_chunks_have_the_fill_value(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0", "1"]})
    well = tmp_path / "P.zarr" / "A" / "1"
    (well / "0" / "0" / "1" / "0" / "1").unlink()
    for channel in "01":
        shutil.rmtree(well / "1" / "0" / channel)
    _ingest(new_lake, tmp_path)
    half = plane_of(value_of("A/1", "0", 1))
    half[:, 16:] = 0
    np.testing.assert_array_equal(stored_plane(new_lake, "field = 0 and channel_index = 1"), half)
    assert new_lake.query("select distinct qc from image where field = 1").rows() == [("blank",)]
    assert "no pixels are stored" in caplog.text
    assert "A/1/1'" in caplog.text


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
        _ingest(new_lake, tmp_path, in_place=in_place)
    with pytest.raises(InputError, match=r"no acquisition 1; it has 4 \(stain\), 7"):
        _ingest(new_lake, tmp_path, in_place=in_place, choice=Choice(acquisition=1))
    _ingest(new_lake, tmp_path, in_place=in_place, choice=Choice(acquisition=7))
    assert _fields(new_lake) == [("P", "A01", 1), ("P", "B12", 1)]
    _assert_planes(new_lake, "A01", "A/1", "1", field=1)


def test_one_acquisition_needs_no_choice(new_lake: Lake, tmp_path: Path) -> None:
    wells = {"A/1": [{"path": "0", "acquisition": 3}, {"path": "1", "acquisition": 3}]}
    write_zarr_plate(tmp_path / "P.zarr", wells)
    _ingest(new_lake, tmp_path)
    assert _fields(new_lake) == [("P", "A01", 0), ("P", "A01", 1)]


COPIES = {"A/1": ["0", "0_reg", "0_illum_corr", "1"], "B/12": ["0_illum_corr", "1", "0_reg", "0"]}


@in_both_forms
def test_processed_copies_are_no_fields(
    new_lake: Lake, tmp_path: Path, in_place: bool, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", COPIES)
    _ingest(new_lake, tmp_path, in_place=in_place)
    assert _fields(new_lake) == [(*w, f) for w in (("P", "A01"), ("P", "B12")) for f in (0, 1)]
    _assert_planes(new_lake, "B12", "B/12", "1", field=1)
    assert "0_reg' and 3 more" in caplog.text
    assert "--image-name" in caplog.text


@in_both_forms
def test_processed_copies_are_chosen_by_name(
    new_lake: Lake, tmp_path: Path, in_place: bool
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", COPIES)
    choice = Choice(image_name="*_illum_corr")
    _ingest(new_lake, tmp_path, in_place=in_place, choice=choice)
    assert _fields(new_lake) == [("P", "A01", 0), ("P", "B12", 0)]
    _assert_planes(new_lake, "B12", "B/12", "0_illum_corr")
    with pytest.raises(InputError, match=r"no image named '9\*' .*'0', '0_reg'"):
        _ingest(new_lake, tmp_path, choice=Choice(image_name="9*"))
    with pytest.raises(InputError, match="not clear which of the images named '0', '0_reg'"):
        _ingest(new_lake, tmp_path, choice=Choice(image_name="*"))


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
    _ingest(new_lake, tmp_path)
    assert _fields(new_lake) == [("P", "A01", field) for field in fields]
    for name, field in zip(names, fields, strict=True):
        _assert_planes(new_lake, "A01", "A/1", name, field)


def test_copies_of_other_processings_alone_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0_corr", "0_reg"], "A/2": ["0_corr", "0_reg"]})
    with pytest.raises(InputError, match=r"not clear .*'0_corr', '0_reg'.*--image-name '\*_reg'"):
        _ingest(new_lake, tmp_path)


def test_images_of_one_number_are_refused(new_lake: Lake, tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["1", "01"], "A/2": ["1"]})
    with pytest.raises(InputError, match=r"A/1/1', '.*A/1/01' have the same number"):
        _ingest(new_lake, tmp_path)
    _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert _fields(new_lake) == [("P", "A02", 1)]


def _names(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("wells", "metadata", "entries", "found"),
    [
        ({"AA/01": ["0"], "b/024": ["0"]}, {}, {}, ["AA01", "B24"]),
        ({"3/5": ["0"]}, {"rows": _names("1", "3")}, {"3/5": {"rowIndex": 1}}, ["C05"]),
        (
            {"top/left": ["0"], "low/right": ["0"]},
            {"rows": _names("top", "middle", "low"), "columns": _names("left", "right")},
            {"low/right": {"rowIndex": 2}},
            ["A01", "C02"],
        ),
        ({"0/0": ["0"], "1/1": ["0"], "2/2": ["0"]}, {}, {}, ["A01", "B02", "C03"]),
        ({"A/1": ["0"]}, {"columns": _names("01")}, {}, ["A01"]),
        ({"H/1": ["0"]}, {"rows": _names("A", "B")}, {"H/1": {"rowIndex": 7}}, ["H01"]),
    ],
)
@pytest.mark.sample(3)
def test_rows_and_columns(
    new_lake: Lake,
    tmp_path: Path,
    wells: dict[str, list[str]],
    metadata: dict[str, Any],
    entries: dict[str, Any],
    found: list[str],
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", wells, plate=metadata, entries=entries)
    _ingest(new_lake, tmp_path)
    assert sorted(well for _, well, _ in _fields(new_lake)) == sorted(found)


@pytest.mark.parametrize(
    ("wells", "metadata", "entries", "said"),
    [
        (
            {"A/1": ["0"], "B/1": ["0"]},
            {},
            {"B/1": {"rowIndex": 0}},
            r"B/1' .*its path says row 'B', but its rowIndex 0 says 'A'",
        ),
        ({"A/1": ["0"]}, {}, {"A/1": {"columnIndex": 4}}, "columnIndex 4 is beyond the 1 columns"),
        ({"A/1": ["0"]}, {}, {"A/1": {"rowIndex": "0"}}, "its rowIndex is '0'"),
        ({"xx/1": ["0"]}, {"wells": [{"path": "xx/1"}], "rows": []}, {}, "not clear which row"),
        ({"1/A": ["0"]}, {}, {}, "seems to name its column before its row"),
        ({"1/0": ["0"], "0/3": ["0"]}, {}, {}, "not clear which"),
        ({"A/1": ["0"], "A/01": ["0"]}, {}, {}, "lists the well A01 2 times"),
        ({"A/60": ["0"]}, {}, {}, "no plate has column 60"),
        ({"A/1": ["0"]}, {"wells": [{"path": "run/A/1"}]}, {}, "path 'run/A/1' of a well"),
        ({"A/1": ["0"]}, {"wells": [{"row": 1}]}, {}, "it lacks 'path' .number 0 of its wells"),
    ],
)
def test_wells_whose_place_is_not_clear_are_refused(
    new_lake: Lake,
    tmp_path: Path,
    wells: dict[str, list[str]],
    metadata: dict[str, Any],
    entries: dict[str, Any],
    said: str,
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", wells, plate=metadata, entries=entries)
    with pytest.raises(InputError, match=said) as error:
        _ingest(new_lake, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ({}, 0.325),
        ({"scale": [1, 325, 325], "unit": "nanometer"}, 0.325),
        ({"scale": [1, 3e-4, 3e-4], "unit": "millimeter"}, 0.3),
        ({"scale": [1, 2, 2], "outer_scale": [1, 0.325, 0.325]}, 0.65),
        ({"scale": [1, 1, 1], "outer_scale": [1, 325, 325], "unit": "nanometer"}, 0.325),
        ({"scale": [1, 0.325, 0.3250001]}, 0.3250001),
        ({"unit": None}, None),
        ({"unit": "pixel"}, None),
        ({"scale": [1, 0.65, 0.325]}, None),
    ],
)
@pytest.mark.sample(4)
def test_pixel_sizes(
    new_lake: Lake,
    tmp_path: Path,
    image: dict[str, Any],
    size: float | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS, **image)
    _ingest(new_lake, tmp_path)
    found = new_lake.query("select distinct pixel_size_um from field").item()
    assert found == (None if size is None else pytest.approx(size))
    assert (" left out: " in caplog.text) == (size is None)


@pytest.mark.parametrize(
    ("labels", "channels", "noted"),
    [
        (["DNA"], ["DNA", "ch1"], True),
        ([], ["ch0", "ch1"], False),
        (None, ["ch0", "ch1"], False),
        (["", "Actin"], ["ch0", "Actin"], False),
        ([" ", None], ["ch0", "ch1"], False),
        ([405, 488], ["405", "488"], False),
        (["DNA", "Actin", "ER"], ["DNA", "Actin"], True),
    ],
)
@pytest.mark.sample(4)
def test_channel_names(
    new_lake: Lake,
    tmp_path: Path,
    labels: list[Any] | None,
    channels: list[str],
    noted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS, labels=labels)
    _ingest(new_lake, tmp_path)
    assert new_lake.query("select channel from channel order by channel_index").rows() == [
        (name,) for name in channels
    ]
    assert ("are taken in order" in caplog.text) == noted


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
    _ingest(new_lake, tmp_path / "P.zarr", in_place=True)
    assert new_lake.query("select uri from plate").item() == str(tmp_path / "P.zarr")
    _assert_planes(new_lake, "A01", "A/1", "0")
    _assert_planes(new_lake, "B12", "B/12", "0")


def test_zarr_reads_what_the_test_wrote(tmp_path: Path) -> None:
    write_zarr_plate(tmp_path / "P.zarr", WELLS, big_endian=True)
    array = zarr.open_array(str(tmp_path / "P.zarr" / "A" / "1" / "0" / "0"), mode="r")
    assert array.dtype == np.dtype(">u2")
    np.testing.assert_array_equal(array[1], plane_of(value_of("A/1", "0", 1)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_channel_and_a_chunk_that_are_not_stored_are_said(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0", "1"]}, version=version)
    first, second = (
        tmp_path / "P.zarr" / "A" / "1" / image / "0" / ("c" if version == "0.5" else "")
        for image in "01"
    )
    shutil.rmtree(first / "1")
    (second / "0" / "0" / "1").unlink()
    _ingest(new_lake, tmp_path)
    said = " ".join(caplog.text.split())
    assert "no pixels of a channel are stored, so that all have the fill value" in said
    assert "A/1/0, channel 1'" in said
    assert "chunks are not stored, so that their pixels have the fill value" in said
    assert "A/1/1, 1 of 4 chunks'" in said


def test_chunks_that_are_not_stored_within_shards_are_said(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]}, version="0.5")
    place = tmp_path / "P.zarr" / "A" / "1" / "0" / "0"
    pixels = np.stack([plane_of(1), plane_of(2)])
    pixels[1, :, 16:] = 0
    shutil.rmtree(place)
    form: Any = {"shape": pixels.shape, "dtype": "uint16", "config": {"write_empty_chunks": False}}
    array = zarr.create_array(str(place), chunks=(1, 32, 16), shards=pixels.shape, **form)
    array[:] = pixels
    _ingest(new_lake, tmp_path)
    assert "A/1/0, 1 of 4 chunks'" in caplog.text


def test_a_first_resolution_that_is_not_the_largest_is_refused(
    new_lake: Lake, tmp_path: Path
) -> None:
    write_zarr_plate(tmp_path / "P.zarr", {"A/1": ["0"]})
    image = tmp_path / "P.zarr" / "A" / "1" / "0"
    zarr.create_array(str(image / "1"), shape=(2, 64, 64), dtype="uint16", zarr_format=2)
    metadata = json.loads((image / ".zattrs").read_text())
    metadata["multiscales"][0]["datasets"].append({"path": "1"})
    (image / ".zattrs").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="first resolution is 32 x 32 px, but '1' is 64 x 64 px"):
        _ingest(new_lake, tmp_path)
