"""How well profiles predict readouts that were measured otherwise.

Each readout (of cell health, of transcripts) is regressed alone on consensus profiles; the share of
readouts that is predicted beyond a threshold summarizes them. Shapes: P consensus profiles,
D features, R readouts, F folds. Source: Morelli et al. 2025, section 2.3.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.processes import side_by_side
from unidino.core.progress import progress_bar
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.insight import cell_health, readout_tables
from unidino.insight.questions import not_default, question_of
from unidino.insight.readout_scores import ReadoutScore, frame_of
from unidino.insight.regression import REGRESSORS, area, area_interval, fold_r2
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import Group, groups
from unidino.profiles.profile import Profiled
from unidino.profiles.selection import Selection, nothing_fits


@dataclass(frozen=True)
class _StratumTask:
    """Consensus profiles of one stratum, and the readouts that can be fitted.

    vectors: (P, D). values: (P, R), NaN where missing. names: (R,). dropped: reason and count.
    """

    profiled: Profiled
    by: tuple[str, ...]
    stratum: str
    vectors: NDArray[Any]
    values: NDArray[np.float64]
    names: list[str]
    dropped: dict[str, int]


def predict_readouts(
    lake: Lake,
    table: Path | str,
    selection: Selection | None = None,
    *,
    by: Sequence[str] = (),
    stratum: str | None = None,
    pattern: str | None = None,
    mapped: Mapping[str, str] | None = None,
    regressor: str = "random_forest",
    num_folds: int = 5,
    seed: int = 0,
    jobs: int | None = None,
    unit: str | None = None,
) -> Results[ReadoutScore]:
    """A score for every model, dataset and stratum that has measured readouts.

    table: CSV, TSV or Parquet with columns of keys and of readouts. selection: default the well
    profiles of all models. mapped: see `wide.parse_map`. pattern: regular expression that names of
    readouts match. by: columns whose values group the profiles; see `readout_tables.key_columns`.
    stratum: the one of these whose values are fitted apart, or `none`; default cell_line if it is
    one of several. jobs: processes; default, and most, one a core. unit: see `ingest`.
    The published readouts of Cell Health are known by their name (`cell_health_median.tsv.gz` or
    `cell_health_modz.tsv.gz`); without a selected model the published features beside them are
    scored too, with Gaussian numbers and every model of the dataset cell-health.
    Raises UnidinoError for an unknown name, InputError if the table lacks what is needed,
    ProfileError if nothing matches or can be fitted.

    >>> import unidino as ud
    >>> table = folder / "activity.csv"
    >>> _ = table.write_text("compound,activity\\ntiny-01,1\\ntiny-02,2\\ntiny-03,3\\ntiny-04,4\\n")
    >>> scores = ud.predict_readouts(lake, table, num_folds=2, jobs=1)
    >>> scores[0].num_profiles
    4
    """
    run = Run.of("readouts", locals())
    table = Path(table)
    selection = selection or Selection()
    choose("regressor", regressor, REGRESSORS)
    if num_folds < 2:
        raise InputError(f"--folds is {num_folds}; it must be at least 2")
    is_published = cell_health.is_published(table)
    mapped = cell_health.MAPPED | dict(mapped or {}) if is_published else mapped or {}
    measurement = readout_tables.read(table, mapped, pattern, unit)
    tasks: list[_StratumTask] = []
    why_not = WhyNot()
    for group in _compared_groups(lake, table, selection, seed):
        columns = readout_tables.key_columns(measurement, group.metadata, by)
        split = _split_column(stratum, columns)
        dataset = group.profiled.dataset
        with why_not.collecting(dataset):
            matched = readout_tables.match(measurement, group.metadata, group.vectors, columns)
            for name, is_member in _strata(matched, split):
                with why_not.collecting(f"{dataset}: {split} {name}" if split else dataset):
                    tasks.append(_task(group, measurement, matched, name, is_member, num_folds))
    why_not.settle(anything_done=bool(tasks), nothing=nothing_fits(selection))
    scores = _scores(tasks, regressor, num_folds, seed, jobs)
    options = {"by": tuple(by), "stratum": stratum, "pattern": pattern, "num_folds": num_folds}
    question = question_of(
        "readouts",
        selection,
        {"table": table.name, "regressor": regressor},
        not_default(predict_readouts, options | {"seed": seed}),
    )
    rows = [row for score in scores for row in score.rows().iter_rows(named=True)]
    land_answers(lake, run, "readout_score", [(question, rows)])
    return Results(scores, frame_of)


def _compared_groups(lake: Lake, table: Path, selection: Selection, seed: int) -> Iterator[Group]:
    """Profiles of each model and dataset, with those that were published with the readouts."""
    features = None if selection.models else cell_health.features_beside(table)
    if features is None:
        yield from _distinct_groups(lake, selection)
        return
    yield from cell_health.published_groups(features, seed)
    present = lake.look_up(assets.sql("queries", "embedded_dataset"))["dataset"]
    if cell_health.DATASET in present:
        yield from _distinct_groups(lake, selection.of(dataset=cell_health.DATASET))


def _distinct_groups(lake: Lake, selection: Selection) -> Iterator[Group]:
    """Profiles of each model and dataset.

    Raises ProfileError if those of one dataset differ in their channels.
    """
    seen: set[tuple[str, str]] = set()
    for group in groups(lake, selection):
        profiled = group.profiled
        if (profiled.model, profiled.dataset) in seen:
            raise ProfileError(
                f"profiles of '{profiled.dataset}' differ in their channels; choose channels that"
                f" all have, by --normalize {selection.normalize},channels=NAME+NAME"
            )
        seen.add((profiled.model, profiled.dataset))
        yield group


def _split_column(stratum: str | None, by: Sequence[str]) -> str | None:
    """The column whose values are fitted apart, if there is one."""
    if stratum is None:
        return "cell_line" if "cell_line" in by and len(by) > 1 else None
    return None if stratum == "none" else choose("stratum", stratum, [*by, "none"])


def _strata(
    matched: readout_tables.Matched, split: str | None
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name of each stratum, and which consensus profiles (P,) are in it."""
    values = matched.keys[split].to_numpy() if split else np.full(len(matched.keys), "")
    for name in sorted(set(values.tolist())):
        yield name, values == name


