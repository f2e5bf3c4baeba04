"""Names of plates, wells and channels in a table, written one way before they are compared."""

from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted

_IDENTIFIERS = ("dataset", "source", "batch", "plate", "barcode", "well", "channel")
_NUMBERS = ("plate", "barcode")  # spreadsheets and pandas write their numbers as 1053601756.0


def clean_identifiers(con: Connection, table: str) -> None:
    """Trim the identifiers of a table and compose their Unicode (NFC); empty ones become NULL.

    Plates whose names are all whole numbers with `.0` lose it, with a warning.
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
                f"every {name} is a number with a fraction, such as {example}; it is read as"
                f" {example.partition('.')[0]}"
            )
