"""Places of wells, sizes of pixels and names of channels in OME-Zarr plates."""

from pathlib import Path
from typing import Any

import pytest
from zarr_plates import (
    WELLS,
    fields_of,
    ingest_zarr,
    write_zarr_plate,
)

from unidino.core.errors import InputError
from unidino.lake.lake import Lake


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
    ingest_zarr(new_lake, tmp_path)
    assert sorted(well for _, well, _ in fields_of(new_lake)) == sorted(found)


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
        ingest_zarr(new_lake, tmp_path)
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
    ingest_zarr(new_lake, tmp_path)
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
    ingest_zarr(new_lake, tmp_path)
    assert new_lake.query("select channel from channel order by channel_index").rows() == [
        (name,) for name in channels
    ]
    assert ("are taken in order" in caplog.text) == noted
