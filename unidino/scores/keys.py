"""Keys that neighbours may not share, as integers, and the neighbours that they allow.

Shapes: N profiles.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Codes = NDArray[np.int32]
_QUERY_BLOCK = 1024
_MAX_REASONS = 4


def encode_keys(keys: pl.DataFrame, profile_ids: NDArray[np.int64]) -> list[Codes]:
    """Keys as integers: for each reason an array (M, N), with -1 for no key.

    Two profiles share a key if, for one reason, any of their integers are equal.
    keys: columns profile_id, reason, key (text); a NULL key is never shared. A profile may have up
    to M keys of one reason.
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


def count_eligible(
    keys: list[Codes], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers (N,) of allowed neighbours of each profile, and numbers of those with its label.

    If each profile has at most one key of each reason, the profiles that share any key are counted
    from the counts of equal keys, by inclusion and exclusion.
    """
    num = len(labels)
    if len(keys) > _MAX_REASONS or any(len(codes) > 1 for codes in keys):
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
    """Number of columns equal to each column (N,), itself included; 0 for columns with a -1."""
    _, inverse, counts = np.unique(codes, axis=1, return_inverse=True, return_counts=True)
    return np.where((codes < 0).any(axis=0), 0, counts[inverse.ravel()]).astype(np.int64)


def _count_by_masks(
    keys: list[Codes], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    num = len(labels)
    counts = np.zeros((2, num), dtype=np.int64)
    for queries in blocks(num, _QUERY_BLOCK):
        eligible = eligible_block(keys, queries, num)
        counts[0, queries] = eligible.sum(axis=1)
        counts[1, queries] = (eligible & (labels[queries, None] == labels[None, :])).sum(axis=1)
    return counts[0], counts[1]


def eligible_block(keys: list[Codes], queries: slice, num: int) -> NDArray[np.bool_]:
    """Whether each of `num` profiles may be a neighbour of each query: (queries, N)."""
    eligible = np.ones((queries.stop - queries.start, num), dtype=bool)
    eligible[np.arange(len(eligible)), np.arange(queries.start, queries.stop)] = False
    for of_reason in keys:
        for codes in of_reason[:, queries]:
            asked = np.where(codes < 0, -2, codes)[:, None]
            for others in of_reason:
                eligible &= asked != others[None, :]
    return eligible


def blocks(num: int, size: int, first: int = 0) -> Iterator[slice]:
    """Slices of at most `size` positions, which cover first to num."""
    return (slice(start, min(start + size, num)) for start in range(first, num, size))
