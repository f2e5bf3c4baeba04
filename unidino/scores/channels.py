"""Scores of each channel alone, and of all but one: what a channel is worth, and what it adds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from unidino.core.errors import ProfileError
from unidino.core.log import log, progress_bar
from unidino.lake.lake import Lake
from unidino.profiles.groups import groups
from unidino.scores.accuracy import LakeScore, compared, score


@dataclass(frozen=True)
class ChannelScore:
    """The score of some channels.

    subset: `all`, `DNA only` or `without DNA`. score: its `versus` is the difference to all
    channels, on the profiles that both scored.
    """

    subset: str
    score: LakeScore

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, the subset first."""
        return {"subset": self.subset} | self.score.as_json()


def score_channels(
    lake: Lake,
    model: str,
    metric: Sequence[str] = (),
    *,
    label: str = "moa",
    level: str = "well",
    normalize: str = "mad_robustize",
    where: str | None = None,
    include_controls: bool = False,
    datasets: Sequence[str] = (),
) -> list[ChannelScore]:
    """Scores of all channels, of each alone and of all but each, for every dataset and metric.

    metric: default the strictest that a dataset can be scored by: see `fitting_metric`. Datasets of
    one channel, or whose plates differ in theirs, are left out, which is said.
    Raises ProfileError if no dataset is left.
    """
    found: list[ChannelScore] = []
    plans: dict[str, tuple[list[str], Sequence[str]]] = {}
    for group in groups(lake, [model], normalize, level, where, (), datasets):
        name = group.made.dataset
        if name in plans:
            plans[name] = ([], ())
        else:
            plans[name] = (list(group.channels), metric or [fitting_metric(group.metadata, label)])
    usable = {name: plan for name, plan in plans.items() if len(plan[0]) > 1}
    for name, (channels, _) in plans.items():
        if name not in usable:
            why = f"the one channel '{channels[0]}'" if channels else "channels that plates lack"
            log.warning(f"{name} has {why}: its channels are not scored")
    if not usable:
        raise ProfileError("no dataset has two channels or more that all its profiles share")
    num = sum(len(subsets(channels)) for channels, _ in usable.values())
    with progress_bar("score channels", num, "subsets") as advance:
        for name, (channels, metrics) in usable.items():
            titles, scores = [], []
            for title, subset in subsets(channels).items():
                own = score(
                    lake,
                    metrics,
                    models=[model],
                    label=label,
                    level=level,
                    normalize=normalize,
                    channels=subset,
                    where=where,
                    include_controls=include_controls,
                    datasets=[name],
                )
                titles += [title] * len(own)
                scores += own
                advance(1)
            found += map(ChannelScore, titles, compared(scores))
    return found


def subsets(channels: Sequence[str]) -> dict[str, list[str]]:
    """Channels by title: all, each alone, and all but each where that is more than one."""
    own = {"all": list(channels)} | {f"{c} only": [c] for c in channels}
    if len(channels) > 2:
        own |= {f"without {c}": [other for other in channels if other != c] for c in channels}
    return own


def fitting_metric(metadata: Any, label: str) -> str:
    """The strictest metric that profiles can be scored by: over batches where there are two.

    metadata: a table with a row for each profile.
    """
    batches = {b for b in metadata["batch"].to_pylist() if b is not None}
    if label in ("compound", "perturbation"):
        return "nsb" if len(batches) > 1 else "nspw"
    return "nscb" if len(batches) > 1 else "nsc"


def table_of(scores: Sequence[ChannelScore]) -> pl.DataFrame:
    """The scores for people."""
    rows = []
    for own in scores:
        s = own.score
        rows.append(
            {
                "dataset": s.dataset,
                "metric": s.metric,
                "channels": own.subset,
                "accuracy": s.accuracy,
                "95 %": "{:.3f}-{:.3f}".format(*s.interval_95) if s.interval_95 else "",
                "ahead of all": s.versus and s.versus.difference,
                "ahead 95 %": "{:+.3f}..{:+.3f}".format(*s.versus.interval_95) if s.versus else "",
                "n": s.n,
                "chance": s.chance,
            }
        )
    return pl.DataFrame(rows)
