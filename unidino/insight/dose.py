"""Dose response: from which dose on, and by which channel, a compound differs from the controls.

Shapes: N wells, D features.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.choices import Effect
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.core.progress import progress_bar
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.insight.curves import Curve, Wells, fit_curve, strengths
from unidino.insight.effects import (
    control_distance,
    control_projection,
    feature_effect,
    own_axis,
)
from unidino.insight.questions import not_default, question_of
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.export import feature_names
from unidino.profiles.groups import Group, groups
from unidino.profiles.selection import Selection, nothing_fits

EFFECTS: tuple[str, ...] = get_args(Effect)
ALL = "all"
_NO_CHANNELS = ("mixed", "selected", "features")
_MOST_CONTROLS = 500
_SIGNIFICANT = 0.05
_NUM_SHUFFLED = 999
_FEW_CURVES = 24  # fewer are fitted in this process


@dataclass(frozen=True)
class DoseCurve:
    """The response of one channel to one compound.

    channel: `all` for all channels together, or the name of a feature. ec50_um: dose of half the
    effect; None if the compound is inactive, or if it is outside the tested doses (`beyond` tells
    the side). interval_95: of the EC50; an end that leaves the tested doses is None; no interval if
    none of it is among them.
    lowest_active_um: the lowest tested dose that differs from the controls, as all higher ones do;
    lowest_active_95: its interval. n: wells of the compound. q_value: Benjamini and Hochberg over
    the compounds and channels of a dataset; is_active: it is under 0.05. curve: see `Curve`.
    wells: see `Wells`.
    """

    model: str
    normalization: str
    dataset: str
    level: str
    effect: str
    compound: str
    channel: str
    ec50_um: float | None
    interval_95: tuple[float | None, float | None] | None
    lowest_active_um: float | None
    lowest_active_95: tuple[float | None, float | None] | None
    beyond: str | None
    is_active: bool
    p_value: float
    q_value: float
    r2: float
    n: int
    num_doses: int
    num_controls: int
    curve: Curve = field(repr=False, compare=False)
    wells: Wells = field(repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The response as plain values, without its wells and the points of its curve."""
        values = asdict(replace(self, curve=None, wells=None))  # type: ignore[arg-type]
        of_curve = {"curve": self.curve.kind} | {
            name: getattr(self.curve, name) for name in ("bottom", "top", "slope")
        }
        del values["wells"]
        return values | of_curve

    def as_row(self) -> dict[str, Any]:
        """The row of the table `dose`, without run and question."""
        row = self.as_json()
        for name, ends in (
            ("ec50", row.pop("interval_95")),
            ("lowest_active", row.pop("lowest_active_95")),
        ):
            row[f"{name}_low_um"], row[f"{name}_high_um"] = ends or (None, None)
        treated = ~self.wells.is_control
        return row | {
            "point_um": self.wells.um[treated].tolist(),
            "point_effect": self.wells.effect[treated].tolist(),
            "control_effect": self.wells.effect[~treated].tolist(),
            "curve_um": self.curve.dose_um.tolist(),
            "curve_effect": self.curve.value.tolist(),
            "curve_low": self.curve.low.tolist(),
            "curve_high": self.curve.high.tolist(),
        }


@dataclass(frozen=True)
class _Task:
    """A curve to fit: one compound and channel of a group of profiles."""

    group: Group
    compound: str
    channel: str
    wells: Wells
    seed: int


