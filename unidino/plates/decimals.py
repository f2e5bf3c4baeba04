"""Numbers with a decimal comma, as tables of European spreadsheets have them."""

from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted

_WITH_COMMA = r"[-+]?\d+,\d+([eE][-+]?\d+)?(\s*[^\d\s,.].*)?"
_LIKE_THOUSANDS = r"[-+]?[1-9]\d{0,2}(,\d{3})+(\s*[^\d\s,.].*)?"


def use_points(con: Connection, table: str, column: str, name: str) -> bool:
    """Replace the decimal commas of a column of text by points; whether there were any.

    A comma is decimal if no value has a point and one could not be a separator of thousands.
    Raises InputError if the commas may mean either, as in 1,500.
    """
    types = con.execute(f"select any_value(typeof({quoted(column)})) from {quoted(table)}")
    if types.fetchall() != [("VARCHAR",)]:
        return False
    text = f"trim({quoted(column)})"
    num_commas, num_points, num_thousands = first_row(
        con,
        f"select count_if(regexp_full_match({text}, $comma)),"
        f" count_if(regexp_matches({text}, '\\d\\.\\d')),"
        f" count_if(regexp_full_match({text}, $thousands)) from {quoted(table)}",
        {"comma": _WITH_COMMA, "thousands": _LIKE_THOUSANDS},
    )
    if num_thousands and (num_points or num_thousands >= num_commas):
        raise InputError(
            f"'{name}', column {column}: a comma as in 1,500 may be a decimal comma or separate"
            " thousands; write the numbers with a point"
        )
    if not num_commas or num_points:
        return False
    con.execute(
        f"update {quoted(table)} set {quoted(column)} = replace({quoted(column)}, ',', '.')"
        f" where regexp_full_match({text}, $comma)",
        {"comma": _WITH_COMMA},
    )
    return True