def _task(
    group: Group,
    measurement: readout_tables.Measurement,
    matched: readout_tables.Matched,
    stratum: str,
    is_member: NDArray[np.bool_],
    num_folds: int,
) -> _StratumTask:
    """The profiles of a stratum, and those of its readouts that can be fitted.

    Raises ProfileError if no readout can.
    """
    values = matched.values[is_member]
    is_there = np.isfinite(values)
    count = is_there.sum(axis=0)
    # R2 needs two profiles in each fold.
    enough = count >= 2 * num_folds
    least = np.where(is_there, values, np.inf).min(axis=0)
    most = np.where(is_there, values, -np.inf).max(axis=0)
    good = enough & (most > least)
    if not good.any():
        raise ProfileError(
            f"every readout is constant over {is_member.sum()} profiles"
            if enough.any()
            else f"{count.max()} profiles have readouts, {num_folds} folds need {2 * num_folds};"
            " choose fewer --folds"
        )
    dropped = {
        "readout_with_few_profiles": int((~enough).sum()),
        "constant_readout": int((enough & ~good).sum()),
        "missing_value": int((is_member.sum() - count[good]).sum()),
    }
    return _StratumTask(
        profiled=group.profiled,
        by=matched.by,
        stratum=stratum,
        vectors=matched.vectors[is_member],
        values=values[:, good],
        names=[name for name, keep in zip(measurement.names, good, strict=True) if keep],
        dropped=matched.dropped | {reason: n for reason, n in dropped.items() if n},
    )


def _scores(
    tasks: Sequence[_StratumTask], regressor: str, num_folds: int, seed: int, jobs: int | None
) -> list[ReadoutScore]:
    """Scores of the tasks; readouts are fitted side by side in processes."""
    from joblib import delayed

    # Forests compare in float32; linear models use every digit.
    dtype = np.float32 if regressor == "random_forest" else np.float64
    calls = []
    for task in tasks:
        vectors = np.ascontiguousarray(task.vectors, dtype=dtype)
        for values in task.values.T:
            is_there = np.isfinite(values)
            calls.append(
                delayed(fold_r2)(
                    vectors if is_there.all() else vectors[is_there],
                    values[is_there],
                    regressor,
                    num_folds=num_folds,
                    seed=seed,
                )
            )
    folds = []
    with progress_bar("readouts", len(calls), "readouts") as advance:
        for r2 in side_by_side(calls, jobs):
            folds.append(r2)
            advance(1)
    scores, start = [], 0
    for task in tasks:
        end = start + len(task.names)
        scores.append(_score(task, np.array(folds[start:end]), regressor, seed))
        start = end
    return scores


def _score(
    task: _StratumTask, folds: NDArray[np.float64], regressor: str, seed: int
) -> ReadoutScore:
    """The score of a task. folds: (R, F), R2."""
    profiled, num_folds = task.profiled, folds.shape[1]
    r2, unclipped = np.maximum(folds, 0).mean(axis=1), folds.mean(axis=1)
    return ReadoutScore(
        model=profiled.model,
        normalization=profiled.normalization,
        dataset=profiled.dataset,
        level=profiled.level,
        by=task.by,
        stratum=task.stratum,
        regressor=regressor,
        num_profiles=len(task.vectors),
        num_readouts=len(r2),
        num_folds=num_folds,
        seed=seed,
        auc=area(r2),
        interval_95=area_interval(r2),
        auc_unclipped=area(unclipped),
        interval_95_unclipped=area_interval(unclipped),
        dropped=task.dropped,
        readouts=pl.DataFrame(
            {
                "readout": task.names,
                "num_profiles": np.isfinite(task.values).sum(axis=0),
                "num_folds": np.full(len(r2), num_folds),
                "r2": r2,
                "r2_unclipped": unclipped,
            }
        ),
    )
