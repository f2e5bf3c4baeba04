"""How much batches mix: the effective number of batches among the neighbours of a profile.

Shapes: N profiles, D features, U batches, k neighbours.
Source: Korsunsky et al. 2019, doi 10.1038/s41592-019-0619-0 (local inverse Simpson index, LISI).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.statistics import mean_interval
from unidino.scores.keys import blocks
from unidino.scores.neighbours import unit_vectors

_PERPLEXITY = 30.0
_NUM_SHUFFLES = 5
_BLOCK = 512
_STEPS = 60
_MOST_SILHOUETTES = 5000


@dataclass(frozen=True)
class Mixing:
    """How much the batches of profiles mix, and how far labels and batches lie apart.

    mixing: 1 if batches are mixed as if they were drawn anew among the profiles of each label, 0 if
    every neighbour is of the same batch. interval_95: bootstrap over labels. silhouette_label,
    silhouette_batch: mean silhouettes by cosine, -1 to 1; None for one label, or
    where each profile is a group. num_profiles,
    num_batches, num_labels: of what is compared.
    """

    mixing: float
    interval_95: tuple[float, float]
    silhouette_label: float | None
    silhouette_batch: float | None
    num_profiles: int
    num_batches: int
    num_labels: int


def batch_mixing(
    vectors: NDArray[Any], batches: NDArray[Any], labels: NDArray[Any], *, seed: int = 0
) -> Mixing:
    """The mixing of the batches of profiles.

    vectors: (N, D), neither zero nor missing. batches, labels: (N,); every label is in two batches
    or more.

    The measure is LISI, scaled by what it is if the batches are shuffled within each label. It was
    chosen on simulated screens (96 to 600 wells, 2 to 10 batches, 128 to 1,920 features) with
    shifts between batches from 0 to 2 standard deviations of a well. A classifier of batches finds
    shifts of .1, which change no neighbour, and finds all batches from .2 or .3 on: it says that
    batches differ, not whether that matters. kBET falls from 1 to 0 within a factor of two of the
    shift, which depends on the size of its neighbourhoods. LISI falls gradually from .3 to 1, where
    neighbours change, at 128 features as at 1,920. Without shuffling it would not reach 1 for few
    wells.
    """
    names, unit = np.unique(batches, return_inverse=True)
    kinds, label = np.unique(labels, return_inverse=True)
    index, weights = _neighbours(vectors)
    found = _inverse_simpson(unit, index, weights, len(names))
    rng = np.random.default_rng(seed)
    shuffled = [
        _inverse_simpson(_shuffled(unit, label, rng), index, weights, len(names)).mean()
        for _ in range(_NUM_SHUFFLES)
    ]
    scaled = (found - 1) / (np.mean(shuffled) - 1)
    return Mixing(
        mixing=float(scaled.mean()),
        interval_95=mean_interval(scaled, label if len(kinds) > 1 else None),
        silhouette_label=_silhouette(vectors, label, seed) if len(kinds) > 1 else None,
        silhouette_batch=_silhouette(vectors, unit, seed),
        num_profiles=len(vectors),
        num_batches=len(names),
        num_labels=len(kinds),
    )


def _neighbours(vectors: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions and weights (N, k) of the neighbours of each profile; weights sum to 1.

    The weights fall with the cosine distance, so that a profile has 30 neighbours in effect (the
    perplexity), or a third of the others if there are fewer than 90.
    """
    normed, _ = unit_vectors(vectors)
    num = len(normed)
    k = min(num - 1, int(3 * _PERPLEXITY))
    index = np.empty((num, k), np.int64)
    distance = np.empty((num, k))
    for rows in blocks(num, _BLOCK):
        similarity = normed[rows] @ normed.T
        similarity[np.arange(len(similarity)), np.arange(rows.start, rows.stop)] = -np.inf
        near = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        index[rows] = near
        distance[rows] = 1 - np.take_along_axis(similarity, near, axis=1)
    return index, _weights(distance, min(_PERPLEXITY, max(1.0, k / 3)))


def _weights(distance: NDArray[np.float64], perplexity: float) -> NDArray[np.float64]:
    """Weights (N, k) exp(-beta * distance) of each row, whose entropy is log(perplexity).

    Of profiles that are all equally far, all weigh the same.
    """
    above = distance - distance.min(axis=1, keepdims=True)
    # In units of the row's own distances, so that the search starts near its end.
    above /= np.maximum(above.mean(axis=1, keepdims=True), 1e-12)
    low, high = np.full(len(above), -30.0), np.full(len(above), 30.0)  # log(beta)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        weights = np.exp(-np.exp(middle)[:, None] * above)
        weights /= weights.sum(axis=1, keepdims=True)
        entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1)
        is_wide = entropy > np.log(perplexity)
        low, high = np.where(is_wide, middle, low), np.where(is_wide, high, middle)
    return np.asarray(weights)


def _inverse_simpson(
    unit: NDArray[np.int64], index: NDArray[np.int64], weights: NDArray[np.float64], num: int
) -> NDArray[np.float64]:
    """Effective number of batches (N,) among the neighbours: 1 / sum of squared shares."""
    near = unit[index]
    squares = sum(((near == u) * weights).sum(axis=1) ** 2 for u in range(num))
    return np.asarray(1 / squares)


def _shuffled(
    unit: NDArray[np.int64], label: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The batches (N,), shuffled among the profiles of each label."""
    out = unit.copy()
    by_label = np.argsort(label, kind="stable")
    random = np.lexsort((rng.random(len(label)), label))
    out[by_label] = unit[random]
    return out


def _silhouette(vectors: NDArray[Any], groups: NDArray[np.int64], seed: int) -> float | None:
    """Mean silhouette by cosine, of at most 5,000 profiles; None if it has no meaning."""
    from sklearn.metrics import silhouette_score

    chosen = np.arange(len(vectors))
    if len(vectors) > _MOST_SILHOUETTES:
        chosen = np.random.default_rng(seed).choice(chosen, _MOST_SILHOUETTES, replace=False)
    num = len(np.unique(groups[chosen]))
    if not 1 < num < len(chosen):
        return None
    return float(silhouette_score(vectors[chosen], groups[chosen], metric="cosine"))
