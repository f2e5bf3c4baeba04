"""Figures of the scores in the lake, and the rows that they show."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
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
from unidino.scores.history import latest_scores, other_scores
from unidino.scores.question import Asked, Question

# Fields of a question that a figure does not show: an answer has them only if not standard.
_SCORED_OTHERWISE = {f.name for f in fields(Question)} - {"rule", "reading", "label"}


def scores_figure(
    lake: Lake,
    selection: Selection | None = None,
    asked: Asked = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with intervals, ceiling and chance, by dataset, rule and model."""
    return score_intervals(selected_scores(lake, selection, asked, label), width_mm=width_mm)


def differences_figure(
    lake: Lake,
    selection: Selection | None = None,
    asked: Asked = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Differences of accuracy between models on the same profiles."""
    scores = selected_scores(lake, selection, asked, label)
    return difference_intervals(scores, width_mm=width_mm)


def channels_figure(
    lake: Lake,
    selection: Selection | None = None,
    asked: Asked = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with one channel alone and with one left out, against all channels."""
    scores = selected_scores(lake, selection, asked, label, parts_of_channels=True)
    return channel_accuracies(channel_subsets(scores), width_mm=width_mm)


def labels_figure(
    lake: Lake,
    selection: Selection | None = None,
    asked: Asked = (),
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Mean average precision or replicate correlation of each label, of one model."""
    rows = lake.look_up(assets.sql("queries", "standard_label_score"))
    rows = selected(rows, selection)
    kept = [
        _answers({"rule": rule, "reading": reading, "label": of}, asked, label)
        for rule, reading, of in rows.select("metric", "rules", "label").iter_rows()
    ]
    rows = rows.filter(kept)
    if not rows.is_empty() and not (selection and selection.models):
        models = rows["model"].unique().to_list()
        model = best_model(lake, models) or sorted(models)[0]
        rows = rows.filter(pl.col("model") == model)
    rows = of_one_form(rows)
    return label_intervals(rows, width_mm=width_mm)


def of_one_form(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of one normalization and of most channels, so that no class is shown twice.

    The normalization is `mad_robustize` where there is one, else the first by name.
    """
    if rows.is_empty():
        return rows
    names = rows["normalization"].unique().to_list()
    first = min(names, key=lambda name: (name != "mad_robustize", name))
    rows = rows.filter(pl.col("normalization") == first)
    num = pl.col("channels").list.len()
    return rows.filter(num == num.max().over("dataset", "model"))


def selected_scores(
    lake: Lake,
    selection: Selection | None = None,
    asked: Asked = (),
    label: str | None = None,
    *,
    parts_of_channels: bool = False,
) -> list[LakeScore]:
    """The latest scores of these profiles that answer one of the questions.

    selection: None for all models and datasets, and all profiles of a level. asked: the name of a
    rule stands for its questions in any reading; none for all questions. parts_of_channels: also
    scores of parts of the channels.
    Raises UnidinoError that lists the choices if the lake has no such score.
    """
    scores = latest_scores(lake, parts_of_channels=parts_of_channels)
    if not parts_of_channels:
        chosen = selection or Selection()
        scores = [s for s in [*scores, *other_scores(lake)] if _is_of(s, chosen)]
    if selection is not None:
        names = ("model", "dataset", "level", "normalization")
        columns = {name: [getattr(s, name) for s in scores] for name in names}
        rows = selected(pl.DataFrame(columns).with_row_index("position"), selection)
        scores = [scores[i] for i in rows["position"]]
    for question in _several(asked):
        rule = question if isinstance(question, str) else question.rule
        choose("metric", rule, sorted({s.metric for s in scores}))
    if label:
        choose("label", label, sorted({s.label for s in scores}))
    return [s for s in scores if _answers(s.asked, asked, label)]


def _is_of(score: LakeScore, selection: Selection) -> bool:
    """Whether a score is of the profiles that the selection chooses within a model."""
    names = ("where", "channels", "compounds")
    return all(score.asked.get(name) == selection.options.get(name) for name in names)


def _several(asked: Asked) -> Iterable[str | Question]:
    return [asked] if isinstance(asked, str | Question) else asked


def _answers(of: Mapping[str, Any], asked: Asked, label: str | None) -> bool:
    """Whether the answer to a question, as plain values, is wanted.

    asked: a rule by name, or none, stands for every question that is scored in the standard way.
    label: that the answer must have, if one is given.
    """
    if label and of["label"] != label:
        return False
    is_standard = not _SCORED_OTHERWISE & set(of)
    questions = list(_several(asked))
    if not questions:
        return is_standard
    return any(
        is_standard and of["rule"] == question
        if isinstance(question, str)
        else _scored_as(of) == question.as_json()
        for question in questions
    )


def _scored_as(of: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a question that says how profiles are scored."""
    names = {"rule", "reading", "label", "rule_hash", *_SCORED_OTHERWISE}
    return {name: value for name, value in of.items() if name in names}
