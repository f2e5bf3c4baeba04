"""Scores of every label against chance: mean average precision and replicate correlation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import polars as pl
from numpy.typing import NDArray

from unidino.core.choices import Measure
from unidino.core.errors import choose
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.precision import mean_average_precision, rank
from unidino.scores.question import Asked, Question, questions
from unidino.scores.replicates import replicate_correlation

MEASURES: tuple[str, ...] = get_args(Measure)
_VALUES = {
    "map": ("mean_average_precision", "is_significant"),
    "replicates": ("correlation", "is_replicating"),
}


@dataclass(frozen=True)
class LabelScore:
    """The score of each label, and the share of labels above chance.

    value: mean over the labels, of their mean average precision or of their median correlation.
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
    lake: Lake, measure: str, asked: Asked, selection: Selection | None = None, *, seed: int = 0
) -> Results[LabelScore]:
    """Scores of all labels, one for every question, model and dataset.

    measure: `map` (mean average precision) or `replicates` (median correlation). asked: see
    `score`. seed: of the random rankings and groups. Missing profiles are computed.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.

    >>> import unidino as ud
    >>> scores = ud.score_labels(lake, "map", "nsb", ud.Selection(models=["gaussian"]))
    >>> scores[0].num_classes
    4
    """
    run = Run.of("score", locals())
    choose("measure", measure, MEASURES)
    selection = selection or Selection()
    asked = questions(asked)
    scores: list[LabelScore] = []
    why_not = WhyNot()
    for group in groups(lake, selection):
        profiled = group.profiled
        for question in asked:
            with why_not.collecting(f"{profiled.title} is not scored by {question.rule}"):
                found, classes = label_classes(
                    group.metadata, group.vectors, measure, question, seed=seed
                )
                value, above = _VALUES[measure]
                options = question.as_json() | selection.options | ({"seed": seed} if seed else {})
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
                        float(classes[value].to_numpy().mean()),
                        float(classes[above].to_numpy().mean()),
                        int(found.is_scored.sum()),
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
    seed: int = 0,
) -> tuple[Candidates, pl.DataFrame]:
    """The profiles that a question compares, and a table with a row for each label, without a lake.

    metadata, vectors: see `candidates`. measure, seed: see `score_labels`.
    Raises ProfileError if no label can be scored.
    """
    (question,) = questions(question)
    found = candidates(metadata, vectors, question)
    chosen = vectors[found.positions]
    if choose("measure", measure, MEASURES) == "map":
        return found, mean_average_precision(rank(chosen, found), found, seed=seed)
    classes, _ = replicate_correlation(chosen, found, seed=seed)
    return found, classes


def label_table(scores: Sequence[LabelScore]) -> pl.DataFrame:
    """The scores as a table for people: a row for each score."""
    rows = []
    for s in scores:
        num_above = round(s.share_above_chance * s.num_classes)
        rows.append(
            {
                "dataset": s.dataset,
                "model": s.model,
                "metric": s.metric,
                "label": f"{s.label}/{s.level}",
                s.measure: s.value,
                "above chance": f"{num_above} of {s.num_classes}",
                "n": s.n,
            }
        )
    return pl.DataFrame(rows)


def _land(lake: Lake, run: Run, scores: Sequence[LabelScore]) -> None:
    answers = []
    for score in scores:
        common = score.as_json() | {"channels": list(score.channels)}
        for name in ("classes", "value", "share_above_chance", "n", "num_classes", "dropped"):
            del common[name]
        _, above = _VALUES[score.measure]
        rows = [
            common | {k: v for k, v in row.items() if k != above} | {"is_above_chance": row[above]}
            for row in score.classes.to_dicts()
        ]
        answers.append((score.asked, rows))
    land_answers(lake, run, "label_score", answers)
