"""Nearest neighbours under an exclusion rule, without an N x N matrix in memory.

A rule gives each profile keys; two profiles that share a (reason, key) are no neighbours. The keys
are encoded as integers, and blocks of the cosine matrix are masked where they are equal.

Shapes: N profiles, D features, k neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError

_QUERY_BLOCK = 1024
_REFERENCE_BLOCK = 8192
_EXACT_BLOCK = 1024
_FEW_PAIRS = 1_000_000
_FLOAT32_TOLERANCE = 1e-5
_TIE_TOLERANCE = 1e-12
_MOST_REASONS = 4

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Neighbors:
    """The nearest eligible neighbours of each profile, and how many were eligible.

    index: (N, k), positions, nearest first, -1 where there is none.
    similarity: (N, k), cosine, NaN where there is none.
    num_eligible, num_same_label: (N,), of the profiles that the rule allows.
    """

    index: NDArray[np.int64]
    similarity: NDArray[np.float64]
    num_eligible: NDArray[np.int64]
    num_same_label: NDArray[np.int64]


def encode_keys(keys: pl.DataFrame, profile_ids: NDArray[np.int64]) -> list[Codes]:
    """Keys as integers: for each reason an array (M, N), -1 for no key.

    Profiles share a key if, for some reason, any of their integers are equal.
    keys: columns profile_id, reason, key (text); a NULL key is shared with nobody. A profile may
    have several keys of one reason, M at most.
    """
    keys = keys.drop_nulls("key").unique(["profile_id", "reason", "key"], maintain_order=True)
    place = pl.DataFrame({"profile_id": profile_ids, "column": np.arange(len(profile_ids))})
    keys = keys.with_columns(pl.col("profile_id").cast(pl.Int64)).join(
        place, on="profile_id", maintain_order="left"
    )
    encoded = []
    for _, of_reason in keys.group_by("reason", maintain_order=True):
        nth = of_reason.select(pl.int_range(pl.len()).over("column")).to_series().to_numpy()
        codes = np.full((nth.max() + 1, len(profile_ids)), -1, dtype=np.int32)
        codes[nth, of_reason["column"]] = of_reason["key"].rank("dense").to_numpy() - 1
        encoded.append(codes)
    return encoded


def unit_vectors(profiles: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Profiles (N, D) divided by their norms, and the norms (N,).

    Raises ProfileError for a vector that is zero or not finite.
    """
    unit = np.empty(profiles.shape, dtype=np.float32)
    norms = np.empty(len(profiles))
    for rows in _blocks(len(profiles), _EXACT_BLOCK):
        block = profiles[rows]
        norms[rows] = np.sqrt(_dot(block, block))
        bad = ~np.isfinite(norms[rows]) | (norms[rows] == 0)
        if bad.any():
            row = rows.start + int(np.flatnonzero(bad)[0])
            raise ProfileError(f"profile {row} is zero or not finite, so it has no direction")
        np.divide(block, norms[rows, None], out=unit[rows], casting="same_kind")
    return unit, norms


