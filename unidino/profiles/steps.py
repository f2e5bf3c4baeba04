"""The steps of a normalization, as `sql/normalize` says, applied to raw profiles.

Shapes: N profiles, D features in, K features out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.sql import Connection, scratch
from unidino.core.vectors import as_table
from unidino.profiles.form import ProfileForm
from unidino.profiles.normalize import METHODS, Array, Learnt, Step, learn_and_apply
from unidino.profiles.select import select_features

# What a normalization may read of a profile: see `sql/normalize`.
_UNIT_COLUMNS = ("dataset", "source", "batch", "plate", "well", "control_type")


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
    """Profiles (N, K) after every step, and what the steps learnt."""
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
    """A step of a normalization: part of a file of `sql/normalize`, by its number in the form."""
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
