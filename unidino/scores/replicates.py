"""Replicate correlation: whether replicates correlate more than profiles of different labels.

Shapes: N profiles, D features.
Source: Way et al. 2022, "Morphology and gene expression profiling provide complementary
information for mapping cell state", doi 10.1016/j.cels.2022.10.001 (percent replicating).
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.scores.candidates import Candidates
from unidino.scores.keys import eligible_block

_NUM_NULLS = 1000
_PERCENTILE = 95


def replicate_correlation(
    vectors: NDArray[Any], candidates: Candidates, *, seed: int = 0
) -> tuple[pl.DataFrame, float]:
    """A table with a row for each label, and the share of labels that replicate.

    Columns class, num_profiles, correlation (median Pearson correlation of the pairs that the rule
    allows), threshold (95th percentile of such medians, over 1,000 random groups of the same size
    whose profiles have different labels), is_replicating (correlation above the threshold).
    vectors: (N, D), of the candidates.
    Raises ProfileError if no label has a pair.
    """
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.where(norms == 0, 1, norms)
    rows: list[dict[str, Any]] = []
    for label in np.unique(candidates.labels):
        members = np.flatnonzero(candidates.labels == label)
        median = _median(centred, members, _eligible_pairs(candidates, members))
        if median is not None:
            rows.append(
                {
                    "class": str(candidates.names[members[0]]),
                    "num_profiles": len(members),
                    "correlation": median,
                }
            )
    if not rows:
        raise ProfileError("no label has two profiles that the rule allows as a pair")
    rng = np.random.default_rng(seed)
    sizes = sorted({row["num_profiles"] for row in rows})
    thresholds = {size: _threshold(centred, candidates, size, rng) for size in sizes}
    table = pl.DataFrame(rows).with_columns(
        pl.col("num_profiles")
        .replace_strict(thresholds, return_dtype=pl.Float64)
        .alias("threshold")
    )
    table = table.with_columns(
        (pl.col("correlation") > pl.col("threshold")).alias("is_replicating")
    )
    return table, float(table["is_replicating"].to_numpy().mean())


def _eligible_pairs(candidates: Candidates, members: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the rule allows each pair of the members (M,): (M, M)."""
    keys = [codes[:, members] for codes in candidates.keys]
    return eligible_block(keys, slice(0, len(members)), len(members))


def _median(
    centred: NDArray[np.float64], members: NDArray[np.int64], allowed: NDArray[np.bool_]
) -> float | None:
    """Median correlation of the allowed pairs of members (M,); None if there is no pair.

    centred: (N, D), of mean 0 and length 1. allowed: (M, M).
    """
    pairs = np.triu(allowed, 1)
    if not pairs.any():
        return None
    return float(np.median((centred[members] @ centred[members].T)[pairs]))


def _threshold(
    centred: NDArray[np.float64], candidates: Candidates, size: int, rng: np.random.Generator
) -> float:
    """95th percentile of the median correlation of random groups of different labels.

    size: number of profiles of a group, limited to the number of labels.
    """
    labels, inverse = np.unique(candidates.labels, return_inverse=True)
    size = min(size, len(labels))
    of_label = np.argsort(inverse, kind="stable")
    counts = np.bincount(inverse)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    medians = np.empty(_NUM_NULLS)
    above = np.triu_indices(size, 1)
    for i in range(_NUM_NULLS):
        chosen = rng.choice(len(labels), size, replace=False)
        members = of_label[starts[chosen] + rng.integers(counts[chosen])]
        medians[i] = np.median((centred[members] @ centred[members].T)[above])
    return float(np.percentile(medians, _PERCENTILE))
