"""How far each well is from the negative controls: one number a well.

Distances are those of Mahalanobis with a shrunken covariance, so that they exist for more features
than controls. A control is compared with a cloud that it is not part of; else a treated well would
look farther away than a control only because the cloud was fitted to the controls.

Shapes: N wells, M controls, D features.
Source of the shrinkage: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional
covariance matrices", doi 10.1016/S0047-259X(03)00096-4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.core.statistics import median_and_mad

MIN_CONTROLS = 4
_NUM_FOLDS = 10
_OUTLIER = 3.0  # robust standard deviations
Array = NDArray[np.float64]


def control_distance(vectors: NDArray[Any], is_control: NDArray[np.bool_]) -> Array:
    """How far each well (N,) is from the cloud of the negative controls.

    The squared distance of Mahalanobis, minus that of a usual control, and its root with the sign:
    0 for a usual control, negative for one that is nearer to the centre, and as large as the shift
    of a well that is far away. vectors: (N, D). is_control: (N,).
    Raises ProfileError for fewer than 4 controls, or if no feature varies between them.
    """
    scaled = _scaled(vectors, is_control)
    squares = np.zeros(len(scaled))
    num = np.zeros(len(scaled))
    for cloud, is_taught in _clouds(scaled, is_control):
        squares[~is_taught] += cloud.squared_distance(scaled[~is_taught])
        num[~is_taught] += 1
    excess = squares / num
    excess -= np.median(excess[is_control])
    return np.asarray(np.sign(excess) * np.sqrt(np.abs(excess)))


def own_axis(
    vectors: NDArray[Any], is_control: NDArray[np.bool_], groups: NDArray[np.int64]
) -> dict[int, tuple[Array, Array]]:
    """Effects of the wells of each group, and of the controls, on the axis of the group.

    The axis leads from the negative controls to the mean of the group's wells: the linear
    discriminant with shrunken covariance. A well is projected on the axis of the other wells of its
    group, so that wells without an effect lie around 0. Effects are in standard deviations of the
    controls along the axis. vectors: (N, D). is_control: (N,). groups: (N,), from 0; -1 for none.
    Groups of one well, or whose wells lie at the centre of the controls, are left out.
    Raises ProfileError for fewer than 4 controls.
    """
    scaled = _scaled(vectors, is_control)
    controls = np.flatnonzero(is_control)
    members = {int(g): np.flatnonzero(groups == g) for g in np.unique(groups) if g >= 0}
    members = {g: wells for g, wells in members.items() if len(wells) > 1}
    of_wells = {g: np.zeros(len(wells)) for g, wells in members.items()}
    of_controls = {g: np.zeros(len(controls)) for g in members}
    num_folds = 0
    for cloud, is_taught in _clouds(scaled, is_control):
        num_folds += 1
        is_held_out = ~is_taught[controls]
        held_out = cloud.whitened(scaled[controls[is_held_out]])
        for g, wells in members.items():
            white = cloud.whitened(scaled[wells])
            total = white.sum(axis=0)
            others = total - white
            length = np.linalg.norm(others, axis=1)
            of_wells[g] += (white * others).sum(axis=1) / np.where(length > 0, length, np.inf)
            norm = float(np.linalg.norm(total))
            of_controls[g][is_held_out] = held_out @ total / (norm if norm > 0 else np.inf)
    # The centre of a cloud errs by chance, and all other wells share that error.
    centres = {g: float(np.median(of_controls[g])) for g in members}
    return {g: (of_wells[g] / num_folds - centres[g], of_controls[g] - centres[g]) for g in members}


def control_projection(
    vectors: NDArray[Any], is_control: NDArray[np.bool_], is_positive: NDArray[np.bool_]
) -> Array:
    """Place of each well (N,) on the axis from the negative to the positive controls.

    0 is the centre of the negative controls, 1 that of the positive ones. The axis is the linear
    discriminant with shrunken covariance; no well is projected on an axis that it helped to define.
    vectors: (N, D). is_control, is_positive: (N,).
    Raises ProfileError for fewer than 4 negative or 2 positive controls.
    """
    if is_positive.sum() < 2:
        raise ProfileError(
            f"it has {int(is_positive.sum())} wells of the positive control; 2 are needed"
        )
    scaled = _scaled(vectors, is_control)
    sums, num = np.zeros(len(scaled)), np.zeros(len(scaled))
    positives = np.flatnonzero(is_positive)
    num_folds = min(_NUM_FOLDS, int(is_control.sum()), len(positives))
    for fold, (cloud, is_taught) in enumerate(_clouds(scaled, is_control, num_folds)):
        teaching = np.delete(positives, np.arange(fold, len(positives), num_folds))
        is_taught = is_taught.copy()
        is_taught[teaching] = True
        shift = np.median(scaled[teaching], axis=0) - cloud.centre
        axis = cloud.solve(shift)
        length = float(shift @ axis)
        if length <= 0:
            raise ProfileError("its positive control equals the negative controls")
        rest = ~is_taught
        sums[rest] += (scaled[rest] - cloud.centre) @ axis / length
        num[rest] += 1
    place = sums / num
    centre = np.median(place[is_control])
    reach = np.median(place[is_positive]) - centre
    if reach <= 0:
        raise ProfileError("its positive control does not differ from the negative controls")
    return np.asarray((place - centre) / reach)


def feature_effect(values: NDArray[Any], is_control: NDArray[np.bool_]) -> Array:
    """One feature of each well (N,), in robust standard deviations of the negative controls.

    Raises ProfileError for fewer than 4 controls, or if the feature does not vary between them.
    """
    return _scaled(values[:, None], is_control)[:, 0]


@dataclass(frozen=True)
class _Cloud:
    """Centre and shrunken covariance of controls, as axes with variances and one for all others.

    centre: (D,). axes: (D, R), orthonormal. variances: (R,). rest: variance of every other axis.
    """

    centre: Array
    axes: Array
    variances: Array
    rest: float

    def squared_distance(self, vectors: Array) -> Array:
        """Squared distances of Mahalanobis (N,) of vectors (N, D)."""
        shifts = vectors - self.centre
        along = shifts @ self.axes
        beside = (shifts**2).sum(axis=1) - (along**2).sum(axis=1)
        return np.asarray(
            (along**2 / self.variances).sum(axis=1) + np.maximum(beside, 0) / self.rest
        )

    def whitened(self, vectors: Array) -> Array:
        """Vectors (N, D) as shifts from the centre, in units of the cloud's spread: (N, D)."""
        shifts = vectors - self.centre
        factors = 1 / np.sqrt(self.variances) - 1 / np.sqrt(self.rest)
        return np.asarray(
            shifts / np.sqrt(self.rest) + (shifts @ self.axes * factors) @ self.axes.T
        )

    def solve(self, shift: Array) -> Array:
        """The inverse covariance times a shift (D,)."""
        along = self.axes.T @ shift
        beside = shift - self.axes @ along
        return np.asarray(self.axes @ (along / self.variances) + beside / self.rest)


