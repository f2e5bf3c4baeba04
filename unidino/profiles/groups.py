"""Profiles of the lake as matrices, one for each model, dataset and set of channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core.errors import choose
from unidino.lake.lake import Lake
from unidino.profiles import files, profile
from unidino.profiles.form import ProfileForm


@dataclass(frozen=True)
class Group:
    """Profiles of one dataset and model with the same channels.

    metadata: a row for each; vectors: (N, D).
    """

    made: profile.Profiled
    channels: tuple[str, ...]
    metadata: pa.Table
    vectors: NDArray[Any]


def groups(
    lake: Lake,
    models: Sequence[str],
    normalize: str,
    level: str,
    where: str | None,
    channels: Sequence[str] = (),
    datasets: Sequence[str] = (),
    compounds: Sequence[str] | None = None,
) -> Iterator[Group]:
    """Profiles of every model and dataset, one after another, made where they are missing.

    channels: names to keep; of normalizations that mix channels, those they start from.
    """
    form = ProfileForm.parse(normalize)
    if channels and form.mixes_features and not form.channels:
        normalize, channels = f"{normalize},channels={'+'.join(channels)}", ()
    for made in profile.profile(lake, models, normalize=normalize, level=level, datasets=datasets):
        table = files.load(lake, made.model, made.normalization, level, made.dataset, where)
        if compounds is not None:
            table = table.filter(pc.is_in(table["compound"], pa.array(compounds, pa.string())))
        for own, group in by_channels(table, channels):
            vectors = vectors_of(group, own, channels)
            yield Group(made, tuple(channels or own), group.drop_columns(["embedding"]), vectors)


def by_channels(table: pa.Table, wanted: Sequence[str]) -> list[tuple[list[str], pa.Table]]:
    """Profiles that have the same channels in the same order, and those channels."""
    lists = pl.Series(table["channels"])
    distinct = lists.unique().to_list()
    groups = []
    for group in sorted(tuple(c) for c in distinct):
        for channel in wanted:
            choose("channel", channel, list(group))
        if len(distinct) == 1:
            groups.append((list(group), table))
        else:
            mine = pa.array([tuple(c) == group for c in lists.to_list()])
            groups.append((list(group), table.filter(mine)))
    return groups


def vectors_of(table: pa.Table, channels: list[str], wanted: Sequence[str]) -> NDArray[Any]:
    """Embeddings (N, D) of the profiles, cut to the wanted channels."""
    flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: NDArray[Any] = flat.reshape(table.num_rows, -1)
    if not wanted:
        return vectors
    by_channel = vectors.reshape(table.num_rows, len(channels), -1)
    keep = [channels.index(c) for c in wanted]
    cut: NDArray[Any] = by_channel[:, keep].reshape(table.num_rows, -1)
    return cut
