"""Figures of the scores in the lake, and the rows that they show."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.core.errors import choose
from unidino.figures.draw.channels import channel_accuracies, channel_subsets
from unidino.figures.draw.scores import difference_intervals, label_intervals, score_intervals
from unidino.figures.results import best_model, selected
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import LakeScore
from unidino.scores.history import latest_scores
from unidino.scores.question import Question

Questions = Sequence[str | Question]


def scores_figure(
    lake: Lake,
    selection: Selection | None = None,
    questions: Questions = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with intervals, ceiling and chance, by dataset, rule and model."""
    return score_intervals(selected_scores(lake, selection, questions, label), width_mm=width_mm)


def differences_figure(
    lake: Lake,
    selection: Selection | None = None,
    questions: Questions = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Differences of accuracy between models on the same profiles."""
    scores = selected_scores(lake, selection, questions, label)
    return difference_intervals(scores, width_mm=width_mm)


def channels_figure(
    lake: Lake,
    selection: Selection | None = None,
    questions: Questions = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with one channel alone and with one left out, against all channels."""
    scores = selected_scores(lake, selection, questions, label, parts_of_channels=True)
    return channel_accuracies(channel_subsets(scores), width_mm=width_mm)


def labels_figure(
    lake: Lake,
    selection: Selection | None = None,
    questions: Questions = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Mean average precision or replicate correlation of each label, of one model."""
    rows = lake.look_up(assets.sql("queries", "latest_label_score"))
    rows = selected(rows, selection)
    rows = rows.filter([_answers(row, questions, label) for row in rows.iter_rows(named=True)])
    if not rows.is_empty() and not (selection and selection.models):
        models = rows["model"].unique().to_list()
        model = best_model(lake, models) or sorted(models)[0]
        rows = rows.filter(pl.col("model") == model)
    return label_intervals(rows, width_mm=width_mm)


def selected_scores(
    lake: Lake,
    selection: Selection | None = None,
    questions: Questions = (),
    label: str | None = None,
    *,
    parts_of_channels: bool = False,
) -> list[LakeScore]:
    """The latest scores of these profiles that answer one of the questions.

    questions: a rule's name stands for its questions in any reading; none for all questions.
    Raises UnidinoError that lists the choices if the lake has no such score.
    """
    scores = latest_scores(lake, parts_of_channels=parts_of_channels)
    for question in questions:
        rule = question if isinstance(question, str) else question.rule
        choose("metric", rule, sorted({s.metric for s in scores}))
    if label:
        choose("label", label, sorted({s.label for s in scores}))
    names = ("model", "dataset", "level", "normalization")
    columns = {name: [getattr(s, name) for s in scores] for name in names}
    rows = selected(pl.DataFrame(columns).with_row_index("position"), selection)
    kept = [scores[i] for i in rows["position"]]
    return [score for score in kept if _answers(vars(score), questions, label)]


def _answers(row: Mapping[str, Any], questions: Questions, label: str | None) -> bool:
    """Whether a row of results answers one of the questions, about the label if one is given."""
    if label and row["label"] != label:
        return False
    return not questions or any(
        row["metric"] == question
        if isinstance(question, str)
        else (row["metric"], row["rules"], row["label"])
        == (question.rule, question.reading, question.label)
        for question in questions
    )
