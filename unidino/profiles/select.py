"""Selection of features, mainly for measured and imported features.

Many features of classical software are redundant, and some are almost constant. Thresholds and the
order of decisions are those of pycytominer. Shapes: N profiles, D features.
Source: Serrano et al. 2025, "Reproducible image-based profiling with Pycytominer",
doi 10.1038/s41592-025-02611-8.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError

_MAX_MISSING = 0.05
_MIN_VARIANCE = 1e-6
_MAX_CORRELATION = 0.9
# Features that are unstable in CellProfiler. Source: Way 2019, doi 10.6084/m9.figshare.10255811.
_BLOCKED = re.compile(r"^Nuclei_(Correlation_(Manders|RWC)|Granularity_1[4-6])_")


def select_features(
    profiles: NDArray[np.float64], names: Sequence[str], selections: Sequence[str]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Positions of the kept features, ascending, and the number that each selection dropped.

    profiles: (N, D); a value that is not finite is missing. names: (D,), of the features.
    selections: applied in order, each to the features that are left. `na` drops features that are
    missing in more than 5 % of the profiles. `variance` drops features with a variance of at most
    1e-6. `correlation` drops, of each pair that correlates above 0.9, the feature with the larger
    sum of absolute correlations. `blocklist` drops features with a blocked name.
    Raises ProfileError if no feature is left.
    """
    infinite = np.isinf(profiles)
    if infinite.any():
        profiles = np.where(infinite, np.nan, profiles)
    kept = np.arange(profiles.shape[1])
    dropped = {}
    for selection in selections:
        left = profiles[:, kept]
        match selection:
            case "na":
                good = has_values(left)
            case "variance":
                good = _variance(left) > _MIN_VARIANCE
            case "blocklist":
                good = np.array([not _BLOCKED.search(names[int(k)]) for k in kept])
            case _:
                good = _uncorrelated(left, _MAX_CORRELATION)
        dropped[selection] = int((~good).sum())
        kept = kept[good]
        if not len(kept):
            raise ProfileError(f"no feature is left after select={selection}")
    return kept, dropped


def has_values(profiles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each feature (D,) is missing in at most 5 % of the profiles (N, D)."""
    good: NDArray[np.bool_] = np.isnan(profiles).mean(axis=0) <= _MAX_MISSING
    return good


def _variance(profiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance (D,) of the values that are not missing; 0 if all are missing."""
    present = ~np.isnan(profiles)
    count = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, profiles, 0)
    centred = np.where(present, profiles - filled.sum(axis=0) / count, 0)
    variance: NDArray[np.float64] = (centred**2).sum(axis=0) / count
    return variance


def _uncorrelated(profiles: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Whether each feature (D,) is kept.

    Of every pair that correlates above the limit, the feature with the larger sum of absolute
    correlations is dropped. profiles: (N, D); NaN counts as the feature's mean.
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
    is_above = correlation > limit
    np.fill_diagonal(is_above, False)
    is_dropped: NDArray[np.bool_] = (is_above & (rank[:, None] > rank[None, :])).any(axis=1)
    return ~is_dropped