def dose(
    lake: Lake,
    selection: Selection | None = None,
    *,
    effect: str = "axis",
    positive: str | None = None,
    features: Sequence[str] = (),
    num_bootstraps: int = 500,
    seed: int = 0,
    jobs: int | None = None,
) -> Results[DoseCurve]:
    """Curves of the effect against the dose, for every compound and channel of each dataset.

    effect: what is measured of a well, always against the negative controls. `axis`: along the axis
    from the controls to the other wells of its compound, in standard deviations of the controls.
    `distance`: from the cloud of controls (Mahalanobis, shrunken). `projection`: on the axis to the
    positive control, which is the compound `positive` at its highest dose, or the wells of
    control_type poscon: 0 at the negative, 1 at the positive controls. features: names, or patterns
    such as `*_Intensity*`: each is a response of its own, in robust standard deviations of the
    controls, in place of the channels. num_bootstraps, seed: of the intervals. jobs: processes;
    default one per core.
    selection: its `compounds` limit the curves; the controls stay.
    Raises UnidinoError for an unknown effect, ProfileError if no dataset has negative controls and
    a compound at two doses.

    >>> import unidino as ud
    >>> ud.dose(lake, ud.Selection(models=["gaussian"]))
    Traceback (most recent call last):
    unidino.core.errors.ProfileError: ... no compound at two doses ...
    """
    run = Run.of("dose", locals())
    choose("effect", effect, EFFECTS)
    if effect == "feature" and not features:
        raise InputError("effect 'feature' needs the names of features: --feature NAME")
    if positive and effect != "projection":
        raise InputError("a positive control is for --effect projection alone")
    if num_bootstraps < 100:
        raise InputError(f"--bootstraps is {num_bootstraps}; it must be at least 100")
    effect = "feature" if features else effect
    selection = selection or Selection()
    if selection.level in ("field", "compound"):
        raise InputError(
            f"--level is {selection.level}; a dose response needs wells or treatments: fields of a"
            " well are no replicates, and a mean over a compound has no dose"
        )
    asked = replace(selection, compounds=None)
    found: list[DoseCurve] = []
    why_not = WhyNot()
    for group in groups(lake, asked):
        with why_not.collecting(f"{group.profiled.title} has no dose response"):
            tasks = list(_tasks(lake, group, effect, positive, features, selection.compounds, seed))
            found += _fitted(tasks, effect, num_bootstraps, jobs)
    why_not.settle(anything_done=bool(found), nothing=nothing_fits(selection))
    if not any(c.is_active for c in found):
        log.warning("no compound differs from the negative controls in any channel (q < 0.05)")
    given = {"effect": effect, "positive": positive, "features": list(features), "seed": seed}
    others = not_default(dose, given | {"num_bootstraps": num_bootstraps})
    others = {name: value for name, value in others.items() if value not in ([], None)}
    question = question_of("dose", selection, {}, others)
    land_answers(lake, run, "dose", [(question, [c.as_row() for c in found])])
    return Results(found, dose_table)


def dose_table(found: Sequence[DoseCurve]) -> pl.DataFrame:
    """The responses as a table for people: a row for each compound and channel."""
    table = pl.DataFrame(
        [
            {
                "dataset": c.dataset,
                "model": c.model,
                "compound": c.compound,
                "channel": c.channel,
                "EC50 uM": _dose_text(c.ec50_um) or _beyond_text(c),
                "95 %": _interval_text(c.interval_95),
                "lowest active uM": _dose_text(c.lowest_active_um),
                "lowest 95 %": _interval_text(c.lowest_active_95),
                "top": round(c.curve.top, 3),
                "R2": round(c.r2, 3),
                "q": c.q_value,
                "curve": c.curve.kind,
                "doses": c.num_doses,
                "n": c.n,
            }
            for c in found
        ],
        infer_schema_length=None,
    )
    for name in ("dataset", "model"):
        if not table.is_empty() and table[name].n_unique() == 1:
            table = table.drop(name)
    return table


def _dose_text(um: float | None) -> str:
    return "" if um is None else f"{um:.3g}"


def _beyond_text(c: DoseCurve) -> str:
    if not c.is_active:
        return "inactive"
    doses = c.wells.doses_um
    return f"< {doses[0]:.3g}" if c.beyond == "below" else f"> {doses[-1]:.3g}"


def _interval_text(ends: tuple[float | None, float | None] | None) -> str:
    """An interval of doses; an end that left the tested doses is open."""
    return "" if ends is None else f"{_dose_text(ends[0])}-{_dose_text(ends[1])}"


