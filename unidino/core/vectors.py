"""Matrices of vectors as Arrow columns, and back; frames of metadata as Arrow tables.

Shapes: N vectors of D features.
"""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray


def vector_column(vectors: NDArray[Any], *, fixed: bool = False) -> pa.Array:
    """A column of N lists of D numbers, of the matrix's own type.

    fixed: lists of a fixed size, which DuckDB reads as FLOAT[D].
    """
    num, num_dims = vectors.shape
    values = pa.array(np.ascontiguousarray(vectors).ravel())
    if fixed:
        return pa.FixedSizeListArray.from_arrays(values, num_dims)
    offsets = np.arange(num + 1, dtype=np.int32) * num_dims
    return pa.ListArray.from_arrays(offsets, values)


def matrix_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """The matrix (N, D) of a column of lists of one length; without a copy where that can be."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix: NDArray[Any] = flat.reshape(len(column), -1)
    return matrix


def as_table(metadata: Any) -> pa.Table:
    """Metadata of profiles as an Arrow table: of one, or of a Polars or pandas frame."""
    if isinstance(metadata, pa.Table):
        return metadata
    if isinstance(metadata, pl.DataFrame):
        return metadata.to_arrow()
    return pa.Table.from_pandas(metadata, preserve_index=False)
