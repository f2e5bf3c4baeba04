"""Nearest neighbours under an exclusion rule, without an N x N matrix in memory.

A rule gives keys to each profile; two profiles that share a (reason, key) may not be neighbours.
The keys are encoded as integers; blocks of the cosine matrix are masked where keys are equal.

Shapes: N profiles, D features, k neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.scores.keys import Codes, blocks, count_eligible, eligible_block
from unidino.scores.tiles import QUERY_BLOCK, REFERENCE_BLOCK, NumpyTiles, Tiles, TorchTiles

_EXACT_BLOCK = 1024
_FEW_PAIRS = 1_000_000
_FLOAT32_TOLERANCE = 1e-5
_TIE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Neighbours:
    """The nearest eligible neighbours of each profile, and the numbers of eligible profiles.

    index: (N, k), positions, nearest first, -1 for no neighbour.
    similarity: (N, k), cosine, NaN for no neighbour.
    num_eligible: (N,), number of profiles that the rule allows as neighbours. num_same_label: (N,),
    number of those that have the same label.
    """

    index: NDArray[np.int64]
    similarity: NDArray[np.float64]
    num_eligible: NDArray[np.int64]
    num_same_label: NDArray[np.int64]


def unit_vectors(profiles: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Profiles (N, D) divided by their norms, and the norms (N,).

    Raises ProfileError for a vector that is zero or not finite.
    """
    unit = np.empty(profiles.shape, dtype=np.float32)
    norms = np.empty(len(profiles))
    for rows in blocks(len(profiles), _EXACT_BLOCK):
        block = profiles[rows]
        norms[rows] = np.sqrt(_dot(block, block))
        bad = ~np.isfinite(norms[rows]) | (norms[rows] == 0)
        if bad.any():
            row = rows.start + int(np.flatnonzero(bad)[0])
            raise ProfileError(f"profile {row} is zero or not finite, so it has no direction")
        np.divide(block, norms[rows, None], out=unit[rows], casting="same_kind")
    return unit, norms


