"""Scores of predicted readouts, as tables and as a file.

Shapes: R readouts, F folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from unidino.core.errors import InputError
from unidino.core.files import written_beside
from unidino.core.results import Result
from unidino.core.spreadsheets import guarded

_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class ReadoutScore(Result):
    """How well profiles of one model and dataset predict the readouts of one stratum.

    by: columns that consensus profiles are means by. num_profiles: consensus profiles. auc: AUC_S
    of the mean over folds of R2, where a negative R2 counts as 0 (the paper); auc_unclipped: of the
    plain mean (the published program). Intervals are bootstrapped over readouts.
    dropped: what was left out: reason and count. readouts: a row per readout, with columns readout,
    num_profiles, num_folds, r2, r2_unclipped.
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

    def rows(self) -> pl.DataFrame:
        """Rows of the table `readout_score`, without run and question: one per readout."""
        columns = ("model", "normalization", "dataset", "level", "stratum", "regressor")
        return self.readouts.select(
            *(pl.lit(getattr(self, column)).alias(column) for column in columns),
            pl.all(),
            pl.lit(self.seed).alias("seed"),
        )


def frame_of(scores: Sequence[ReadoutScore]) -> pl.DataFrame:
    """The scores as a table, a row for each."""
    return pl.DataFrame(
        [
            {
                "dataset": score.dataset,
                "stratum": score.stratum,
                "model": score.model,
                "regressor": score.regressor,
                "profiles": score.num_profiles,
                "readouts": score.num_readouts,
                "AUC_S": score.auc,
                "95 %": _interval_text(*score.interval_95),
                "AUC_S unclipped": score.auc_unclipped,
                "95 % unclipped": _interval_text(*score.interval_95_unclipped),
                "best R2": score.readouts["r2"].max(),
            }
            for score in scores
        ]
    )


def check_suffix(path: Path) -> None:
    """Raise InputError if `write_table` cannot write a file of this name."""
    if path.suffix not in _SUFFIXES:
        raise InputError(f"'{path}' is neither .csv nor .parquet; choose one of these endings")


def write_table(scores: Sequence[ReadoutScore], path: Path) -> None:
    """Write the rows of all scores as CSV or Parquet, according to the suffix of the path.

    Raises InputError for another suffix.
    """
    check_suffix(path)
    table = pl.concat([score.rows() for score in scores])
    with written_beside(path) as temporary:
        if path.suffix == ".csv":
            guarded(table).write_csv(temporary)
        else:
            table.write_parquet(temporary)


def _interval_text(low: float, high: float) -> str:
    return f"{low:.3f}-{high:.3f}"
