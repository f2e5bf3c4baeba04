"""Scores that the lake has, and scores as a table for people."""

from collections.abc import Sequence

import polars as pl

from unidino import assets
from unidino.catalog import Lake
from unidino.score import LakeScore, Versus


def latest_scores(lake: Lake) -> list[LakeScore]:
    """The last score of each metric, rules, label, level, model, normalization and dataset."""
    rows = lake.look_up(assets.sql("queries", "latest_score")).to_dicts()
    scores = []
    for row in rows:
        low, high = row.pop("interval_low"), row.pop("interval_high")
        other = row.pop("versus")
        compared = [row.pop(f"difference{end}") for end in ("", "_low", "_high")]
        row |= {
            "interval_95": None if low is None else (low, high),
            "channels": tuple(row["channels"]),
            "dropped": {},
            "versus": None if other is None else Versus(
                other, row["normalization"], compared[0], (compared[1], compared[2]), row["n"]),
        }  # fmt: skip
        scores.append(LakeScore(**row))
    return scores


def with_all_channels(scores: Sequence[LakeScore]) -> list[LakeScore]:
    """Scores without those of a part of the channels whose whole is scored too."""
    whole: dict[tuple[str, ...], int] = {}
    for s in scores:
        key = _asked(s)
        whole[key] = max(whole.get(key, 0), len(s.channels))
    return [s for s in scores if len(s.channels) == whole[_asked(s)]]


def _asked(s: LakeScore) -> tuple[str, ...]:
    return (s.dataset, s.model, s.normalization, s.metric, s.rules, s.label, s.level)


def score_table(scores: Sequence[LakeScore]) -> pl.DataFrame:
    """Scores as a table for people."""
    return pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "model": s.model,
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
            }
            for s in scores
        ]
    )
