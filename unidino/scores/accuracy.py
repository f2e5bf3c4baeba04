"""Scores of a lake's profiles by their nearest neighbours under exclusion rules.

Source: Morelli et al. 2025, section 2.3.2.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core.errors import ProfileError, choose
from unidino.core.log import log
from unidino.core.sql import insert
from unidino.core.statistics import mean_interval
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.scores.neighbours import nearest
from unidino.scores.rules import LABELS, candidates, default_label, rule_sql


@dataclass(frozen=True)
class Score:
    """Accuracy of the nearest eligible neighbour's label, and what bounds it.

    interval_95: bootstrap over compounds. n: profiles scored. num_without_neighbour: profiles that
    the rule leaves without any neighbour; they are not in n. ceiling: share of the n with an
    eligible neighbour of their label. chance: expected accuracy of a random eligible neighbour.
    dropped: what was left out beforehand, wells, profiles or features: reason and count.
    outcome: columns profile_id, compound, correct of the profiles scored.
    """

    accuracy: float | None
    interval_95: tuple[float, float] | None
    n: int
    num_classes: int
    num_without_neighbour: int
    ceiling: float | None
    chance: float | None
    dropped: dict[str, int]
    outcome: pl.DataFrame | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Versus:
    """How much better a score is than another on the profiles that both scored.

    difference: of the accuracies; interval_95: bootstrap over compounds, the same draws for both.
    """

    model: str
    normalization: str
    difference: float
    interval_95: tuple[float, float]
    n: int


@dataclass(frozen=True)
class LakeScore(Score):
    """A score with what was scored.

    versus: against the first score of the same dataset, metric, label and level, if there are more.
    """

    model: str = ""
    normalization: str = ""
    dataset: str = ""
    channels: tuple[str, ...] = ()
    metric: str = ""
    rules: str = ""
    label: str = ""
    level: str = ""
    versus: Versus | None = None

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, what was scored first."""
        values = asdict(replace(self, outcome=None))
        own = [name for name in values if name not in Score.__dataclass_fields__]
        names = [n for n in own if n != "versus"] + list(Score.__dataclass_fields__) + ["versus"]
        return {name: values[name] for name in names if name != "outcome"}


def score(
    lake: Lake,
    metric: Sequence[str],
    *,
    models: Sequence[str] = (),
    label: str | None = None,
    level: str = "well",
    normalize: str = "mad_robustize",
    rules: str = "text",
    channels: Sequence[str] = (),
    where: str | None = None,
    compounds: Sequence[str] | None = None,
    unmatched: str = "drop",
    include_controls: bool = False,
    label_filter: str = "reachable",
    neighbours: int = 1,
    device: str = "cpu",
    datasets: Sequence[str] = (),
) -> list[LakeScore]:
    """A score for every metric, model and dataset that has the label; missing profiles are made.

    label: default `moa` where the rule excludes the same compound, else `compound`.
    where: SQL condition over the columns of `profile`. compounds: names to keep.
    unmatched: `drop` leaves profiles without an eligible neighbour out, `wrong` counts them.
    include_controls: score negative controls too. neighbours: how many vote. label_filter: see
    `rules.candidates`.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.
    """
    queries = {name: rule_sql(name, rules) for name in metric}
    if label:
        choose("label", label, LABELS)
    choose("unmatched", unmatched, ("drop", "wrong"))
    run = Run(
        "score",
        {
            "metric": metric,
            "models": models,
            "label": label,
            "level": level,
            "normalize": normalize,
            "rules": rules,
            "channels": channels,
            "where": where,
            "unmatched": unmatched,
            "label_filter": label_filter,
            "neighbours": neighbours,
        },
    )
    results: list[LakeScore] = []
    why_not: list[str] = []
    for group in groups(lake, models, normalize, level, where, channels, datasets, compounds):
        for name, query in queries.items():
            own_label = label or default_label(name)
            try:
                figures = score_profiles(
                    group.metadata,
                    group.vectors,
                    own_label,
                    query,
                    unmatched=unmatched,
                    include_controls=include_controls,
                    label_filter=label_filter,
                    neighbours=neighbours,
                    device=device,
                )
            except ProfileError as error:
                why_not.append(f"{group.made.dataset} is not scored by {name}: {error}")
                continue
            figures = replace(figures, dropped=group.made.dropped | figures.dropped)
            results.append(
                LakeScore(
                    **vars(figures),
                    model=group.made.model,
                    dataset=group.made.dataset,
                    normalization=group.made.normalization,
                    channels=group.channels,
                    metric=name,
                    rules=rules,
                    label=own_label,
                    level=level,
                )
            )
    if not results:
        raise ProfileError(why_not[0] if why_not else "no profile fits --where")
    for line in dict.fromkeys(why_not):
        log.warning(line)
    results = compared(results)
    _land(lake, run, results)
    return results


