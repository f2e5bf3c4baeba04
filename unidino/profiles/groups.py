"""Profiles of the lake as matrices: one for each model, dataset and set of channels.

Shapes: N profiles, D features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.errors import choose
from unidino.core.vectors import matrix_of
from unidino.lake.lake import Lake
from unidino.profiles import refit as refitting
from unidino.profiles.files import load
from unidino.profiles.profile import Profiled, profile
from unidino.profiles.selection import Selection


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


def groups(lake: Lake, selection: Selection) -> Iterator[Group]:
    """The selected profiles, by model, dataset and set of channels; missing profiles are computed.

    If the normalization mixes features, channels are chosen before it, otherwise after it. Harmony
    is fitted to the selected profiles.
    Raises UnidinoError for an unknown name, ProfileError if nothing is embedded.
    """
    selection = selection.with_channels_in_form()
    wanted = selection.channels
    refit = refitting.narrows(selection)
    text = str(selection.form)
    for p in profile(lake, refitting.before_fit(selection) if refit else selection):
        table = load(lake, p.model, p.normalization, p.level, p.dataset, selection.where)
        if selection.compounds is not None:
            names = pa.array(selection.compounds, pa.string())
            table = table.filter(pc.is_in(table["compound"], names))
        if refit:
            p = replace(p, normalization=text)
            table = refitting.fitted(table, selection.form)
        for channels, rows in by_channels(table, wanted):
            vectors = vectors_of(rows, channels, wanted)
            metadata = rows.drop_columns(["embedding"])
            yield Group(p, tuple(wanted or channels), tuple(channels), metadata, vectors)


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
