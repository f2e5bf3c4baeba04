"""Profiles of the lake as matrices: one for each model, dataset and set of channels.

Shapes: N profiles, D features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.errors import InputError, choose
from unidino.core.vectors import as_slice, matrix_of
from unidino.lake.lake import Lake
from unidino.profiles import refit
from unidino.profiles.files import fitting
from unidino.profiles.profile import Profiled, profiles_and_vectors
from unidino.profiles.selection import Selection
from unidino.profiles.stored import PLACE, StoredVectors, chosen_channels, without_vectors


@dataclass(frozen=True)
class Group:
    """Profiles of one dataset and model with the same channels.

    channels: of the vectors. stored_channels: of the profiles in the lake. metadata: a row for each
    profile. vectors: (N, D).
    """

    profiled: Profiled
    channels: tuple[str, ...]
    stored_channels: tuple[str, ...]
    metadata: pa.Table
    vectors: NDArray[Any]


@dataclass(frozen=True)
class StoredGroup:
    """Profiles of one dataset and model with the same channels; see `Group`.

    metadata: a row for each profile.
    """

    profiled: Profiled
    channels: tuple[str, ...]
    metadata: pa.Table
    vectors: StoredVectors


def groups(lake: Lake, selection: Selection) -> Iterator[Group]:
    """The selected profiles, by model, dataset and set of channels; missing profiles are computed.

    If the normalization mixes features, channels are chosen before it, otherwise after it. Harmony
    is fitted to the selected profiles.
    Raises UnidinoError for an unknown name, ProfileError if nothing is embedded.
    """
    selection = selection.with_channels_in_form()
    wanted = tuple(selection.channels)
    is_fitted = refit.narrows(selection)
    for p, rows, vectors in _selected(
        lake, refit.before_fit(selection) if is_fitted else selection
    ):
        if is_fitted:
            stored = _stored(lake, p, rows, ())
            rows, vectors = refit.fitted(rows, stored.read(lake=lake), selection.form)
            places = pa.array(np.arange(len(rows)))
            rows = rows.drop_columns([PLACE]).append_column(PLACE, places)
            p = replace(p, normalization=str(selection.form))
        for channels, some in by_channels(rows, wanted):
            if vectors is None:
                chosen = _stored(lake, p, some, channels, wanted).read(lake=lake)
            else:
                chosen = vectors[as_slice(some[PLACE].to_numpy())]
                chosen = chosen_channels(chosen, channels, wanted)
            metadata = some.drop_columns([PLACE])
            yield Group(p, wanted or tuple(channels), tuple(channels), metadata, chosen)


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
    for p, rows, _ in _selected(lake, selection):
        for channels, some in by_channels(rows, wanted):
            vectors = _stored(lake, p, some, channels, wanted)
            yield StoredGroup(p, wanted or tuple(channels), some.drop_columns([PLACE]), vectors)


def _selected(
    lake: Lake, selection: Selection
) -> Iterator[tuple[Profiled, pa.Table, NDArray[Any] | None]]:
    """Each file of profiles of which some are selected, with the rows of these.

    The rows have the column PLACE instead of vectors. The vectors, if they are in memory, are those
    of the whole file.
    """
    for p, vectors in profiles_and_vectors(lake, selection):
        rows = without_vectors(lake, p.uri)
        if selection.where:
            rows = rows.take(fitting(rows.drop_columns([PLACE]), selection.where))
        if selection.compounds is not None:
            names = pa.array(selection.compounds, pa.string())
            rows = rows.filter(pc.is_in(rows["compound"], names))
        if len(rows):
            yield p, rows, vectors


def _stored(
    lake: Lake, p: Profiled, rows: pa.Table, channels: Sequence[str], wanted: Sequence[str] = ()
) -> StoredVectors:
    """The vectors of the rows of a file, which have the column PLACE."""
    places = rows[PLACE].to_numpy()
    return StoredVectors(lake.absolute_address, p.uri, places, tuple(channels), tuple(wanted))


def by_channels(table: pa.Table, wanted: Sequence[str] = ()) -> list[tuple[list[str], pa.Table]]:
    """Tables of profiles with the same channels in the same order, with the names of the channels.

    Raises UnidinoError if a profile lacks a channel that is wanted.
    """
    lists = pl.Series(table["channels"])
    distinct = sorted(tuple(names) for names in lists.unique().to_list())
    for names in distinct:
        for channel in wanted:
            choose("channel", channel, list(names))
    if len(distinct) == 1:
        return [(list(distinct[0]), table)]
    return [
        (list(names), table.filter(pa.array([tuple(c) == names for c in lists.to_list()])))
        for names in distinct
    ]


def vectors_of(
    table: pa.Table, channels: Sequence[str], wanted: Sequence[str] = ()
) -> NDArray[Any]:
    """Vectors (N, D) of profiles, with only the wanted channels, in the wanted order."""
    return chosen_channels(matrix_of(table["embedding"]), channels, wanted)