def score_profiles(
    metadata: pa.Table,
    vectors: NDArray[Any],
    label: str,
    rule: str,
    *,
    unmatched: str = "drop",
    include_controls: bool = False,
    label_filter: str = "reachable",
    neighbours: int = 1,
    device: str = "cpu",
) -> Score:
    """The score of profiles under a rule.

    metadata: a row per profile with profile_id, the label and what the rule reads.
    vectors: (N, D), in the same order. rule: SQL over `candidate`.
    Raises ProfileError if no profile is left to score, InputError if the rule fails.
    """
    own = candidates(
        metadata,
        vectors,
        label,
        rule,
        include_controls=include_controls,
        label_filter=label_filter,
    )
    everything = len(own.positions) == len(vectors) and (np.diff(own.positions) == 1).all()
    chosen = vectors if everything else vectors[own.positions]
    found = nearest(chosen, own.keys, own.labels, k=neighbours, device=device)
    has_neighbor = found.index[:, 0] >= 0
    correct = has_neighbor & (vote(found.index, own.labels) == own.labels)
    counted = own.is_scored & (has_neighbor if unmatched == "drop" else True)
    if not counted.any():
        raise ProfileError(f"the rule leaves none of {own.is_scored.sum()} profiles a neighbour")
    with np.errstate(invalid="ignore"):
        chances = np.nan_to_num(found.num_same_label / found.num_eligible)
    ids = metadata["profile_id"].to_numpy()[own.positions[counted]]
    outcome = pl.DataFrame(
        {"profile_id": ids, "compound": own.compounds[counted], "correct": correct[counted]}
    )
    return Score(
        accuracy=float(correct[counted].mean()),
        interval_95=mean_interval(correct[counted], own.compounds[counted]),
        n=int(counted.sum()),
        num_classes=len(np.unique(own.labels[counted])),
        num_without_neighbour=int((own.is_scored & ~has_neighbor).sum()),
        ceiling=float((found.num_same_label[counted] > 0).mean()),
        chance=float(chances[counted].mean()),
        dropped=own.dropped,
        outcome=outcome,
    )


def vote(index: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The label (N,) that most neighbours (N, k) have; of equal ones that of the nearest; or -1."""
    given = np.where(index >= 0, labels[index], -1)
    votes = (given[:, :, None] == given[:, None, :]).sum(axis=2) * (given >= 0)
    return np.asarray(given[np.arange(len(given)), votes.argmax(axis=1)])


def compared(scores: Sequence[LakeScore]) -> list[LakeScore]:
    """Scores with how each differs from the first one of the same question."""
    first: dict[tuple[str, ...], LakeScore] = {}
    results = []
    for own in scores:
        question = (own.dataset, own.metric, own.rules, own.label, own.level)
        reference = first.setdefault(question, own)
        if reference is own or reference.outcome is None or own.outcome is None:
            results.append(own)
            continue
        both = own.outcome.join(reference.outcome, on="profile_id", suffix="_first")
        if both.is_empty():
            results.append(own)
            continue
        ahead = both["correct"].cast(pl.Int8) - both["correct_first"].cast(pl.Int8)
        difference = ahead.to_numpy().astype(np.float64)
        versus = Versus(
            reference.model,
            reference.normalization,
            float(difference.mean()),
            mean_interval(difference, both["compound"].to_numpy()),
            len(both),
        )
        results.append(replace(own, versus=versus))
    return results


def _land(lake: Lake, run: Run, results: list[LakeScore]) -> None:
    rows = []
    for result in results:
        row = result.as_json()
        low, high = row.pop("interval_95") or (None, None)
        versus = row.pop("versus")
        row |= {"interval_low": low, "interval_high": high, "run_id": run.run_id}
        row |= {"dropped": json.dumps(row["dropped"]), "channels": list(result.channels)}
        if versus:
            low, high = versus["interval_95"]
            row |= {
                "versus": versus["model"],
                "difference": versus["difference"],
                "difference_low": low,
                "difference_high": high,
            }
        rows.append(row)
    with lake.write() as con:
        run.record(con)
        insert(con, "score", rows)
