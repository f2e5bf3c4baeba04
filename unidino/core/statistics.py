"""Robust spread and bootstrap intervals, defined once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUM_BOOTSTRAPS = 1000
_TO_STANDARD_DEVIATION = 1.4826  # of a normal distribution, over its median absolute deviation


def median_and_mad(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Median, and scaled median absolute deviation, along the last axis; NaN is left out.

    samples: (..., T), overwritten. The deviation is scaled to a normal distribution's standard
    deviation.
    """
    median = np.nanmedian if np.isnan(samples).any() else np.median
    centre = median(samples, axis=-1)
    samples -= centre[..., None]
    np.abs(samples, out=samples)
    return centre, _TO_STANDARD_DEVIATION * median(samples, axis=-1)


def mean_interval(values: NDArray[Any], groups: NDArray[Any] | None = None) -> tuple[float, float]:
    """95 % interval of the mean of values (N,), by bootstrap.

    groups: (N,), what is drawn, such as compounds, whose wells are no replicates; default each
    value alone. The same number of groups is drawn in the same way each time, so that intervals of
    differences are paired.
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
