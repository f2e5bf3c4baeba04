"""Scores of each channel alone, and of all channels except one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unidino.core.errors import ProfileError
from unidino.core.log import log
from unidino.core.progress import progress_bar
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import LakeScore, compared, score
from unidino.scores.question import questions
from unidino.scores.tables import interval, signed_interval


@dataclass(frozen=True)
class ChannelScore:
    """The score of some channels.

    subset: `all`, `DNA only`, `without DNA`, ... score: its `versus` is the difference to the score
    of all channels, on the profiles that both scored.
    """

    subset: str
    score: LakeScore

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, the subset first."""
        return {"subset": self.subset} | self.score.as_json()


def score_channels(
    lake: Lake,
    selection: Selection,
    metrics: Sequence[str] = (),
    *,
    label: str = "moa",
    include_controls: bool = False,
) -> Results[ChannelScore]:
    """Scores of all channels, of each alone and of all except each, for every dataset and metric.

    selection: of one model. metrics: default: the strictest that is possible for a dataset; see
    `fitting_metric`. Datasets of one channel, and datasets whose plates differ in channels, are
    left out with a message.
    Raises ProfileError if no dataset is left.
    """
    plans: dict[str, tuple[list[str], Sequence[str]]] = {}
    for group in groups(lake, selection):
        name = group.profiled.dataset
        if name in plans:
            plans[name] = ([], ())
        else:
            plans[name] = (list(group.channels), metrics or [fitting_metric(group.metadata, label)])
    usable = {name: plan for name, plan in plans.items() if len(plan[0]) > 1}
    for name, (channels, _) in plans.items():
        if name not in usable:
            why = (
                f"has the one channel '{channels[0]}'"
                if channels
                else "has plates of different channels"
            )
            log.warning(f"{name} {why}: its channels are not scored")
    if not usable:
        raise ProfileError("no dataset has two channels or more that all its profiles share")
    found: list[ChannelScore] = []
    num = sum(len(subsets(channels)) for channels, _ in usable.values())
    with progress_bar("score channels", num, "subsets") as advance:
        for name, (channels, rules) in usable.items():
            asked = questions(rules, label=label, include_controls=include_controls)
            titles: list[str] = []
            scores: list[LakeScore] = []
            for title, subset in subsets(channels).items():
                part = replace(selection, datasets=(name,), channels=subset)
                new = score(lake, asked, part)
                titles += [title] * len(new)
                scores += new
                advance(1)
            found += map(ChannelScore, titles, compared(scores))
    return Results(found, channel_table)


def subsets(channels: Sequence[str]) -> dict[str, Sequence[str]]:
    """Sets of channels by title: all, each alone, and all except each if there are more than two.

    The set `all` is empty, as in a Selection.
    """
    titled: dict[str, Sequence[str]] = {"all": ()} | {f"{c} only": [c] for c in channels}
    if len(channels) > 2:
        titled |= {f"without {c}": [other for other in channels if other != c] for c in channels}
    return titled


def fitting_metric(metadata: Any, label: str) -> str:
    """The strictest metric that the profiles allow: across batches if there are two or more.

    metadata: a table with a row for each profile.
    """
    batches = {b for b in metadata["batch"].to_pylist() if b is not None}
    if label in ("compound", "perturbation"):
        return "nsb" if len(batches) > 1 else "nspw"
    return "nscb" if len(batches) > 1 else "nsc"


def channel_table(scores: Sequence[ChannelScore]) -> pl.DataFrame:
    """The scores as a table for people: a row for each dataset, metric and set of channels."""
    return pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "metric": s.metric,
                "channels": subset,
                "accuracy": s.accuracy,
                "95 %": interval(s.interval_95),
                "ahead of all": s.versus and s.versus.difference,
                "ahead 95 %": signed_interval(s.versus.interval_95) if s.versus else "",
                "n": s.n,
                "chance": s.chance,
            }
            for subset, s in ((scored.subset, scored.score) for scored in scores)
        ]
    )
