"""Rankings: how high the profiles of the same label stand when others are sorted by similarity.

Similarities are cosines in float64. Tiles of the cosine matrix are sorted row by row, and the rank
of each hit (a profile of the same label) is one plus the number of others above it; so no N x N
matrix is in memory, and no rank depends on rounding in float32.

Shapes: N profiles, D features, Q queries.
Source: Kalinin et al. 2025, doi 10.1038/s41467-025-60306-2 (average precision).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.scores.candidates import Candidates
from unidino.scores.keys import Codes, blocks, count_eligible

Positions = NDArray[np.int64]
_QUERIES, _REFERENCES = 1024, 4096
_MOST_HITS = 20_000_000  # similarities of hits in memory at once
_TIE = 1e-12  # equal similarities may differ by rounding


@dataclass(frozen=True)
class Ranking:
    """Average precision of each profile, when the eligible profiles are ranked by similarity to it.

    precision: (N,), NaN if no eligible profile has the same label. num_same_label: (N,), number of
    eligible profiles with the same label. num_eligible: (N,), number of eligible profiles.
    """

    precision: NDArray[np.float64]
    num_same_label: NDArray[np.int64]
    num_eligible: NDArray[np.int64]


def rank(vectors: NDArray[Any], candidates: Candidates) -> Ranking:
    """The ranking of the profiles that share no key, by cosine in float64.

    vectors: (N, D), of the candidates. Among equally similar profiles, those of the same label rank
    first.
    """
    unit, labels, keys = _unit(vectors), candidates.labels, candidates.keys
    num = len(unit)
    everyone = np.arange(num)
    precision = np.full(num, np.nan)
    order = np.argsort(labels, kind="stable")
    passes = list(_passes(labels[order]))
    for rows in passes:
        queries = everyone if len(passes) == 1 else np.sort(order[rows])
        hits = _Hits(unit, labels, keys, queries)
        for some in blocks(len(queries), _QUERIES):
            # All pairs of all profiles are symmetric: each tile also serves its transpose.
            first = some.start if len(passes) == 1 else 0
            for columns in blocks(num, _REFERENCES, first):
                asked, others = queries[some], everyone[columns]
                tile = unit[asked] @ unit[others].T
                tile[_is_left_out(keys, labels, asked, others)] = -np.inf
                if len(passes) == 1:
                    later = slice(max(some.stop, columns.start), columns.stop)
                    turned = np.ascontiguousarray(tile[:, later.start - columns.start :].T)
                    hits.count_above(turned, later.start)
                hits.count_above(tile, some.start)
        precision[queries] = hits.precisions()
    num_eligible, num_same = count_eligible(keys, labels)
    return Ranking(precision, num_same, num_eligible)


def rank_against(
    vectors: NDArray[Any], candidates: Candidates, is_control: NDArray[np.bool_], same: Codes | None
) -> Ranking:
    """The ranking of each profile's replicates among the negative controls only.

    vectors: (N, D), of the candidates. is_control: (N,). Profiles without a label (coded 0) are no
    queries. The rule tells which replicates count; of the controls all count, or, if `same` is
    given, those with the same code (1, N) as the query; a code of -1 equals none. Controls that are
    as similar as a replicate rank before it, so that equal profiles are not taken for active.
    """
    unit, labels, keys = _unit(vectors), candidates.labels, candidates.keys
    num = len(unit)
    precision = np.full(num, np.nan)
    num_same, num_eligible = np.zeros(num, np.int64), np.zeros(num, np.int64)
    queries, controls = np.flatnonzero(labels > 0), np.flatnonzero(is_control)
    order = queries[np.argsort(labels[queries], kind="stable")]
    for rows in _passes(labels[order]):
        asked = np.sort(order[rows])
        hits = _Hits(unit, labels, keys, asked, tie=-_TIE)
        num_controls = np.zeros(len(asked), np.int64)
        for some in blocks(len(asked), _QUERIES):
            for columns in blocks(len(controls), _REFERENCES):
                ours, theirs = asked[some], controls[columns]
                tile = unit[ours] @ unit[theirs].T
                if same is not None:
                    codes = np.where(same[0, ours] < 0, -2, same[0, ours])
                    tile[codes[:, None] != same[0, theirs][None, :]] = -np.inf
                num_controls[some] += np.isfinite(tile).sum(axis=1)
                hits.count_above(tile, some.start)
        precisions = hits.precisions()
        # A replicate that meets no control has nothing to be ranked among.
        precisions[num_controls == 0] = np.nan
        precision[asked] = precisions
        num_same[asked] = np.diff(hits.ends, prepend=0)
        num_eligible[asked] = num_same[asked] + num_controls
    return Ranking(precision, num_same, num_eligible)


def _unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit


def _passes(labels: Positions) -> Iterator[slice]:
    """Slices of rows, sorted by label, whose hits fit into memory."""
    _, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    sizes = np.repeat(counts, counts)[np.argsort(np.repeat(starts, counts), kind="stable")]
    total = np.cumsum(sizes)
    start = 0
    while start < len(labels):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + _MOST_HITS, side="right")))
        yield slice(start, stop)
        start = stop


class _Hits:
    """Similarities of the eligible profiles of each query's label, and how many others are above.

    ends: (Q,), where the hits of each query end in the flat arrays. tie: added to the similarity
    of a hit, so that equally similar others are below it, or above it if negative.
    """

    def __init__(
        self,
        unit: NDArray[np.float64],
        labels: Positions,
        keys: list[Codes],
        queries: Positions,
        *,
        tie: float = _TIE,
    ) -> None:
        self._tie = tie
        of_query: list[NDArray[np.float64]] = [np.empty(0)] * len(queries)
        by_label = np.argsort(labels[queries], kind="stable")
        _, first = np.unique(labels[queries][by_label], return_index=True)
        for places in np.split(by_label, first[1:]):
            members = np.flatnonzero(labels == labels[queries[places[0]]])
            for some in blocks(len(places), _QUERIES):
                asked = queries[places[some]]
                tile = unit[asked] @ unit[members].T
                allowed = ~_shares_key(keys, asked, members)
                allowed &= asked[:, None] != members[None, :]
                for place, row, may in zip(places[some], tile, allowed, strict=True):
                    of_query[place] = np.sort(row[may])[::-1]
        self.ends = np.cumsum([len(hits) for hits in of_query])
        self._similarity = np.concatenate(of_query) if len(of_query) else np.empty(0)
        self._above = np.zeros(len(self._similarity), np.int64)

    def count_above(self, tile: NDArray[np.float64], first: int) -> None:
        """Add the others of a tile (rows of queries from `first`) that are above each hit.

        tile: minus infinity for pairs that do not count; sorted in place.
        """

        def count(rows: slice) -> None:
            tile[rows].sort(axis=1)
            for row in range(rows.start, rows.stop):
                query = first + row
                own = slice(self.ends[query - 1] if query else 0, self.ends[query])
                if own.stop > own.start:
                    limits = self._similarity[own] + self._tie
                    below = np.searchsorted(tile[row], limits, side="right")
                    self._above[own] += tile.shape[1] - below

        # numpy releases the interpreter lock while it sorts.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(count, blocks(len(tile), 128)))

    def precisions(self) -> NDArray[np.float64]:
        """Average precision of each query (Q,); NaN for a query without hits."""
        counts = np.diff(self.ends, prepend=0)
        starts = np.repeat(self.ends - counts, counts)
        order = np.arange(len(self._above)) - starts + 1
        query = np.repeat(np.arange(len(counts)), counts)
        sums = np.bincount(query, weights=order / (order + self._above), minlength=len(counts))
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(counts > 0, sums / counts, np.nan))


def _shares_key(keys: list[Codes], queries: Positions, others: Positions) -> NDArray[np.bool_]:
    """Whether each pair of a query and another profile shares a key: (Q, R)."""
    shares = np.zeros((len(queries), len(others)), dtype=bool)
    for of_reason in keys:
        for codes in of_reason[:, queries]:
            asked = np.where(codes < 0, -2, codes)[:, None]
            for theirs in of_reason[:, others]:
                shares |= asked == theirs[None, :]
    return shares


def _is_left_out(
    keys: list[Codes], labels: Positions, queries: Positions, others: Positions
) -> NDArray[np.bool_]:
    """Whether a pair shares a key or the label, so that it is no pair of different labels."""
    left_out = _shares_key(keys, queries, others)
    left_out |= labels[queries][:, None] == labels[others][None, :]
    return left_out
