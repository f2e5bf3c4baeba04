"""A platemap that is drawn as a plate gives a row a well."""

from pathlib import Path

import pytest

from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.plates import tables

ROWS = "ABCDEFGH"


def _grid(path: Path, title: str, separator: str = ",") -> Path:
    lines = [separator.join([title, *map(str, range(1, 13))])]
    for row in ROWS:
        lines.append(separator.join([row, *(f"{row.lower()}-{c}" for c in range(1, 12)), ""]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_grid_of_8_x_12_is_a_row_a_well(tmp_path: Path, separator: str) -> None:
    con = scratch()
    tables.load(con, "map", [_grid(tmp_path / "map.csv", "compound", separator)])
    rows = con.execute("select well, compound from map order by well").fetchall()
    assert len(rows) == 8 * 11  # the last column is empty
    assert rows[:2] == [("A01", "a-1"), ("A02", "a-2")]
    assert rows[-1] == ("H11", "h-11")
    con.close()


@pytest.mark.parametrize(("num_rows", "num_columns"), [(2, 3), (3, 4), (4, 6)])
def test_a_small_plate_may_be_drawn(tmp_path: Path, num_rows: int, num_columns: int) -> None:
    lines = ["compound," + ",".join(str(c + 1) for c in range(num_columns))]
    lines += [",".join([row, *f"{row}" * num_columns]) for row in ROWS[:num_rows]]
    (tmp_path / "map.csv").write_text("\n".join(lines) + "\n")
    con = scratch()
    tables.load(con, "map", [tmp_path / "map.csv"])
    rows = con.execute("select well, compound from map order by well").fetchall()
    assert (len(rows), rows[0]) == (num_rows * num_columns, ("A01", "A"))
    con.close()


@pytest.mark.parametrize("title", ["", "row"])
def test_a_grid_that_does_not_say_what_it_holds_is_refused(tmp_path: Path, title: str) -> None:
    con = scratch()
    with pytest.raises(InputError, match="first cell does not tell what the values are"):
        tables.load(con, "map", [_grid(tmp_path / "map.csv", title)])
    con.close()


def test_a_table_of_numbered_columns_that_is_no_plate_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("well,1,2,3,4,5,6\nA01,a,b,c,d,e,f\nA02,a,b,c,d,e,f\n")
    con = scratch()
    tables.load(con, "t", [path])
    assert con.execute('select well, "6" from t').fetchall() == [("A01", "f"), ("A02", "f")]
    con.close()
