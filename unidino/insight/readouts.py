"""How much of what was measured otherwise do profiles tell?

Readouts (of cell health, of transcripts) are regressed on consensus profiles, each apart, and the
share of readouts that is predicted beyond a threshold is summed up. Shapes: R readouts.
Source: Morelli et al. 2025, section 2.3.3.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.files import written_beside
from unidino.core.log import log, progress_bar
from unidino.core.sql import insert
from unidino.insight import readout_tables
from unidino.insight.regression import REGRESSORS, area, area_interval, fold_r2, survival
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups

__all__ = [
    "ReadoutScore",
    "area",
    "check_output",
    "readouts",
    "summary",
    "survival",
    "table_of",
    "write_table",
]
_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class ReadoutScore:
    """How well a model's profiles predict the readouts of one stratum.

    by: columns that consensus profiles are means by. auc, interval_95: AUC_S of R2 that is 0 where
    it would be negative in a fold (the paper), bootstrap over readouts; auc_unclipped: of the plain
    mean (the published program). dropped: what was left out: reason and count.
    readouts: columns readout, num_profiles, num_folds, r2, r2_unclipped.
    """

    model: str
    normalization: str
    dataset: str
    level: str
    by: tuple[str, ...]
    stratum: str
    regressor: str
    num_profiles: int
    num_readouts: int
    num_folds: int
    seed: int
    auc: float
    interval_95: tuple[float, float]
    auc_unclipped: float
    interval_95_unclipped: tuple[float, float]
    dropped: dict[str, int]
    readouts: pl.DataFrame = field(repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, its readouts as a list."""
        return vars(self) | {"readouts": self.readouts.to_dicts()}


@dataclass(frozen=True)
class _Task:
    """Consensus profiles of one stratum, and their readouts."""

    named: dict[str, Any]
    vectors: NDArray[Any]
    values: NDArray[np.float64]
    names: list[str]
    dropped: dict[str, int]


def readouts(
    lake: Lake,
    table: Path,
    *,
    models: Sequence[str] = (),
    by: Sequence[str] = (),
    stratum: str | None = None,
    pattern: str | None = None,
    mapped: Mapping[str, str] | None = None,
    normalize: str = "mad_robustize",
    level: str = "well",
    regressor: str = "random_forest",
    num_folds: int = 5,
    seed: int = 0,
    jobs: int | None = None,
    where: str | None = None,
) -> list[ReadoutScore]:
    """A score for every model, dataset and stratum that has measured readouts.

    table: CSV, TSV or Parquet with columns of keys and of readouts. mapped: see `wide.parse_map`.
    pattern: regular expression of the readouts' names. by: see `measured.key_columns`. stratum:
    the one of them whose values are fitted apart; default cell_line if it is there; `none`.
    level: of the profiles that are averaged. jobs: processes, default one a core.
    Raises UnidinoError for an unknown name, InputError if the table lacks what it needs,
    ProfileError if nothing matches or can be fitted.
    """
    choose("regressor", regressor, REGRESSORS)
    if num_folds < 2:
        raise InputError(f"--folds is {num_folds}; it must be at least 2")
    given = readout_tables.read(table, mapped or {}, pattern)
    run = Run(
        "readouts",
        {
            "table": table,
            "models": models,
            "by": by,
            "stratum": stratum,
            "pattern": pattern,
            "normalize": normalize,
            "level": level,
            "regressor": regressor,
            "num_folds": num_folds,
            "seed": seed,
            "where": where,
        },
    )
    tasks: list[_Task] = []
    why_not: list[str] = []
    seen: set[tuple[str, str]] = set()
    for group in groups(lake, models, normalize, level, where):
        made = group.made
        if (made.model, made.dataset) in seen:
            raise ProfileError(
                f"profiles of '{made.dataset}' differ in their channels; choose what all have by"
                f" --normalize {normalize},channels=NAME+NAME"
            )
        seen.add((made.model, made.dataset))
        own_by = readout_tables.key_columns(given, group.metadata, by)
        split = _stratum(stratum, own_by)
        try:
            matched = readout_tables.match(given, group.metadata, group.vectors, own_by)
            named = {
                "model": made.model,
                "normalization": made.normalization,
                "level": level,
                "dataset": made.dataset,
                "by": own_by,
                "regressor": regressor,
                "num_folds": num_folds,
                "seed": seed,
            }
            tasks += _strata(given, matched, split, named)
        except ProfileError as error:
            why_not.append(f"{made.dataset}: {error}")
    if not tasks:
        raise ProfileError(why_not[0] if why_not else "no profile fits --where")
    for line in dict.fromkeys(why_not):
        log.warning(line)
    scores = _fit(tasks, jobs)
    _land(lake, run, scores)
    return scores


def _stratum(wanted: str | None, by: Sequence[str]) -> str | None:
    """The column that splits, if one does."""
    if wanted is None:
        return "cell_line" if "cell_line" in by and len(by) > 1 else None
    return None if wanted == "none" else choose("stratum", wanted, [*by, "none"])


