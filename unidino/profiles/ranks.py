"""Inverse normal transformation: features become normal quantiles of their ranks.

Shapes: N profiles, T of them teach, D features.
Source: Beasley et al. 2009, "Rank-based inverse normal transformations are increasingly used, but
are they merited?", doi 10.1007/s10519-009-9281-0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_BLOM = 3 / 8


@dataclass(frozen=True)
class Ranked:
    """The map of one unit: x becomes the normal quantile of its rank among the teaching profiles.

    ordered: (D, T), the teaching values of each feature, ascending, NaN last. counts: (D,), numbers
    of values that are not NaN. centre: (D,), their means. spread: (D,), largest minus smallest
    value: a feature with spread 0 becomes 0.
    """

    ordered: Array
    counts: NDArray[np.int64]
    centre: Array
    spread: Array
    matrix: None = None
    epsilon: None = None

    def apply(self, profiles: Array) -> Array:
        """Transformed profiles (N, D); NaN stays NaN. Equal values get the mean of their ranks."""
        from scipy.special import ndtri

        out = np.full(profiles.shape, np.nan)
        for i, (values, count) in enumerate(zip(self.ordered, self.counts, strict=True)):
            if not count:
                continue
            taught, column = values[:count], profiles[:, i]
            # Of a value that is taught t times, `below` and `not_above` differ by t, and the mean
            # of its ranks is (below + not_above + 1) / 2. A new value stands between two ranks.
            below = np.searchsorted(taught, column, side="left")
            not_above = np.searchsorted(taught, column, side="right")
            rank = (below + not_above + 1) / 2
            out[:, i] = ndtri((rank - _BLOM) / (count + 1 - 2 * _BLOM))
        out[:, self.spread == 0] = 0
        out[np.isnan(profiles)] = np.nan
        return out


def inverse_normal(teaching: Array, all_teaching: Array, epsilon: float | None) -> Ranked:
    """The map of the inverse normal transformation.

    teaching: (T, D); NaN is left out. all_teaching, epsilon: not used.
    """
    ordered = np.sort(teaching.T, axis=1)
    counts = (~np.isnan(ordered)).sum(axis=1)
    largest = ordered[np.arange(len(ordered)), np.maximum(counts - 1, 0)]
    centre = np.nanmean(teaching, axis=0)
    return Ranked(ordered, counts, centre, largest - ordered[:, 0])
