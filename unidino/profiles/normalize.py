"""What normalizations learn from profiles, and how it is applied: affine maps, one after another.

Each step of a normalization learns, from the profiles that `sql/normalize` says teach it, a centre,
a spread and perhaps a matrix for every unit (a plate, a batch, the dataset), and maps the profiles
of that unit by (x - centre) / spread @ matrix. What was learnt can be kept and applied to others.

Shapes: N profiles, T of them teaching, D features in, K features out.
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
    """What one unit learnt: x becomes (x - center) / (spread + epsilon) @ matrix.

    center, spread: (D,), in units of the features; a feature whose spread is 0 becomes 0, unless
    epsilon says otherwise. matrix: (D, K), or None for no mixing of features.
    """

    center: Array
    spread: Array
    matrix: Array | None = None
    epsilon: float | None = None

    def apply(self, profiles: Array) -> Array:
        """Profiles (N, K) of profiles (N, D)."""
        centred = profiles - self.center
        if self.epsilon is not None:
            centred /= self.spread + self.epsilon
        else:
            constant = self.spread == 0
            centred /= np.where(constant, 1, self.spread)
            centred[:, constant] = 0
        return centred if self.matrix is None else centred @ self.matrix


def median_mad(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Median, and median absolute deviation scaled to a normal distribution's standard deviation.

    teaching: (T, D); NaN is left out. epsilon: added to the spread, as pycytominer does.
    Source: Morelli et al. 2025, section 2.2.2.
    """
    return Affine(*median_and_mad(np.ascontiguousarray(teaching.T)), None, epsilon)