def _dot(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Dot products of the rows of x and y, summed in float64: (N,)."""
    return np.asarray(np.einsum("ij,ij->i", x, y, dtype=np.float64))


def nearest(
    profiles: NDArray[Any],
    keys: list[Codes],
    labels: NDArray[np.int64],
    *,
    k: int = 1,
    device: str = "cpu",
) -> Neighbours:
    """Nearest neighbours by cosine among the profiles that share no key.

    profiles: (N, D). keys: from `encode_keys`. labels: (N,), integers. device: torch device of the
    matrix products; `cpu` uses numpy. Of equally similar profiles the one at the lower position
    wins; close similarities are compared in float64.
    Raises ProfileError for a vector that is zero or not finite, InputError for an unknown device.
    """
    unit, norms = unit_vectors(profiles)
    tiles: Tiles = NumpyTiles(unit, keys) if device == "cpu" else TorchTiles(unit, keys, device)
    num = len(unit)
    floor = np.full(num, -np.inf, dtype=np.float32)
    pairs = _Pairs(profiles, norms, k)
    for queries in blocks(num, QUERY_BLOCK):
        for references in blocks(num, REFERENCE_BLOCK, queries.start):
            tiles.multiply(queries, references)
            floor[queries] = _raised(floor[queries], tiles.kth_largest(k, 1))
            rows, columns, values = tiles.at_least(floor[queries], 1)
            pairs.add(rows + queries.start, columns + references.start, values)
            # The matrix is symmetric, so each tile also serves its transpose; only the square on
            # the diagonal is complete already.
            is_square = max(0, queries.stop - references.start)
            mirrored = _raised(floor[references], tiles.kth_largest(k, 0))
            mirrored[:is_square] = np.inf
            rows, columns, values = tiles.at_least(mirrored, 0)
            pairs.add(columns + references.start, rows + queries.start, values)
            beside = slice(references.start + is_square, references.stop)
            floor[beside] = mirrored[is_square:]
            pairs.forget(floor)
    index, similarity = pairs.nearest(floor)
    return Neighbours(index, similarity, *count_eligible(keys, labels))


def nearest_to(
    profiles: NDArray[Any],
    norms: NDArray[np.float64],
    keys: list[Codes],
    query: int,
    *,
    k: int = 1,
    among: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions and cosines (at most k) of the nearest neighbours of one profile, nearest first.

    The result equals that of `nearest` for this profile, and needs one row of the cosine matrix.
    profiles: (N, D). norms: (N,), of the profiles. keys: from `encode_keys`. among: (M,), ascending
    positions of the profiles that `keys` describes; they include the query, and their vectors are
    finite and not zero. Default: all profiles.
    """
    places = np.arange(len(profiles)) if among is None else among
    num = len(places)
    place = int(np.searchsorted(places, query))
    cosine = (profiles @ profiles[query])[places] / (norms[places] * norms[query])
    cosine[~eligible_block(keys, slice(place, place + 1), num)[0]] = -np.inf
    kth = np.partition(cosine, num - k)[num - k] if k <= num else -np.inf
    close = places[(cosine >= kth - _FLOAT32_TOLERANCE) & np.isfinite(cosine)]
    exact = _Pairs(profiles, norms, k).cosine(np.full(len(close), query), close)
    left, won = exact.copy(), []
    for _ in range(min(k, len(close))):
        won.append(int(_winners(np.zeros_like(close), close, left, len(profiles))[0]))
        left[won[-1]] = -np.inf
    return close[won], exact[won]


def _raised(floor: NDArray[np.float32], kth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The floor, raised to the k-th largest similarity minus the rounding error of float32."""
    return np.asarray(np.maximum(floor, kth - np.float32(_FLOAT32_TOLERANCE)))


class _Pairs:
    """Pairs of profiles that may be nearest neighbours; the final choice is made in float64."""

    def __init__(self, profiles: NDArray[Any], norms: NDArray[np.float64], k: int) -> None:
        self._profiles, self._norms, self._k = profiles, norms, k
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._room = max(_FEW_PAIRS, 8 * len(profiles) * k)

    def add(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Add pairs of a profile (row) and a possible neighbour (column), with their cosines."""
        self._parts.append((rows, columns, values))

    def forget(self, floor: NDArray[np.float32]) -> None:
        """Drop pairs below the floor of their row; of too many ties keep the best k of each row."""
        if sum(len(part[0]) for part in self._parts) < self._room:
            return
        rows, columns, values = self._above(floor)
        if len(rows) > self._room // 2:
            won, _ = self._decided(rows, columns)
            kept = np.sort(won[won >= 0])
            rows, columns, values = rows[kept], columns[kept], values[kept]
        self._parts = [(rows, columns, values)]

    def nearest(self, floor: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions and cosines (N, k) of the nearest neighbours; -1 and NaN for none."""
        rows, columns, _ = self._above(floor)
        won, exact = self._decided(rows, columns)
        if not len(rows):
            return won, np.full(won.shape, np.nan)
        return (np.where(won < 0, -1, columns[won]), np.where(won < 0, np.nan, exact[won]))

    def _above(
        self, floor: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        rows, columns, values = (np.concatenate(p) for p in zip(*self._parts, strict=True))
        close = values >= floor[rows]
        return rows[close], columns[close], values[close]

    def _decided(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions (N, k) of the best pairs of each row, -1 for none; the cosine of every pair."""
        exact = self.cosine(rows, columns)
        left = exact.copy()
        num = len(self._profiles)
        won = np.full((num, self._k), -1, dtype=np.int64)
        for nth in range(self._k):
            won[:, nth] = _winners(rows, columns, left, num)
            left[won[won[:, nth] >= 0, nth]] = -np.inf
        return won, exact

    def cosine(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Cosines of the pairs (a, b) in float64."""
        cosines = np.empty(len(a))
        for pairs in blocks(len(a), _EXACT_BLOCK):
            x, y = a[pairs], b[pairs]
            dots = _dot(self._profiles[x], self._profiles[y])
            cosines[pairs] = dots / (self._norms[x] * self._norms[y])
        return cosines


def _winners(
    rows: NDArray[np.int64], columns: NDArray[np.int64], exact: NDArray[np.float64], num: int
) -> NDArray[np.int64]:
    """Position of the best pair of each row (N,), -1 for none; ties go to the lowest column."""
    top = np.full(num, -np.inf)
    np.maximum.at(top, rows, exact)
    tied = np.flatnonzero(np.isfinite(exact) & (exact >= top[rows] - _TIE_TOLERANCE))
    lowest = np.full(num, num, dtype=np.int64)
    np.minimum.at(lowest, rows[tied], columns[tied])
    winners = np.full(num, -1, dtype=np.int64)
    of_lowest = tied[columns[tied] == lowest[rows[tied]]]
    winners[rows[of_lowest]] = of_lowest
    return winners
