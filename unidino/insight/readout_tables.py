"""Readouts that were measured, by the keys that they share with profiles.

Shapes: G groups of profiles, D features, M rows of the table, R readouts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.core.sql import scratch
from unidino.profiles import wide

KEYS = (
    "source",
    "batch",
    "plate",
    "well",
    "perturbation",
    "compound",
    "concentration_um",
    "cell_line",
)
_FIRST = ("cell_line", "perturbation")
_SHOWN = 3


@dataclass(frozen=True)
class Measured:
    """A table of readouts.

    keys: (M rows), its other columns as text, named as the manifest's. names: (R,). values: (M, R),
    any unit, missing ones NaN.
    """

    file: Path
    keys: pl.DataFrame
    names: list[str]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """Consensus profiles and their readouts.

    by: the columns of a group; keys: (G rows), their values as text. vectors: (G, D), means.
    values: (G, R). dropped: what has no match: reason and count.
    """

    by: tuple[str, ...]
    keys: pl.DataFrame
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]
    dropped: dict[str, int]


def read(file: Path, mapped: Mapping[str, str], pattern: str | None) -> Measured:
    """The readouts of a CSV, TSV or Parquet file.

    mapped: see `wide.parse_map`. pattern: regular expression that readouts match; default: every
    column of numbers that is not metadata.
    Raises InputError if the file is none, or has no readouts.
    """
    con = scratch()
    try:
        names, values, found = wide.read(con, "measured", file, mapped, None)
        wide.compute(con, "measured", {k: v for k, v in mapped.items() if k not in found})
        keys = con.sql("select * exclude (_line, _file) from measured order by _line").pl()
    finally:
        con.close()
    try:
        kept = [i for i, n in enumerate(names) if pattern is None or re.search(pattern, n)]
    except re.error as error:
        raise InputError(f"--readouts '{pattern}' is no regular expression: {error}") from error
    if not kept:
        raise InputError(f"no readout of '{file}' matches '{pattern}'; it has {_few(names)}")
    return Measured(file, keys, [names[i] for i in kept], values[:, kept])


def key_columns(measured: Measured, metadata: pa.Table, by: Sequence[str]) -> tuple[str, ...]:
    """The columns that tell groups apart: those given, or those that both tables have.

    Raises InputError if one of those given, or all, are missing.
    """
    have = [c for c in KEYS if metadata[c].null_count < metadata.num_rows]
    shared = [c for c in have if c in measured.keys.columns]
    for column in by:
        choose("column to group --by", column, KEYS)
        if column not in measured.keys.columns:
            raise InputError(
                f"'{measured.file}' has no column for the {column} (it has"
                f" {_few(measured.keys.columns)}); name it by --map {column}=ITS_NAME"
            )
        if column not in have:
            raise InputError(f"the profiles have no {column}; they have {', '.join(have)}")
    if by:
        return tuple(by)
    if not shared:
        raise InputError(
            f"'{measured.file}' has none of the profiles' columns {', '.join(have)} (it has"
            f" {_few(measured.keys.columns)}); name one by --map {have[-1]}=ITS_NAME"
        )
    return _FIRST if set(_FIRST) <= set(shared) else tuple(shared)


def match(
    measured: Measured, metadata: pa.Table, vectors: NDArray[Any], by: Sequence[str]
) -> Matched:
    """The groups of profiles that the table has, as means, in order of their keys.

    metadata: a row for each profile; vectors: (N, D). Rows of the table with equal keys are
    averaged. What does not match is said.
    Raises ProfileError if nothing matches.
    """
    by = tuple(by)
    profiles = _text(pl.DataFrame(metadata.select(by)), by)
    dropped = {"no_key": int(profiles.select(pl.any_horizontal(pl.all().is_null())).sum().item())}
    groups = _groups(profiles, by)
    rows = _groups(_text(measured.keys.select(by), by), by)
    both = groups.join(rows, on=by, how="inner", suffix="_table").sort(by)
    lone = groups.join(rows, on=by, how="anti").sort(by)
    unused = rows.join(groups, on=by, how="anti").sort(by)
    if both.is_empty():
        raise ProfileError(
            f"no {', '.join(by)} of '{measured.file}' is a profile's: it has {_shown(unused, by)},"
            f" profiles have {_shown(lone, by)}"
        )
    for found, what in (
        (lone, "profiles without a readout"),
        (unused, "readouts without a profile"),
    ):
        if len(found):
            log.warning(f"{len(found)} {what}: {_shown(found, by)}")
    twice = int((rows["rows"].list.len() - 1).sum())
    if twice:
        log.warning(
            f"rows of '{measured.file}' with equal {', '.join(by)} are averaged ({twice} more)"
        )
    means = _means(vectors, both["rows"])
    dropped |= {"no_readout": len(lone), "no_profile": len(unused)}
    finite = np.isfinite(means).all(axis=0)
    if not finite.any():
        raise ProfileError("every feature is missing in some profile")
    dropped["missing_feature"] = int((~finite).sum())
    return Matched(
        by,
        both.select(by),
        means[:, finite],
        _means(measured.values, both["rows_table"]),
        {reason: count for reason, count in dropped.items() if count},
    )


def _text(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Keys as text that is equal for equal values: 10, 10.0 and 1e1 are one concentration."""
    if "concentration_um" in by:
        number = pl.col("concentration_um").cast(pl.Float64, strict=False)
        table = table.with_columns(number.cast(pl.String))
    return table.select(pl.col(c).cast(pl.String).str.strip_chars() for c in by)


def _groups(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Row numbers of each group, as the column rows; rows without a key are in none."""
    return table.with_row_index("rows").drop_nulls().group_by(by).agg(pl.col("rows").sort())


def _means(values: NDArray[Any], rows: pl.Series) -> NDArray[np.float64]:
    """Means over the rows of each group, of what is not missing; NaN where all is."""
    means = np.full((len(rows), values.shape[1]), np.nan)
    for i, own in enumerate(rows):
        block = np.asarray(values[own.to_numpy()], dtype=np.float64)
        there = np.isfinite(block)
        count = there.sum(axis=0)
        np.divide(np.where(there, block, 0).sum(axis=0), count, out=means[i], where=count > 0)
    return means


def _few(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > 12 else ""
    return ", ".join(names[:12]) + more if names else "none"


def _shown(groups: pl.DataFrame, by: Sequence[str]) -> str:
    first = [" / ".join(row) for row in groups.select(by).head(_SHOWN).iter_rows()]
    return ", ".join(first) + (", ..." if len(groups) > _SHOWN else "")
