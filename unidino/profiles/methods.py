"""What a unit of profiles can learn from: methods that return an affine map.

Shapes: N profiles, T of them teach, D features in, K features out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.core.statistics import median_and_mad
from unidino.profiles.form import REFIT
from unidino.profiles.ranks import Ranked, inverse_normal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """The map of one unit: x becomes (x - centre) / (spread + epsilon) @ matrix.

    centre, spread: (D,), in units of the features. Without an epsilon, a feature with spread 0
    becomes 0. matrix: (D, K), or None if features are not mixed.
    """

    centre: Array
    spread: Array
    matrix: Array | None = None
    epsilon: float | None = None

    def apply(self, profiles: Array) -> Array:
        """Normalized profiles (N, K) from profiles (N, D)."""
        centred = profiles - self.centre
        if self.epsilon is not None:
            centred /= self.spread + self.epsilon
        else:
            constant = self.spread == 0
            centred /= np.where(constant, 1, self.spread)
            centred[:, constant] = 0
        return centred if self.matrix is None else centred @ self.matrix


def median_mad(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The map of median and scaled median absolute deviation: MAD robustize.

    teaching: (T, D); NaN is left out. epsilon: added to the spread, as in pycytominer.
    Source: Morelli et al. 2025, section 2.2.2.
    """
    return Affine(*median_and_mad(np.ascontiguousarray(teaching.T)), None, epsilon)


def mean_sd(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The map of mean and population standard deviation.

    teaching: (T, D); NaN is left out. epsilon: added to the spread.
    """
    centre, spread = np.nanmean(teaching, axis=0), np.nanstd(teaching, axis=0)
    # Equal numbers have spread 0; rounding of the mean would give a small positive value.
    spread[np.nanmin(teaching, axis=0) == np.nanmax(teaching, axis=0)] = 0
    return Affine(centre, spread, None, epsilon)


def whiten(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The map of ZCA whitening: the teaching profiles get covariance 1, features keep their axes.

    teaching: (T, D). epsilon: added to the eigenvalues, in squared profile units; default 1e-6.
    Source: Kessy et al. 2018, doi 10.1080/00031305.2016.1277159.
    """
    centre, values, axes = _principal_axes(teaching)
    scaled = axes / np.sqrt(values + (1e-6 if epsilon is None else epsilon))
    return Affine(centre, np.ones_like(centre), scaled @ axes.T)


def whiten_rotated(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The map of PCA whitening: features become principal axes of the teaching profiles.

    teaching: (T, D). epsilon: added to the eigenvalues; default 1. The covariance is divided by T,
    not T - 1.
    Source: Ando et al. 2017, doi 10.1101/161422.
    """
    centre, values, axes = _principal_axes(teaching)
    values = values * (len(teaching) - 1) / len(teaching)
    matrix = axes / np.sqrt(values + (1.0 if epsilon is None else epsilon))
    return Affine(centre, np.ones_like(centre), matrix)


def rotate(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The rotation to the principal axes of the teaching profiles; it keeps min(T, D) axes.

    teaching: (T, D). epsilon: not used.
    """
    centre, _, axes = _principal_axes(teaching)
    num_axes = min(teaching.shape)
    return Affine(centre, np.ones_like(centre), axes[:, :num_axes])


def align(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """The map of CORAL: teaching profiles of a unit get the covariance of those of all units.

    teaching: (T, D), of this unit. all_teaching: the teaching profiles of all units. epsilon: added
    to the diagonals of both covariances; default 1.
    Source: Sun et al. 2016, "Return of frustratingly easy domain adaptation".
    """
    return _recolour(_covariance(teaching), _covariance(all_teaching), epsilon)


def align_about_zero(teaching: Array, all_teaching: Array, epsilon: float | None) -> Affine:
    """As `align`, with second moments about zero instead of covariances, so offsets are included.

    Source: the program of Morelli et al. 2025.
    """
    source, target = (x.T @ x / len(x) for x in (teaching, all_teaching))
    return _recolour(source, target, epsilon)


Map = Affine | Ranked
Method = Callable[[Array, Array, float | None], Map]
METHODS: dict[str, Method] = {
    "median_mad": median_mad,
    "mean_sd": mean_sd,
    "whiten": whiten,
    "whiten_rotated": whiten_rotated,
    "rotate": rotate,
    "align": align,
    "align_about_zero": align_about_zero,
    "inverse_normal": inverse_normal,
}
ALIGNING = ("align", "align_about_zero")
ROTATING = ("whiten_rotated", "rotate", *ALIGNING)
NEEDS_TWO = ("whiten", *ROTATING)
MIXING = (*NEEDS_TWO, *REFIT)


def _covariance(profiles: Array) -> Array:
    return np.atleast_2d(np.cov(profiles, rowvar=False, ddof=1))


def _principal_axes(teaching: Array) -> tuple[Array, Array, Array]:
    """Mean (D,), variances in descending order, and principal axes as columns.

    The largest entry of each axis is positive.
    """
    values, axes = np.linalg.eigh(_covariance(teaching))
    values, axes = np.clip(values[::-1], 0, None), axes[:, ::-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return teaching.mean(axis=0), values, axes


def _power(symmetric: Array, power: float, ridge: float) -> Array:
    """A power of a symmetric matrix, after `ridge` is added to its diagonal."""
    values, axes = np.linalg.eigh(symmetric)
    result: Array = (axes * (np.clip(values, 0, None) + ridge) ** power) @ axes.T
    return result


def _recolour(source: Array, target: Array, epsilon: float | None) -> Affine:
    """The map that changes the covariance `source` (D, D) to `target`.

    epsilon: added to both diagonals; default 1.
    """
    ridge = 1.0 if epsilon is None else epsilon
    num_dims = len(source)
    matrix = _power(source, -0.5, ridge) @ _power(target, 0.5, ridge)
    return Affine(np.zeros(num_dims), np.ones(num_dims), matrix)
