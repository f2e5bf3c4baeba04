"""Raw vectors to normalized profiles of one dataset.

SQL says which vectors make a profile, which wells teach a normalization and what a level is; numpy
does the arithmetic, plate by plate, on a matrix that lies in a temporary file.

Shapes: N raw profiles, D = C channels of d features, K features out, L profiles of the level.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.sql import Connection, first_row, scratch
from unidino.core.user_sql import ask, confined
from unidino.core.vectors import as_table
from unidino.models.config import ModelConfig
from unidino.profiles.files import ROW_GROUP
from unidino.profiles.form import ProfileForm
from unidino.profiles.normalize import METHODS, ROTATING, Array, Learnt, Step, learn_and_apply
from unidino.profiles.select import selected

# What a normalization may read of a profile: see `sql/normalize`.
_UNIT_COLUMNS = ("dataset", "source", "batch", "plate", "well", "control_type")


@dataclass(frozen=True)
class Made:
    """What `compute` makes.

    table: a row for each profile, without its vector; vectors: (L, K). channels: names of the equal
    slices of a vector. features: (K,), names.
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
) -> Iterator[Made]:
    """Profiles of a dataset; their vectors lie in a file that is gone when the block ends.

    con: has the tables plate, channel, well, model and the view embedding. files: of the embeddings
    of each plate. known: statistics to apply instead of learning any.
    Raises ProfileError if no well is left or there is nothing to learn from.
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
    channels = _channels(con, form)
    with tempfile.TemporaryDirectory(prefix="unidino-") as folder:
        raw = _raw_vectors(con, files, form, Path(folder) / "raw")
        profiles, learnt = _normalized(con, raw, form, known)
        if constant := sum(int((k.map.spread == 0).sum()) for k in learnt):
            dropped["constant_feature"] = constant
        if form.clip is not None:
            np.clip(profiles, -form.clip, form.clip, out=profiles)
        features = _feature_names(config, first_channels(channels), profiles.shape[1], learnt)
        if any(k.method in ROTATING for k in learnt):
            channels = (("mixed",),)
        if form.select:
            kept, gone = selected(profiles, features, form.select)
            profiles, features = profiles[:, kept], [features[k] for k in kept]
            dropped |= {f"feature_{reason}": count for reason, count in gone.items() if count}
            channels = (("selected",),)
        if len(channels) == 1:
            con.execute(
                "update raw_profile set channels = $channels", {"channels": list(channels[0])}
            )
        dropped |= _choose_members(con, form, level)
        rows = con.sql(
            assets.sql("queries", "level_profile"), params={"level": level}
        ).to_arrow_table()
        if rows.num_rows == 0:
            raise ProfileError(f"model '{model}' has no complete {level} of dataset '{dataset}'")
        vectors = _averaged(profiles, rows["row_ids"], form.aggregate, Path(folder) / "averaged")
        yield Made(rows.drop_columns(["row_ids"]), vectors, channels, features, learnt, dropped)


def normalize_profiles(metadata: Any, vectors: Array, normalize: str = "mad_robustize") -> Array:
    """Profiles (N, K) normalized from raw ones, without a lake.

    metadata: Arrow table, Polars or pandas frame, a row per profile; of the columns plate, source,
    batch, dataset and control_type those that the normalization uses must be there. vectors:
    (N, D), in the same order; they are not changed. normalize: see `ProfileForm`; aggregation and
    channels do not apply.
    Raises UnidinoError for an unknown normalization, ProfileError if nothing can be learnt.

    >>> import numpy as np, polars as pl
    >>> frame = pl.DataFrame({"plate": ["p"] * 3})
    >>> normalize_profiles(frame, np.array([[1.0], [2.0], [3.0]])).round(4).tolist()
    [[-0.6745], [0.0], [0.6745]]
    """
    form = ProfileForm.parse(normalize)
    table = as_table(metadata)
    if table.num_rows != len(vectors):
        raise InputError(f"{table.num_rows} rows of metadata for {len(vectors)} vectors")
    columns = {"row_id": pa.array(np.arange(len(vectors)))}
    for name in _UNIT_COLUMNS:
        is_there = name in table.column_names
        columns[name] = table[name] if is_there else pa.nulls(len(vectors), pa.string())
    con = scratch()
    try:
        con.register("raw_profile", pa.table(columns))
        profiles, _ = _normalized(con, np.array(vectors, dtype=np.float64), form, [])
    finally:
        con.close()
    if form.clip is not None:
        np.clip(profiles, -form.clip, form.clip, out=profiles)
    if form.select:
        names = [f"feature_{i}" for i in range(profiles.shape[1])]
        kept, _ = selected(profiles, names, form.select)
        profiles = profiles[:, kept]
    return profiles


def first_channels(channels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return channels[0] if channels else ()


def _channels(con: Connection, form: ProfileForm) -> tuple[tuple[str, ...], ...]:
    """Names of the channels that profiles have: one list, unless plates differ in theirs."""
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
    return _channels(con, replace(form, channels=()))


def _raw_vectors(
    con: Connection, files: Mapping[str, Path], form: ProfileForm, path: Path
) -> Array:
    """Raw profiles (N, D) in the order of row_id, in a file."""
    (num,) = first_row(con, "select count(*) from raw_profile")
    raw: Array | None = None
    for plate, file in files.items():
        rows = con.sql(
            assets.sql("queries", "raw_vector"),
            params={"file": str(file), "channels": list(form.channels)},
        ).to_arrow_table()
        if not rows.num_rows:
            continue
        own, vectors = _mean_by_row(rows, form.fields)
        if raw is None:
            raw = np.lib.format.open_memmap(path, "w+", np.float64, (num, vectors.shape[1]))
        if vectors.shape[1] != raw.shape[1]:
            raise ProfileError(
                f"plate '{plate}' has vectors of {vectors.shape[1]} features, other plates of"
                f" {raw.shape[1]}; profile datasets of one kind of vector, or choose channels that"
                " all plates have"
            )
        raw[own] = vectors
    return np.empty((0, 0)) if raw is None else raw


def _mean_by_row(rows: pa.Table, fields: str) -> tuple[NDArray[np.int64], Array]:
    """Row ids, and their vectors: fields averaged, channels side by side.

    rows: of the query raw_vector, sorted by row_id and channel.
    """
    row_id = rows["row_id"].to_numpy()
    channel = rows["channel_index"].to_numpy()
    column = rows["embedding"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if len(flat) % len(row_id) or len(set(np.unique(column.value_lengths().to_numpy()))) > 1:
        raise ProfileError("vectors of one model and plate differ in their number of features")
    vectors = flat.reshape(len(row_id), -1).astype(np.float64)
    weights = (
        np.ones(len(row_id))
        if fields == "equal"
        else rows["num_crops"].to_numpy().astype(np.float64)
    )
    is_first = np.ones(len(row_id), dtype=bool)
    is_first[1:] = (row_id[1:] != row_id[:-1]) | (channel[1:] != channel[:-1])
    starts = np.flatnonzero(is_first)
    if len(starts) < len(row_id):
        missing = np.isnan(vectors)
        if missing.any():
            shares = np.where(missing, 0.0, weights[:, None])
            vectors = np.where(missing, 0.0, vectors) * shares
            with np.errstate(invalid="ignore"):
                vectors = np.add.reduceat(vectors, starts) / np.add.reduceat(shares, starts)
        else:
            vectors *= weights[:, None]
            vectors = np.add.reduceat(vectors, starts) / np.add.reduceat(weights, starts)[:, None]
    own = np.unique(row_id[starts])
    return own, vectors.reshape(len(own), -1)


def _normalized(
    con: Connection, raw: Array, form: ProfileForm, known: Sequence[Learnt]
) -> tuple[Array, list[Learnt]]:
    """Profiles (N, K) after every step, and what the steps learnt."""
    learnt: list[Learnt] = []
    number = 0
    for name in form.steps:
        con.execute(
            f"create or replace temp table taught as {assets.sql('normalize', name)}",
            {"per": form.per, "controls": form.controls, "epsilon": form.epsilon},
        )
        for (own,) in con.execute("select distinct step from taught order by 1").fetchall():
            number += 1
            raw, more = learn_and_apply(_step(con, own, number), raw, known)
            learnt += more
    return raw, learnt


def _step(con: Connection, own: int, number: int) -> Step:
    rows = con.execute(
        "select method, epsilon, unit, teaches from taught where step = $own order by row_id",
        {"own": own},
    ).fetchnumpy()
    method = choose("method of a normalization", str(rows["method"][0]), list(METHODS))
    names, units = np.unique(np.asarray(rows["unit"]).astype(str), return_inverse=True)
    epsilon = np.ma.asarray(rows["epsilon"])[0]
    return Step(
        number,
        method,
        None if np.ma.is_masked(epsilon) else float(epsilon),
        [str(n) for n in names],
        units,
        np.asarray(rows["teaches"], dtype=bool),
    )


def _feature_names(
    config: ModelConfig, channels: Sequence[str], num: int, learnt: Sequence[Learnt]
) -> list[str]:
    """Names (num,) of the features of a profile: imported names, or channel and number."""
    if any(k.method in ROTATING for k in learnt):
        return [f"axis_{i}" for i in range(num)]
    if config.features:
        return list(config.features)
    per_channel = num // max(1, len(channels))
    return [f"{channel}_{i}" for channel in channels for i in range(per_channel)]


def _choose_members(con: Connection, form: ProfileForm, level: str) -> dict[str, int]:
    """Create the table `member`: the profiles that a level is averaged of; says what is not."""
    dropped = {}
    con.execute("create or replace temp table member as from raw_profile")
    if query := form.wells_sql():
        profiles = con.sql("from raw_profile").to_arrow_table()
        with confined({"raw_profile": profiles}) as apart:
            chosen = ask(apart, query, what=f"wells={form.wells}")
        con.register("chosen", chosen)
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
    """Vectors (L, K), in a file: the mean or median of the rows of each profile."""
    lists = row_ids.combine_chunks()
    rows = lists.flatten().to_numpy()
    counts = lists.value_lengths().to_numpy()
    vectors: Array = np.lib.format.open_memmap(
        path, "w+", np.float64, (len(counts), profiles.shape[1])
    )
    if (counts == 1).all():
        for start in range(0, len(rows), ROW_GROUP):
            vectors[start : start + ROW_GROUP] = profiles[rows[start : start + ROW_GROUP]]
        return vectors
    average = np.mean if how == "mean" else np.median
    for i, own in enumerate(np.split(rows, np.cumsum(counts)[:-1])):
        vectors[i] = average(profiles[own], axis=0)
    return vectors
