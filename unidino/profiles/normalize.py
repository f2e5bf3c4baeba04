"""Normalizations as affine maps, which are learnt from profiles and applied one after another.

A step of a normalization works on units: plates, batches or the whole dataset. `sql/normalize` says
which profiles of a unit the step learns from: the teaching profiles. From these the step learns a
centre, a spread and, for some methods, a matrix. It maps every profile x of the unit to
(x - centre) / spread @ matrix. The learnt statistics can be saved and applied to other profiles.

Shapes: N profiles, T teaching profiles, D features in, K features out.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.core.statistics import median_and_mad

Array = NDArray[np.float64]
_BLOCK = 4096


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


Method = Callable[[Array, Array, float | None], Affine]
METHODS: dict[str, Method] = {
    "median_mad": median_mad,
    "mean_sd": mean_sd,
    "whiten": whiten,
    "whiten_rotated": whiten_rotated,
    "rotate": rotate,
    "align": align,
    "align_about_zero": align_about_zero,
}
_ALIGNING = ("align", "align_about_zero")
ROTATING = ("whiten_rotated", "rotate", *_ALIGNING)
_NEEDS_TWO = ("whiten", *ROTATING)


@dataclass(frozen=True)
class Learnt:
    """The map that one step learnt for one unit; a row of the table `statistic`."""

    step: int
    method: str
    unit: str
    num_teaching: int
    map: Affine


@dataclass(frozen=True)
class Step:
    """One step of a normalization, with the unit of each profile.

    names: of the units. units: (N,), positions in `names`. teaches: (N,), whether the step learns
    from the profile.
    """

    number: int
    method: str
    epsilon: float | None
    names: Sequence[str]
    units: NDArray[np.int64]
    teaches: NDArray[np.bool_]


def learn_and_apply(
    step: Step, profiles: Array, known: Sequence[Learnt] = ()
) -> tuple[Array, list[Learnt]]:
    """Profiles (N, K) after one step, and the map of each unit.

    profiles: (N, D); changed in place if K is D. known: maps that were learnt before and are
    applied instead of learning; a single known map of this step is applied to all units.
    Raises ProfileError if a unit has too few teaching profiles, or features that are not finite.
    """
    known = _of_step(known, step)
    all_teaching = profiles[step.teaches] if step.method in _ALIGNING else profiles[:0]
    order = np.argsort(step.units, kind="stable")
    ends = np.searchsorted(step.units[order], np.arange(len(step.names)), side="right")
    rows = np.split(order, ends[:-1])

    def learn(unit: int) -> Learnt:
        name = step.names[unit]
        if known:
            return _known_map(known, name)
        teaching = rows[unit][step.teaches[rows[unit]]]
        _check_teaching(step, name, profiles, teaching)
        affine = METHODS[step.method](_take(profiles, teaching), all_teaching, step.epsilon)
        return Learnt(step.number, step.method, name, len(teaching), affine)

    def apply(unit: int) -> None:
        for start in range(0, len(rows[unit]), _BLOCK):
            block = rows[unit][start : start + _BLOCK]
            out[block] = learnt[unit].map.apply(_take(profiles, block))

    # numpy releases the interpreter lock while it sorts and computes: threads run in parallel.
    with _without_nan_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        learnt = list(pool.map(learn, range(len(rows))))
        num_out = _num_out(step, profiles, learnt)
        same = num_out == profiles.shape[1]
        out = profiles if same else np.empty((len(profiles), num_out))
        list(pool.map(apply, range(len(rows))))
    return out, learnt


def _of_step(known: Sequence[Learnt], step: Step) -> list[Learnt]:
    """What is known of one step.

    Raises ProfileError if statistics are known, but of other steps or by another method.
    """
    of_step = [k for k in known if k.step == step.number]
    methods = {k.method for k in of_step}
    if known and methods != {step.method}:
        have = ", ".join(sorted(methods)) or "nothing"
        raise ProfileError(
            f"the statistics learnt {have} in step {step.number}, the normalization asks for"
            f" {step.method}; name the --normalize that they were learnt by"
        )
    return of_step


def _num_out(step: Step, profiles: Array, learnt: Sequence[Learnt]) -> int:
    """Number K of features after the step, which must be the same for every unit."""
    num_in = profiles.shape[1]
    num_out: int = num_in
    for n, found in enumerate(learnt):
        if found.map.centre.shape != (num_in,):
            raise ProfileError(
                f"the statistics have {len(found.map.centre)} features, the profiles {num_in}"
            )
        num_axes = num_in if found.map.matrix is None else found.map.matrix.shape[1]
        if n and num_axes != num_out:
            raise ProfileError(
                f"{step.method} keeps {num_axes} axes of unit '{found.unit}' and {num_out} of"
                " others, because there are fewer controls than features; learn from the whole"
                " dataset (per=dataset)"
            )
        num_out = num_axes
    return num_out


def _take(profiles: Array, rows: NDArray[np.int64]) -> Array:
    """A copy of these rows; consecutive rows are copied as one slice, which is faster."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return np.array(profiles[rows[0] : rows[-1] + 1])
    return np.asarray(profiles[rows])


def _known_map(known: Sequence[Learnt], unit: str) -> Learnt:
    by_unit = {k.unit: k for k in known}
    if len(by_unit) == 1:
        return known[0]
    if unit not in by_unit:
        have = ", ".join(sorted(by_unit)[:5])
        raise ProfileError(f"the statistics have no unit '{unit}'; they have {have}")
    return by_unit[unit]


def _check_teaching(step: Step, unit: str, profiles: Array, teaching: NDArray[np.int64]) -> None:
    least = 2 if step.method in _NEEDS_TWO else 1
    if len(teaching) < least:
        raise ProfileError(
            f"'{unit}' has {len(teaching)} wells to learn {step.method} from; {least} are needed."
            " Check the control_type of its wells, or choose other controls (controls=all learns"
            " from every well) or another normalization"
        )
    if step.method in _NEEDS_TWO and not np.isfinite(profiles[teaching]).all():
        raise ProfileError(
            f"wells of '{unit}' have features that are not finite, which {step.method} cannot use;"
            " drop these features by select=na"
        )


@contextmanager
def _without_nan_warnings() -> Iterator[None]:
    """Silence numpy's warnings about features that are NaN in all teaching profiles."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty|Degrees of freedom")
        yield


def _recolour(source: Array, target: Array, epsilon: float | None) -> Affine:
    """The map that changes the covariance `source` (D, D) to `target`.

    epsilon: added to both diagonals; default 1.
    """
    ridge = 1.0 if epsilon is None else epsilon
    num_dims = len(source)
    matrix = _power(source, -0.5, ridge) @ _power(target, 0.5, ridge)
    return Affine(np.zeros(num_dims), np.ones(num_dims), matrix)


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
