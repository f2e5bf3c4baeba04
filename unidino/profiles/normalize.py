"""Normalizations as affine maps, which are learnt from profiles and applied one after another.

A step of a normalization works on units: plates, batches or the whole dataset. `sql/normalize` says
which profiles of a unit the step learns from: the teaching profiles. From these the step learns a
centre, a spread and, for some methods, a matrix. It maps every profile x of the unit to
(x - centre) / spread @ matrix. The learnt statistics can be saved and applied to other profiles.

Shapes: N profiles, T teaching profiles, D features in, K features out.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.core.vectors import as_slice
from unidino.profiles.methods import ALIGNING, METHODS, NEEDS_TWO, Array, Map

_BLOCK = 4096


@dataclass(frozen=True)
class Learnt:
    """The map that one step learnt for one unit; a row of the table `statistic`."""

    step: int
    method: str
    unit: str
    num_teaching: int
    map: Map


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
    step: Step, profiles: Array, known: Sequence[Learnt] = (), *, fill: bool = False
) -> tuple[Array, list[Learnt]]:
    """Profiles (N, K) after one step, and the map of each unit.

    profiles: (N, D), NaN where a value is missing; changed in place if K is D. A feature that is
    missing in all teaching profiles of a unit stays missing in the unit. known: maps that were
    learnt before and are applied instead of learning; a single known map of this step is applied
    to all units. fill: a missing value counts as the mean of the unit's teaching profiles, or as 0
    if they have none; without it, a method that mixes features refuses missing values.
    Raises ProfileError if a unit has too few teaching profiles, or features that are missing.
    """
    known = _of_step(known, step)
    all_teaching = profiles[step.teaches] if step.method in ALIGNING else profiles[:0]
    order = np.argsort(step.units, kind="stable")
    ends = np.searchsorted(step.units[order], np.arange(len(step.names)), side="right")
    rows = np.split(order, ends[:-1])

    def learn(unit: int) -> Learnt:
        name = step.names[unit]
        if known:
            return _known_map(known, name)
        teaching = rows[unit][step.teaches[rows[unit]]]
        _check_teaching(step, name, profiles, teaching, fill=fill)
        taught = np.array(profiles[as_slice(teaching)])
        if fill:
            _fill(taught, _means(taught))
        with np.errstate(over="ignore", invalid="ignore"):
            found = METHODS[step.method](taught, all_teaching, step.epsilon)
        return Learnt(step.number, step.method, name, len(teaching), found)

    def apply(unit: int) -> None:
        for start in range(0, len(rows[unit]), _BLOCK):
            block = rows[unit][start : start + _BLOCK]
            taken = np.array(profiles[as_slice(block)])
            if fill:
                _fill(taken, learnt[unit].map.centre)
            with np.errstate(over="ignore", invalid="ignore"):
                out[as_slice(block)] = learnt[unit].map.apply(taken)

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


def _known_map(known: Sequence[Learnt], unit: str) -> Learnt:
    by_unit = {k.unit: k for k in known}
    if len(by_unit) == 1:
        return known[0]
    if unit not in by_unit:
        have = ", ".join(sorted(by_unit)[:5])
        raise ProfileError(f"the statistics have no unit '{unit}'; they have {have}")
    return by_unit[unit]


def _means(profiles: Array) -> Array:
    """Mean (D,) of the values that are not missing; 0 if all are missing."""
    present = ~np.isnan(profiles)
    means: Array = np.where(present, profiles, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return means


def fill_by_means(profiles: Array) -> Array:
    """Profiles (N, D) with the mean of its feature in place of each missing value, in place."""
    _fill(profiles, _means(profiles))
    return profiles


def _fill(profiles: Array, values: Array) -> None:
    """Replace missing values of profiles (N, D) by those of their feature (D,), in place."""
    missing = np.isnan(profiles)
    if missing.any():
        np.copyto(profiles, values, where=missing)


def _check_teaching(
    step: Step, unit: str, profiles: Array, teaching: NDArray[np.int64], *, fill: bool
) -> None:
    least = 2 if step.method in NEEDS_TWO else 1
    if len(teaching) < least:
        raise ProfileError(
            f"'{unit}' has {len(teaching)} of the wells that {step.method} learns from, its"
            f" controls; {least} are needed. Check the control_type of its wells, or choose other"
            " controls (controls=all learns from every well) or another normalization"
        )
    if step.method in NEEDS_TWO and not fill and not np.isfinite(profiles[teaching]).all():
        raise ProfileError(
            f"wells of '{unit}' have features that are not finite, which {step.method} cannot use;"
            " drop these features by select=na, which counts the few missing values of the others"
            " as their mean"
        )


@contextmanager
def _without_nan_warnings() -> Iterator[None]:
    """Silence numpy's warnings about features that are NaN in all teaching profiles."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN|Mean of empty|Degrees of freedom")
        yield
