"""Normalized profiles of a level, computed from the embeddings of one dataset.

SQL defines which vectors belong to a profile, which wells a normalization learns from, and what a
level is. numpy computes, plate by plate, on a matrix in a temporary file.

Shapes: N raw profiles, D = C channels of d features, K features out, L profiles of the level.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import ProfileError
from unidino.core.sql import Connection, first_row
from unidino.core.stopping import temporary_folder
from unidino.core.user_sql import ask, confined
from unidino.models.config import ModelConfig
from unidino.models.features import feature_names
from unidino.profiles.chosen import chosen_rows
from unidino.profiles.files import ROW_GROUP
from unidino.profiles.form import ProfileForm
from unidino.profiles.methods import ROTATING, Array
from unidino.profiles.normalize import Learnt
from unidino.profiles.raw import channels_of, new_matrix, raw_vectors
from unidino.profiles.select import select_features
from unidino.profiles.steps import normalized


@dataclass(frozen=True)
class Computed:
    """Profiles of a dataset, before they are written to a file.

    table: a row for each profile, without its vector. vectors: (L, K). channels: names of the equal
    slices of a vector; several lists if plates have different channels. features: (K,), names.
    learnt: statistics of the normalization. dropped: what is left out: reason and count.
    """

    table: pa.Table
    vectors: Array
    channels: tuple[tuple[str, ...], ...]
    features: list[str]
    learnt: list[Learnt]
    dropped: dict[str, int]


@contextmanager
def compute(
    con: Connection,
    files: Mapping[str, Path],
    model: str,
    dataset: str,
    config: ModelConfig,
    form: ProfileForm,
    level: str,
    known: Sequence[Learnt] = (),
) -> Iterator[Computed]:
    """Profiles of a dataset; many vectors are in a file that is deleted when the block ends.

    con: has the tables plate, channel, well, model and the view embedding. files: by plate, the
    file of its embeddings. known: statistics that are applied; if empty, they are learnt.
    Raises ProfileError if no well is left or a normalization cannot be learnt.
    """
    con.execute(
        f"create or replace temp table every_profile as {assets.sql('queries', 'raw_profile')}",
        {"model": model, "dataset": dataset, "level": level},
    )
    (incomplete,) = first_row(con, "select count(*) from every_profile where not is_complete")
    dropped = {"missing_channel": int(incomplete)} if incomplete else {}
    con.execute(
        "create or replace temp table raw_profile as select * exclude (is_complete),"
        " row_number() over (order by plate, well, field) - 1 as row_id"
        " from every_profile where is_complete order by row_id"
    )
    plate_channels = first_channels(channels_of(con, replace(form, channels=())))
    channels = channels_of(con, form)
    with temporary_folder() as folder:
        raw = raw_vectors(con, files, form, folder / "raw")
        steps = normalized(con, raw, form, known)
        profiles, learnt = steps.profiles, steps.learnt
        dropped |= steps.dropped
        if form.clip is not None:
            np.clip(profiles, -form.clip, form.clip, out=profiles)
        if any(k.method in ROTATING for k in learnt):
            channels = (("mixed",),)
            features = [f"axis_{i}" for i in range(profiles.shape[1])]
        else:
            named = first_channels(channels)
            features = _feature_names(config, named, plate_channels, raw.shape[1])
            features = [features[k] for k in steps.kept]
        if form.select:
            kept, gone = select_features(profiles, features, form.select)
            profiles, features = profiles[:, kept], [features[k] for k in kept]
            for reason, count in gone.items():
                if count:
                    dropped[f"feature_{reason}"] = dropped.get(f"feature_{reason}", 0) + count
            channels = (("selected",),)
        if len(channels) == 1:
            con.execute(
                "update raw_profile set channels = $channels", {"channels": list(channels[0])}
            )
        dropped |= _choose_members(con, form, level)
        # DuckDB gives rows of several threads in any order.
        rows = (
            con.sql(assets.sql("queries", "level_profile"), params={"level": level})
            .to_arrow_table()
            .sort_by("profile_id")
        )
        if rows.num_rows == 0:
            raise ProfileError(f"model '{model}' has no complete {level} of dataset '{dataset}'")
        vectors = _averaged(profiles, rows["row_ids"], form.aggregate, folder / "averaged")
        if config.traits.source == "counts":
            vectors, features = on_half_circle(vectors[:, 0]), ["num_cells_x", "num_cells_y"]
        yield Computed(rows.drop_columns(["row_ids"]), vectors, channels, features, learnt, dropped)


def on_half_circle(values: Array) -> Array:
    """Points (L, 2) on a half circle, each at an angle that grows with its value (L,).

    The cosine of two points falls strictly with the difference of their values, so that cosine
    neighbours of one number are those with the nearest number. NaN stays NaN.
    """
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    angles = np.pi * (values - low) / (high - low if high > low else 1.0)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def first_channels(channels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The first of several lists of channels; empty if there is none."""
    return channels[0] if channels else ()