def _dot(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Row by row, summed in float64: (N,)."""
    return np.asarray(np.einsum("ij,ij->i", x, y, dtype=np.float64))


def nearest(
    profiles: NDArray[Any],
    keys: list[Codes],
    labels: NDArray[np.int64],
    *,
    k: int = 1,
    device: str = "cpu",
) -> Neighbors:
    """Nearest neighbours by cosine among the profiles that share no key.

    profiles: (N, D). keys: from `encode_keys`. labels: (N,), integers. device: of torch, for the
    matrix products; `cpu` is numpy.
    Ties break to the lower position; near-ties are decided in float64.
    Raises ProfileError for a vector that is zero or not finite, InputError for an unknown device.
    """
    unit, norms = unit_vectors(profiles)
    tiles: _Tiles = _NumpyTiles(unit, keys) if device == "cpu" else _TorchTiles(unit, keys, device)
    num = len(unit)
    floor = np.full(num, -np.inf, dtype=np.float32)
    pairs = _Pairs(profiles, norms, k)
    for queries in _blocks(num, _QUERY_BLOCK):
        for references in _blocks(num, _REFERENCE_BLOCK, queries.start):
            tiles.multiply(queries, references)
            floor[queries] = _raised(floor[queries], tiles.kth_largest(k, 1))
            rows, columns, values = tiles.at_least(floor[queries], 1)
            pairs.add(rows + queries.start, columns + references.start, values)
            # A tile is its own mirror image, but for the square at the diagonal, which is whole.
            is_square = max(0, queries.stop - references.start)
            mirrored = _raised(floor[references], tiles.kth_largest(k, 0))
            mirrored[:is_square] = np.inf
            rows, columns, values = tiles.at_least(mirrored, 0)
            pairs.add(columns + references.start, rows + queries.start, values)
            beside = slice(references.start + is_square, references.stop)
            floor[beside] = mirrored[is_square:]
            pairs.forget(floor)
    index, similarity = pairs.nearest(floor)
    return Neighbors(index, similarity, *count_eligible(keys, labels))


def nearest_to(
    profiles: NDArray[Any],
    norms: NDArray[np.float64],
    keys: list[Codes],
    query: int,
    *,
    k: int = 1,
    among: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions and cosines (up to k,) of the nearest neighbours of one profile, nearest first.

    They are those that `nearest` finds for it, at the cost of one row of its matrix.
    profiles: (N, D). norms: (N,), of the profiles. keys: from `encode_keys`. among: (M,), ascending
    positions of the profiles that keys are of, finite and none zero, the query one of them; default
    all.
    """
    places = np.arange(len(profiles)) if among is None else among
    num = len(places)
    own = int(np.searchsorted(places, query))
    cosine = (profiles @ profiles[query])[places] / (norms[places] * norms[query])
    cosine[~eligible_block(keys, slice(own, own + 1), num)[0]] = -np.inf
    kth = np.partition(cosine, num - k)[num - k] if k <= num else -np.inf
    close = places[(cosine >= kth - _FLOAT32_TOLERANCE) & np.isfinite(cosine)]
    exact = _Pairs(profiles, norms, k).cosine(np.full(len(close), query), close)
    left, won = exact.copy(), []
    for _ in range(min(k, len(close))):
        won.append(int(_winners(np.zeros_like(close), close, left, len(profiles))[0]))
        left[won[-1]] = -np.inf
    return close[won], exact[won]


def _raised(floor: NDArray[np.float32], kth: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.maximum(floor, kth - np.float32(_FLOAT32_TOLERANCE)))


class _Pairs:
    """Pairs of profiles that may be nearest neighbours, kept few, decided in float64."""

    def __init__(self, profiles: NDArray[Any], norms: NDArray[np.float64], k: int) -> None:
        self._profiles, self._norms, self._k = profiles, norms, k
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._room = max(_FEW_PAIRS, 8 * len(profiles) * k)

    def add(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        self._parts.append((rows, columns, values))

    def forget(self, floor: NDArray[np.float32]) -> None:
        """Drop what has fallen below the floor; of many ties keep those that win so far."""
        if sum(len(part[0]) for part in self._parts) < self._room:
            return
        rows, columns, values = self._above(floor)
        if len(rows) > self._room // 2:
            won, _ = self._decided(rows, columns)
            kept = np.sort(won[won >= 0])
            rows, columns, values = rows[kept], columns[kept], values[kept]
        self._parts = [(rows, columns, values)]

    def nearest(self, floor: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions and cosines (N, k) of the nearest, -1 and NaN where there is none."""
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
        """Which pairs win, (N, k), -1 where there is none, and the cosine of every pair."""
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
        for pairs in _blocks(len(a), _EXACT_BLOCK):
            x, y = a[pairs], b[pairs]
            dots = _dot(self._profiles[x], self._profiles[y])
            cosines[pairs] = dots / (self._norms[x] * self._norms[y])
        return cosines


def _winners(
    rows: NDArray[np.int64], columns: NDArray[np.int64], exact: NDArray[np.float64], num: int
) -> NDArray[np.int64]:
    """Position of the best pair of each row (N,), of equal ones the lowest column's; or -1."""
    top = np.full(num, -np.inf)
    np.maximum.at(top, rows, exact)
    tied = np.flatnonzero(np.isfinite(exact) & (exact >= top[rows] - _TIE_TOLERANCE))
    lowest = np.full(num, num, dtype=np.int64)
    np.minimum.at(lowest, rows[tied], columns[tied])
    winners = np.full(num, -1, dtype=np.int64)
    of_lowest = tied[columns[tied] == lowest[rows[tied]]]
    winners[rows[of_lowest]] = of_lowest
    return winners


class _Tiles(Protocol):
    """A block of the cosine matrix, minus infinity where two profiles are no neighbours."""

    def multiply(self, queries: slice, references: slice) -> None: ...

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        """Of each row (axis 1) or column (axis 0); minus infinity where there are fewer."""

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows, columns and values of what reaches the floor of its row (axis 1) or column (0)."""


class _NumpyTiles:
    def __init__(self, unit: NDArray[np.float32], keys: list[Codes]) -> None:
        self._unit, self._keys = unit, keys
        shape = (min(_QUERY_BLOCK, len(unit)), min(_REFERENCE_BLOCK, len(unit)))
        # Fresh pages for every tile would cost a tenth of the product.
        self._values, self._flags = np.empty(shape, np.float32), np.empty(shape, np.bool_)

    def multiply(self, queries: slice, references: slice) -> None:
        num_rows, num_columns = queries.stop - queries.start, references.stop - references.start
        whole = (num_rows, num_columns) == self._values.shape
        self.tile = self._values if whole else np.empty((num_rows, num_columns), np.float32)
        self.flag = self._flags if whole else np.empty((num_rows, num_columns), np.bool_)
        np.matmul(self._unit[queries], self._unit[references].T, out=self.tile)
        for of_reason in self._keys:
            for codes in of_reason[:, queries]:
                # No reference has the code -2, so that queries without a key match none.
                asked = np.where(codes < 0, -2, codes)[:, None]
                for others in of_reason[:, references]:
                    np.equal(asked, others[None, :], out=self.flag)
                    np.copyto(self.tile, -np.inf, where=self.flag)
        both = np.arange(max(queries.start, references.start), min(queries.stop, references.stop))
        self.tile[both - queries.start, both - references.start] = -np.inf

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        if k == 1:
            return np.asarray(self.tile.max(axis=axis))
        num = self.tile.shape[axis]
        if k > num:
            return np.full(self.tile.shape[1 - axis], -np.inf, np.float32)
        return np.asarray(np.partition(self.tile, num - k, axis=axis).take(num - k, axis=axis))

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        lowest = np.maximum(floor, np.finfo(np.float32).min)
        np.greater_equal(self.tile, np.expand_dims(lowest, axis), out=self.flag)
        rows, columns = np.divmod(np.flatnonzero(self.flag), self.tile.shape[1])
        return rows, columns, self.tile[rows, columns]


class _TorchTiles:
    def __init__(self, unit: NDArray[np.float32], keys: list[Codes], device: str) -> None:
        import torch

        from unidino.embeddings.forward import device_of

        self._torch = torch
        place = device_of(device)
        self._unit = torch.from_numpy(unit).to(place)
        self._keys = [torch.from_numpy(codes).to(place) for codes in keys]

    def multiply(self, queries: slice, references: slice) -> None:
        self.tile = self._unit[queries] @ self._unit[references].T
        for of_reason in self._keys:
            for codes in of_reason[:, queries]:
                for others in of_reason[:, references]:
                    shared = (codes[:, None] == others[None, :]) & (codes[:, None] >= 0)
                    self.tile.masked_fill_(shared, -self._torch.inf)
        first = max(queries.start, references.start)
        both = self._torch.arange(first, max(first, min(queries.stop, references.stop)))
        self.tile[both - queries.start, both - references.start] = -self._torch.inf

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        if k > self.tile.shape[axis]:
            return np.full(self.tile.shape[1 - axis], -np.inf, np.float32)
        if k == 1:
            largest = self.tile.amax(dim=axis)
        else:
            largest = self.tile.topk(k, dim=axis).values.select(axis, k - 1)
        values: NDArray[np.float32] = largest.cpu().numpy()
        return values

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        lowest = self._torch.from_numpy(np.maximum(floor, np.finfo(np.float32).min))
        reaches = self.tile >= lowest.to(self.tile.device).unsqueeze(axis)
        rows, columns = reaches.nonzero(as_tuple=True)
        return rows.cpu().numpy(), columns.cpu().numpy(), self.tile[rows, columns].cpu().numpy()


def _blocks(num: int, size: int, first: int = 0) -> Iterator[slice]:
    return (slice(start, min(start + size, num)) for start in range(first, num, size))


def count_eligible(
    keys: list[Codes], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many profiles each may have as neighbours, and how many of these have its label: (N,).

    Where each profile has one key of a reason at most, counts of equal keys are enough:
    those that share any key are counted by inclusion and exclusion.
    """
    num = len(labels)
    if len(keys) > _MOST_REASONS or any(len(codes) > 1 for codes in keys):
        return _count_by_masks(keys, labels)
    alone = np.all([codes[0] < 0 for codes in keys], axis=0) if keys else np.ones(num, bool)
    excluded, excluded_same = alone.astype(np.int64), alone.astype(np.int64)
    for size in range(1, len(keys) + 1):
        sign = 1 if size % 2 else -1
        for chosen in combinations(keys, size):
            codes = np.stack([c[0] for c in chosen])
            excluded += sign * _num_equal(codes)
            excluded_same += sign * _num_equal(np.vstack([codes, labels[None, :]]))
    same = _num_equal(labels[None, :] - labels.min(initial=0))
    return num - excluded, same - excluded_same


def _num_equal(codes: NDArray[Any]) -> NDArray[np.int64]:
    """How many columns equal each column (N,), itself included; 0 where a code is -1."""
    _, inverse, counts = np.unique(codes, axis=1, return_inverse=True, return_counts=True)
    return np.where((codes < 0).any(axis=0), 0, counts[inverse.ravel()]).astype(np.int64)


def _count_by_masks(
    keys: list[Codes], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    num = len(labels)
    counts = np.zeros((2, num), dtype=np.int64)
    for queries in _blocks(num, _QUERY_BLOCK):
        eligible = eligible_block(keys, queries, num)
        counts[0, queries] = eligible.sum(axis=1)
        counts[1, queries] = (eligible & (labels[queries, None] == labels[None, :])).sum(axis=1)
    return counts[0], counts[1]


def eligible_block(keys: list[Codes], queries: slice, num: int) -> NDArray[np.bool_]:
    """Whether each profile may be a neighbour of each query: (queries, N)."""
    eligible = np.ones((queries.stop - queries.start, num), dtype=bool)
    eligible[np.arange(len(eligible)), np.arange(queries.start, queries.stop)] = False
    for of_reason in keys:
        for codes in of_reason[:, queries]:
            asked = np.where(codes < 0, -2, codes)[:, None]
            for others in of_reason:
                eligible &= asked != others[None, :]
    return eligible
