"""Pairs of profiles that may be nearest neighbours, and the choice among them in float64.

Pairs may be found in any order, and by several processes: what is dropped on the way cannot change
the choice, so that it is the same for every way to cut the matrix of similarities.

Shapes: N profiles, D features, k neighbours, P pairs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.scores.keys import blocks

_BLOCK = 1024
_FEW_PAIRS = 1_000_000
_TIE_TOLERANCE = 1e-12
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class NearPairs:
    """Pairs of a profile and a possible neighbour of it.

    rows, columns: (P,), positions of the profile and of its neighbour. cosines: (P,), in float64.
    """

    rows: Positions
    columns: Positions
    cosines: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, chosen: NDArray[Any]) -> "NearPairs":
        """These pairs alone."""
        return NearPairs(self.rows[chosen], self.columns[chosen], self.cosines[chosen])

    def placed(self, places: Positions) -> "NearPairs":
        """The same pairs, with the places (N,) of the profiles instead of their positions."""
        return NearPairs(places[self.rows], places[self.columns], self.cosines)

    def few(self, k: int) -> "NearPairs":
        """The pairs without those that are none of the k nearest, whatever other pairs come.

        Left out are cosines below the k-th largest of their row, and of equal cosines of a row
        all but the k with the lowest columns.
        """
        order = np.lexsort((self.columns, -self.cosines, self.rows))
        rows, cosines = self.rows[order], self.cosines[order]
        is_new_row = np.diff(rows, prepend=-1) != 0
        is_new_value = is_new_row | (np.diff(cosines, prepend=np.nan) != 0)
        place = np.arange(len(rows))
        nth = place - np.maximum.accumulate(np.where(is_new_row, place, 0))
        nth_equal = place - np.maximum.accumulate(np.where(is_new_value, place, 0))
        kth = np.full(int(rows[-1]) + 1 if len(rows) else 0, -np.inf)
        kth[rows[nth == k - 1]] = cosines[nth == k - 1]
        return self.at(order[(nth_equal < k) & (cosines >= kth[rows] - _TIE_TOLERANCE)])

    def nearest(self, num: int, k: int) -> tuple[Positions, NDArray[np.float64]]:
        """Positions and cosines (num, k) of the nearest neighbours; -1 and NaN for none.

        Of cosines that are equal up to 1e-12, that of the lowest column comes first.
        """
        left = self.cosines.copy()
        index = np.full((num, k), -1, dtype=np.int64)
        similarity = np.full((num, k), np.nan)
        for nth in range(k):
            won = self._winners(left, num)
            rows = np.flatnonzero(won >= 0)
            index[rows, nth] = self.columns[won[rows]]
            similarity[rows, nth] = self.cosines[won[rows]]
            left[won[rows]] = -np.inf
        return index, similarity

    def _winners(self, left: NDArray[np.float64], num: int) -> Positions:
        """Position of the best pair of each row (num,), -1 for none. left: (P,), cosines."""
        top = np.full(num, -np.inf)
        np.maximum.at(top, self.rows, left)
        tied = np.flatnonzero(np.isfinite(left) & (left >= top[self.rows] - _TIE_TOLERANCE))
        rows, columns = self.rows[tied], self.columns[tied]
        lowest = np.full(num, np.iinfo(np.int64).max)
        np.minimum.at(lowest, rows, columns)
        winners = np.full(num, -1, dtype=np.int64)
        of_lowest = columns == lowest[rows]
        winners[rows[of_lowest]] = tied[of_lowest]
        return winners


def joined(parts: list[NearPairs]) -> NearPairs:
    """The pairs of several parts."""
    empty = NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    parts = parts or [empty]
    return NearPairs(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.cosines for part in parts]),
    )


def cosines(
    profiles: NDArray[Any], norms: NDArray[np.float64], a: Positions, b: Positions
) -> NDArray[np.float64]:
    """Cosines (P,) of the pairs (a, b) in float64. profiles: (N, D). norms: (N,)."""
    found = np.empty(len(a))
    for pairs in blocks(len(a), _BLOCK):
        x, y = a[pairs], b[pairs]
        found[pairs] = dot(profiles[x], profiles[y]) / (norms[x] * norms[y])
    return found


def dot(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Dot products of the rows of x and y, summed in float64: (N,)."""
    return np.asarray(np.einsum("ij,ij->i", x, y, dtype=np.float64))


class Gathered:
    """Pairs that a search finds, tile by tile, by their similarity in float32."""

    def __init__(self, profiles: NDArray[Any], norms: NDArray[np.float64], k: int) -> None:
        self._profiles, self._norms, self._k = profiles, norms, k
        self._parts: list[tuple[Positions, Positions, NDArray[np.float32]]] = []
        self._room = max(_FEW_PAIRS, 8 * len(profiles) * k)

    def add(self, rows: Positions, columns: Positions, values: NDArray[np.float32]) -> None:
        """Add pairs of a profile (row) and a possible neighbour (column), with their cosines."""
        self._parts.append((rows, columns, values))

    def forget(self, floor: NDArray[np.float32]) -> None:
        """If there are many, drop pairs below the floor of their row, and most of equal ones."""
        if sum(len(part[0]) for part in self._parts) < self._room:
            return
        rows, columns, values = self._above(floor)
        if len(rows) > self._room // 2:
            pairs = NearPairs(rows, columns, self._cosines(rows, columns)).few(self._k)
            rows, columns = pairs.rows, pairs.columns
            values = pairs.cosines.astype(np.float32)
            self._room = max(self._room, 4 * len(pairs))
        self._parts = [(rows, columns, values)]

    def pairs(self, floor: NDArray[np.float32]) -> NearPairs:
        """The pairs that are not below the floor of their row, with cosines in float64."""
        if not self._parts:
            return joined([])
        rows, columns, _ = self._above(floor)
        return NearPairs(rows, columns, self._cosines(rows, columns))

    def _above(
        self, floor: NDArray[np.float32]
    ) -> tuple[Positions, Positions, NDArray[np.float32]]:
        rows, columns, values = (np.concatenate(p) for p in zip(*self._parts, strict=True))
        close = values >= floor[rows]
        return rows[close], columns[close], values[close]

    def _cosines(self, rows: Positions, columns: Positions) -> NDArray[np.float64]:
        return cosines(self._profiles, self._norms, rows, columns)
