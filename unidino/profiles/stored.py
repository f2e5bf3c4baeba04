"""Profiles whose vectors stay in their file of the lake until some of them are needed.

Shapes: N profiles, D features.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.core.vectors import matrix_of
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.parts import damaged
from unidino.profiles import refit
from unidino.profiles.files import fitting
from unidino.profiles.groups import by_channels, chosen_channels
from unidino.profiles.profile import Profiled, profile
from unidino.profiles.selection import Selection

_VECTOR = "embedding"
_PLACE = "_place"  # column: the row of the file in which a profile is


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

    def read(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The vectors (N, D), read from the parts of the file that hold them.

        out: a matrix into which they are read.
        Raises LakeError if the file is missing or damaged.
        """
        order = np.argsort(self.places, kind="stable")
        places = self.places[order]
        stop = 0
        with _opened(Lake.open(self.address), self.uri) as file:
            if places[-1] >= file.metadata.num_rows:
                raise ValueError(f"it has {file.metadata.num_rows} rows only")
            for group in range(file.metadata.num_row_groups):
                start, stop = stop, stop + file.metadata.row_group(group).num_rows
                some = slice(*np.searchsorted(places, [start, stop]))
                if some.start == some.stop:
                    continue
                vectors = matrix_of(file.read_row_group(group, columns=[_VECTOR])[_VECTOR])
                vectors = chosen_channels(vectors, self.channels, self.wanted)
                if out is None:
                    out = np.empty((len(self), vectors.shape[1]), vectors.dtype)
                out[order[some]] = vectors[places[some] - start]
        return np.empty((0, 0)) if out is None else out


@dataclass(frozen=True)
class StoredGroup:
    """Profiles of one dataset and model with the same channels; see `groups.Group`.

    metadata: a row for each profile.
    """

    profiled: Profiled
    channels: tuple[str, ...]
    metadata: pa.Table
    vectors: StoredVectors


def stored_groups(lake: Lake, selection: Selection) -> Iterator[StoredGroup]:
    """The groups that `groups` gives, in the same order, without their vectors in memory.

    Raises InputError if a normalization is fitted to the selected profiles; other errors as of
    `groups`.
    """
    selection = selection.with_channels_in_form()
    if refit.narrows(selection):
        raise InputError(
            f"'{selection.normalize}' is fitted to the selected profiles in one process; leave out"
            " --scheduler, or --where"
        )
    wanted = tuple(selection.channels)
    for p in profile(lake, selection):
        table = _without_vectors(lake, p)
        if selection.where:
            table = table.take(fitting(table.drop_columns([_PLACE]), selection.where))
        if selection.compounds is not None:
            names = pa.array(selection.compounds, pa.string())
            table = table.filter(pc.is_in(table["compound"], names))
        for channels, rows in by_channels(table, wanted):
            vectors = StoredVectors(
                lake.absolute_address, p.uri, rows[_PLACE].to_numpy(), tuple(channels), wanted
            )
            yield StoredGroup(p, wanted or tuple(channels), rows.drop_columns([_PLACE]), vectors)


def _without_vectors(lake: Lake, profiled: Profiled) -> pa.Table:
    """The columns of a file of profiles but for the vectors, with the row of each profile."""
    with _opened(lake, profiled.uri) as file:
        names = [name for name in file.schema_arrow.names if name != _VECTOR]
        table = file.read(columns=names)
    return table.append_column(_PLACE, pa.array(np.arange(table.num_rows)))


@contextmanager
def _opened(lake: Lake, uri: str) -> Iterator[pq.ParquetFile]:
    """A file of profiles. What is wrong with it is told as `parts.read_part` does."""
    try:
        with lake.opened(uri) as source, pq.ParquetFile(source) as file:
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged(uri, error, Mender(lake).of_part(uri)) from error
