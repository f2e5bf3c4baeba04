"""Names of plates, wells and channels in a table, written one way before they are compared."""

from pathlib import Path

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted

_IDENTIFIERS = ("dataset", "source", "batch", "plate", "barcode", "well", "channel")
_NUMBERS = ("plate", "barcode")  # spreadsheets and pandas write their numbers as 1053601756.0


def clean_identifiers(con: Connection, table: str, file: str = "") -> None:
    """Trim the identifiers of a table and compose their Unicode (NFC); empty ones become NULL.

    Plates whose names are all whole numbers with `.0` lose it, with a warning. file: of the table.
    """
    texts = {
        row[0]
        for row in con.execute(f"describe {quoted(table)}").fetchall()
        if row[1].upper() == "VARCHAR"
    }
    for name in texts.intersection(_IDENTIFIERS):
        column = quoted(name)
        con.execute(
            f"update {quoted(table)} set {column} = identifier_of({column})"
            f" where {column} is distinct from identifier_of({column})"
        )
    for name in texts.intersection(_NUMBERS):
        column = quoted(name)
        (example,) = first_row(
            con,
            f"select case when bool_and(regexp_full_match({column}, '[0-9]+\\.0+'))"
            f" then min({column}) end from {quoted(table)}",
        )
        if example is not None:
            con.execute(
                f"update {quoted(table)} set {column} = regexp_replace({column}, '\\.0+$', '')"
            )
            log.warning(
                f"{f'{file}: ' if file else ''}every {name} is a number with a fraction, such as"
                f" {example}; it is read as"
                f" {example.partition('.')[0]}"
            )


def refuse_unknown_wells(con: Connection, table: str, source: Path) -> None:
    """Raise InputError if the wells of a table that was loaded from `source` are not all known."""
    names = {row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()}
    if not {"well", "_line"} <= names:
        return
    found = con.execute(
        f"select _line, well, count(*) over () from {quoted(table)}"
        " where well is not null and canonical_well(well) is null order by _line limit 1"
    ).fetchall()
    if found:
        line, well, num = found[0]
        more = f" (and {num - 1} more)" if num > 1 else ""
        raise InputError(
            f"{source}, line {line}, column well: no plate has the well '{well}'; wells are A01 to"
            f" AF48, also spelled a1, A001, A-01 or r01c01{more}"
        )
