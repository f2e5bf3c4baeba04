"""Columns of an answer of DuckDB, in types that other programs hold.

DuckDB has types that Arrow, Polars, Parquet, CSV or JSON lack. Each function returns the same rows
with such values as text, in DuckDB's words: `1 day 02:00:00` for an interval.
"""

from collections import Counter
from collections.abc import Callable

import duckdb
from duckdb import DuckDBPyRelation
from duckdb.sqltypes import DuckDBPyType

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import quoted

_NUMBERS = {
    *("tinyint", "smallint", "integer", "bigint", "hugeint", "float", "double", "decimal"),
    *("utinyint", "usmallint", "uinteger", "ubigint"),
}
_TEXTS = {"varchar", "enum", "uuid"}
# Formats keep the digits of the type, so that all rows of a column have one form.
_TIMESTAMPS = {
    "timestamp": "%Y-%m-%dT%H:%M:%S.%f",
    "timestamp_s": "%Y-%m-%dT%H:%M:%S",
    "timestamp_ms": "%Y-%m-%dT%H:%M:%S.%g",
    "timestamp_ns": "%Y-%m-%dT%H:%M:%S.%n",
    "timestamp with time zone": "%Y-%m-%dT%H:%M:%S.%f%z",
}
_PORTABLE = {*_NUMBERS, *_TEXTS, *_TIMESTAMPS, "boolean", "date", "time", "blob", "null"}
_FOR_CSV = {*_NUMBERS, *_TEXTS, "boolean", "null"}
_FOR_PEOPLE = _FOR_CSV - {"hugeint"}  # Polars shows 38 of its 39 digits
_NESTED = {"list", "array", "struct", "tuple", "map"}

Leaf = Callable[[DuckDBPyType], str]


def portable(answer: DuckDBPyRelation) -> DuckDBPyRelation:
    """The answer with columns that Arrow, Polars and Parquet hold, each with a name of its own.

    Intervals, unions, bits, times with a zone and numbers of over 128 bits become text, also inside
    lists, structs and maps. A name that is used twice gets a number, which is said.
    Raises InputError for a column of a type that has no text.
    """
    return _projected(answer, lambda kind: _kept_or_text(kind, _PORTABLE))


def for_people(answer: DuckDBPyRelation) -> DuckDBPyRelation:
    """The answer for a table that is read: dates, times and bytes are text too."""
    return _projected(answer, lambda kind: _kept_or_text(kind, _FOR_PEOPLE))


def for_csv(answer: DuckDBPyRelation) -> DuckDBPyRelation:
    """The answer with columns of numbers, booleans and text; lists, structs and maps are JSON."""
    return _expressed(answer, _csv)


def for_json(answer: DuckDBPyRelation) -> DuckDBPyRelation:
    """The answer with every value as JSON text; NaN and infinity are not JSON yet."""
    return _expressed(answer, _json)


def is_nested(kind: DuckDBPyType) -> bool:
    """Whether values of a type hold other values."""
    return kind.id in _NESTED


def is_number(kind: DuckDBPyType) -> bool:
    """Whether values of a type are numbers."""
    return kind.id in _NUMBERS


def _kept_or_text(kind: DuckDBPyType, kept: set[str]) -> str:
    # An empty enum, struct or tuple has no children; DuckDB gives the type of NULL in quotes.
    return str(kind) if kind.id in kept else "VARCHAR"


def _csv(place: str, kind: DuckDBPyType) -> str:
    if kind.id in _NESTED:
        return _json(place, kind)
    if kind.id in _TIMESTAMPS:
        text = f"try(strftime({place}, '{_TIMESTAMPS[kind.id]}'))"  # fails for very distant years
        if (
            "zone" in kind.id
        ):  # the offset is +01 or +05:30; many programs read only the second form
            text = f"regexp_replace({text}, '([+-][0-9]{{2}})$', '\\1:00')"
        return f"coalesce({text}, cast({place} as VARCHAR))"
    return place if kind.id in _FOR_CSV else f"cast({place} as VARCHAR)"


def _json(place: str, kind: DuckDBPyType) -> str:
    """A value as JSON; a column of JSON is a text, as every program reads it."""
    return f"cast(to_json({_cast(place, kind, _json_leaf)}) as VARCHAR)"


def _json_leaf(kind: DuckDBPyType) -> str:
    return "VARCHAR" if str(kind) == "JSON" else str(kind)


def _projected(answer: DuckDBPyRelation, leaf: Leaf) -> DuckDBPyRelation:
    return _expressed(answer, lambda place, kind: _cast(place, kind, leaf))


def _expressed(
    answer: DuckDBPyRelation, express: Callable[[str, DuckDBPyType], str]
) -> DuckDBPyRelation:
    """The answer with an expression for each column; as it is if nothing changes."""
    names = _names(answer.columns)
    places = [f"#{i}" for i in range(1, len(names) + 1)]
    columns = [express(*column) for column in zip(places, answer.types, strict=True)]
    if columns == places and names == answer.columns:
        return answer
    try:
        return answer.project(
            ", ".join(f"{c} as {quoted(n)}" for c, n in zip(columns, names, strict=True))
        )
    except duckdb.Error:
        for column, name, kind in zip(columns, names, answer.types, strict=True):
            try:
                answer.project(column)
            except duckdb.Error as error:
                raise InputError(
                    f"column '{name}' has the type {kind}, which cannot be written; cast it, or"
                    " leave it out"
                ) from error
        raise


def _names(names: list[str]) -> list[str]:
    """The names, each once: the second `plate` is called `plate_1`, as in tables of DuckDB."""
    counts = Counter(names)
    used, unique = set(names), []
    seen: Counter[str] = Counter()
    for name in names:
        new = name
        if seen[name]:
            number = seen[name]
            while (new := f"{name}_{number}") in used:
                number += 1
            used.add(new)
            log.warning(f"{counts[name]} columns are named '{name}'; one is called '{new}' here")
        seen[name] += 1
        unique.append(new)
    return unique


def _cast(place: str, kind: DuckDBPyType, leaf: Leaf) -> str:
    """The value at a place, cast if its type changes."""
    target = _target(kind, leaf)
    return place if target == str(kind) else f"cast({place} as {target})"


def _target(kind: DuckDBPyType, leaf: Leaf) -> str:
    """The SQL type that a type becomes when its leaves change."""
    if kind.id not in _NESTED or not kind.children:
        return leaf(kind)
    children = [(name, c) for name, c in kind.children if isinstance(c, DuckDBPyType)]
    types = [_target(child, leaf) for _, child in children]
    match kind.id:
        case "list":
            return f"{types[0]}[]"
        case "array":
            return f"{types[0]}[{dict(kind.children)['size']}]"
        case "struct":
            names = [quoted(name) for name, _ in children]
            return f"STRUCT({', '.join(map(' '.join, zip(names, types, strict=True)))})"
    return f"{kind.id.upper()}({', '.join(types)})"
