"""Rows of a table of metadata as rows of wells."""

from collections.abc import Sequence

from unidino.core import assets
from unidino.core.account import Account, listed
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.meaning import OF_IMAGES
from unidino.plates.reserved import NUM_ROWS
from unidino.plates.tables import columns

_OF_PLANES = {"pixel_size_um", "position_x_um", "position_y_um"}
_SHOWN = 12


def one_row_a_well(con: Connection, table: str, name: str, account: Account) -> None:
    """Reduce a table with plates and wells to a row for each well; see `one_row_each`."""
    if {"plate", "well"} <= set(columns(con, table)):
        one_row_each(con, table, name, account)


def one_row_each(
    con: Connection,
    table: str,
    name: str,
    account: Account,
    keys: Sequence[str] = ("plate", "well"),
) -> None:
    """Reduce a table to a row for each plate and well, and field if that is a key.

    Other columns than those of the manifest that differ in a well are left out, as is said. name:
    of the table's file.
    Raises InputError if the rows of a well differ in a column of the manifest that tells of wells.
    """
    have = columns(con, table)
    by = ", ".join(keys)
    con.execute(f"update {quoted(table)} set well = well_or_text(well)")
    told = set(assets.manifest_schema()["properties"]) - OF_IMAGES - _OF_PLANES
    kept, differing = [], []
    for column in have:
        if column in keys:
            continue
        value = quoted(column)
        rows = first_row(
            con,
            f"select plate, well, list({value} order by _line), list(_line order by _line)"
            f" from {quoted(table)} where plate is not null and well is not null"
            f" group by {by} having count(distinct {value}) > 1"
            f" or count({value}) not in (0, count(*)) order by {by} limit 1",
        )
        if not rows:
            kept.append(column)
        elif column in told:
            plate, well, (first, *others), (line, *lines) = rows
            at = next(i for i, other in enumerate(others) if other != first)
            raise InputError(
                f"'{name}': the rows of plate {plate} well {well} differ in {column}: line {line}"
                f" has {_value(first)}, line {lines[at]} {_value(others[at])}; leave one row for"
                " each well"
            )
        else:
            differing.append(column)
    if differing:
        account.say(
            "tables",
            f"{name}: columns that differ within a well are left out: {listed(differing, _SHOWN)}",
        )
    values = "".join(f", any_value({quoted(c)}) as {quoted(c)}" for c in kept)
    con.execute(
        f"create table _collapsed as select {by}{values}, min(_line) as _line,"
        f" min(_file) as _file, count(*) as {NUM_ROWS} from {quoted(table)} group by {by}"
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table _collapsed rename to {quoted(table)}")


def _value(value: str | None) -> str:
    return "nothing" if value is None else f"'{value}'"
