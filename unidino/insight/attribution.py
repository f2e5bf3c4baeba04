"""What each channel contributes to telling the classes of a label apart.

Shapes: N profiles, C channels of D features. Source: Morelli et al. 2025, section 2.4.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.ensemble import RandomForestClassifier

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log, progress_bar
from unidino.core.sql import insert
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.form import ProfileForm
from unidino.profiles.groups import Group, groups
from unidino.scores.rules import LABELS

_NUM_TREES = 100
_MIN_MEMBERS = 2
_NO_CHANNELS = {
    "mixed": "are mixed of all channels by the normalization; choose --normalize mad_robustize",
    "selected": "were selected and belong to no channel; choose a normalization without select=",
    "features": "were imported and belong to no channel",
}


@dataclass(frozen=True)
class Attribution:
    """Shares of the most important features that lie in each channel.

    shares: one row per dataset, class and channel, with columns dataset, label, class, channel,
    num_profiles, share (mean over seeds), share_low, share_high (95 % interval of that mean, NULL
    for one seed), expected: the share by chance, that of all features, num_seeds and top.
    """

    model: str
    normalization: str
    level: str
    shares: pl.DataFrame


@dataclass(frozen=True)
class _Task:
    """One class of a dataset against all others. names: (N,), of the classes."""

    dataset: str
    channels: tuple[str, ...]
    vectors: NDArray[np.float32]
    names: NDArray[np.str_]
    name: str


def attribute(
    lake: Lake,
    model: str,
    *,
    label: str = "moa",
    level: str = "well",
    normalize: str = "mad_robustize",
    top: int = 50,
    num_seeds: int = 5,
    seed: int = 0,
    where: str | None = None,
    datasets: Sequence[str] = (),
    include_controls: bool = False,
    jobs: int | None = None,
) -> Attribution:
    """Share of the `top` most important features by channel, for every class of the label.

    For each class and seed a random forest of 100 trees tells its profiles from all others that
    have a label, classes weighted to balance; negative controls are left out or one more class.
    num_seeds: forests per class, from `seed` upwards. jobs: threads, default one a core.
    Raises ProfileError if no dataset has two channels and two classes, one of two profiles.
    """
    choose("label", label, LABELS)
    for option, number in (("top", top), ("seeds", num_seeds)):
        if number < 1:
            raise InputError(f"--{option} is {number}; it must be at least 1")
    run = Run(
        "attribute",
        {
            "model": model,
            "label": label,
            "level": level,
            "where": where,
            "normalize": normalize,
            "top": top,
            "num_seeds": num_seeds,
            "seed": seed,
            "include_controls": include_controls,
        },
    )
    if ProfileForm.parse(normalize).mixes_features:
        log.warning(
            f"'{normalize}' makes a feature of several channels: shares say less about one of them"
        )
    tasks: list[_Task] = []
    why_not: list[str] = []
    for group in groups(lake, [model], normalize, level, where, (), datasets):
        normalize = group.made.normalization
        try:
            tasks += _tasks(group, label, include_controls=include_controls)
        except ProfileError as error:
            why_not.append(f"{group.made.dataset} is not attributed: {error}")
    if not tasks:
        raise ProfileError(why_not[0] if why_not else "no profile fits --where")
    for line in dict.fromkeys(why_not):
        log.warning(line)
    shares = pl.DataFrame(
        [
            row | {"label": label, "num_seeds": num_seeds, "top": top}
            for row in _rows(tasks, top, range(seed, seed + num_seeds), jobs or os.cpu_count() or 1)
        ]
    ).select(
        "dataset",
        "label",
        "class",
        "channel",
        "num_profiles",
        "share",
        "share_low",
        "share_high",
        "expected",
        "num_seeds",
        "top",
    )
    with lake.write() as con:
        run.record(con)
        named = {"model": model, "normalization": normalize, "level": level, "run_id": run.run_id}
        insert(con, "attribution", [row | named for row in shares.iter_rows(named=True)])
    return Attribution(model, normalize, level, shares)


def _tasks(group: Group, label: str, *, include_controls: bool) -> list[_Task]:
    """The classes of a group of profiles with the same channels."""
    if len(group.channels) == 1:
        (channel,) = group.channels
        why = _NO_CHANNELS.get(channel, f"are all of the one channel '{channel}'")
        raise ProfileError(f"its features {why}")
    controls = ("empty",) if include_controls else ("empty", "negcon")
    labels = group.metadata[label].to_pylist()
    kinds = group.metadata["control_type"].to_pylist()
    kept = np.array(
        [
            name is not None and kind not in controls
            for name, kind in zip(labels, kinds, strict=True)
        ],
        dtype=bool,
    )
    names = np.array([str(n) for n, k in zip(labels, kept, strict=True) if k], dtype=str)
    classes, counts = np.unique(names, return_counts=True)
    if len(classes) < 2 or counts.max() < _MIN_MEMBERS:
        found = ", ".join(f"{c} ({n})" for c, n in zip(classes[:5], counts, strict=False))
        raise ProfileError(
            f"it needs two classes of {label} with two profiles or more, and has {found or 'none'}"
        )
    usable = (counts >= _MIN_MEMBERS) & (len(names) - counts >= _MIN_MEMBERS)
    if not usable.any():
        raise ProfileError(
            f"no class of {label} has {_MIN_MEMBERS} profiles and {_MIN_MEMBERS} others to be told"
            " from"
        )
    vectors = np.ascontiguousarray(group.vectors[kept], dtype=np.float32)
    return [
        _Task(group.made.dataset, group.channels, vectors, names, str(c)) for c in classes[usable]
    ]


def _rows(
    tasks: Sequence[_Task], top: int, seeds: Sequence[int], jobs: int
) -> list[dict[str, Any]]:
    """A row for each class and channel; classes and seeds side by side in processes."""
    calls = [
        delayed(channel_shares)(
            task.vectors, task.names == task.name, len(task.channels), top=top, seed=seed
        )
        for task in tasks
        for seed in seeds
    ]
    found = []
    with progress_bar("attribute", len(calls), "forests") as advance:
        for shares in Parallel(n_jobs=jobs, return_as="generator")(calls):
            found.append(shares)
            advance(1)
    rows: list[dict[str, Any]] = []
    for i, task in enumerate(tasks):
        own = np.array(found[i * len(seeds) : (i + 1) * len(seeds)])
        mean, low, high = mean_interval(own)
        rows += [
            {
                "dataset": task.dataset,
                "class": task.name,
                "channel": channel,
                "num_profiles": int((task.names == task.name).sum()),
                "share": float(mean[c]),
                "share_low": low[c],
                "share_high": high[c],
                "expected": 1 / len(task.channels),
            }
            for c, channel in enumerate(task.channels)
        ]
    return rows


def channel_shares(
    features: NDArray[np.float32],
    is_member: NDArray[np.bool_],
    num_channels: int,
    *,
    top: int,
    seed: int,
) -> NDArray[np.float64]:
    """Shares (C,) of the most important features of one class against the rest.

    features: (N, C * D), channels side by side. is_member: (N,).
    """
    forest = RandomForestClassifier(
        _NUM_TREES, class_weight="balanced", random_state=seed, n_jobs=1
    )
    forest.fit(features, is_member)
    importance = forest.feature_importances_
    most = np.argsort(-importance, kind="stable")[:top]
    # Features that no tree splits by are no better than others: they would count for the first.
    most = most[importance[most] > 0]
    if not len(most):
        return np.full(num_channels, 1 / num_channels)
    channel = most // (features.shape[1] // num_channels)
    shares: NDArray[np.float64] = np.bincount(channel, minlength=num_channels) / len(most)
    return shares


def wide(shares: pl.DataFrame) -> pl.DataFrame:
    """Mean shares for people: a row for each class, a column for each channel."""
    table = shares.with_columns(pl.col("share").round(3))
    return table.pivot("channel", index=["dataset", "class", "num_profiles"], values="share")


def mean_interval(
    shares: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[float | None], list[float | None]]:
    """Means (C,) over seeds, and both ends of their 95 % intervals by Student's t, within 0 and 1.

    shares: (seeds, C). One seed has no interval.
    """
    mean = shares.mean(axis=0)
    if len(shares) == 1:
        return mean, [None] * len(mean), [None] * len(mean)
    half = t.ppf(0.975, len(shares) - 1) * shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return mean, low.tolist(), high.tolist()
