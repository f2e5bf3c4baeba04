"""Which features of imported profiles are worth keeping.

Measured features repeat each other and some hardly vary; learnt embeddings are left whole.
Thresholds and order of decisions are pycytominer's. Shapes: N profiles, D features.
Source: Serrano et al. 2025, "Reproducible image-based profiling with Pycytominer",
doi 10.1038/s41592-025-02611-8.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError

_MOST_MISSING = 0.05
_LEAST_VARIANCE = 1e-6
_MOST_CORRELATION = 0.9
# Features that CellProfiler computes unstably. Source: Way 2019, doi 10.6084/m9.figshare.10255811.
_BLOCKED = re.compile(r"^Nuclei_(Correlation_(Manders|RWC)|Granularity_1[4-6])_")


def selected(
    profiles: NDArray[np.float64], names: Sequence[str], selections: Sequence[str]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Positions of the features that are left, ascending, and how many each selection dropped.

    profiles: (N, D). names: (D,), of the features. selections: na (missing in more than 5 % of the
    profiles), variance (under 1e-6), correlation (of each pair beyond 0.9, the one that
    correlates more with all), blocklist (by name); carried out in order, each on what is left.
    Raises ProfileError if nothing is left.
    """
    kept = np.arange(profiles.shape[1])
    dropped = {}
    for selection in selections:
        own = profiles[:, kept]
        match selection:
            case "na":
                good = np.isnan(own).mean(axis=0) <= _MOST_MISSING
            case "variance":
                good = _variance(own) > _LEAST_VARIANCE
            case "blocklist":
                good = np.array([not _BLOCKED.search(names[int(k)]) for k in kept])
            case _:
                good = uncorrelated(own, _MOST_CORRELATION)
        dropped[selection] = int((~good).sum())
        kept = kept[good]
        if not len(kept):
            raise ProfileError(f"no feature is left after select={selection}")
    return kept, dropped


def _variance(profiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance (D,) of what is there; 0 for a feature that is nowhere."""
    present = ~np.isnan(profiles)
    count = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, profiles, 0)
    centred = np.where(present, profiles - filled.sum(axis=0) / count, 0)
    variance: NDArray[np.float64] = (centred**2).sum(axis=0) / count
    return variance


def uncorrelated(profiles: NDArray[np.float64], most: float) -> NDArray[np.bool_]:
    """Whether each feature (D,) stays: of every pair beyond `most`, the one that correlates more
    with all features goes.

    profiles: (N, D); NaN counts as the feature's mean.
    """
    present = ~np.isnan(profiles)
    means = np.where(present, profiles, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, profiles - means, 0)
    norms = np.sqrt((centred**2).sum(axis=0))
    norms[norms == 0] = 1
    correlation = (centred / norms).T @ (centred / norms)
    order = np.argsort(np.abs(correlation).sum(axis=0), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    beyond = correlation > most
    np.fill_diagonal(beyond, False)
    goes: NDArray[np.bool_] = (beyond & (rank[:, None] > rank[None, :])).any(axis=1)
    return ~goes
