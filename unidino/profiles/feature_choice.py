"""The features of a table: its columns of numbers, but for those that are metadata or number rows.

Shapes: N rows, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core.account import Account, ends_of, listed
from unidino.core.errors import InputError
from unidino.core.patterns import compiled, in_time
from unidino.plates.meaning import OF_IMAGES
from unidino.profiles import feature_columns
from unidino.profiles.feature_columns import INDEX, METADATA, canonical
from unidino.profiles.mapping import columns_of
from unidino.profiles.numerals import Numerals, as_array, as_numbers, read_numbers
from unidino.profiles.wide_files import WideFile, is_number

_SHOWN = 12


@dataclass(frozen=True)
class Choice:
    """Features that were chosen.

    features: (D,), names. values: (N, D), NaN where missing or infinite. left_out: columns of
    numbers that are no features, and why.
    """

    features: list[str]
    values: NDArray[np.float64]
    left_out: dict[str, str]


def choose_features(
    file: WideFile,
    mapped: Mapping[str, str],
    pattern: str | None,
    account: Account,
    *,
    readouts: bool = False,
) -> Choice:
    """The columns of numbers of a file that are features; the account says what is and is not.

    mapped: values that name columns, which are metadata. pattern: regular expression that the names
    of features match; with it, columns that number, count or place the rows may be features.
    readouts: columns that count or dose are features too, and nothing looks too much like numbers.
    Raises InputError if there is none, if numbers may be read in two ways, or if more columns look
    like numbers without being any.
    """
    named = columns_of(mapped, file.table.column_names)
    candidates = _candidates(file.table, set(named.values()), pattern)
    numbers = _numbers(file, candidates, asked=pattern is not None)
    left_out: dict[str, str] = {}
    if pattern is None:
        left_out = _of_images(file.table, set(named.values()))
        left_out |= _by_name(file, numbers, keep=("count", "dose") if readouts else ())
        left_out |= _by_type(file.table, candidates, numbers)
    features = [c for c in candidates if c in numbers.values and c not in left_out]
    values = np.empty((file.table.num_rows, len(features)))
    for i, column in enumerate(features):
        values[:, i] = as_array(numbers.values.pop(column))
    infinite = _make_infinite_missing(values, features)
    if pattern is None:
        more = dict.fromkeys(
            (features[i] for i in np.flatnonzero(np.isnan(values).all(axis=0))), "no values"
        )
        more |= _by_values(file.table, values, features, named, mapped)
        left_out |= more
        if more:
            values = values[:, [i for i, c in enumerate(features) if c not in more]]
            features = [c for c in features if c not in more]
    _check(file, features, numbers, left_out, pattern, readouts=readouts)
    _say(file.path.name, features, numbers, left_out, infinite, account)
    return Choice(features, values, left_out)


def _candidates(table: pa.Table, columns: set[str], pattern: str | None) -> list[str]:
    """Columns that are features if they are numbers. columns: those that --map names."""
    wanted = compiled("--features", pattern or "")
    with in_time("--features", pattern or "", len(table.column_names)):
        return [
            c
            for c in table.column_names
            if c not in columns
            and not METADATA.match(c)
            and (wanted.search(c) if pattern else canonical(c) is None)
        ]


def _numbers(file: WideFile, candidates: list[str], *, asked: bool) -> Numerals:
    """The candidates that are numbers; those of true and false only if they are asked for."""
    typed, texts, has_floats = {}, {}, False
    for name in candidates:
        column = file.table[name]
        kind = column.type
        if is_number(kind) or (asked and pa.types.is_boolean(kind)):
            numbers = (
                column.cast(pa.float64()) if asked and _is_void(column) else as_numbers(column)
            )
            has_floats |= pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            if numbers is not None:
                typed[name] = numbers
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts[name] = column
        elif pa.types.is_string_view(kind):
            texts[name] = column.cast(pa.string())
    found = read_numbers(texts, f"'{file.path}'", has_floats=has_floats)
    found.values |= typed
    return found


def _is_void(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count == len(column))


def _by_name(file: WideFile, numbers: Numerals, keep: tuple[str, ...]) -> dict[str, str]:
    """Columns of numbers that are no features by their names, and why. keep: reasons to ignore."""
    names = set(file.table.column_names)
    why = {c: feature_columns.by_name(c, names) for c in numbers.values}
    why |= dict.fromkeys(file.index_columns & why.keys(), INDEX)
    return {c: reason for c, reason in why.items() if reason and reason not in keep}


def _of_images(table: pa.Table, columns: set[str]) -> dict[str, str]:
    """Columns of numbers that have the name of a slice, a time point and the like, and why.

    columns: those that --map names.
    """
    return {
        c: "of images"
        for c in table.column_names
        if c not in columns
        and not METADATA.match(c)
        and canonical(c) in OF_IMAGES - {"path", "field"}
        and _is_numbers(table[c])
    }


def _is_numbers(column: pa.ChunkedArray) -> bool:
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return (is_text or is_number(column.type)) and as_numbers(column) is not None


def _by_type(table: pa.Table, candidates: list[str], numbers: Numerals) -> dict[str, str]:
    """Columns that are no numbers although their type is, and those of true and false."""
    found = {}
    for name in candidates:
        kind = table[name].type
        if pa.types.is_boolean(kind):
            found[name] = "true or false"
        elif name not in numbers.values and (is_number(kind) or pa.types.is_null(kind)):
            found[name] = "no values" if _is_void(table[name]) else "whole numbers too large"
    return found


def _by_values(
    table: pa.Table,
    values: NDArray[np.float64],
    features: list[str],
    named: Mapping[str, str],
    mapped: Mapping[str, str],
) -> dict[str, str]:
    """Columns that number or place the rows, and how. named: columns by name of the manifest."""
    texts = []
    for what in ("plate", "well"):
        meant = (c for c in table.column_names if canonical(c) == what)
        column = named.get(what) if what in mapped else next(meant, None)
        texts.append(None if column is None else table[column].cast(pa.string()).to_pylist())
    return feature_columns.by_values({c: table[c] for c in features}, values, *texts)


def _make_infinite_missing(values: NDArray[np.float64], features: list[str]) -> str:
    """Replace infinite values (N, D) by NaN, in place; the number and columns, in words."""
    infinite = np.isinf(values)
    if not infinite.any():
        return ""
    values[infinite] = np.nan
    where = [features[i] for i in np.flatnonzero(infinite.any(axis=0))]
    return f"{infinite.sum()} infinite values are missing values: {_listed(where)}"


def _check(
    file: WideFile,
    features: list[str],
    numbers: Numerals,
    left_out: dict[str, str],
    pattern: str | None,
    *,
    readouts: bool,
) -> None:
    """Raise InputError if no feature, or more columns that look like numbers than features."""
    if not features:
        why = f" matches '{pattern}'" if pattern else " that is not metadata"
        raise InputError(
            f"'{file.path}' has no features: no column of numbers{why}"
            + (f"; {_odd_text(numbers)}" if numbers.odd else "")
            + (f"; --features would take {_reasons(left_out)}" if left_out else "")
        )
    if len(numbers.odd) > len(features) and not readouts:
        raise InputError(
            f"'{file.path}': {_odd_text(numbers)}; mend the values, or choose the"
            f" {len(features)} other columns of numbers by --features"
        )


def _odd_text(numbers: Numerals) -> str:
    """The columns that look like numbers, in words."""
    (column, (row, text)), *more = numbers.odd.items()
    told = f"column '{column}' is not a feature: row {row} has '{text}', which is not a number"
    if more:
        told += f"; the same holds for {_listed([c for c, _ in more])}"
    return told


def _say(
    name: str,
    features: list[str],
    numbers: Numerals,
    left_out: dict[str, str],
    infinite: str,
    account: Account,
) -> None:
    """Say what is and what is not a feature. name: of the file."""
    odd = _odd_text(numbers) if numbers.odd else ""
    for note in filter(None, [*numbers.notes, infinite, odd]):
        account.warn("numbers", f"{name}: {note}")
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
        no_name = not column or (why == INDEX and column.startswith("Unnamed: "))
        by_reason.setdefault(why, []).append("a column without a name" if no_name else column)
    return ", ".join(f"{_listed(columns)} ({why})" for why, columns in by_reason.items())


def _listed(names: list[str]) -> str:
    return listed(names, _SHOWN)
