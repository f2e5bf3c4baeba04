"""Accuracy of nearest neighbours: the share of profiles whose allowed neighbour has their label.

Shapes: N profiles, D features.
Source: Morelli et al. 2025, section 2.3.2.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.core.statistics import mean_interval
from unidino.lake.answers import land_answers, question_text
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import Group, StoredGroup, groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.count_baseline import stand_beside
from unidino.scores.neighbours import Neighbours, nearest
from unidino.scores.question import Asked, Question, questions
from unidino.scores.tables import score_table


@dataclass(frozen=True)
class Score:
    """Accuracy of the label of the nearest allowed neighbour, with its interval and bounds.

    interval_95: bootstrap over compounds. n: number of scored profiles. num_without_neighbour:
    profiles that the rule leaves without a neighbour; they are in n only if unmatched is `wrong`.
    ceiling: share of the n profiles that have an allowed neighbour of their label. chance: expected
    accuracy of a random allowed neighbour. dropped: wells, profiles or features that were left out
    before: reason and count. outcome: columns profile_id, compound, correct; a row for each scored
    profile.
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
    """Difference of a score to another score, on the profiles that both scored.

    model, normalization: of the other score. difference: accuracy minus the other accuracy.
    interval_95: bootstrap over compounds, with the same draws for both. n: number of profiles that
    both scored. normalization and n are None for scores of an earlier version.
    """

    model: str
    normalization: str | None
    difference: float
    interval_95: tuple[float, float]
    n: int | None


@dataclass(frozen=True)
class LakeScore(Score):
    """A score of profiles in the lake, with its question.

    metric, rules: the rule of the question and its reading. asked: the whole question, as plain
    values. versus: the difference to the first score of the same dataset and question.
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
    asked: dict[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values: first what was scored, then the figures."""
        values = asdict(replace(self, outcome=None))
        of_score = [name for name in Score.__dataclass_fields__ if name != "outcome"]
        what = [n for n in values if n not in Score.__dataclass_fields__ and n != "versus"]
        return {name: values[name] for name in [*what, *of_score, "versus"] if name != "asked"}


def score(
    lake: Lake, asked: Asked, selection: Selection | None = None, *, device: str = "cpu"
) -> Results[LakeScore]:
    """Scores, one for every question, model and dataset that has the label.

    asked: a `Question`, the name of a rule for its standard question, or several of these. Missing
    profiles are computed. Where cells are counted and no models are named, `cell_count`, the number
    of cells alone, is one of them. device: torch device of the matrix products; `cpu` uses numpy.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.

    >>> import unidino as ud
    >>> scores = ud.score(lake, "nsc", ud.Selection(models=["gaussian"]))
    >>> scores[0].n, scores.frame.columns[:3]
    (8, ['dataset', 'model', 'metric'])
    """
    run = Run.of("score", locals())
    selection = selection or Selection()
    asked = questions(asked)
    stand_beside(lake, selection)
    scores: list[LakeScore] = []
    why_not = WhyNot()
    for group in groups(lake, selection):
        for question in asked:
            with why_not.collecting(f"{group.profiled.title} is not scored by {question.rule}"):
                figures = score_profiles(group.metadata, group.vectors, question, device=device)
                scores.append(of_lake(figures, group, question, selection))
    why_not.settle(anything_done=bool(scores), nothing=nothing_fits(selection))
    return landed(lake, run, scores)


def landed(lake: Lake, run: Run, scores: Sequence[LakeScore]) -> Results[LakeScore]:
    """The scores, each compared with the first of its kind, after they are in the lake."""
    scores = compared(scores)
    land_answers(lake, run, "score", [(s.asked, [_row(s)]) for s in scores])
    return Results(scores, score_table)


def of_lake(
    figures: Score, group: Group | StoredGroup, question: Question, selection: Selection
) -> LakeScore:
    """The score of a group of profiles in the lake."""
    profiled = group.profiled
    values = vars(figures) | {"dropped": profiled.dropped | figures.dropped}
    return LakeScore(
        **values,
        model=profiled.model,
        normalization=profiled.normalization,
        dataset=profiled.dataset,
        channels=group.channels,
        metric=question.rule,
        rules=question.reading,
        label=question.label,
        level=selection.level,
        asked={"kind": "accuracy"} | question.as_json() | selection.options,
    )


