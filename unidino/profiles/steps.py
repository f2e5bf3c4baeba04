"""Normalization of raw profiles, by the steps that `sql/normalize` defines.

Shapes: N profiles, D features in, K features out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import choose
from unidino.core.sql import Connection, scratch
from unidino.core.vectors import metadata_table
from unidino.profiles.form import ProfileForm
from unidino.profiles.methods import METHODS, Array
from unidino.profiles.normalize import Learnt, Step, learn_and_apply
from unidino.profiles.select import select_features

# Columns that a file of `sql/normalize` may read.
_UNIT_COLUMNS = ("dataset", "source", "batch", "plate", "well", "control_type")


def normalize_profiles(metadata: Any, vectors: Array, normalize: str = "mad_robustize") -> Array:
    """Normalized profiles (N, K) from raw ones, without a lake.

    metadata: Arrow table, Polars or pandas frame, a row per profile, with those of the columns
    plate, source, batch, dataset and control_type that the normalization reads. vectors: (N, D), in
    the same order; they are not changed. normalize: see `ProfileForm`; its aggregation, wells and
    channels are ignored.
    Raises UnidinoError for an unknown normalization, ProfileError if it cannot be learnt.

    >>> import numpy as np, polars as pl
    >>> frame = pl.DataFrame({"plate": ["p"] * 3})
    >>> normalize_profiles(frame, np.array([[1.0], [2.0], [3.0]])).round(4).tolist()
    [[-0.6745], [0.0], [0.6745]]
    """
    form = ProfileForm.parse(normalize)
    table = metadata_table(metadata, vectors)
    columns = {"row_id": pa.array(np.arange(len(vectors)))}
    for name in _UNIT_COLUMNS:
        is_there = name in table.column_names
        columns[name] = table[name] if is_there else pa.nulls(len(vectors), pa.string())
    con = scratch()
    try:
        con.register("raw_profile", pa.table(columns))
        profiles, _ = normalized(con, np.array(vectors, dtype=np.float64), form, [])
    finally:
        con.close()
    if form.clip is not None:
        np.clip(profiles, -form.clip, form.clip, out=profiles)
    if form.select:
        names = [f"feature_{i}" for i in range(profiles.shape[1])]
        kept, _ = select_features(profiles, names, form.select)
        profiles = profiles[:, kept]
    return profiles


def normalized(
    con: Connection, raw: Array, form: ProfileForm, known: Sequence[Learnt]
) -> tuple[Array, list[Learnt]]:
    """Profiles (N, K) after all steps, and the statistics of the steps.

    con: has the table raw_profile. raw: (N, D), may be changed. known: see `learn_and_apply`.
    """
    learnt: list[Learnt] = []
    number = 0
    for name in form.steps:
        con.execute(
            f"create or replace temp table taught as {assets.sql('normalize', name)}",
            {"per": form.per, "controls": form.controls, "epsilon": form.epsilon},
        )
        for (part,) in con.execute("select distinct step from taught order by 1").fetchall():
            number += 1
            raw, more = learn_and_apply(_step(con, part, number), raw, known)
            learnt += more
    return raw, learnt


def _step(con: Connection, part: int, number: int) -> Step:
    """A step from the table `taught`. part: its number in the file; number: in the whole form."""
    rows = con.execute(
        "select method, epsilon, unit, teaches from taught where step = $part order by row_id",
        {"part": part},
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