def _scaled(vectors: NDArray[Any], is_control: NDArray[np.bool_]) -> Array:
    """Features that vary between the controls, in robust standard deviations from their median."""
    if is_control.sum() < MIN_CONTROLS:
        raise ProfileError(
            f"it has {int(is_control.sum())} negative controls, and {MIN_CONTROLS} are needed to"
            " know their spread"
        )
    controls = vectors[is_control].astype(np.float64)
    centre, spread = median_and_mad(controls.T.copy())
    varies = spread > 0
    if not varies.any():
        raise ProfileError("no feature varies between its negative controls")
    return np.asarray((vectors[:, varies] - centre[varies]) / spread[varies])


def _clouds(
    scaled: Array, is_control: NDArray[np.bool_], num_folds: int | None = None
) -> Iterator[tuple[_Cloud, NDArray[np.bool_]]]:
    """Clouds of all controls but one fold, each with the wells (N,) that it was fitted to."""
    controls = np.flatnonzero(is_control)
    folds = num_folds or min(_NUM_FOLDS, len(controls))
    for fold in range(folds):
        teaching = np.delete(controls, np.arange(fold, len(controls), folds))
        is_taught = np.zeros(len(scaled), bool)
        is_taught[teaching] = True
        yield _cloud(scaled[teaching]), is_taught


def _cloud(controls: Array) -> _Cloud:
    """The cloud of controls (M, D); values far from the median are drawn in before."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    centre = np.median(controls, axis=0)
    shifts = np.clip(controls - centre, -_OUTLIER, _OUTLIER)
    shifts -= shifts.mean(axis=0)
    num, num_features = shifts.shape
    shrinkage = float(ledoit_wolf_shrinkage(shifts, assume_centered=True))
    _, singular, axes = np.linalg.svd(shifts, full_matrices=False)
    variances = singular**2 / num
    usual = float(variances.sum() / num_features)
    # A floor, so that axes without variance in the controls do not decide everything.
    rest = max(shrinkage * usual, 1e-6 * usual, np.finfo(float).tiny)
    return _Cloud(centre, axes.T, (1 - shrinkage) * variances + rest, rest)