def score_profiles(
    metadata: Any, vectors: NDArray[Any], question: Question | str, *, device: str = "cpu"
) -> Score:
    """The score of profiles; no lake is needed.

    metadata: Arrow table, Polars or pandas frame, a row per profile with the label and the columns
    that the rule reads. vectors: (N, D), in the same order. question: a question, or the name of a
    rule.
    Raises ProfileError if no profile is left to score, InputError if the rule fails.

    >>> import numpy as np, polars as pl
    >>> frame = pl.DataFrame({"compound": list("aabb"), "moa": list("xxxx")})
    >>> score_profiles(frame, np.eye(4), Question("nsc", label_filter="none"))
    Traceback (most recent call last):
    unidino.core.errors.ProfileError: all 4 profiles left have the moa 'x'
    """
    (question,) = questions(question)
    found = candidates(metadata, vectors, question)
    positions, labels = found.positions, found.labels
    are_all = len(positions) == len(vectors) and (np.diff(positions) == 1).all()
    chosen = vectors if are_all else vectors[positions]
    neighbours = nearest(chosen, found.keys, labels, k=question.neighbours, device=device)
    return score_of(found, neighbours, question)


def score_of(found: Candidates, neighbours: Neighbours, question: Question) -> Score:
    """The score of profiles whose neighbours are known.

    Raises ProfileError if the rule leaves no profile a neighbour.
    """
    labels = found.labels
    has_neighbour = neighbours.index[:, 0] >= 0
    is_correct = has_neighbour & (vote(neighbours.index, labels) == labels)
    is_counted = found.is_scored & (has_neighbour | (question.unmatched == "wrong"))
    if not is_counted.any():
        raise ProfileError(f"the rule leaves none of {found.is_scored.sum()} profiles a neighbour")
    with np.errstate(invalid="ignore"):
        chances = np.nan_to_num(neighbours.num_same_label / neighbours.num_eligible)
    compounds = found.compounds[is_counted]
    outcome = pl.DataFrame(
        {
            "profile_id": found.ids[is_counted],
            "compound": compounds,
            "correct": is_correct[is_counted],
        }
    )
    return Score(
        accuracy=float(is_correct[is_counted].mean()),
        interval_95=mean_interval(is_correct[is_counted], compounds),
        n=int(is_counted.sum()),
        num_classes=len(np.unique(labels[is_counted])),
        num_without_neighbour=int((found.is_scored & ~has_neighbour).sum()),
        ceiling=float((neighbours.num_same_label[is_counted] > 0).mean()),
        chance=float(chances[is_counted].mean()),
        dropped=found.dropped,
        outcome=outcome,
    )


def vote(index: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent label (N,) of the neighbours; -1 for profiles without a neighbour.

    index: (N, k), positions of the neighbours, nearest first, -1 for none. labels: (N,). Of equally
    frequent labels, that of the nearest neighbour wins.
    """
    given = np.where(index >= 0, labels[index], -1)
    votes = (given[:, :, None] == given[:, None, :]).sum(axis=2) * (given >= 0)
    return np.asarray(given[np.arange(len(given)), votes.argmax(axis=1)])


def compared(scores: Sequence[LakeScore]) -> list[LakeScore]:
    """The scores, each with its difference to the first score of the same dataset and question."""
    first: dict[tuple[str, str], LakeScore] = {}
    results = []
    for other in scores:
        key = (other.dataset, question_text(_without_profiles(other.asked)))
        reference = first.setdefault(key, other)
        if reference is other or reference.outcome is None or other.outcome is None:
            results.append(other)
            continue
        both = other.outcome.join(reference.outcome, on="profile_id", suffix="_first")
        if both.is_empty():
            results.append(other)
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
        results.append(replace(other, versus=versus))
    return results


def _without_profiles(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The question without normalization and channels; scores that differ in these are compared."""
    return {name: v for name, v in asked.items() if name not in ("normalize", "channels")}


def _row(score: LakeScore) -> dict[str, Any]:
    """A row of the table `score`, without the columns of the question and the run."""
    row = score.as_json()
    row["interval_low"], row["interval_high"] = row.pop("interval_95") or (None, None)
    row |= {"dropped": json.dumps(row["dropped"]), "channels": list(score.channels)}
    if versus := row.pop("versus"):
        low, high = versus["interval_95"]
        row |= {
            "versus": versus["model"],
            "versus_normalization": versus["normalization"],
            "versus_n": versus["n"],
            "difference": versus["difference"],
            "difference_low": low,
            "difference_high": high,
        }
    return row
