"""Scores as tables for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from unidino.scores.accuracy import LakeScore


def question_table(scores: "Sequence[LakeScore]") -> pl.DataFrame:
    """Scores as a table for people, with the fields of their questions that are not standard."""
    standard = ("kind", "rule", "reading", "label", "level", "normalize")
    asked = [
        ", ".join(f"{name}={value}" for name, value in s.asked.items() if name not in standard)
        for s in scores
    ]
    table = score_table(scores)
    return table.insert_column(table.columns.index("label") + 1, pl.Series("asked", asked))


def interval(bounds: tuple[float, float] | None) -> str:
    """An interval of accuracies as text."""
    return "{:.3f}-{:.3f}".format(*bounds) if bounds else ""


def signed_interval(bounds: tuple[float, float] | None) -> str:
    """An interval of differences as text."""
    return "{:+.3f}..{:+.3f}".format(*bounds) if bounds else ""


def score_table(scores: "Sequence[LakeScore]") -> pl.DataFrame:
    """Scores as a table for people, with the differences to the first model if there are any."""
    table = pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "model": s.model,
                "normalization": s.normalization,
                "metric": s.metric,
                "rules": s.rules,
                "label": f"{s.label}/{s.level}",
                "accuracy": s.accuracy,
                "95 %": interval(s.interval_95),
                "n": s.n,
                "classes": s.num_classes,
                "alone": s.num_without_neighbour,
                "ceiling": s.ceiling,
                "chance": s.chance,
                "ahead": s.versus and s.versus.difference,
                "ahead 95 %": signed_interval(s.versus.interval_95) if s.versus else "",
            }
            for s in scores
        ]
    )
    if table.is_empty() or table["normalization"].n_unique() == 1:
        table = table.drop("normalization", strict=False)
    return (
        table if any(s.versus for s in scores) else table.drop("ahead", "ahead 95 %", strict=False)
    )
