"""Mean average precision of labels, and how often random rankings do as well.

Shapes: B random rankings.
Source: Kalinin et al. 2025, "A versatile information retrieval framework for evaluating profile
strength and similarity", doi 10.1038/s41467-025-60306-2.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from math import comb, exp, log
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.scores.candidates import Candidates
from unidino.scores.ranking import Ranking

SIGNIFICANT = 0.05
_MOST_COUNTED = 100_000  # rankings; of more, some are drawn
_TIE = 1e-12  # equal means may differ by rounding
_CHUNK = 1000
# Larger shapes share draws with shapes whose sizes differ by at most half of this, relatively.
_LIKE, _LARGE_SAME, _LARGE = 0.05, 64, 500

Shape = tuple[int, int]


def mean_average_precision(
    ranking: Ranking, candidates: Candidates, *, null_size: int = 10_000, seed: int = 0
) -> pl.DataFrame:
    """A table with a row for each label: mean average precision and p-value against chance.

    Columns class, num_profiles, mean_average_precision, p_value (share of random rankings that do
    as well or better), q_value (Benjamini and Hochberg), is_significant (q under 0.05), is_counted.
    If a label has at most 100,000 rankings, p_value counts them all; else it is the share of
    `null_size` random ones, with one more added to both counts. As in the published program,
    profiles with equal numbers of replicates and others share one random ranking, so that their
    dependence makes no label look better than it is.
    A label is left out if no profile of it has an eligible neighbour of the same label.
    Raises ProfileError if all labels are left out.
    """
    from scipy.stats import false_discovery_control

    has_partner = np.isfinite(ranking.precision)
    shapes = np.stack([ranking.num_same_label, ranking.num_eligible], axis=1)
    nulls = _Nulls(null_size, seed)
    rows: list[dict[str, Any]] = []
    for label in np.unique(candidates.labels[has_partner]):
        members = np.flatnonzero(has_partner & (candidates.labels == label))
        distinct, counts = np.unique(shapes[members], axis=0, return_counts=True)
        weights = {
            (int(same), int(eligible)): count / len(members)
            for (same, eligible), count in zip(distinct.tolist(), counts.tolist(), strict=True)
        }
        mean = float(ranking.precision[members].mean())
        p_value, is_counted = nulls.p_value(weights, mean)
        rows.append(
            {
                "class": str(candidates.names[members[0]]),
                "num_profiles": len(members),
                "mean_average_precision": mean,
                "p_value": p_value,
                "is_counted": is_counted,
            }
        )
    if not rows:
        raise ProfileError("no profile has an eligible neighbour of its label")
    table = pl.DataFrame(rows)
    q_values = false_discovery_control(table["p_value"].to_numpy())
    return table.with_columns(
        pl.Series("q_value", q_values), pl.Series("is_significant", q_values < SIGNIFICANT)
    )


class _Nulls:
    """Average precisions of random rankings, by shape: number of the same label, number of all."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._drawn: dict[Shape, NDArray[np.float64]] = {}
        self._counted: dict[Shape, NDArray[np.float64]] = {}

    def p_value(self, weights: Mapping[Shape, float], mean: float) -> tuple[float, bool]:
        """The p-value of a mean of average precisions, and whether all rankings were counted.

        weights: share of the profiles that have each shape.
        """
        if _num_rankings(weights) <= _MOST_COUNTED:
            total = np.zeros(1)
            for shape, weight in weights.items():
                total = np.add.outer(total, weight * self._all(shape)).ravel()
            return float((total >= mean - _TIE).mean()), True
        total = np.zeros(self._size)
        for shape, weight in weights.items():
            total += weight * self._some(shape)
        better = int((total >= mean - _TIE).sum())
        return (better + 1) / (self._size + 1), False

    def _all(self, shape: Shape) -> NDArray[np.float64]:
        if shape not in self._counted:
            self._counted[shape] = all_precisions(*shape)
        return self._counted[shape]

    def _some(self, shape: Shape) -> NDArray[np.float64]:
        near = _near(shape)
        if near not in self._drawn:
            self._drawn[near] = null_precisions(*near, self._size, self._seed)
        drawn = self._drawn[near]
        if near == shape:
            return drawn
        # The draws of a like shape, in another order and scaled to the mean of this shape.
        rng = np.random.default_rng([self._seed, 1, *shape])
        scaled = rng.permutation(drawn) * (expected_precision(*shape) / expected_precision(*near))
        return np.minimum(scaled, 1)


def _num_rankings(shapes: Iterable[Shape]) -> int:
    """Number of rankings of all shapes together; counting ends above the number that matters."""
    total = 1
    for num_same, num_eligible in shapes:
        total *= comb(num_eligible, num_same)
        if total > _MOST_COUNTED:
            break
    return total


def _near(shape: Shape) -> Shape:
    """A shape whose random rankings are like those of the given one."""
    num_same, num_eligible = shape
    if num_same * 4 > num_eligible:
        return shape

    def rounded(number: int, large: int) -> int:
        return number if number <= large else round(exp(round(log(number) / _LIKE) * _LIKE))

    return rounded(num_same, _LARGE_SAME), rounded(num_eligible, _LARGE)


def expected_precision(num_same: int, num_eligible: int) -> float:
    """Mean of the average precision over all rankings.

    >>> expected_precision(1, 2)
    0.75
    """
    harmonic = float((1 / np.arange(1, num_eligible + 1)).sum())
    if num_eligible == 1:
        return 1.0
    share = (num_same - 1) / (num_eligible - 1)
    return (harmonic + share * (num_eligible - harmonic)) / num_eligible


def all_precisions(num_same: int, num_eligible: int) -> NDArray[np.float64]:
    """Average precision of every ranking of `num_eligible` profiles.

    num_same: number of profiles with the same label; rankings differ in their places only.
    """
    places = np.array(list(combinations(range(1, num_eligible + 1), num_same)))
    return np.asarray((np.arange(1, num_same + 1) / places).mean(axis=1))


def null_precisions(num_same: int, num_eligible: int, size: int, seed: int) -> NDArray[np.float64]:
    """Average precisions (size,) of random rankings of `num_eligible` profiles.

    num_same: number of profiles with the same label.
    """
    rng = np.random.default_rng([seed, num_same, num_eligible])
    precisions = np.empty(size)
    for start in range(0, size, _CHUNK):
        num = min(_CHUNK, size - start)
        places = _random_places(rng, num, num_same, num_eligible) + 1
        precisions[start : start + num] = (np.arange(1, num_same + 1) / places).mean(axis=1)
    return precisions


def _random_places(
    rng: np.random.Generator, num: int, num_same: int, num_eligible: int
) -> NDArray[np.int64]:
    """Different random places, ascending: (num, num_same)."""
    if num_same * 4 > num_eligible:
        order = rng.permuted(np.tile(np.arange(num_eligible), (num, 1)), axis=1)
        return np.asarray(np.sort(order[:, :num_same], axis=1))
    places = rng.integers(num_eligible, size=(num, num_same))
    places.sort(axis=1)
    rows = np.flatnonzero((np.diff(places, axis=1) == 0).any(axis=1))
    while len(rows):
        # Only repeated places are drawn anew. No place is preferred: all sets are equally likely.
        some = places[rows]
        repeated = np.nonzero(np.diff(some, axis=1) == 0)
        some[repeated] = rng.integers(num_eligible, size=len(repeated[0]))
        some.sort(axis=1)
        places[rows] = some
        rows = rows[(np.diff(some, axis=1) == 0).any(axis=1)]
    return places
