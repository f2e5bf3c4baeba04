"""Numbers with a decimal comma, as tables of European spreadsheets have them."""

from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted

_WITH_COMMA = r"[-+]?\d+,\d+([eE][-+]?\d+)?(\s*[^\d\s,.].*)?"
_LIKE_THOUSANDS = r"[-+]?[1-9]\d{0,2}(,\d{3})+(\s*[^\d\s,.].*)?"
_POINT_THOUSANDS = r"[-+]?[1-9]\d{0,2}(\.\d{3})+(\s*[^\d\s,.].*)?"
_SURELY_DECIMAL = r"[-+]?(\d*,(\d{1,2}|\d{4,})|0?,\d+)"


def use_points(con: Connection, table: str, column: str, name: str) -> bool:
    """Replace the decimal commas of a column of text by points; whether there were any.

    A comma is decimal if no value has a point and one could not be a separator of thousands.
    Raises InputError if the commas may mean either, as in 1,500, or if other values have points.
    """
    types = con.execute(f"select any_value(typeof({quoted(column)})) from {quoted(table)}")
    if types.fetchall() != [("VARCHAR",)]:
        return False
    text = f"spaced({quoted(column)})"
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
    if num_commas and num_points:
        comma, point = first_row(
            con,
            f"select any_value({text}) filter (regexp_full_match({text}, $comma)),"
            f" any_value({text}) filter (regexp_matches({text}, '\\d\\.\\d')) from {quoted(table)}",
            {"comma": _WITH_COMMA},
        )
        raise InputError(
            f"'{name}', column {column}: '{comma}' has a comma and '{point}' a point, so a point"
            " may be decimal or separate thousands; write all numbers with a decimal point"
        )
    if not num_commas:
        _refuse_thousands(con, table, column, name)
        return False
    con.execute(
        f"update {quoted(table)} set {quoted(column)} = replace({quoted(column)}, ',', '.')"
        f" where regexp_full_match({text}, $comma)",
        {"comma": _WITH_COMMA},
    )
    return True


def _refuse_thousands(con: Connection, table: str, column: str, name: str) -> None:
    """Raise InputError if the points of a column may separate thousands.

    They may if each has three digits behind it, and another column has decimal commas.
    """
    text = f"spaced({quoted(column)})"
    point, others = first_row(
        con,
        f"select any_value({text}) filter (regexp_full_match({text}, $thousands)),"
        f" count_if(regexp_matches({text}, '\\d\\.\\d')"
        f" and not regexp_full_match({text}, $thousands)) from {quoted(table)}",
        {"thousands": _POINT_THOUSANDS},
    )
    if point is None or others:
        return
    for other, kind, *_ in con.execute(f"describe {quoted(table)}").fetchall():
        has_commas = kind == "VARCHAR" and first_row(
            con,
            f"select bool_and(regexp_full_match({quoted(other)}, $comma || '|[-+]?\\d+'))"
            f" and bool_or(regexp_full_match({quoted(other)}, $comma)) from {quoted(table)}",
            {"comma": _SURELY_DECIMAL},
        ) == (True,)
        if has_commas:
            raise InputError(
                f"'{name}', column {column}: the point in '{point}' may be decimal or separate"
                f" thousands, because commas are decimal in column {other}; write all numbers with"
                " a decimal point"
            )
