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
from unidino.scores.near_pairs import Gathered, NearPairs, cosines, dot
from unidino.scores.tiles import QUERY_BLOCK, REFERENCE_BLOCK, NumpyTiles, Tiles, TorchTiles

_EXACT_BLOCK = 1024
_FLOAT32_TOLERANCE = 1e-5


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
        norms[rows] = np.sqrt(dot(block, block))
        bad = ~np.isfinite(norms[rows]) | (norms[rows] == 0)
        if bad.any():
            row = rows.start + int(np.flatnonzero(bad)[0])
            raise ProfileError(f"profile {row} is zero or not finite, so it has no direction")
        np.divide(block, norms[rows, None], out=unit[rows], casting="same_kind")
    return unit, norms


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
    pairs = near_pairs(profiles, unit, norms, keys, k=k, device=device)
    return Neighbours(*pairs.nearest(len(unit), k), *count_eligible(keys, labels))


def near_pairs(
    profiles: NDArray[Any],
    unit: NDArray[np.float32],
    norms: NDArray[np.float64],
    keys: list[Codes],
    *,
    apart: int | None = None,
    k: int = 1,
    device: str = "cpu",
) -> NearPairs:
    """Pairs of profiles that share no key, among which the k nearest neighbours of each are.

    profiles: (N, D). unit, norms: from `unit_vectors`. keys: from `encode_keys`. apart: number of
    the first profiles that are compared with the others only, and the others with them; default:
    all profiles are compared with all.
    """
    tiles: Tiles = NumpyTiles(unit, keys) if device == "cpu" else TorchTiles(unit, keys, device)
    num = len(unit)
    floor = np.full(num, -np.inf, dtype=np.float32)
    pairs = Gathered(profiles, norms, k)
    for queries in blocks(num if apart is None else apart, QUERY_BLOCK):
        for references in blocks(num, REFERENCE_BLOCK, queries.start if apart is None else apart):
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
    return pairs.pairs(floor)


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
    exact = cosines(profiles, norms, np.full(len(close), query), close)
    found = NearPairs(np.zeros_like(close), close, exact)
    (index,), (similarity,) = found.nearest(1, min(k, len(close)))
    return index, similarity


def _raised(floor: NDArray[np.float32], kth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The floor, raised to the k-th largest similarity minus the rounding error of float32."""
    return np.asarray(np.maximum(floor, kth - np.float32(_FLOAT32_TOLERANCE)))
