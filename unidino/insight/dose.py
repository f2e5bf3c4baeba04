"""Dose response: from which dose on, and by which channel, a compound differs from the controls.

Shapes: N wells, D features.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from unidino.core.choices import Effect
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.processes import side_by_side
from unidino.core.progress import progress_bar
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.insight.curves import Curve, fit_curve, strengths
from unidino.insight.dose_curve import DoseCurve, dose_table
from unidino.insight.dose_tasks import Task
from unidino.insight.dose_tasks import tasks as tasks_of
from unidino.insight.questions import not_default, question_of
from unidino.insight.responses import Wells
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection, nothing_fits

EFFECTS: tuple[str, ...] = get_args(Effect)
_SIGNIFICANT = 0.05
_NUM_SHUFFLED = 999
_FEW_CURVES = 24  # fewer are fitted in this process


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
    default, and most, one a core.
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
            tasks = list(
                tasks_of(lake, group, effect, positive, features, selection.compounds, seed)
            )
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


def _fitted(
    tasks: Sequence[Task], effect: str, num_bootstraps: int, jobs: int | None
) -> list[DoseCurve]:
    """The curves of a dataset, sorted by compound; channels in the order of the profiles."""
    from joblib import delayed
    from scipy.stats import false_discovery_control

    designs = [(task.channel, tuple(np.sort(task.wells.um))) for task in tasks]
    like = {design: designs.count(design) for design in set(designs)}
    calls = [
        delayed(_fit)(task.wells, num_bootstraps, _num_shuffled(like[design]), task.seed)
        for task, design in zip(tasks, designs, strict=True)
    ]
    num_jobs = 1 if len(calls) < _FEW_CURVES else jobs
    fits = []
    with progress_bar("dose", len(calls), "curves") as advance:
        for fit in side_by_side(calls, num_jobs):
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


def _dose_curve(task: Task, effect: str, curve: Curve, p_value: float, q_value: float) -> DoseCurve:
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
