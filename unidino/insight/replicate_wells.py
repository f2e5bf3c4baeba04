"""Wells and their replicates: distances, correlations, and what chance would give.

Shapes: N wells, D features.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_NUM_PAIRS = 20_000
_PERCENTILE = 95
Array = NDArray[np.float64]
OfGroup = Callable[[Array], Array]


def replicate_distances(vectors: Array, labels: Sequence[object]) -> Array:
    """Distance (N,) of each well to its replicates; NaN for a well without a label or replicate.

    The distance is the lower median of the Euclidean distances to the other wells of its label,
    divided by the square root of D. Of three replicates of which one is out, only this one is far.
    """
    return _by_label(vectors, labels, _lower_median_distance)


def replicate_correlations(vectors: Array, labels: Sequence[object]) -> Array:
    """Median Pearson correlation (N,) of each well with its replicates; NaN where it has none."""
    return _by_label(_standardized(vectors), labels, _median_product)


def chance_correlation(vectors: Array, labels: Sequence[object], *, seed: int = 0) -> float | None:
    """95th percentile of the correlation of pairs of different labels; None if there is no pair."""
    unit = _standardized(vectors)
    codes = _codes(labels)
    rng = np.random.default_rng(seed)
    first, second = rng.integers(len(unit), size=(2, _NUM_PAIRS))
    differ = (codes[first] != codes[second]) & (codes[first] >= 0) & (codes[second] >= 0)
    if not differ.any():
        return None
    products = np.einsum("nd,nd->n", unit[first[differ]], unit[second[differ]])
    return float(np.percentile(products, _PERCENTILE))


def _codes(labels: Sequence[object]) -> NDArray[np.int64]:
    """An integer for each label, -1 for none."""
    known: dict[object, int] = {}
    return np.array([-1 if name is None else known.setdefault(name, len(known)) for name in labels])


def _by_label(vectors: Array, labels: Sequence[object], of_group: OfGroup) -> Array:
    codes = _codes(labels)
    found = np.full(len(vectors), np.nan)
    order = np.argsort(codes, kind="stable")
    ends = np.flatnonzero(np.diff(codes[order])) + 1
    for members in np.split(order, ends):
        if len(members) > 1 and codes[members[0]] >= 0:
            found[members] = of_group(vectors[members])
    return found


def _lower_median_distance(wells: Array) -> Array:
    squares = (wells**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * wells @ wells.T, 0))
    np.fill_diagonal(distances, -1.0)  # sorted first, and skipped
    place = 1 + (len(wells) - 2) // 2
    middle: Array = np.sort(distances, axis=1)[:, place] / np.sqrt(wells.shape[1])
    return middle


def _median_product(unit: Array) -> Array:
    products = unit @ unit.T
    others = ~np.eye(len(unit), dtype=bool)
    return np.array([np.median(row[other]) for row, other in zip(products, others, strict=True)])


def _standardized(vectors: Array) -> Array:
    """Vectors of mean 0 and length 1, whose products are Pearson correlations; 0 where constant."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(norms == 0, 1, norms))