def mean_sd(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Mean and standard deviation (of the population).

    teaching: (T, D); NaN is left out. epsilon: added to the spread.
    """
    center, spread = np.nanmean(teaching, axis=0), np.nanstd(teaching, axis=0)
    # The mean of equal numbers is off by rounding, which is no spread.
    spread[np.nanmin(teaching, axis=0) == np.nanmax(teaching, axis=0)] = 0
    return Affine(center, spread, None, epsilon)


def whiten(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Whitening that turns back (ZCA): what teaches gets covariance 1, axes stay those it had.

    teaching: (T, D). epsilon: added to the eigenvalues, in squared profile units; default 1e-6.
    Source: Kessy et al. 2018, doi 10.1080/00031305.2016.1277159.
    """
    center, values, axes = _principal_axes(teaching)
    scaled = axes / np.sqrt(values + (1e-6 if epsilon is None else epsilon))
    return Affine(center, np.ones_like(center), scaled @ axes.T)


def whiten_rotated(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Whitening along the principal axes of what teaches, without turning back.

    teaching: (T, D). epsilon: added to the eigenvalues; default 1. The covariance is the
    population's, over T.
    Source: Ando et al. 2017, doi 10.1101/161422.
    """
    center, values, axes = _principal_axes(teaching)
    values = values * (len(teaching) - 1) / len(teaching)
    matrix = axes / np.sqrt(values + (1.0 if epsilon is None else epsilon))
    return Affine(center, np.ones_like(center), matrix)


def rotate(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Principal axes of what teaches: as many as there are profiles or features.

    teaching: (T, D). epsilon: not used.
    """
    center, _, axes = _principal_axes(teaching)
    num_axes = min(teaching.shape)
    return Affine(center, np.ones_like(center), axes[:, :num_axes])


def align(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """Covariance of a unit's teaching profiles turned into that of all units' (CORAL).

    teaching: (T, D), of this unit. everywhere: those of all units. epsilon: added to both
    covariances' diagonals; default 1.
    Source: Sun et al. 2016, "Return of frustratingly easy domain adaptation".
    """
    return _recolored(_covariance(teaching), _covariance(everywhere), epsilon)


def align_about_zero(teaching: Array, everywhere: Array, epsilon: float | None) -> Affine:
    """As `align`, by second moments about zero: where a unit's controls lie counts as spread.

    Source: the program of Morelli et al. 2025.
    """
    own, target = (x.T @ x / len(x) for x in (teaching, everywhere))
    return _recolored(own, target, epsilon)


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
    """What one step learnt for one unit, as the table `statistic` keeps it."""

    step: int
    method: str
    unit: str
    num_teaching: int
    map: Affine


@dataclass(frozen=True)
class Step:
    """One step: which unit each profile belongs to, and whether it teaches.

    units: (N,), position in `names`. teaches: (N,).
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
    """Profiles after one step, and what it learnt; equal statistics give equal profiles.

    profiles: (N, D); changed in place where the step keeps D. known: learnt before; then nothing
    is learnt, and a step that knows one unit only applies it to all.
    Raises ProfileError if a unit has nothing to learn from, or features that are not finite.
    """
    known = [k for k in known if k.step == step.number]
    everywhere = profiles[step.teaches] if step.method in _ALIGNING else profiles[:0]
    order = np.argsort(step.units, kind="stable")
    ends = np.searchsorted(step.units[order], np.arange(len(step.names)), side="right")
    rows = np.split(order, ends[:-1])

    def learn(unit: int) -> Learnt:
        name = step.names[unit]
        if known:
            return _known(known, name)
        teaching = rows[unit][step.teaches[rows[unit]]]
        _check(step, name, profiles, teaching)
        what = METHODS[step.method](_taken(profiles, teaching), everywhere, step.epsilon)
        return Learnt(step.number, step.method, name, len(teaching), what)

    def apply(unit: int) -> None:
        for start in range(0, len(rows[unit]), _BLOCK):
            block = rows[unit][start : start + _BLOCK]
            out[block] = learnt[unit].map.apply(_taken(profiles, block))

    # Sorting and arithmetic leave the interpreter free, so units go side by side.
    with _quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        learnt = list(pool.map(learn, range(len(rows))))
        num_out = _num_out(step, profiles, learnt)
        same = num_out == profiles.shape[1]
        out = profiles if same else np.empty((len(profiles), num_out))
        list(pool.map(apply, range(len(rows))))
    return out, learnt


def _num_out(step: Step, profiles: Array, learnt: Sequence[Learnt]) -> int:
    """Features of the profiles that come out; the same of every unit."""
    num_out: int = profiles.shape[1]
    for n, found in enumerate(learnt):
        if found.map.center.shape != (profiles.shape[1],):
            raise ProfileError(
                f"the statistics are of {len(found.map.center)} features, the profiles of"
                f" {profiles.shape[1]}"
            )
        own = profiles.shape[1] if found.map.matrix is None else found.map.matrix.shape[1]
        if n and own != num_out:
            raise ProfileError(
                f"{step.method} keeps {own} axes of unit '{found.unit}' and {num_out} of others;"
                " there are fewer controls than features, so learn from the whole dataset"
            )
        num_out = own
    return num_out


def _taken(profiles: Array, rows: NDArray[np.int64]) -> Array:
    """Rows as an array of their own; neighbouring ones without an index."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return np.array(profiles[rows[0] : rows[-1] + 1])
    return np.asarray(profiles[rows])


def _known(known: Sequence[Learnt], unit: str) -> Learnt:
    by_unit = {k.unit: k for k in known}
    if len(by_unit) == 1:
        return known[0]
    if unit not in by_unit:
        have = ", ".join(sorted(by_unit)[:5])
        raise ProfileError(f"the statistics know no unit '{unit}'; they have {have}")
    return by_unit[unit]


def _check(step: Step, unit: str, profiles: Array, teaching: NDArray[np.int64]) -> None:
    least = 2 if step.method in _NEEDS_TWO else 1
    if len(teaching) < least:
        raise ProfileError(
            f"'{unit}' has {len(teaching)} wells to learn {step.method} from; it needs {least}:"
            " see which control_type its wells have, or choose other controls (controls=all learns"
            " from every well) or normalization"
        )
    if step.method in _NEEDS_TWO and not np.isfinite(profiles[teaching]).all():
        raise ProfileError(
            f"wells of '{unit}' have features that are not finite, which {step.method} cannot use;"
            " drop them by select=na"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without numpy's warning that a feature is NaN everywhere: it stays NaN, which is counted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty|Degrees of freedom")
        yield


def _recolored(own: Array, target: Array, epsilon: float | None) -> Affine:
    """The map that turns one covariance (D, D) into another, both with a ridge, default 1."""
    ridge = 1.0 if epsilon is None else epsilon
    num_dims = len(own)
    matrix = _power(own, -0.5, ridge) @ _power(target, 0.5, ridge)
    return Affine(np.zeros(num_dims), np.ones(num_dims), matrix)


def _covariance(profiles: Array) -> Array:
    return np.atleast_2d(np.cov(profiles, rowvar=False, ddof=1))


def _principal_axes(teaching: Array) -> tuple[Array, Array, Array]:
    """Mean, variances (descending) and axes as columns; each axis' largest entry is positive."""
    values, axes = np.linalg.eigh(_covariance(teaching))
    values, axes = np.clip(values[::-1], 0, None), axes[:, ::-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return teaching.mean(axis=0), values, axes


def _power(symmetric: Array, power: float, ridge: float) -> Array:
    """A power of the matrix with `ridge` on its diagonal added."""
    values, axes = np.linalg.eigh(symmetric)
    result: Array = (axes * (np.clip(values, 0, None) + ridge) ** power) @ axes.T
    return result