def _tasks(
    lake: Lake,
    group: Group,
    effect: str,
    positive: str | None,
    features: Sequence[str],
    compounds: Sequence[str] | None,
    seed: int,
) -> Iterator[_Task]:
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
            yield _Task(group, str(labels[own[0]]), channel, wells, seed)


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


def _fitted(
    tasks: Sequence[_Task], effect: str, num_bootstraps: int, jobs: int | None
) -> list[DoseCurve]:
    """The curves of a dataset, sorted by compound; channels in the order of the profiles."""
    from joblib import Parallel, delayed
    from scipy.stats import false_discovery_control

    designs = [(task.channel, tuple(np.sort(task.wells.um))) for task in tasks]
    like = {design: designs.count(design) for design in set(designs)}
    calls = [
        delayed(_fit)(task.wells, num_bootstraps, _num_shuffled(like[design]), task.seed)
        for task, design in zip(tasks, designs, strict=True)
    ]
    num_jobs = 1 if len(calls) < _FEW_CURVES else jobs or os.cpu_count() or 1
    fits = []
    with progress_bar("dose", len(calls), "curves") as advance:
        for fit in Parallel(n_jobs=num_jobs, return_as="generator")(calls):
            fits.append(fit)
            advance(1)
    # Compounds of the same design have the same chance, so their shuffled responses are pooled.
    pooled: dict[Any, list[NDArray[np.float64]]] = {}
    for design, (_, _, by_chance) in zip(designs, fits, strict=True):
        pooled.setdefault(design, []).append(by_chance)
    chances = {design: np.concatenate(several) for design, several in pooled.items()}
    p_values = [
        (1 + int((chances[design] >= strength).sum())) / (1 + len(chances[design]))
        for design, (_, strength, _) in zip(designs, fits, strict=True)
    ]
    q_values = false_discovery_control(p_values)
    found = [
        _dose_curve(task, effect, curve, p, float(q))
        for task, (curve, _, _), p, q in zip(tasks, fits, p_values, q_values, strict=True)
    ]
    return sorted(found, key=lambda c: c.compound)


def _num_shuffled(num_like: int) -> int:
    """Shuffled responses of a compound, of which there are `num_like` of the same design."""
    return max(99, _NUM_SHUFFLED // num_like)


def _fit(
    wells: Wells, num_bootstraps: int, num_shuffled: int, seed: int
) -> tuple[Curve, float, NDArray[np.float64]]:
    curve = fit_curve(wells, num_bootstraps=num_bootstraps, seed=seed)
    return curve, *strengths(wells, num_shuffled, seed)


def _dose_curve(
    task: _Task, effect: str, curve: Curve, p_value: float, q_value: float
) -> DoseCurve:
    profiled = task.group.profiled
    is_active = q_value < _SIGNIFICANT
    ends = (curve.ec50_low, curve.ec50_high)
    is_known = curve.ec50_um is not None or ends != (None, None)
    treated = int((~task.wells.is_control).sum())
    return DoseCurve(
        model=profiled.model,
        normalization=profiled.normalization,
        dataset=profiled.dataset,
        level=profiled.level,
        effect=effect,
        compound=task.compound,
        channel=task.channel,
        ec50_um=curve.ec50_um if is_active else None,
        interval_95=ends if is_active and is_known else None,
        lowest_active_um=curve.lowest_active_um if is_active else None,
        lowest_active_95=(curve.lowest_active_low, curve.lowest_active_high)
        if is_active and curve.lowest_active_um
        else None,
        beyond=curve.beyond if is_active else None,
        is_active=is_active,
        p_value=p_value,
        q_value=q_value,
        r2=curve.r2,
        n=treated,
        num_doses=len(task.wells.doses),
        num_controls=len(task.wells.effect) - treated,
        curve=curve,
        wells=task.wells,
    )
