"""Enrichment: how much more often the most similar profiles have the same label than the others.

Shapes: N profiles, D features.
Source: Fisher's exact test on the top of each ranking; odds ratios of the queries of a label are
pooled as by Mantel and Haenszel (1959), their dependent p-values combined as by Rüger (1978).
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError
from unidino.scores.candidates import Candidates
from unidino.scores.keys import eligible_block
from unidino.scores.precision import SIGNIFICANT

_QUERY_BLOCK = 256
_TIE = 1e-12


def label_enrichment(
    vectors: NDArray[Any], candidates: Candidates, *, top_percent: float = 1.0
) -> pl.DataFrame:
    """A table with a row for each label: the odds ratio in the top of its profiles' rankings.

    For each profile, the eligible others are counted in two ways: whether they are among the
    `top_percent` most similar (at least one; ties at the end are all in), and whether they have its
    label. Columns class, num_profiles, odds_ratio (infinite if no profile of the label is outside
    the top), p_value (twice the median of Fisher's one-sided p-values, which holds for dependent
    ones), q_value (Benjamini and Hochberg), is_significant (q under 0.05).
    vectors: (N, D), of the candidates.
    Raises ProfileError if no profile has an eligible neighbour of its label and one of another.
    """
    from scipy.stats import false_discovery_control, hypergeom

    if not 0 < top_percent <= 50:
        raise InputError(f"--top-percent is {top_percent:g}; it must be above 0 and at most 50")
    tables = top_tables(vectors, candidates, top_percent)
    top_same, top, same, num = tables.T
    usable = (same > 0) & (same < num) & (top < num)
    p_values = hypergeom.sf(top_same - 1, num, same, top)
    rows: list[dict[str, Any]] = []
    for label in np.unique(candidates.labels[usable]):
        members = np.flatnonzero(usable & (candidates.labels == label))
        a, b = top_same[members], top[members] - top_same[members]
        c = same[members] - a
        d = num[members] - top[members] - c
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (a * d / num[members]).sum() / (b * c / num[members]).sum()
        ordered = np.sort(p_values[members])
        middle = -(-len(members) // 2)
        rows.append(
            {
                "class": str(candidates.names[members[0]]),
                "num_profiles": len(members),
                "odds_ratio": float(ratio),
                "p_value": float(min(1, ordered[middle - 1] * len(members) / middle)),
            }
        )
    if not rows:
        raise ProfileError(
            "no profile has an eligible neighbour of its label and one of another outside the top"
            f" {top_percent:g} %"
        )
    table = pl.DataFrame(rows)
    q_values = false_discovery_control(table["p_value"].to_numpy())
    return table.with_columns(
        pl.Series("q_value", q_values), pl.Series("is_significant", q_values < SIGNIFICANT)
    )


def top_tables(
    vectors: NDArray[Any], candidates: Candidates, top_percent: float
) -> NDArray[np.int64]:
    """For each profile (N, 4): same label in the top, all in the top, same label, all eligible."""
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    labels = candidates.labels
    tables = np.zeros((len(unit), 4), np.int64)
    for start in range(0, len(unit), _QUERY_BLOCK):
        queries = slice(start, min(start + _QUERY_BLOCK, len(unit)))
        similarity = unit[queries] @ unit.T
        eligible = eligible_block(candidates.keys, queries, len(unit))
        for row, may, query in zip(similarity, eligible, range(len(unit))[queries], strict=True):
            given, is_same = row[may], labels[may] == labels[query]
            if not len(given):
                continue
            most = max(1, int(np.ceil(len(given) * top_percent / 100 - 1e-9)))
            last = np.partition(given, len(given) - most)[len(given) - most]
            is_top = given >= last - _TIE
            tables[query] = (is_same & is_top).sum(), is_top.sum(), is_same.sum(), len(given)
    return tables
