"""Normalization of raw profiles, by the steps that `sql/normalize` defines.

Shapes: N profiles, D features in, K features out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.sql import Connection, scratch
from unidino.core.vectors import metadata_table
from unidino.profiles.covariate import STEP, without_covariate
from unidino.profiles.form import REFIT, ProfileForm
from unidino.profiles.harmony import harmonized
from unidino.profiles.methods import METHODS, MIXING, Array
from unidino.profiles.normalize import Learnt, Step, fill_by_means, learn_and_apply
from unidino.profiles.select import has_values, select_features

# Columns that a file of `sql/normalize` may read.
_UNIT_COLUMNS = ("dataset", "source", "batch", "plate", "well", "control_type")
_BLOCK = 4096


@dataclass(frozen=True)
class Normalized:
    """Profiles after all steps of a normalization.

    profiles: (N, K), NaN where a value is missing. learnt: the statistics of the steps. kept:
    positions of the features that the steps worked on; the others, with too many missing values,
    were dropped by select=na before a step that mixes features. dropped: reason and count.
    """

    profiles: Array
    learnt: list[Learnt]
    kept: NDArray[np.int64]
    dropped: dict[str, int]


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
    counts = table["num_cells"] if "num_cells" in table.column_names else pa.nulls(len(vectors))
    columns["num_cells"] = counts.cast(pa.int32())
    con = scratch(assets.texts("normalize", "covariates"))
    try:
        con.register("raw_profile", pa.table(columns))
        profiles = normalized(con, np.array(vectors, dtype=np.float64), form, []).profiles
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
) -> Normalized:
    """The profiles after all steps, and the statistics of the steps.

    con: has the table raw_profile. raw: (N, D), may be changed; a value that is not finite is
    missing. known: see `learn_and_apply`.
    """
    _make_infinite_missing(raw)
    kept = np.arange(raw.shape[1])
    dropped: dict[str, int] = {}
    learnt: list[Learnt] = []
    mixed = False
    number = 0
    if form.regress:
        raw, learnt = without_covariate(con, raw, form, known)
        known = [k for k in known if k.step != STEP]
    for name in form.steps:
        _teach(con, form, name)
        for (part,) in con.execute("select distinct step from taught order by 1").fetchall():
            number += 1
            step = _step(con, part, number)
            fill = step.method in MIXING and not mixed and "na" in form.select
            if fill:
                raw, kept, counts = _without_missing(raw)
                if known and "feature_na" in counts:
                    raise ProfileError(
                        f"{counts['feature_na']} features have too many missing values for"
                        " select=na; the features that the statistics were learnt of are not known"
                    )
                dropped |= counts
            mixed |= step.method in MIXING
            if step.method in REFIT:
                raw = harmonized(fill_by_means(raw) if fill else raw, step.units, step.names)
                continue
            raw, more = learn_and_apply(step, raw, known, fill=fill)
            learnt += more
    for reason, found in (
        ("constant_feature", [(k.map.spread == 0).sum() for k in learnt]),
        ("unknown_feature", [np.isnan(k.map.spread).sum() for k in learnt]),
    ):
        if sum(found):
            dropped[reason] = int(sum(found))
    return Normalized(raw, learnt, kept, dropped)


def unit_codes(con: Connection, form: ProfileForm) -> tuple[NDArray[np.int64], list[str]]:
    """The unit of each profile (N,) in the last step of a form, and the names of the units.

    con: has the table raw_profile.
    """
    _teach(con, form, form.steps[-1])
    step = _step(con, 1, 1)
    return step.units, list(step.names)


def _teach(con: Connection, form: ProfileForm, name: str) -> None:
    """Create the table `taught`: what the file of `sql/normalize` says of each profile."""
    query = assets.sql("normalize", name)
    options = {"per": form.per, "controls": form.controls, "epsilon": form.epsilon}
    of_query = {key: value for key, value in options.items() if f"${key}" in _code(query)}
    con.execute(f"create or replace temp table taught as {query}", of_query)


def _code(query: str) -> str:
    """The lines of a query that are no comments."""
    return "\n".join(line for line in query.splitlines() if not line.startswith("--"))


def _make_infinite_missing(raw: Array) -> None:
    """Replace infinite values of profiles (N, D) by NaN, in place."""
    for start in range(0, len(raw), _BLOCK):
        block = raw[start : start + _BLOCK]
        infinite = np.isinf(block)
        if infinite.any():
            block[infinite] = np.nan


def _without_missing(raw: Array) -> tuple[Array, NDArray[np.int64], dict[str, int]]:
    """The profiles without the features that select=na drops, their positions, and the counts."""
    good = has_values(raw)
    if good.all() and not np.isnan(raw).any():
        return raw, np.arange(raw.shape[1]), {}
    if not good.any():
        raise ProfileError("no feature is left after select=na")
    raw = raw[:, good]
    counts = {"feature_na": int((~good).sum()), "missing_as_mean": int(np.isnan(raw).sum())}
    return raw, np.flatnonzero(good), {reason: num for reason, num in counts.items() if num}


def _step(con: Connection, part: int, number: int) -> Step:
    """A step from the table `taught`. part: its number in the file; number: in the whole form."""
    rows = con.execute(
        "select method, epsilon, unit, teaches from taught where step = $part order by row_id",
        {"part": part},
    ).fetchnumpy()
    method = choose("method of a normalization", str(rows["method"][0]), [*METHODS, *REFIT])
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
