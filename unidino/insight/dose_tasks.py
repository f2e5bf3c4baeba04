"""The curves of a dose response that are to be fitted: wells, doses and effects of each.

Shapes: N wells, D features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.insight.effects import (
    control_distance,
    control_projection,
    feature_effect,
    own_axis,
)
from unidino.insight.responses import Wells
from unidino.lake.lake import Lake
from unidino.profiles.export import feature_names
from unidino.profiles.groups import Group

ALL = "all"
_NO_CHANNELS = ("mixed", "selected", "features")
_MOST_CONTROLS = 500


@dataclass(frozen=True)
class Task:
    """A curve to fit: one compound and channel of a group of profiles."""

    group: Group
    compound: str
    channel: str
    wells: Wells
    seed: int


def tasks(
    lake: Lake,
    group: Group,
    effect: str,
    positive: str | None,
    features: Sequence[str],
    compounds: Sequence[str] | None,
    seed: int,
) -> Iterator[Task]:
    """The curves to fit of a group.

    Raises ProfileError without negative controls, or without a compound at two doses.
    """
    is_finite = np.isfinite(group.vectors).all(axis=1)
    if missing := int((~is_finite).sum()):
        log.warning(
            f"{group.profiled.title}: {missing} profiles have missing features and are left out"
            " (--normalize ...,select=na)"
        )
    vectors = np.asarray(group.vectors[is_finite], dtype=np.float64)
    table = pl.DataFrame(pl.from_arrow(group.metadata)).filter(pl.Series(is_finite))
    kinds = table["control_type"].cast(pl.String).fill_null("trt")
    is_control = (kinds == "negcon").to_numpy()
    if not is_control.any():
        raise ProfileError(
            "it has no negative controls; give them the control_type negcon at ingest or import"
            " (--negcon names their compound), and keep them in --where"
        )
    names, um = _treated(group, table, kinds, compounds)
    slices = _slices(lake, group, vectors.shape[1], features)
    is_positive = _positives(table, kinds, positive) if effect == "projection" else None
    chosen = np.unique(names[names >= 0])
    controls = np.flatnonzero(is_control)
    if len(controls) > _MOST_CONTROLS:
        controls = controls[np.linspace(0, len(controls) - 1, _MOST_CONTROLS).astype(int)]
    kept = ~is_control
    kept[controls] = True
    labels = table["compound"].cast(pl.String).to_list()
    vectors, names, um, is_control = vectors[kept], names[kept], um[kept], is_control[kept]
    labels = [label for label, k in zip(labels, kept, strict=True) if k]
    if is_positive is not None:
        is_positive = is_positive[kept]
    for channel, columns in slices.items():
        part = vectors[:, columns]
        effects = _effects(effect, part, is_control, is_positive, names)
        for number in chosen:
            own = np.flatnonzero(names == number)
            of_wells, of_controls = effects(int(number), own)
            doses = np.append(um[own], np.zeros(len(of_controls)))
            wells = Wells(doses, np.append(of_wells, of_controls), *_shape_of(effect))
            yield Task(group, str(labels[own[0]]), channel, wells, seed)


def _treated(
    group: Group, table: pl.DataFrame, kinds: pl.Series, compounds: Sequence[str] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The compound of each well as an integer, -1 for wells that no curve uses, and its dose.

    Raises ProfileError if no compound has two doses.
    """
    is_treated = table["compound"].is_not_null() & ~kinds.is_in(["negcon", "empty"])
    if compounds is not None:
        known = set(table.filter(is_treated)["compound"].to_list())
        for name in compounds:
            choose("compound", name, sorted(known))
        is_treated &= table["compound"].is_in(list(compounds))
    um = table["concentration_um"].cast(pl.Float64)
    has_dose = um.is_not_null() & (um > 0).fill_null(False)
    if no_dose := int((is_treated & ~has_dose).sum()):
        log.warning(
            f"{group.profiled.title}: {no_dose} wells have a compound and no dose, and are left out"
            " (a concentration needs a unit: --unit at ingest or import)"
        )
    usable = is_treated & has_dose
    doses = table.with_columns(um=um).filter(usable).group_by("compound")
    num = doses.agg(pl.col("um").n_unique(), pl.len()).sort("compound")
    several = num.filter(pl.col("um") > 1)
    if single := len(num) - len(several):
        log.warning(f"{group.profiled.title}: no curve for compounds with one dose: {single}")
    if several.is_empty():
        raise ProfileError(
            "it has no compound at two doses or more"
            + (
                ": no well has a concentration (--unit at ingest or import)"
                if num.is_empty()
                else ""
            )
        )
    if alone := int((several["um"] == several["len"]).sum()):
        log.warning(
            f"{group.profiled.title}: compounds with one well a dose: {alone}; their intervals rest"
            " on how the wells scatter about the curve and on the controls"
        )
    numbers = {name: i for i, name in enumerate(several["compound"].to_list())}
    names = [
        numbers.get(name, -1) if use else -1
        for name, use in zip(table["compound"].to_list(), usable.to_list(), strict=True)
    ]
    return np.array(names, np.int64), um.fill_null(0).to_numpy()


