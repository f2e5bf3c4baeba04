"""Texts in CSV that a spreadsheet would compute, because they begin like a formula.

An apostrophe before such a text makes it a text there. Numbers stay as they are. What `guarded`
writes, `unguarded` reads again: a text that begins with apostrophes and then like a formula gets
one more.
Source: OWASP, "CSV Injection"; https://owasp.org/www-community/attacks/CSV_Injection.
"""

import polars as pl

_GUARD = "'"
# Also the wide forms of = + - @, and texts after a tab or line end, which spreadsheets leave out.
_FORMULA = r"(?:[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n]\s*\S)"
_COMPUTED, _GUARDED = rf"^'*{_FORMULA}", rf"^'+{_FORMULA}"


def guarded(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with an apostrophe before each text, or column name, that is like a formula."""
    columns = rows.select(
        pl.when(_is_computed(name)).then(_GUARD + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in _texts(rows)
    )
    names = rows.columns
    new = pl.DataFrame({"name": names}, {"name": pl.String}).select(
        pl.when(_is_computed("name")).then(_GUARD + pl.col("name")).otherwise(pl.col("name"))
    )
    return rows.with_columns(columns).rename(dict(zip(names, new.to_series(), strict=True)))


def computed(rows: pl.DataFrame) -> list[str]:
    """Names of the columns with texts that `guarded` changes."""
    found = rows.select(_is_computed(name).any().alias(name) for name in _texts(rows))
    return [column.name for column in found if len(column) and column[0]]


def unguarded(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The rows before they were `guarded`, and the names of the columns that differ."""
    texts = _texts(rows)
    found = rows.select(
        pl.col(name).str.contains(_GUARDED).fill_null(False).any().alias(name) for name in texts
    )
    names = [column.name for column in found if len(column) and column[0]]
    changed = rows.with_columns(
        pl.when(pl.col(name).str.contains(_GUARDED))
        .then(pl.col(name).str.slice(1))
        .otherwise(pl.col(name))
        .alias(name)
        for name in names
    )
    return changed, names


def _texts(rows: pl.DataFrame) -> list[str]:
    kinds = (pl.String, pl.Categorical, pl.Enum)
    return [name for name, kind in rows.schema.items() if isinstance(kind, kinds) or kind in kinds]


def _is_computed(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    is_number = text.cast(pl.Float64, strict=False).is_not_null()
    return text.str.contains(_COMPUTED).fill_null(False) & ~is_number
