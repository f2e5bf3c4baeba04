"""Tables of measured readouts, matched to profiles by the keys that both have.

Shapes: N profiles, P groups of profiles, D features, M rows of the table, R readouts.
"""

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
from unidino.core.patterns import compiled, in_time
from unidino.core.sql import scratch
from unidino.plates import tables
from unidino.plates.meaning import Reading
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
_PREFERRED = ("cell_line", "perturbation")
_MAX_SHOWN_KEYS = 3
_MAX_SHOWN_NAMES = 12


@dataclass(frozen=True)
class Measurement:
    """A table of readouts.

    keys: (M rows), the other columns as text, with the manifest's names. names: (R,), of the
    readouts. values: (M, R), any unit, NaN where missing.
    """

    file: Path
    keys: pl.DataFrame
    names: list[str]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """Consensus profiles and their readouts.

    by: columns whose values make a group. keys: (P rows), these values as text. vectors: (P, D),
    means over the profiles of a group. values: (P, R). dropped: reason and count of what has no
    match.
    """

    by: tuple[str, ...]
    keys: pl.DataFrame
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]
    dropped: dict[str, int]


def read(
    file: Path, mapped: Mapping[str, str], pattern: str | None, unit: str | None = None
) -> Measurement:
    """The readouts of a CSV, TSV or Parquet file.

    mapped: see `wide.parse_map`. pattern: regular expression that names of readouts match; default:
    every numeric column that is not metadata. unit: of concentrations without one.
    Raises InputError if the file is no table, or has no readouts.
    """
    con = scratch()
    try:
        read = wide.read(con, "measurement", file, mapped, None, Reading(unit), readouts=True)
        names, values = read.features, read.values
        wide.compute(con, "measurement", {k: v for k, v in mapped.items() if k not in read.found})
        if not tables.columns(con, "measurement"):
            raise InputError(
                f"'{file}' has readouts, but no column that says which profiles they belong to"
            )
        keys = con.sql("select * exclude (_line, _file) from measurement order by _line").pl()
    finally:
        con.close()
    wanted = compiled("--readouts", pattern or "")
    with in_time("--readouts", pattern or "", len(names)):
        kept = [i for i, n in enumerate(names) if wanted.search(n)]
    if not kept:
        raise InputError(f"no readout of '{file}' matches '{pattern}'; it has {_listed(names)}")
    return Measurement(file, keys, [names[i] for i in kept], values[:, kept])


def key_columns(measurement: Measurement, metadata: pa.Table, by: Sequence[str]) -> tuple[str, ...]:
    """The columns whose values make a group: `by`, or the key columns that both tables have.

    If both have cell_line and perturbation, the default is these two.
    Raises InputError if a column of `by` is missing, or if no column is shared.
    """
    have = [c for c in KEYS if metadata[c].null_count < metadata.num_rows]
    shared = [c for c in have if c in measurement.keys.columns]
    for column in by:
        choose("column to group --by", column, KEYS)
        if column not in measurement.keys.columns:
            raise InputError(
                f"'{measurement.file}' has no column for the {column} (it has"
                f" {_listed(measurement.keys.columns)}); name it by --map {column}=ITS_NAME"
            )
        if column not in have:
            raise InputError(f"the profiles have no {column}; they have {', '.join(have)}")
    if by:
        return tuple(by)
    if not shared:
        raise InputError(
            f"'{measurement.file}' has none of the profiles' columns {', '.join(have)} (it has"
            f" {_listed(measurement.keys.columns)}); name one by --map {have[-1]}=ITS_NAME"
        )
    return _PREFERRED if set(_PREFERRED) <= set(shared) else tuple(shared)


def match(
    measurement: Measurement, metadata: pa.Table, vectors: NDArray[Any], by: Sequence[str]
) -> Matched:
    """The groups of profiles that have readouts, as means, ordered by their keys.

    metadata: a row per profile; vectors: (N, D). Rows of the table with equal keys are averaged.
    Warns of profiles and readouts without a match.
    Raises ProfileError if nothing matches.
    """
    by = tuple(by)
    profiles = _text(pl.DataFrame(metadata.select(by)), by)
    dropped = {"no_key": int(profiles.select(pl.any_horizontal(pl.all().is_null())).sum().item())}
    groups = _groups(profiles, by)
    rows = _groups(_text(measurement.keys.select(by), by), by)
    matches = groups.join(rows, on=by, how="inner", suffix="_table").sort(by)
    unmatched = groups.join(rows, on=by, how="anti").sort(by)
    unused = rows.join(groups, on=by, how="anti").sort(by)
    if matches.is_empty():
        raise ProfileError(
            f"no {', '.join(by)} of '{measurement.file}' is that of a profile: it has"
            f" {_shown(unused, by)}, profiles have {_shown(unmatched, by)}"
        )
    for found, what in (
        (unmatched, "profiles without a readout"),
        (unused, "readouts without a profile"),
    ):
        if len(found):
            log.warning(f"{len(found)} {what}: {_shown(found, by)}")
    num_repeated = int((rows["rows"].list.len() - 1).sum())
    if num_repeated:
        log.warning(
            f"rows of '{measurement.file}' with equal {', '.join(by)} are averaged"
            f" ({num_repeated} more)"
        )
    means = _means(vectors, matches["rows"])
    dropped |= {"no_readout": len(unmatched), "no_profile": len(unused)}
    finite = np.isfinite(means).all(axis=0)
    if not finite.any():
        raise ProfileError("every feature is missing in some profile")
    dropped["missing_feature"] = int((~finite).sum())
    return Matched(
        by,
        matches.select(by),
        means[:, finite],
        _means(measurement.values, matches["rows_table"]),
        {reason: count for reason, count in dropped.items() if count},
    )


def _text(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Keys as text; equal numbers have equal texts: 10, 10.0 and 1e1 are one concentration."""
    if "concentration_um" in by:
        number = pl.col("concentration_um").cast(pl.Float64, strict=False)
        table = table.with_columns(number.cast(pl.String))
    return table.select(pl.col(c).cast(pl.String).str.strip_chars() for c in by)


def _groups(table: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Row numbers of each group, as the column rows; rows without a key are in no group."""
    return table.with_row_index("rows").drop_nulls().group_by(by).agg(pl.col("rows").sort())


def _means(values: NDArray[Any], rows: pl.Series) -> NDArray[np.float64]:
    """Means over the rows of each group, without missing values; NaN where all are missing."""
    means = np.full((len(rows), values.shape[1]), np.nan)
    for i, members in enumerate(rows):
        block = np.asarray(values[members.to_numpy()], dtype=np.float64)
        is_there = np.isfinite(block)
        count = is_there.sum(axis=0)
        np.divide(np.where(is_there, block, 0).sum(axis=0), count, out=means[i], where=count > 0)
    return means


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MAX_SHOWN_NAMES else ""
    return ", ".join(names[:_MAX_SHOWN_NAMES]) + more if names else "none"


def _shown(groups: pl.DataFrame, by: Sequence[str]) -> str:
    first = [" / ".join(row) for row in groups.select(by).head(_MAX_SHOWN_KEYS).iter_rows()]
    return ", ".join(first) + (", ..." if len(groups) > _MAX_SHOWN_KEYS else "")
