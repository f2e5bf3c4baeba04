"""Raw profiles: embeddings of a well, averaged over its fields, with channels concatenated.

Shapes: N raw profiles, D = C channels of d features.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.ahead import ahead
from unidino.core.errors import ProfileError, choose
from unidino.core.sql import Connection, first_row, literal_path
from unidino.core.vectors import as_slice
from unidino.profiles.form import ProfileForm
from unidino.profiles.methods import Array

Bounds = tuple[str, int, int]  # a plate, its first row_id, and the one after its last
_BATCH_BYTES = 4_000_000  # of files that are read together
# DuckDB joins faster if it need not look the vectors up in all profiles.
_OF_BATCH = """
with raw_profile as not materialized (
    from raw_profile where row_id >= $first and row_id < $stop
)
"""
_IN_MEMORY_BYTES = 500_000_000  # of a matrix that is faster in memory than in a file


def channels_of(con: Connection, form: ProfileForm) -> tuple[tuple[str, ...], ...]:
    """Names of the channels of raw profiles: one list, or several if plates differ in channels.

    The column `channels` of raw_profile is reduced to the channels of the form.
    Raises UnidinoError if a plate lacks a channel of the form.
    """
    lists = con.execute("select distinct channels from raw_profile order by 1").fetchall()
    if not form.channels:
        return tuple(tuple(row[0]) for row in lists)
    for (have,) in lists:
        for channel in form.channels:
            choose("channel", channel, have)
    con.execute(
        "update raw_profile set channels = list_filter(channels,"
        " lambda name: list_contains($wanted, name))",
        {"wanted": list(form.channels)},
    )
    return channels_of(con, replace(form, channels=()))


def raw_vectors(con: Connection, files: Mapping[str, Path], form: ProfileForm, path: Path) -> Array:
    """Raw profiles (N, D) in the order of row_id; if they are many, in a file at `path`."""
    (num,) = first_row(con, "select count(*) from raw_profile")
    raw: Array | None = None
    batches = ahead(_rows_of_plates(con, files, form.channels))
    for plate, rows in chain.from_iterable(batches):
        row_ids, vectors = _mean_by_row(rows, form.fields)
        if raw is None:
            raw = new_matrix(path, num, vectors.shape[1])
        if vectors.shape[1] != raw.shape[1]:
            raise ProfileError(
                f"plate '{plate}' has vectors of {vectors.shape[1]} features, other plates of"
                f" {raw.shape[1]}; profile datasets of one kind of vector, or choose channels that"
                " all plates have"
            )
        raw[as_slice(row_ids)] = vectors
    return np.empty((0, 0)) if raw is None else raw


def new_matrix(path: Path, num: int, num_dims: int) -> Array:
    """A new matrix in memory; if it is large, in a file at `path`."""
    if num * num_dims * 8 <= _IN_MEMORY_BYTES:
        return np.empty((num, num_dims))
    matrix: Array = np.lib.format.open_memmap(path, "w+", np.float64, (num, num_dims))
    return matrix


def _rows_of_plates(
    con: Connection, files: Mapping[str, Path], channels: Sequence[str]
) -> Iterator[list[tuple[str, pa.Table]]]:
    """The plates that have profiles, each with its rows of the query raw_vector, in batches.

    Small files are read by one query, because a query takes longer than the vectors of a few wells.
    """
    bounds = con.execute(
        "select plate, min(row_id), max(row_id) + 1 from raw_profile group by plate order by 2"
    ).fetchall()
    query = _OF_BATCH + assets.sql("queries", "raw_vector")
    for plates in _batches([bound for bound in bounds if bound[0] in files], files):
        of_batch = {
            "first": plates[0][1],
            "stop": plates[-1][2],
            "file": [literal_path(files[plate]) for plate, *_ in plates],
            "channels": list(channels),
        }
        rows = con.sql(query, params=of_batch).to_arrow_table()
        row_id = rows["row_id"].to_numpy()
        ends = [np.searchsorted(row_id, bounds) for _, *bounds in plates]
        yield [
            (plate, rows.slice(start, stop - start))
            for (plate, *_), (start, stop) in zip(plates, ends, strict=True)
            if stop > start
        ]


def _batches(bounds: Sequence[Bounds], files: Mapping[str, Path]) -> Iterator[list[Bounds]]:
    """Consecutive plates whose files are small together and have columns of the same types."""
    batch: list[Bounds] = []
    num_bytes, kind = 0, None
    for bound in bounds:
        file = files[bound[0]]
        size, schema = file.stat().st_size, pq.read_schema(file).field("embedding").type
        if batch and (num_bytes + size > _BATCH_BYTES or schema != kind):
            yield batch
            batch, num_bytes = [], 0
        batch.append(bound)
        num_bytes, kind = num_bytes + size, schema
    if batch:
        yield batch


def _mean_by_row(rows: pa.Table, fields: str) -> tuple[NDArray[np.int64], Array]:
    """Row ids, and their vectors averaged over fields, with channels concatenated.

    rows: of the query raw_vector, sorted by row_id and channel.
    """
    row_id = rows["row_id"].to_numpy()
    channel = rows["channel_index"].to_numpy()
    column = rows["embedding"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if len(flat) % len(row_id) or len(set(np.unique(column.value_lengths().to_numpy()))) > 1:
        raise ProfileError("vectors of one model and plate differ in their number of features")
    vectors = flat.reshape(len(row_id), -1).astype(np.float64, copy=False)
    weights = (
        np.ones(len(row_id))
        if fields == "equal"
        else rows["num_crops"].to_numpy().astype(np.float64)
    )
    is_first = np.ones(len(row_id), dtype=bool)
    is_first[1:] = (row_id[1:] != row_id[:-1]) | (channel[1:] != channel[:-1])
    starts = np.flatnonzero(is_first)
    if len(starts) < len(row_id):
        missing = ~np.isfinite(vectors)
        if missing.any():
            shares = np.where(missing, 0.0, weights[:, None])
            vectors = np.where(missing, 0.0, vectors) * shares
            with np.errstate(invalid="ignore"):
                vectors = np.add.reduceat(vectors, starts) / np.add.reduceat(shares, starts)
        else:
            vectors = np.add.reduceat(vectors * weights[:, None], starts)
            vectors /= np.add.reduceat(weights, starts)[:, None]
    row_ids = np.unique(row_id[starts])
    return row_ids, vectors.reshape(len(row_ids), -1)
