"""Scores of every label: mean average precision, activity, correlation, enrichment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.choices import Measure
from unidino.core.errors import InputError, choose
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.activity import active_labels
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.count_baseline import stand_beside
from unidino.scores.enrichment import label_enrichment
from unidino.scores.precision import mean_average_precision
from unidino.scores.question import Asked, Question, questions
from unidino.scores.ranking import rank
from unidino.scores.replicates import replicate_correlation

MEASURES: tuple[str, ...] = get_args(Measure)
_VALUES = {
    "map": ("mean_average_precision", "is_significant"),
    "replicates": ("correlation", "is_replicating"),
    "activity": ("mean_average_precision", "is_significant"),
    "enrichment": ("odds_ratio", "is_significant"),
}
_ACTIVE = ("treatment", "compound")
# Arguments of some measures, with their standard values.
_OPTIONS: dict[str, tuple[str, Any]] = {
    "controls_of": ("activity", "dataset"),
    "top_percent": ("enrichment", 1.0),
}


@dataclass(frozen=True)
class LabelScore:
    """The score of each label, and the share of labels above chance.

    value: mean over the labels, of their mean average precision or of their median correlation; of
    odds ratios the median.
    share_above_chance: share of the labels. n: number of scored profiles. dropped: profiles that
    were left out: reason and count. classes: a row for each label; see `precision` and
    `replicates`. asked: the whole question, as plain values.
    """

    model: str
    normalization: str
    dataset: str
    channels: tuple[str, ...]
    measure: str
    metric: str
    rules: str
    label: str
    level: str
    value: float
    share_above_chance: float
    n: int
    num_classes: int
    dropped: dict[str, int]
    classes: pl.DataFrame = field(repr=False, compare=False)
    asked: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, its labels as a list."""
        values = asdict(self) | {"classes": self.classes.to_dicts()}
        del values["asked"]
        return values


def score_labels(
    lake: Lake,
    measure: str,
    asked: Asked = (),
    selection: Selection | None = None,
    *,
    controls_of: str = "dataset",
    top_percent: float = 1.0,
    seed: int = 0,
) -> Results[LabelScore]:
    """Scores of all labels, one for every question, model and dataset.

    measure: `map` (mean average precision), `replicates` (median correlation), `activity` (mean
    average precision of replicates among the negative controls) or `enrichment` (odds ratio in the
    top of the rankings). asked: see `score`; activity needs none: by default it asks for treatments
    and compounds, whose replicates may be any other profiles. controls_of: for activity, the
    controls of the whole `dataset`, or only those of the same `batch` or `plate`. top_percent: for
    enrichment. seed: of the random rankings and groups. Missing profiles are computed.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.

    >>> import unidino as ud
    >>> scores = ud.score_labels(lake, "map", "nsb", ud.Selection(models=["gaussian"]))
    >>> scores[0].num_classes
    4
    """
    run = Run.of("score", locals())
    choose("measure", measure, MEASURES)
    given: dict[str, Any] = {"controls_of": controls_of, "top_percent": top_percent}
    special = {name: value for name, value in given.items() if value != _OPTIONS[name][1]}
    for name in special:
        if _OPTIONS[name][0] != measure:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is an option of --measure {_OPTIONS[name][0]} alone")
    selection = selection or Selection()
    several = questions(asked)
    if not several and measure == "activity":
        several = [Question("any", label=label) for label in _ACTIVE]
    stand_beside(lake, selection)
    scores: list[LabelScore] = []
    why_not = WhyNot()
    for group in groups(lake, selection):
        profiled = group.profiled
        for question in several:
            with why_not.collecting(f"{profiled.title} is not scored by {question.rule}"):
                found, classes = label_classes(
                    group.metadata,
                    group.vectors,
                    measure,
                    question,
                    controls_of=controls_of,
                    top_percent=top_percent,
                    seed=seed,
                )
                value, above = _VALUES[measure]
                options = question.as_json() | selection.options | special
                options |= {"seed": seed} if seed else {}
                scores.append(
                    LabelScore(
                        profiled.model,
                        profiled.normalization,
                        profiled.dataset,
                        group.channels,
                        measure,
                        question.rule,
                        question.reading,
                        question.label,
                        selection.level,
                        _mean(classes[value].to_numpy(), measure),
                        float(classes[above].to_numpy().mean()),
                        int((found.is_scored & (found.labels > 0)).sum()),
                        len(classes),
                        profiled.dropped | found.dropped,
                        classes,
                        {"kind": measure} | options,
                    )
                )
    why_not.settle(anything_done=bool(scores), nothing=nothing_fits(selection))
    _land(lake, run, scores)
    return Results(scores, label_table)


def label_classes(
    metadata: Any,
    vectors: NDArray[Any],
    measure: str,
    question: Question | str,
    *,
    controls_of: str = "dataset",
    top_percent: float = 1.0,
    seed: int = 0,
) -> tuple[Candidates, pl.DataFrame]:
    """The profiles that a question compares, and a table with a row for each label, without a lake.

    metadata, vectors: see `candidates`. measure, controls_of, top_percent, seed: see
    `score_labels`.
    Raises ProfileError if no label can be scored.
    """
    (question,) = questions(question)
    if choose("measure", measure, MEASURES) == "activity":
        return active_labels(metadata, vectors, question, controls_of=controls_of, seed=seed)
    found = candidates(metadata, vectors, question)
    chosen = vectors[found.positions]
    if measure == "map":
        return found, mean_average_precision(rank(chosen, found), found, seed=seed)
    if measure == "enrichment":
        return found, label_enrichment(chosen, found, top_percent=top_percent)
    classes, _ = replicate_correlation(chosen, found, seed=seed)
    return found, classes


def _mean(values: NDArray[np.float64], measure: str) -> float:
    """The mean of the labels' values; the median of odds ratios, some of which are infinite."""
    return float(np.median(values) if measure == "enrichment" else values.mean())


def label_table(scores: Sequence[LabelScore]) -> pl.DataFrame:
    """The scores as a table for people: a row for each score."""
    rows = []
    for s in scores:
        rows.append(
            {
                "dataset": s.dataset,
                "model": s.model,
                "metric": s.metric,
                "label": f"{s.label}/{s.level}",
                s.measure: s.value,
                **_share(s),
                "n": s.n,
            }
        )
    return pl.DataFrame(rows)


def _share(score: LabelScore) -> dict[str, str]:
    """How many labels are above chance, as a column of a table for people."""
    num_above = round(score.share_above_chance * score.num_classes)
    name = "active" if score.measure == "activity" else "above chance"
    return {name: f"{num_above} of {score.num_classes}"}


def _land(lake: Lake, run: Run, scores: Sequence[LabelScore]) -> None:
    answers = []
    for score in scores:
        common = score.as_json() | {"channels": list(score.channels)}
        for name in ("classes", "value", "share_above_chance", "n", "num_classes", "dropped"):
            del common[name]
        _, above = _VALUES[score.measure]
        rows = [
            common
            | {name: v for name, v in row.items() if name not in (above, "is_counted")}
            | {"is_above_chance": row[above]}
            for row in score.classes.to_dicts()
        ]
        answers.append((score.asked, rows))
    land_answers(lake, run, "label_score", answers)
