"""Whether wells of one kind differ by their row, their column, or at the edge of the plate.

Shapes: N wells, D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_PERMUTATIONS = 999
_LEAST = 6  # wells


@dataclass(frozen=True)
class PositionEffect:
    """The share of the variance of wells that lies between groups of positions.

    share: R2, 0 to 1, None if reason says why. p_value: share of permutations of the wells with as
    large a share, the observed one included.
    """

    kind: str
    share: float | None
    p_value: float | None
    reason: str | None = None


def position_effects(
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shape: tuple[int, int],
    *,
    seed: int = 0,
) -> list[PositionEffect]:
    """Effects of row, column and edge on wells that should be alike, such as negative controls.

    values: (N, D), finite. rows, columns: (N,), from 1. shape: rows and columns of the plate. The
    test is a permutational analysis of variance with Euclidean distances, which for one feature is
    the permutation test of one-way analysis of variance.
    Source: Anderson 2001, "A new method for non-parametric multivariate analysis of variance".
    """
    edge = (rows == 1) | (rows == shape[0]) | (columns == 1) | (columns == shape[1])
    groups = {"row": rows, "column": columns, "edge": edge.astype(np.int64)}
    rng = np.random.default_rng(seed)
    return [_effect(kind, values, group, rng) for kind, group in groups.items()]


def _effect(
    kind: str, values: NDArray[np.float64], group: NDArray[np.int64], rng: np.random.Generator
) -> PositionEffect:
    names, group = np.unique(group, return_inverse=True)
    if len(values) < _LEAST:
        return PositionEffect(kind, None, None, f"{len(values)} wells, {_LEAST} are needed")
    if len(names) < 2:
        where = {"row": "in one row", "column": "in one column"}.get(kind)
        alike = where or ("at the edge" if names[0] else "away from the edge")
        return PositionEffect(kind, None, None, f"all are {alike}")
    counts = np.bincount(group)
    if counts.max() < 2:
        return PositionEffect(kind, None, None, f"one well in each {kind}")
    centred = values - values.mean(axis=0)
    gram = centred @ centred.T
    total = float(np.trace(gram))
    if total <= 1e-12 * max(1.0, float((values**2).sum())):
        return PositionEffect(kind, None, None, "all wells have the same values")
    one_hot = np.eye(len(names))[group] / np.sqrt(counts)[group][:, None]

    def share(order: NDArray[np.int64]) -> float:
        """Share between groups when well `order[i]` is at place i."""
        return float(np.einsum("ig,ij,jg->", one_hot, gram[np.ix_(order, order)], one_hot)) / total

    observed = share(np.arange(len(values)))
    drawn = [share(rng.permutation(len(values))) for _ in range(NUM_PERMUTATIONS)]
    as_large = sum(s >= observed - 1e-12 for s in drawn)
    return PositionEffect(kind, observed, (1 + as_large) / (1 + NUM_PERMUTATIONS))