def _strata(
    given: readout_tables.Measured,
    matched: readout_tables.Matched,
    split: str | None,
    named: dict[str, Any],
) -> list[_Task]:
    """What is fitted: for each stratum the profiles, and the readouts that can be."""
    values = matched.keys[split].to_numpy() if split else np.full(len(matched.keys), "")
    tasks, why_not = [], []
    for stratum in sorted(set(values.tolist())):
        own = values == stratum
        readout = matched.values[own]
        count = np.isfinite(readout).sum(axis=0)
        # A fold needs two profiles for an R2.
        enough = count >= 2 * named["num_folds"]
        least = np.where(np.isfinite(readout), readout, np.inf).min(axis=0)
        most = np.where(np.isfinite(readout), readout, -np.inf).max(axis=0)
        good = enough & (most > least)
        dropped = {
            "readout_with_few_profiles": int((~enough).sum()),
            "constant_readout": int((enough & ~good).sum()),
            "missing_value": int((own.sum() - count[good]).sum()),
        }
        dropped = matched.dropped | {reason: n for reason, n in dropped.items() if n}
        place = f"{split} {stratum}: " if split else ""
        if not good.any():
            why = (
                f"every readout is constant over {own.sum()} profiles"
                if enough.any()
                else f"{count.max()} profiles have readouts, {named['num_folds']} folds need"
                f" {2 * named['num_folds']}; choose fewer --folds"
            )
            why_not.append(place + why)
            continue
        names = [name for name, keep in zip(given.names, good, strict=True) if keep]
        tasks.append(
            _Task(
                named | {"stratum": stratum}, matched.vectors[own], readout[:, good], names, dropped
            )
        )
    if not tasks:
        raise ProfileError(why_not[0])
    for line in why_not:
        log.warning(line)
    return tasks


def _fit(tasks: Sequence[_Task], jobs: int | None) -> list[ReadoutScore]:
    """Scores of the tasks, readouts side by side in processes."""
    num_jobs = jobs or os.cpu_count() or 1
    calls = []
    for task in tasks:
        named = task.named
        # Forests compare in float32; a straight line takes what the digits give.
        kind = np.float32 if named["regressor"] == "random_forest" else np.float64
        vectors = np.ascontiguousarray(task.vectors, dtype=kind)
        for values in task.values.T:
            there = np.isfinite(values)
            calls.append(
                delayed(fold_r2)(
                    vectors if there.all() else vectors[there],
                    values[there],
                    named["regressor"],
                    num_folds=named["num_folds"],
                    seed=named["seed"],
                )
            )
    folds = []
    with progress_bar("readouts", len(calls), "readouts") as advance:
        for r2 in Parallel(n_jobs=num_jobs, return_as="generator")(calls):
            folds.append(r2)
            advance(1)
    scores = []
    for task in tasks:
        own, folds = np.array(folds[: len(task.names)]), folds[len(task.names) :]
        scores.append(_score(task, own))
    return scores


def _score(task: _Task, folds: NDArray[np.float64]) -> ReadoutScore:
    """The score of a task. folds: (R, F), R2."""
    r2, unclipped = np.maximum(folds, 0).mean(axis=1), folds.mean(axis=1)
    table = pl.DataFrame(
        {
            "readout": task.names,
            "num_profiles": np.isfinite(task.values).sum(axis=0),
            "num_folds": np.full(len(r2), folds.shape[1]),
            "r2": r2,
            "r2_unclipped": unclipped,
        }
    )
    return ReadoutScore(
        **task.named,
        num_profiles=len(task.vectors),
        num_readouts=len(r2),
        auc=area(r2),
        interval_95=area_interval(r2),
        auc_unclipped=area(unclipped),
        interval_95_unclipped=area_interval(unclipped),
        dropped=task.dropped,
        readouts=table,
    )


def table_of(scores: Sequence[ReadoutScore]) -> pl.DataFrame:
    """The readouts of all scores: a row for each, with what was scored."""
    columns = ("model", "normalization", "dataset", "level", "stratum", "regressor")
    return pl.concat(
        [
            score.readouts.select(
                *(pl.lit(getattr(score, c)).alias(c) for c in columns),
                pl.all(),
                pl.lit(score.seed).alias("seed"),
            )
            for score in scores
        ]
    )


def summary(scores: Sequence[ReadoutScore]) -> pl.DataFrame:
    """The scores as a table for people."""

    def interval(low: float, high: float) -> str:
        return f"{low:.3f}-{high:.3f}"

    return pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "stratum": s.stratum,
                "model": s.model,
                "regressor": s.regressor,
                "profiles": s.num_profiles,
                "readouts": s.num_readouts,
                "AUC_S": s.auc,
                "95 %": interval(*s.interval_95),
                "AUC_S unclipped": s.auc_unclipped,
                "95 % unclipped": interval(*s.interval_95_unclipped),
                "best R2": s.readouts["r2"].max(),
            }
            for s in scores
        ]
    )


def check_output(path: Path) -> None:
    """Nothing, if `write_table` can write this file.

    Raises InputError for another ending.
    """
    if path.suffix not in _SUFFIXES:
        raise InputError(f"'{path}' is neither .csv nor .parquet; choose one of these endings")


def write_table(scores: Sequence[ReadoutScore], path: Path) -> None:
    """Write `table_of` as CSV or Parquet, by the file's ending.

    Raises InputError for another ending.
    """
    check_output(path)
    with written_beside(path) as temporary:
        table = table_of(scores)
        if path.suffix == ".csv":
            table.write_csv(temporary)
        else:
            table.write_parquet(temporary)


def _land(lake: Lake, run: Run, scores: Sequence[ReadoutScore]) -> None:
    with lake.write() as con:
        run.record(con)
        insert(
            con,
            "readout_score",
            [row | {"run_id": run.run_id} for row in table_of(scores).iter_rows(named=True)],
        )
