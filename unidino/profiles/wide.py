"""Wide tables of features: a row for each well, a column for each feature.

Columns named Metadata_..., or like a column of the manifest, are metadata; other columns of numbers
are features, but for those that number, count or place the rows. Shapes: N rows, D features.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.account import Account, ends_of, listed
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, quoted
from unidino.plates.meaning import Reading
from unidino.profiles import feature_columns, mapping
from unidino.profiles.feature_columns import INDEX, METADATA, canonical
from unidino.profiles.mapping import compute, parse_map, rename
from unidino.profiles.numerals import Numerals, as_numbers, read_numbers
from unidino.profiles.wide_files import SUFFIXES, is_number, read_table

__all__ = ["SUFFIXES", "Wide", "compute", "parse_map", "read", "rename"]
_SHOWN = 12


@dataclass(frozen=True)
class Wide:
    """A wide table that was read.

    features: (D,), names. values: (N, D), NaN where missing. found: names that --map gives to
    columns of the table. left_out: columns of numbers that are no features, and why.
    """

    features: list[str]
    values: NDArray[np.float64]
    found: set[str]
    left_out: dict[str, str]


def read(
    con: Connection,
    name: str,
    path: Path,
    mapped: Mapping[str, str],
    pattern: str | None,
    reading: Reading,
    *,
    layer: str | None = None,
    counts: bool = False,
) -> Wide:
    """The features of a file.

    Missing and infinite values are NaN. The other columns become the table `name` in `con`: as
    text, in the order of the file, with the names of the manifest.
    mapped: see `parse_map`. pattern: regular expression that the names of features match; default:
    every column of numbers that is neither metadata nor numbers, counts or places the rows.
    layer: matrix of an AnnData file. counts: columns that count or dose are features too.
    Raises InputError if the file cannot be read, has no features, or has numbers that may be read
    in two ways.
    """
    table, index = read_table(con, path, layer)
    columns = set(mapping.columns_of(mapped, table.column_names).values())
    candidates = _candidates(table, columns, pattern)
    numbers = _numbers(table, candidates, path, asked=pattern is not None)
    left_out = _unasked(table, numbers, index, counts) if pattern is None else {}
    left_out |= _no_numbers(table, candidates, numbers, pattern)
    features = [c for c in candidates if c in numbers.values and c not in left_out]
    values = np.empty((table.num_rows, len(features)))
    for i, column in enumerate(features):
        values[:, i] = numbers.values.pop(column)
    _make_infinite_missing(values, features, reading.account)
    if pattern is None:
        values, features = _without_counters(table, values, features, mapped, left_out)
    _check(path, features, numbers, left_out, pattern)
    _say(path, features, numbers, left_out, reading.account)
    hidden = {c for c, why in left_out.items() if why == INDEX}
    others = [c for c in table.column_names if c not in features and c not in hidden]
    _create(con, name, table.select(others), path)
    mapping.keep_features(con, features, values, mapped)
    return Wide(features, values, rename(con, name, mapped, reading, path.name), left_out)


def _candidates(table: pa.Table, columns: set[str], pattern: str | None) -> list[str]:
    """Columns that are features if they are numbers. columns: those that --map names."""
    try:
        wanted = re.compile(pattern or "")
    except re.error as error:
        raise InputError(f"--features '{pattern}' is no regular expression: {error}") from error
    return [
        c
        for c in table.column_names
        if c not in columns
        and not METADATA.match(c)
        and (wanted.search(c) if pattern else canonical(c) is None)
    ]


def _numbers(table: pa.Table, candidates: list[str], path: Path, *, asked: bool) -> Numerals:
    """The candidates that are numbers; those of true and false only if they are asked for."""
    typed, texts = {}, {}
    for column in candidates:
        kind = table[column].type
        if is_number(kind) or (asked and pa.types.is_boolean(kind)):
            numbers = as_numbers(table[column])
            if numbers is None and asked and table[column].null_count == table.num_rows:
                numbers = np.full(table.num_rows, np.nan)
            if numbers is not None:
                typed[column] = numbers
        elif _is_text(kind):
            texts[column] = table[column].cast(pa.string())
    has_floats = any(not pa.types.is_integer(table[c].type) for c in typed)
    found = read_numbers(texts, f"'{path}'", has_floats=has_floats)
    found.values |= typed
    return found


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _unasked(table: pa.Table, numbers: Numerals, index: set[str], counts: bool) -> dict[str, str]:
    """Columns of numbers that are no features by their names, and why; counts: keep these."""
    names = table.column_names
    why = {c: feature_columns.by_name(c, names) for c in numbers.values}
    why |= {c: INDEX for c in index if c in why}
    kept = ("count", "dose") if counts else ()
    return {c: reason for c, reason in why.items() if reason and reason not in kept}


def _no_numbers(
    table: pa.Table, candidates: list[str], numbers: Numerals, pattern: str | None
) -> dict[str, str]:
    """Columns of numbers that have no value, and of true and false; with a pattern none of them.

    A column of text without values is none of numbers.
    """
    found = {}
    for column in candidates if pattern is None else ():
        kind = table[column].type
        if pa.types.is_boolean(kind):
            found[column] = "true or false"
        elif column in numbers.values:
            if not np.isfinite(numbers.values[column]).any():
                found[column] = "no values"
        elif is_number(kind) or pa.types.is_null(kind):
            has_values = table[column].null_count < table.num_rows
            found[column] = "whole numbers too large" if has_values else "no values"
    return found


def _without_counters(
    table: pa.Table,
    values: NDArray[np.float64],
    features: list[str],
    mapped: Mapping[str, str],
    left_out: dict[str, str],
) -> tuple[NDArray[np.float64], list[str]]:
    """Values and names without the columns that number or place the rows; these are left out."""
    plates, wells = (
        None if column is None else table[column].cast(pa.string()).to_pylist()
        for column in (_column_of(what, table, mapped) for what in ("plate", "well"))
    )
    columns = {c: table[c] for c in features}
    counters = feature_columns.by_values(columns, values, plates, wells)
    left_out |= counters
    kept = [i for i, c in enumerate(features) if c not in counters]
    return (values[:, kept], [features[i] for i in kept]) if counters else (values, features)


def _column_of(what: str, table: pa.Table, mapped: Mapping[str, str]) -> str | None:
    """The column of the plates or wells, if the table has one."""
    columns = mapping.columns_of(mapped, table.column_names)
    if what in mapped:
        return columns.get(what)
    return next((c for c in table.column_names if canonical(c) == what), None)


def _check(
    path: Path,
    features: list[str],
    numbers: Numerals,
    left_out: dict[str, str],
    pattern: str | None,
) -> None:
    """Raise InputError if no feature, or more columns that look like numbers than features."""
    if not features:
        why = f" matches '{pattern}'" if pattern else " that is not metadata"
        raise InputError(
            f"'{path}' has no features: no column of numbers{why}"
            + (f"; {_odd_text(numbers)}" if numbers.odd else "")
            + (f"; --features would take {_reasons(left_out)}" if left_out and not pattern else "")
        )
    if len(numbers.odd) > len(features):
        raise InputError(
            f"'{path}': {_odd_text(numbers)}; mend the values, or choose the"
            f" {len(features)} other columns of numbers by --features"
        )


def _odd_text(numbers: Numerals) -> str:
    """The columns that look like numbers, in words."""
    (column, (row, text)), *more = numbers.odd.items()
    told = f"column '{column}' is not a feature: row {row} has '{text}', which is not a number"
    if more:
        told += f"; the same holds for {_listed([c for c, _ in more])}"
    return told


def _make_infinite_missing(
    values: NDArray[np.float64], features: list[str], account: Account
) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        where = [features[i] for i in np.flatnonzero(infinite.any(axis=0))]
        account.warn(
            "numbers", f"{infinite.sum()} infinite values are missing values: {_listed(where)}"
        )
        values[infinite] = np.nan


def _say(
    path: Path,
    features: list[str],
    numbers: Numerals,
    left_out: dict[str, str],
    account: Account,
) -> None:
    """Say what is and what is not a feature."""
    for note in numbers.notes:
        account.warn("numbers", f"{path.name}: {note}")
    if numbers.odd:
        account.warn("numbers", _odd_text(numbers))
    if left_out:
        account.warn(
            "not features", f"{_reasons(left_out)}; --features takes columns that it matches"
        )
    counts = feature_columns.counted(features)
    more = f"; among them counts: {_listed(counts)}" if counts else ""
    account.say("features", f"{len(features)}: {ends_of(features)}{more}")


def _reasons(left_out: Mapping[str, str]) -> str:
    """The columns by why they are left out: Row, Column (place), Count (count)."""
    by_reason: dict[str, list[str]] = {}
    for column, why in left_out.items():
        no_name = not column or (why == INDEX and column.startswith("column0"))
        by_reason.setdefault(why, []).append("a column without a name" if no_name else column)
    return ", ".join(f"{_listed(columns)} ({why})" for why, columns in by_reason.items())


def _listed(names: list[str]) -> str:
    return listed(names, _SHOWN)


def _create(con: Connection, name: str, table: pa.Table, path: Path) -> None:
    """Create a table of text of the columns that are no features."""
    texts: dict[str, Any] = {}
    nested = []
    for column in table.column_names:
        twin = next((c for c in texts if c.lower() == column.lower()), None)
        if twin is not None and canonical(column):
            raise InputError(
                f"'{path}' has the columns '{twin}' and '{column}'; rename one of them"
            )
        text = _as_text(table[column], column)
        if text is None:
            nested.append(column)
        else:
            texts[column] = text
    if nested:
        log.warning(f"columns that are neither numbers nor text are left out: {_listed(nested)}")
    texts["_line"] = pa.array(np.arange(table.num_rows) + 2)
    texts["_file"] = pa.array([str(path)] * table.num_rows)
    con.register("_wide", pa.table(texts))
    kept = [f"text_of({quoted(c)}) as {quoted(c)}" for c in table.column_names if c in texts]
    replaced = f" replace ({', '.join(kept)})" if kept else ""
    con.execute(f"create table {quoted(name)} as select *{replaced} from _wide")
    con.unregister("_wide")


def _as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray | None:
    """The values as text; a number that is not finite is missing.

    Names of plates and the like are whole, even if a missing value made the column one of floats.
    """
    kind = column.type
    if pa.types.is_nested(kind):
        return None
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        rule = assets.manifest_schema()["properties"].get(canonical(name) or "", {})
        if rule.get("type") in ("string", "integer"):
            try:
                return column.cast(pa.int64()).cast(pa.string())
            except pa.ArrowInvalid:  # not whole
                pass
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
