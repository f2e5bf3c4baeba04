"""Robust spread and bootstrap intervals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUM_BOOTSTRAPS = 1000
# Standard deviation of a normal distribution divided by its median absolute deviation.
_TO_STANDARD_DEVIATION = 1.4826


def median_and_mad(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Median and scaled median absolute deviation along the last axis; NaN is left out.

    samples: (..., T), overwritten. The deviation is scaled so that it equals the standard deviation
    for a normal distribution.
    """
    median = np.nanmedian if np.isnan(samples).any() else _median
    centre = median(samples, axis=-1)
    samples -= centre[..., None]
    np.abs(samples, out=samples)
    return centre, _TO_STANDARD_DEVIATION * median(samples, axis=-1)


def _median(samples: NDArray[Any], axis: int) -> NDArray[Any]:
    """What numpy's median is; faster, because samples, of which none is missing, may be sorted."""
    num = samples.shape[axis]
    if not num:
        return np.asarray(np.median(samples, axis=axis))
    samples.sort(axis=axis)
    middle = samples.take(range((num - 1) // 2, num // 2 + 1), axis=axis)
    return np.asarray(middle.mean(axis=axis))


def mean_interval(values: NDArray[Any], groups: NDArray[Any] | None = None) -> tuple[float, float]:
    """95 % interval of the mean of values (N,), by bootstrap over groups.

    groups: (N,), the group of each value, such as its compound, because wells of one compound are
    not independent; default: each value is a group. The seed is fixed: for equal groups the draws
    are equal, so that intervals of differences are paired.
    """
    names = np.arange(len(values)) if groups is None else groups
    _, group = np.unique(names, return_inverse=True)
    totals = np.bincount(group)
    sums = np.bincount(group, weights=values)
    rng = np.random.default_rng(0)
    num = len(totals)
    draws = rng.multinomial(num, np.full(num, 1 / num), _NUM_BOOTSTRAPS)
    low, high = np.quantile((draws @ sums) / (draws @ totals), [0.025, 0.975])
    return float(low), float(high)