def _feature_names(
    config: ModelConfig, channels: Sequence[str], plate_channels: Sequence[str], num: int
) -> list[str]:
    """Names (num,) of the features of a profile: given by the model, else channel and number.

    plate_channels: all channels of a plate, before any are chosen.
    """
    per_channel = num // max(1, len(channels))
    return [
        name
        for channel in channels
        for name in feature_names(config, channel, plate_channels)
        or [f"{channel}_{i}" for i in range(per_channel)]
    ]


def _choose_members(con: Connection, form: ProfileForm, level: str) -> dict[str, int]:
    """Numbers of profiles left out, by reason; the others are in the new table `member`."""
    dropped = {}
    con.execute("create or replace temp table member as from raw_profile")
    if query := form.wells_sql():
        profiles = con.sql("from raw_profile").to_arrow_table()
        with confined({"raw_profile": profiles}, query) as apart:
            chosen = ask(apart, query, what=f"wells={form.wells}")
        con.register("chosen", chosen_rows(profiles, chosen, f"wells={form.wells}"))
        con.execute("delete from member")
        con.execute("insert into member by name from chosen")
        con.unregister("chosen")
    (gone,) = first_row(
        con, "select (select count(*) from raw_profile) - (select count(*) from member)"
    )
    if gone:
        dropped["not_chosen"] = int(gone)
    if level not in ("field", "well"):
        (nameless,) = first_row(con, "select count(*) from member where compound is null")
        if nameless:
            dropped["no_compound"] = int(nameless)
            con.execute("delete from member where compound is null")
    return dropped


def _averaged(profiles: Array, row_ids: pa.ChunkedArray, how: str, path: Path) -> Array:
    """Vectors (L, K): the mean or median of the members of each profile, in a file if they differ.

    Profiles that are each their own and only member, in their order, are given back as they are.
    """
    lists = row_ids.combine_chunks()
    rows = lists.flatten().to_numpy()
    counts = lists.value_lengths().to_numpy()
    if (counts == 1).all() and np.array_equal(rows, np.arange(len(profiles))):
        return profiles
    vectors = new_matrix(path, len(counts), profiles.shape[1])
    if (counts == 1).all():
        for start in range(0, len(rows), ROW_GROUP):
            vectors[start : start + ROW_GROUP] = profiles[rows[start : start + ROW_GROUP]]
        return vectors
    for i, members in enumerate(np.split(rows, np.cumsum(counts)[:-1])):
        vectors[i] = _average(profiles[members], how)
    return vectors


def _average(profiles: Array, how: str) -> Array:
    """Mean or median (K,) of the values that are not missing; NaN where all are missing."""
    average, without_missing = (np.mean, np.nanmean) if how == "mean" else (np.median, np.nanmedian)
    present = ~np.isnan(profiles)
    if present.all():
        return np.asarray(average(profiles, axis=0))
    vector = np.full(profiles.shape[1], np.nan)
    there = present.any(axis=0)
    vector[there] = without_missing(profiles[:, there], axis=0)
    return vector
