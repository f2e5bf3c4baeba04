"""What each channel contributes to telling the classes of a label apart.

Source: Morelli et al. 2025, section 2.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from unidino import profiles
from unidino.catalog import Lake
from unidino.errors import InputError, ProfileError, choose
from unidino.progress import progress_bar
from unidino.rules import LABELS
from unidino.score import by_channels, vectors_of

_NUM_TREES = 100
_MIN_MEMBERS = 2


@dataclass(frozen=True)
class Attribution:
    """Shares of the most important features that lie in each channel.

    shares: one row per dataset, class and channel, with columns dataset, label, class, channel,
    num_profiles, share, and expected: the share by chance, one over the number of channels.
    """

    model: str
    normalization: str
    level: str
    shares: pl.DataFrame


def attribute(
    lake: Lake,
    model: str,
    *,
    label: str = "moa",
    level: str = "well",
    normalize: str = "mad_robustize",
    top: int = 50,
    seed: int = 0,
    where: str | None = None,
    datasets: Sequence[str] = (),
) -> Attribution:
    """Share of the `top` most important features by channel, for every class of the label.

    For each class a random forest of 100 trees tells its profiles from all others that have a
    label, classes weighted to balance; controls are left out.
    Raises ProfileError if no dataset has two classes of two profiles.
    """
    choose("label", label, LABELS)
    if top < 1:
        raise InputError(f"--top is {top}; it must be at least 1")
    jobs = []
    for made in profiles.profile(
        lake, [model], normalize=normalize, level=level, datasets=datasets
    ):
        table = profiles.load(lake, model, made.normalization, level, made.dataset, where)
        for channels, group in by_channels(table, ()):
            labels = group[label].to_pylist()
            controls = group["control_type"].to_pylist()
            kept = np.array(
                [
                    v is not None and c not in ("negcon", "empty")
                    for v, c in zip(labels, controls, strict=True)
                ]
            )
            names = np.array([v for v, k in zip(labels, kept, strict=True) if k])
            features = vectors_of(group, channels, ())[kept]
            classes, counts = np.unique(names, return_counts=True)
            usable = classes[counts >= _MIN_MEMBERS]
            if len(classes) >= 2:
                jobs += [(made.dataset, channels, features, names, str(c)) for c in usable]
    if not jobs:
        raise ProfileError(f"no dataset has two classes of {label} with two profiles or more")
    rows = []
    with progress_bar("attribute", len(jobs), "classes") as advance:
        for dataset, channels, features, names, name in jobs:
            shares = channel_shares(features, names == name, len(channels), top=top, seed=seed)
            rows += [
                {"dataset": dataset, "label": label, "class": name, "channel": channel,
                 "num_profiles": int((names == name).sum()), "share": float(share),
                 "expected": 1 / len(channels)}
                for channel, share in zip(channels, shares, strict=True)
            ]  # fmt: skip
            advance(1)
    return Attribution(model, normalize, level, pl.DataFrame(rows))


def channel_shares(
    features: NDArray[np.float32],
    is_member: NDArray[np.bool_],
    num_channels: int,
    *,
    top: int,
    seed: int,
) -> NDArray[np.float64]:
    """Shares (num_channels,) of the most important features of one class against the rest.

    features: (N, num_channels * D), channels side by side. is_member: (N,).
    """
    forest = RandomForestClassifier(
        _NUM_TREES, class_weight="balanced", random_state=seed, n_jobs=-1
    )
    forest.fit(features, is_member)
    most = np.argsort(-forest.feature_importances_, kind="stable")[:top]
    channel = most // (features.shape[1] // num_channels)
    shares: NDArray[np.float64] = np.bincount(channel, minlength=num_channels) / len(most)
    return shares
