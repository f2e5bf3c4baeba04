"""Vectors of profiles that stay in their file of the lake until some of them are needed.

Shapes: N profiles, D features.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core.ahead import ahead
from unidino.core.vectors import as_slice, matrix_of
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.parts import damaged

PLACE = "_place"  # column: the row of the file in which a profile is
_VECTOR = "embedding"


@dataclass(frozen=True)
class StoredVectors:
    """Vectors (N, D) in a file of a lake. Equal values in another process read the same.

    address: of the lake. uri: of the file. places: (N,), their rows of the file, at least one.
    channels: of the vectors in the file. wanted: those that are kept, in this order; empty for all.
    """

    address: str
    uri: str
    places: NDArray[np.int64]
    channels: tuple[str, ...]
    wanted: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def at(self, rows: slice | NDArray[np.int64]) -> "StoredVectors":
        """Some of these vectors."""
        return replace(self, places=self.places[rows])

    @cached_property
    def like(self) -> NDArray[Any]:
        """A matrix (0, D) of the type of the vectors."""
        return self.at(slice(0, 1)).read()[:0]

    def read(self, out: NDArray[Any] | None = None, *, lake: Lake | None = None) -> NDArray[Any]:
        """The vectors (N, D), read from the parts of the file that hold them.

        out: a matrix into which they are read. lake: the lake, if it is open.
        Raises LakeError if the file is missing or damaged.
        """
        order = np.argsort(self.places, kind="stable")
        places = self.places[order]
        with _opened(lake or Lake.open(self.address), self.uri) as file:
            if places[-1] >= file.metadata.num_rows:
                raise ValueError(f"it has {file.metadata.num_rows} rows only")
            for some, vectors in ahead(_parts(file, places)):
                vectors = chosen_channels(vectors, self.channels, self.wanted)
                if out is None:
                    out = np.empty((len(self), vectors.shape[1]), vectors.dtype)
                out[as_slice(order[some])] = vectors
        return np.empty((0, 0)) if out is None else out


def _parts(file: pq.ParquetFile, places: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """The vectors at some rows of a file, as a slice of the rows and their vectors.

    places: the rows, ascending.
    """
    stop = 0
    for group in range(file.metadata.num_row_groups):
        start, stop = stop, stop + file.metadata.row_group(group).num_rows
        some = slice(*np.searchsorted(places, [start, stop]))
        if some.start < some.stop:
            column = file.read_row_group(group, columns=[_VECTOR])[_VECTOR]
            rows = as_slice(places[some] - start)
            if isinstance(rows, slice):
                column = column.slice(rows.start, rows.stop - rows.start)
            else:
                column = column.take(pa.array(rows))
            yield some, matrix_of(column)


def without_vectors(lake: Lake, uri: str) -> pa.Table:
    """The columns of a file of profiles but for the vectors, with PLACE, the row of each profile.

    Raises LakeError if the file is missing or damaged.
    """
    with _opened(lake, uri) as file:
        names = [name for name in file.schema_arrow.names if name != _VECTOR]
        table = file.read(columns=names)
    return table.append_column(PLACE, pa.array(np.arange(table.num_rows)))


def chosen_channels(
    vectors: NDArray[Any], channels: Sequence[str], wanted: Sequence[str] = ()
) -> NDArray[Any]:
    """Vectors (N, D) with only the wanted of their channels, in the wanted order; empty for all."""
    if not wanted:
        return vectors
    by_channel = vectors.reshape(len(vectors), len(channels), -1)
    kept = [list(channels).index(name) for name in wanted]
    cut: NDArray[Any] = by_channel[:, kept].reshape(len(vectors), -1)
    return cut


@contextmanager
def _opened(lake: Lake, uri: str) -> Iterator[pq.ParquetFile]:
    """A file of profiles. What is wrong with it is told as `parts.read_part` does."""
    try:
        with lake.opened(uri) as source, pq.ParquetFile(source) as file:
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged(uri, error, Mender(lake).of_part(uri)) from error
