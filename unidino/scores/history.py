"""Scores that the lake has, and scores as a table for people."""

from collections.abc import Sequence

import polars as pl

from unidino.core import assets
from unidino.lake.lake import Lake
from unidino.scores.accuracy import LakeScore, Versus


def latest_scores(lake: Lake, *, parts_of_channels: bool = False) -> list[LakeScore]:
    """The last score of each metric, rules, label, level, model, normalization and dataset.

    parts_of_channels: also the last one of each part of the channels.
    """
    query = "latest_channel_score" if parts_of_channels else "latest_score"
    rows = lake.look_up(assets.sql("queries", query)).to_dicts()
    scores = []
    for row in rows:
        low, high = row.pop("interval_low"), row.pop("interval_high")
        other = row.pop("versus")
        compared = [row.pop(f"difference{end}") for end in ("", "_low", "_high")]
        row |= {
            "interval_95": None if low is None else (low, high),
            "channels": tuple(row["channels"]),
            "dropped": {},
            "versus": None
            if other is None
            else Versus(
                other, row["normalization"], compared[0], (compared[1], compared[2]), row["n"]
            ),
        }
        scores.append(LakeScore(**row))
    return scores


def score_table(scores: Sequence[LakeScore]) -> pl.DataFrame:
    """Scores as a table for people; with the difference to the first model's where there is one."""
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
                "95 %": "{:.3f}-{:.3f}".format(*s.interval_95) if s.interval_95 else "",
                "n": s.n,
                "classes": s.num_classes,
                "alone": s.num_without_neighbour,
                "ceiling": s.ceiling,
                "chance": s.chance,
                "ahead": s.versus and s.versus.difference,
                "ahead 95 %": "{:+.3f}..{:+.3f}".format(*s.versus.interval_95) if s.versus else "",
            }
            for s in scores
        ]
    )
    if table.is_empty() or table["normalization"].n_unique() == 1:
        table = table.drop("normalization", strict=False)
    return (
        table if any(s.versus for s in scores) else table.drop("ahead", "ahead 95 %", strict=False)
    )
