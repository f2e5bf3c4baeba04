"""Wells are written one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.core.sql import scratch
from unidino.core.wells import row_letters, row_number, well_name, well_place

_MACROS = scratch()


@pytest.mark.parametrize(
    ("row", "column", "well"), [(1, 1, "A01"), (8, 12, "H12"), (26, 1, "Z01"), (32, 48, "AF48")]
)
def test_corners_of_plates(row: int, column: int, well: str) -> None:
    assert well_name(row, column) == well
    assert well_place(well) == (row, column)


@given(st.integers(1, 52), st.integers(1, 99))
def test_every_well_comes_back(row: int, column: int) -> None:
    assert well_place(well_name(row, column)) == (row, column)
    assert row_number(row_letters(row)) == row


@pytest.mark.parametrize(("row", "column"), [(0, 1), (-5, 1), (59, 1), (60, 3), (1, 0), (1, -1)])
def test_a_place_outside_of_any_plate_is_no_name_of_a_well(row: int, column: int) -> None:
    assert well_name(row, column) == f"row {row}, column {column}"
    found = _MACROS.execute("select canonical_well($w)", {"w": well_name(row, column)})
    assert found.fetchall() == [(None,)]