def _slices(
    lake: Lake, group: Group, num: int, features: Sequence[str]
) -> dict[str, slice | list[int]]:
    """Columns of the vectors by the name of the response: all, each channel, or each feature."""
    if features:
        known = feature_names(lake, group)
        fitting = [
            i
            for pattern in features
            for i, name in enumerate(known)
            if name == pattern or fnmatchcase(name, pattern)
        ]
        if not fitting:
            raise InputError(
                f"no feature fits '{features[0]}'; the profiles have {len(known)}, such as"
                f" {', '.join(known[:3])}"
            )
        return {known[i]: [i] for i in dict.fromkeys(fitting)}
    slices: dict[str, slice | list[int]] = {ALL: slice(0, num)}
    if len(group.channels) > 1:
        size = num // len(group.channels)
        slices |= {name: slice(i * size, (i + 1) * size) for i, name in enumerate(group.channels)}
    elif group.channels[0] not in _NO_CHANNELS:
        slices = {group.channels[0]: slice(0, num)}
    return slices


def _positives(table: pl.DataFrame, kinds: pl.Series, positive: str | None) -> NDArray[np.bool_]:
    """Whether each well is of the positive control; of a named compound, at its highest dose.

    Raises UnidinoError for an unknown compound, ProfileError without positive controls.
    """
    if positive:
        choose("compound", positive, sorted(table["compound"].drop_nulls().unique().to_list()))
        is_it = (table["compound"] == positive).fill_null(False) & (kinds != "negcon")
        um = table["concentration_um"].cast(pl.Float64)
        most = um.filter(is_it).max()
        is_it &= True if most is None else (um == most).fill_null(False)
    else:
        is_it = kinds == "poscon"
        if not is_it.any():
            raise ProfileError(
                "it has no wells of control_type poscon; name the positive control by --positive"
            )
    return np.asarray(is_it.to_numpy())


def _effects(
    effect: str,
    part: NDArray[np.float64],
    is_control: NDArray[np.bool_],
    is_positive: NDArray[np.bool_] | None,
    names: NDArray[np.int64],
) -> Any:
    """A function of a compound and its wells, which returns their effects and the controls'."""
    if effect == "axis":
        along = own_axis(part, is_control, names)
        return lambda number, own: along[number]
    if effect == "distance":
        values = control_distance(part, is_control)
    elif is_positive is not None:
        values = control_projection(part, is_control, is_positive)
    else:
        values = feature_effect(part[:, 0], is_control)
    return lambda number, own: (values[own], values[is_control])


def _shape_of(effect: str) -> tuple[bool, bool]:
    """Whether effects only rise with the dose, and whether they are distances."""
    return effect in ("axis", "distance"), effect == "distance"
