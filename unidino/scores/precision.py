"""Mean average precision: how high profiles of the same label rank among the others.

Shapes: N profiles, D features.
Source: Kalinin et al. 2025, "A versatile information retrieval framework for evaluating profile
strength and similarity", doi 10.1038/s41467-025-60306-2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.scores.candidates import Candidates
from unidino.scores.keys import eligible_block

_QUERY_BLOCK = 256
_SIGNIFICANT = 0.05


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
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    num = len(unit)
    precision = np.full(num, np.nan)
    num_same, num_eligible = np.zeros(num, np.int64), np.zeros(num, np.int64)
    for start in range(0, num, _QUERY_BLOCK):
        queries = slice(start, min(start + _QUERY_BLOCK, num))
        similarity = unit[queries] @ unit.T
        eligible = eligible_block(candidates.keys, queries, num)
        for i, query in enumerate(range(queries.start, queries.stop)):
            same = eligible[i] & (candidates.labels == candidates.labels[query])
            others = np.sort(similarity[i, eligible[i] & ~same])
            hits = -np.sort(-similarity[i, same])
            num_same[query], num_eligible[query] = len(hits), len(hits) + len(others)
            if len(hits):
                # Equal similarities may differ by rounding.
                above = len(others) - np.searchsorted(others, hits + 1e-12, side="right")
                order = np.arange(1, len(hits) + 1)
                precision[query] = (order / (order + above)).mean()
    return Ranking(precision, num_same, num_eligible)


def null_precisions(num_same: int, num_eligible: int, size: int, seed: int) -> NDArray[np.float64]:
    """Average precisions (size,) of random rankings of `num_eligible` profiles.

    num_same: number of profiles with the same label.
    """
    rng = np.random.default_rng([seed, num_same, num_eligible])
    # Random places are all different with a chance of about exp(-num_same**2 / 2 / num_eligible).
    if num_same * 4 > num_eligible or num_same**2 > 8 * num_eligible:
        order = rng.permuted(np.tile(np.arange(num_eligible), (size, 1)), axis=1)
        places = order[:, :num_same]
    else:
        places = rng.integers(num_eligible, size=(size, num_same))
        while True:
            places.sort(axis=1)
            repeated = np.flatnonzero((np.diff(places, axis=1) == 0).any(axis=1))
            if not len(repeated):
                break
            places[repeated] = rng.integers(num_eligible, size=(len(repeated), num_same))
    places = np.sort(places, axis=1) + 1
    precisions: NDArray[np.float64] = (np.arange(1, num_same + 1) / places).mean(axis=1)
    return precisions


def mean_average_precision(
    ranking: Ranking, candidates: Candidates, *, null_size: int = 10_000, seed: int = 0
) -> pl.DataFrame:
    """A table with a row for each label: mean average precision and p-value against chance.

    Columns class, num_profiles, mean_average_precision, p_value (share of `null_size` random
    rankings that do better), q_value (Benjamini and Hochberg), is_significant (q under 0.05).
    A label is left out if no profile of it has an eligible neighbour of the same label.
    Raises ProfileError if all labels are left out.
    """
    from scipy.stats import false_discovery_control

    has_partner = np.isfinite(ranking.precision)
    shapes = np.stack([ranking.num_same_label, ranking.num_eligible], axis=1)
    nulls: dict[tuple[int, int], NDArray[np.float64]] = {}
    rows = []
    for label in np.unique(candidates.labels[has_partner]):
        members = np.flatnonzero(has_partner & (candidates.labels == label))
        total = np.zeros(null_size)
        for num_same, num_eligible in shapes[members].tolist():
            shape = (num_same, num_eligible)
            if shape not in nulls:
                nulls[shape] = null_precisions(num_same, num_eligible, null_size, seed)
            total += nulls[shape]
        mean = float(ranking.precision[members].mean())
        better = int((total / len(members) > mean).sum())
        rows.append(
            {
                "class": str(candidates.names[members[0]]),
                "num_profiles": len(members),
                "mean_average_precision": mean,
                "p_value": (better + 1) / (null_size + 1),
            }
        )
    if not rows:
        raise ProfileError("no profile has an eligible neighbour of its label")
    table = pl.DataFrame(rows)
    q_values = false_discovery_control(table["p_value"].to_numpy())
    return table.with_columns(
        pl.Series("q_value", q_values), pl.Series("is_significant", q_values < _SIGNIFICANT)
    )
