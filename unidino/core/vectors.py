"""Matrices of vectors as Arrow columns, and back; frames of metadata as Arrow tables.

Shapes: N vectors of D features.
"""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.errors import InputError


def vector_column(vectors: NDArray[Any], *, fixed: bool = False) -> pa.Array:
    """A column of N lists of D numbers, of the type of the matrix.

    fixed: lists of a fixed size, which DuckDB reads as FLOAT[D].
    """
    num, num_dims = vectors.shape
    values = pa.array(np.ascontiguousarray(vectors).ravel())
    if fixed:
        return pa.FixedSizeListArray.from_arrays(values, num_dims)
    offsets = np.arange(num + 1, dtype=np.int32) * num_dims
    return pa.ListArray.from_arrays(offsets, values)


def matrix_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """The matrix (N, D) of a column of lists of equal length; a view where possible.

    Raises ValueError if the lists differ in length.
    """
    if pc.count_distinct(pc.list_value_length(column)).as_py() > 1:
        raise ValueError("its vectors differ in length")
    # One Arrow array would have at most 2**31 numbers.
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    whole = flat[0] if len(flat) == 1 else np.concatenate(flat)
    matrix: NDArray[Any] = whole.reshape(len(column), -1)
    return matrix


def as_slice(rows: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """These rows of a matrix, as a slice if they are consecutive: numpy copies a slice faster."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def metadata_table(metadata: Any, vectors: NDArray[Any]) -> pa.Table:
    """Metadata of the vectors (N, D) as an Arrow table of N rows.

    metadata: Arrow table, Polars frame or pandas frame.
    Raises InputError if there are not N rows.
    """
    if isinstance(metadata, pa.Table):
        table = metadata
    elif isinstance(metadata, pl.DataFrame):
        table = metadata.to_arrow()
    else:
        table = pa.Table.from_pandas(metadata, preserve_index=False)
    if table.num_rows != len(vectors):
        raise InputError(f"{table.num_rows} rows of metadata for {len(vectors)} vectors")
    return table
