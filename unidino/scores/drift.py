"""Drift: how far the negative controls of a plate lie from those of the other plates, in order.

Shapes: N controls, P plates, D features.
"""

import re
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST_PLATES, _FEWEST_CONTROLS = 3, 2
_MOST_EXACT = 5040  # orders, of seven plates
_NUM_PERMUTATIONS = 999
_NOTHING = 1e-9  # what rounding leaves where a normalization sets the controls of a plate to 0


@dataclass(frozen=True)
class PlateShift:
    """How far a plate's controls lie from those of the other plates.

    number: place of the plate in the order, from 1. shift: distance of its mean control from the
    mean of the other plates, over the distance that the scatter of wells within plates makes by
    chance; of the median feature, so that a few features that explode on a plate do not decide. It
    is 1 for no shift.
    """

    number: int
    plate: str
    batch: str | None
    num_controls: int
    shift: float


@dataclass(frozen=True)
class Drift:
    """Whether controls drift over the order of the plates.

    trend: Spearman correlation, over pairs of plates, of the distance of their mean controls with
    how many places they are apart. p_value: share of orders of the plates with such a trend or a
    larger one (Mantel's test). 0 and 1 if a normalization has set the controls of all plates to 0.
    """

    plates: list[PlateShift]
    trend: float
    p_value: float


def control_drift(
    vectors: NDArray[Any], plates: list[str], batches: list[str | None], *, seed: int = 0
) -> Drift | None:
    """The drift of controls; None with fewer than three plates of two controls or more.

    vectors: (N, D), of controls. plates, batches: of each. Plates are in the order of batch and
    name, numbers in names by their value.
    """
    order = sorted({(b, p) for b, p in zip(batches, plates, strict=True)}, key=_natural)
    members = {place: [] for place in order}  # type: dict[tuple[str | None, str], list[int]]
    for i, place in enumerate(zip(batches, plates, strict=True)):
        members[place].append(i)
    kept = [place for place in order if len(members[place]) >= _FEWEST_CONTROLS]
    if len(kept) < _FEWEST_PLATES:
        return None
    values = np.asarray(vectors, np.float64)
    counts = np.array([len(members[place]) for place in kept])
    means = np.stack([values[members[place]].mean(axis=0) for place in kept])
    variance = _variance([values[members[place]] for place in kept])
    varies = variance > 0
    if not varies.any():
        return None
    means, variance = means[:, varies], variance[varies]
    shifts = []
    for i in range(len(kept)):
        others = np.arange(len(kept)) != i
        squared = (means[i] - means[others].mean(axis=0)) ** 2
        chance = variance * (1 / counts[i] + (1 / counts[others]).sum() / others.sum() ** 2)
        shifts.append(float(np.sqrt(np.median(squared / chance) / _median_square())))
    means = means / np.sqrt(variance)
    trend, p_value = _trend(means, seed)
    found = [
        PlateShift(i + 1, plate, batch, int(counts[i]), shifts[i])
        for i, (batch, plate) in enumerate(kept)
    ]
    return Drift(found, trend, p_value)


def _variance(plates: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Variance (D,) of a well within its plate: the median over plates, which bears odd plates.

    The median of sample variances is lower than their mean, which is corrected for normal features.
    """
    from scipy.stats import chi2

    scaled = [
        wells.var(axis=0, ddof=1) * (len(wells) - 1) / chi2.ppf(0.5, len(wells) - 1)
        for wells in plates
    ]
    median: NDArray[np.float64] = np.median(scaled, axis=0)
    return median


def _median_square() -> float:
    """Median of the square of a standard normal number."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.5, 1))


def _natural(place: tuple[str | None, str]) -> list[tuple[bool, int, str]]:
    """A key that orders names, with the numbers in them by their value."""
    parts = re.findall(r"\d+|\D+", f"{place[0] or ''}\0{place[1]}")
    return [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]


def _trend(means: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Correlation of distances (ranks) with places apart, and its p-value over orders.

    means: (P, D), in standard deviations of a well. The distance of two plates is that of the
    median feature.
    """
    from scipy.stats import rankdata

    num = len(means)
    first, second = np.triu_indices(num, 1)
    distance = np.zeros((num, num))
    apart_by = [np.median(np.abs(means[i + 1 :] - means[i]), axis=1) for i in range(num - 1)]
    distance[first, second] = rankdata(np.concatenate(apart_by))
    distance += distance.T
    apart = rankdata(second - first)
    apart = (apart - apart.mean()) / max(np.linalg.norm(apart - apart.mean()), 1e-300)

    def correlation(order: NDArray[np.int64]) -> float:
        ranks = distance[order[first], order[second]]
        ranks = ranks - ranks.mean()
        return float(ranks @ apart / max(np.linalg.norm(ranks), 1e-300))

    if np.ptp(distance[first, second]) == 0 or np.abs(means).max() < _NOTHING:
        return 0.0, 1.0
    found = correlation(np.arange(num))
    if factorial(num) <= _MOST_EXACT:
        orders = [np.array(o) for o in permutations(range(num))]
        reached = sum(correlation(o) >= found - 1e-12 for o in orders)
        return found, reached / len(orders)
    rng = np.random.default_rng(seed)
    drawn = [correlation(rng.permutation(num)) for _ in range(_NUM_PERMUTATIONS)]
    reached = sum(value >= found - 1e-12 for value in drawn)
    return found, (reached + 1) / (_NUM_PERMUTATIONS + 1)
