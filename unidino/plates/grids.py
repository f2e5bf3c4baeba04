"""Platemaps that are drawn as a plate: rows A, B, ... under columns 1, 2, ..."""

from pathlib import Path

from unidino.core.errors import InputError
from unidino.core.sql import Connection, quoted
from unidino.core.wells import row_letters

_LEAST_COLUMNS = 3  # of a plate of 6 wells


def unfold(con: Connection, name: str, path: Path) -> None:
    """Make a table with a row a well of one that is drawn as a plate; others stay as they are.

    Its first cell names the values, such as `compound` or `dose (uM)`; empty wells are left out.
    Raises InputError if the first cell is empty, since nothing else tells what the values are.
    """
    given = [row[0] for row in con.execute(f"describe {quoted(name)}").fetchall()]
    first, *numbers = [column for column in given if column != "_line"]
    if len(numbers) < _LEAST_COLUMNS or [n.lstrip("0") for n in numbers] != [
        str(number) for number in range(1, len(numbers) + 1)
    ]:
        return
    found = con.execute(f"select {quoted(first)} from {quoted(name)} order by _line").fetchall()
    letters = [str(row[0] or "").strip().upper() for row in found]
    if len(letters) < 2 or letters != [row_letters(row) for row in range(1, len(letters) + 1)]:
        return
    if first.strip().lower() in ("", "row", "rows", "well") or first.startswith(
        ("column", "_", "Unnamed")
    ):
        raise InputError(
            f"'{path}' is drawn as a plate, but its first cell does not tell what the values are;"
            " write it there, such as compound, moa, control type or dose (uM)"
        )
    con.execute(
        f"create or replace table {quoted(name)} as"
        f" select upper(trim({quoted(first)})) || lpad(_number, 2, '0') as well,"
        f" _value as {quoted(first)}, _line"
        f" from (unpivot {quoted(name)} on {', '.join(map(quoted, numbers))}"
        " into name _number value _value)"
        " order by _line, _number::integer"
    )
