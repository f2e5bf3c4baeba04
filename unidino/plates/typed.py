"""Tables of text in the columns and types of the manifest."""

from pathlib import Path

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import Connection, quoted
from unidino.plates import tables

_KINDS = {"string": "varchar", "integer": "integer", "number": "double"}


def create_typed(con: Connection, table: str, source: Path, *, required: bool) -> None:
    """Create `numbered` and `typed` from a table.

    numbered: the table with the number and place of each row. typed: every column of the manifest
    with its type, NULL if a value is not of the type; other columns as JSON in `extra`.
    required: whether columns that the manifest needs must be there.
    """
    have = tables.columns(con, table)
    schema = assets.manifest_schema()
    if required:
        if "channel" not in have and "channel_index" in have:
            con.execute(f"alter table {quoted(table)} add column channel varchar")
            have.append("channel")
        missing = [c for c in schema["required"] if c not in have]
        if missing:
            raise InputError(
                f"the manifest lacks the column {missing[0]}; it has {', '.join(have)}; needed are"
                f" {', '.join(schema['required'])}"
            )
    all_columns = [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
    if "_line" not in all_columns:
        place = "coalesce('image ' || path, 'an image without a file')"
    else:
        file = "_file" if "_file" in all_columns else "$source"
        place = f"{file} || ', line ' || _line"
    con.execute(
        f"create or replace table numbered as select *, row_number() over () as _number,"
        f" {place} as _place from {quoted(table)}",
        {"source": str(source)} if "$source" in place else None,
    )
    extra = [c for c in have if c not in schema["properties"]]
    extra_json = (
        "to_json({" + ", ".join(f"{quoted(c)}: {quoted(c)}" for c in extra) + "})"
        if extra
        else "null::json"
    )
    typed = []
    for name, rule in schema["properties"].items():
        kind = _KINDS[rule["type"]]
        value = _read_as(kind, name) if name in have else f"null::{kind}"
        typed.append(f"{value} as {quoted(name)}")
    con.execute(
        f"create or replace table typed as select {', '.join(typed)}, {extra_json} as extra,"
        " _number as line, _place as place from numbered"
    )


def _read_as(kind: str, column: str) -> str:
    """SQL of a column as a type of DuckDB, NULL if a value is not of it."""
    if kind == "integer":
        return f"whole_number({quoted(column)})"
    number = f"try_cast({quoted(column)} as {kind})"
    return f"if(isfinite({number}), {number}, null)" if kind == "double" else number


def value_problems(con: Connection, table: str) -> list[tuple[int, str, str, str]]:
    """Values in the tables `numbered` and `typed` that are not what their column allows.

    Each is line, place, column and what is wrong; see `schemas/manifest.schema.json`.
    """
    return sorted(_type_problems(con, table) + _range_problems(con, table))


def _range_problems(con: Connection, table: str) -> list[tuple[int, str, str, str]]:
    """Numbers that are not finite, or that are out of the range of their column."""
    found: list[tuple[int, str, str, str]] = []
    have = tables.columns(con, table)
    for name, rule in assets.manifest_schema()["properties"].items():
        if name not in have or rule["type"] == "string":
            continue
        low, above, high = (rule.get(k) for k in ("minimum", "exclusiveMinimum", "maximum"))
        allowed = f"more than {above}" if above is not None else f"{low} or more"
        if high is not None:
            allowed = f"{low} to {high}"
        if low is None and above is None:
            allowed = "a finite number"
        column = f"typed.{quoted(name)}"
        found += con.execute(
            f"select line, place, $name, '''' || trim(numbered.{quoted(name)}::varchar)"
            " || ''' is not possible; expected ' || $allowed"
            " from typed inner join numbered on line = _number"
            f" where not isfinite({column}::double) or {column} < $low or {column} <= $above"
            f" or {column} > $high order by 1",
            {"name": name, "allowed": allowed, "low": low, "above": above, "high": high},
        ).fetchall()
    return found


def _type_problems(con: Connection, table: str) -> list[tuple[int, str, str, str]]:
    """Values in the table `numbered` that are not of the type of their column."""
    found: list[tuple[int, str, str, str]] = []
    have = tables.columns(con, table)
    for name, rule in assets.manifest_schema()["properties"].items():
        if name in have and rule["type"] != "string":
            found += con.execute(
                f"select _number, _place, $name, '''' || {quoted(name)} || ''' is not ' || $kind"
                f" from numbered where {quoted(name)} is not null"
                f" and {_read_as(_KINDS[rule['type']], name)} is null"
                f" and lower({quoted(name)}::varchar) <> 'nan' order by 1",
                {"name": name, "kind": "an integer" if rule["type"] == "integer" else "a number"},
            ).fetchall()
    return found
