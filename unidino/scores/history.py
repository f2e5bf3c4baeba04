"""Scores that were computed before, from the catalog."""

import json

from unidino.core import assets
from unidino.lake.lake import Lake
from unidino.scores.accuracy import LakeScore, Versus


def latest_scores(lake: Lake, *, parts_of_channels: bool = False) -> list[LakeScore]:
    """The newest answer to each standard question, by model, normalization and dataset.

    A standard question asks for all profiles of a level and one neighbour: see the view `latest`.
    parts_of_channels: include the newest answers about some of the channels.
    """
    rows = lake.look_up(
        assets.sql("queries", "standard_score"), {"parts_of_channels": parts_of_channels}
    )
    return [_score(row) for row in rows.iter_rows(named=True)]


def other_scores(lake: Lake) -> list[LakeScore]:
    """The newest answer to each question that is not standard.

    Such a question selects some of the profiles, or changes how they are scored.
    """
    rows = lake.look_up(assets.sql("queries", "other_score"))
    return [_score(row) for row in rows.iter_rows(named=True)]


def _score(row: dict[str, object]) -> LakeScore:
    """A score from its row in the catalog."""
    values = dict(row)
    low, high = values.pop("interval_low"), values.pop("interval_high")
    other, normalization, n = (values.pop(f"versus{end}") for end in ("", "_normalization", "_n"))
    difference, *bounds = (values.pop(f"difference{end}") for end in ("", "_low", "_high"))
    question = json.loads(str(values.pop("question")))
    return LakeScore(
        **values
        | {
            "interval_95": None if low is None else (low, high),
            "channels": tuple(values["channels"]),  # type: ignore[arg-type]
            "dropped": json.loads(str(values["dropped"])),
            "asked": question,
            "versus": None
            if other is None
            else Versus(other, normalization, difference, tuple(bounds), n),  # type: ignore[arg-type]
        }
    )
