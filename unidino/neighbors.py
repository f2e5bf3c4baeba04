"""Nearest neighbours under an exclusion rule, without an N x N matrix in memory.

A rule gives each profile keys; two profiles that share a (reason, key) are no neighbours. The keys
are encoded as integers, and blocks of the cosine matrix are masked where they are equal.

Shapes: N profiles, D features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.errors import ProfileError

_QUERY_BLOCK = 1024
_REFERENCE_BLOCK = 16384
_FLOAT32_TOLERANCE = 1e-5
_TIE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Neighbors:
    """The nearest eligible neighbour of each profile, and how many were eligible.

    index: (N,), position of the neighbour, -1 where there is none.
    similarity: (N,), cosine, NaN where there is none.
    num_eligible, num_same_label: (N,), of the profiles that the rule allows.
    """

    index: NDArray[np.int64]
    similarity: NDArray[np.float64]
    num_eligible: NDArray[np.int64]
    num_same_label: NDArray[np.int64]


def encode_keys(keys: pl.DataFrame, profile_ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Keys as integers: for each reason an array (M, N), -1 for no key.

    Profiles share a key if, for some reason, any of their integers are equal.
    keys: columns profile_id, reason, key (text); a NULL key is shared with nobody. A profile may
    have several keys of one reason, M at most.
    """
    keys = keys.drop_nulls("key").unique(["profile_id", "reason", "key"], maintain_order=True)
    position = {int(profile_id): i for i, profile_id in enumerate(profile_ids)}
    encoded = []
    for _, of_reason in keys.group_by("reason", maintain_order=True):
        nth = of_reason.select(pl.int_range(pl.len()).over("profile_id")).to_series().to_numpy()
        codes = np.full((nth.max() + 1, len(profile_ids)), -1, dtype=np.int64)
        columns = [position[p] for p in of_reason["profile_id"]]
        codes[nth, columns] = of_reason["key"].rank("dense").to_numpy() - 1
        encoded.append(codes)
    return encoded


def nearest(
    profiles: NDArray[np.float32], keys: list[NDArray[np.int64]], labels: NDArray[np.int64]
) -> Neighbors:
    """Nearest neighbours by cosine among the profiles that share no key.

    profiles: (N, D). keys: from `encode_keys`. labels: (N,), integers.
    Ties break to the lower position; near-ties are decided in float64.
    Raises ProfileError for a vector that is zero or not finite.
    """
    norms = np.linalg.norm(profiles.astype(np.float64), axis=1)
    if not np.isfinite(norms).all() or (norms == 0).any():
        row = int(np.flatnonzero(~np.isfinite(norms) | (norms == 0))[0])
        raise ProfileError(f"profile {row} is zero or not finite, so it has no direction")
    unit = (profiles / norms[:, None]).astype(np.float32)
    num = len(unit)
    index = np.full(num, -1, dtype=np.int64)
    similarity = np.full(num, np.nan)
    num_eligible = np.zeros(num, dtype=np.int64)
    num_same_label = np.zeros(num, dtype=np.int64)
    for queries in _blocks(num, _QUERY_BLOCK):
        best = np.full(queries.stop - queries.start, -np.inf, dtype=np.float32)
        rows_found, columns_found, values_found = [], [], []
        for references in _blocks(num, _REFERENCE_BLOCK):
            tile = unit[queries] @ unit[references].T
            excluded = _shares_key(keys, queries, references)
            tile[excluded] = -np.inf
            num_eligible[queries] += (~excluded).sum(axis=1)
            same = labels[queries, None] == labels[None, references]
            num_same_label[queries] += (same & ~excluded).sum(axis=1)
            best = np.maximum(best, tile.max(axis=1))
            floor = np.where(np.isfinite(best), best - _FLOAT32_TOLERANCE, np.inf)
            rows, columns = np.nonzero(tile >= floor[:, None])
            rows_found.append(rows)
            columns_found.append(columns + references.start)
            values_found.append(tile[rows, columns])
        rows, columns = np.concatenate(rows_found), np.concatenate(columns_found)
        close = np.concatenate(values_found) >= best[rows] - _FLOAT32_TOLERANCE
        rows, columns = rows[close], columns[close]
        exact = _cosine(profiles, norms, rows + queries.start, columns)
        top = np.full(len(best), -np.inf)
        np.maximum.at(top, rows, exact)
        tied = exact >= top[rows] - _TIE_TOLERANCE
        winner = np.full(len(best), num, dtype=np.int64)
        np.minimum.at(winner, rows[tied], columns[tied])
        found = winner < num
        index[queries] = np.where(found, winner, -1)
        similarity[queries] = np.where(found, top, np.nan)
    return Neighbors(index, similarity, num_eligible, num_same_label)


def _blocks(num: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, num)) for start in range(0, num, size))


def _shares_key(
    keys: list[NDArray[np.int64]], queries: slice, references: slice
) -> NDArray[np.bool_]:
    """Whether each query shares a key with each reference; a profile always does with itself."""
    shared = np.equal.outer(
        np.arange(queries.start, queries.stop), np.arange(references.start, references.stop)
    )
    for of_reason in keys:
        for codes in of_reason[:, queries]:
            # No reference has the code -2, so that queries without a key match none.
            asked = np.where(codes < 0, -2, codes)[:, None]
            for others in of_reason[:, references]:
                shared |= asked == others[None, :]
    return shared


def _cosine(
    profiles: NDArray[np.float32], norms: NDArray[np.float64], a: NDArray[np.int64],
    b: NDArray[np.int64],
) -> NDArray[np.float64]:  # fmt: skip
    """Cosine in float64 of pairs of profiles."""
    exact = np.empty(len(a))
    for pairs in _blocks(len(a), 65536):
        left, right = profiles[a[pairs]].astype(np.float64), profiles[b[pairs]].astype(np.float64)
        exact[pairs] = np.einsum("nd,nd->n", left, right)
    return exact / (norms[a] * norms[b])
