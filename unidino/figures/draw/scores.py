"""Figures of scores: accuracies with their bounds, differences between models, single labels."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    COLOURS,
    GREY,
    MM,
    WIDTH_MM,
    Key,
    dot,
    label_rows,
    line_height,
    natural_order,
    new_figure,
    set_title,
    shortened,
    styled,
    text_width,
)
from unidino.scores.accuracy import LakeScore

_WIDEST_NAME_IN = 1.9
_ROW_IN = line_height() * 1.25
_FULL_SCALE_FROM = 0.34

# Column of a measure, and what it is called.
_OF_MEASURE = {
    "map": ("mean_average_precision", "mean average precision"),
    "activity": ("mean_average_precision", "mean average precision among controls"),
    "replicates": ("correlation", "median correlation"),
    "enrichment": ("odds_ratio", "odds ratio in the top"),
}
Question = tuple[str, str, str, str]


def score_intervals(scores: Sequence[LakeScore], *, width_mm: float = WIDTH_MM) -> Figure:
    """Accuracies with 95 % intervals, one panel for each dataset, one row for each rule and model.

    A row also shows chance and ceiling where they lie within the axis.
    Raises ProfileError if no score has an accuracy.
    """
    scores = [s for s in scores if s.accuracy is not None]
    if not scores:
        raise ProfileError("the lake has no score; run `unidino score --metric nsc`")
    names = _series_names(scores)
    rows: list[dict[str, Any]] = [
        {
            "dataset": s.dataset,
            "question": (s.metric, s.rules, s.label, s.level),
            "name": names[_series(s)],
            "value": s.accuracy,
            "interval": s.interval_95,
            "chance": s.chance,
            "ceiling": s.ceiling,
            "note": f"n = {s.n}, {s.num_classes} classes",
        }
        for s in scores
    ]
    ends = [v for row in rows for v in (row["value"], row["chance"], *(row["interval"] or ()))]
    top = max(float(v) for v in ends if v is not None)
    limits = (0.0, 1.02) if top > _FULL_SCALE_FROM else (0.0, max(top * 1.15, 0.01))
    entries = [
        (dot("0.3"), "accuracy"),
        (Line2D([], [], color="0.3", linewidth=1.2), "95 % interval over compounds"),
        (dot("black", "|"), "chance"),
        (dot(GREY, "d", markerfacecolor="none"), "ceiling: highest possible accuracy"),
    ]
    if all(row["ceiling"] is None or row["ceiling"] > limits[1] for row in rows):
        entries.pop()
    return forest(rows, list(names.values()), "accuracy", limits, entries, width_mm)


def difference_intervals(scores: Sequence[LakeScore], *, width_mm: float = WIDTH_MM) -> Figure:
    """Differences of accuracy between models on the same profiles, with 95 % intervals.

    Raises ProfileError if no score was compared with another.
    """
    rows: list[dict[str, Any]] = [
        {
            "dataset": s.dataset,
            "question": (s.metric, s.rules, s.label, s.level),
            "name": f"{s.model} − {s.versus.model}",
            "value": s.versus.difference,
            "interval": s.versus.interval_95,
            "note": "",
        }
        for s in scores
        if s.versus is not None
    ]
    if not rows:
        raise ProfileError(
            "no score was compared with another; run `unidino score` with several --model"
        )
    reach = max(abs(v) for row in rows for v in (row["value"], *row["interval"])) * 1.1 or 0.05
    names = sorted({row["name"] for row in rows}, key=natural_order)
    entries = [
        (dot("0.3"), "difference of accuracy"),
        (Line2D([], [], color="0.3", linewidth=1.2), "95 % interval, paired over compounds"),
    ]
    return forest(rows, names, "difference of accuracy", (-reach, reach), entries, width_mm)


def label_intervals(classes: pl.DataFrame, *, most: int = 40, width_mm: float = WIDTH_MM) -> Figure:
    """The score of each label, filled if above chance, one panel for each dataset and measure.

    classes: rows of the table `label_score`, of one model. Each panel shows the best `most` labels.
    Raises ProfileError if there is no row.
    """
    if classes.is_empty():
        raise ProfileError(
            "the lake has no label scores; run `unidino score --measure map --metric nsc`"
        )
    panels = []
    keys = ["dataset", "measure", "metric", "rules", "label", "level"]
    for (dataset, measure, metric, rules, label, level), rows in classes.group_by(
        keys, maintain_order=True
    ):
        value, statistic = _OF_MEASURE[str(measure)]
        ranked = rows.drop_nulls(value).sort(value, "class", descending=[True, False])
        if ranked.is_empty():
            continue
        above = int(ranked["is_above_chance"].sum())
        asked = "active" if measure == "activity" else "above chance"
        rule = "replicates" if metric == "any" else f"{str(metric).upper()} {rules}"
        title = f"{dataset}: {rule}, {above} of {len(ranked)} {asked}"
        if len(ranked) > most:
            title += f"; best {most}"
        panels.append((title, f"{statistic} of {label} ({level})", ranked.head(most), value))
    if not panels:
        raise ProfileError("no label has a score")
    with styled():
        key = Key(
            [
                (dot(COLOURS[0]), "above chance"),
                (dot(COLOURS[0], markerfacecolor="none"), "not above chance"),
                (dot("black", "|"), "threshold of chance"),
            ],
            width_mm,
        )
        heights = [len(rows) * _ROW_IN + 0.62 for _, _, rows, _ in panels]
        figure = new_figure(width_mm, sum(heights) + key.height_in)
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (title, axis_label, rows, value) in zip(grid, panels, strict=True):
            for y, row in enumerate(rows.iter_rows(named=True)):
                face = COLOURS[0] if row["is_above_chance"] else "none"
                axes.plot(
                    row[value], y, "o", color=COLOURS[0], markersize=4.5, markerfacecolor=face
                )
                if row["threshold"] is not None:
                    axes.plot(row["threshold"], y, "|", color="black", markersize=6)
            label_rows(axes, range(len(rows)), rows["class"].to_list(), _WIDEST_NAME_IN)
            axes.set(
                xlim=_limits(rows[value].to_numpy()),
                ylim=(len(rows) - 0.4, -0.6),
                xlabel=axis_label,
            )
            set_title(axes, width_mm * MM - _WIDEST_NAME_IN - 0.2, title)
            axes.grid(axis="x", color="0.92", linewidth=0.6)
            axes.set_axisbelow(True)
        key.draw(figure)
    return figure


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Limits of an axis of values that are at most 1, or of odds ratios, some of them infinite."""
    finite = values[np.isfinite(values)]
    largest = float(finite.max(initial=1))
    return min(0.0, float(finite.min(initial=0)) * 1.1), 1.02 if largest <= 1 else largest * 1.05


# Imported, selected and mixed features have no channel; their name repeats the normalization.
_NO_CHANNELS = (("features",), ("selected",), ("mixed",))


def _series(score: LakeScore) -> tuple[Hashable, ...]:
    return (score.model, score.normalization, score.channels)


def _series_names(scores: Sequence[LakeScore]) -> dict[tuple[Hashable, ...], str]:
    """A name for each model scored, with normalization or channels where these differ."""
    forms = {s.normalization for s in scores}
    sets: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for s in scores:
        sets.setdefault((s.dataset, s.model), set()).add(s.channels)
    names = {}
    for s in scores:
        name = s.model
        if len(forms) > 1:
            name += f", {s.normalization}"
        if len(sets[s.dataset, s.model]) > 1 and s.channels not in _NO_CHANNELS:
            name += f" ({', '.join(s.channels)})"
        names[_series(s)] = name
    return names


def forest(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    label: str,
    limits: tuple[float, float],
    entries: Sequence[tuple[Any, str]],
    width_mm: float,
) -> Figure:
    """Values with intervals, in rows below the question they answer, a panel for each dataset.

    rows: with dataset, question, name, value and interval, and where they are known with chance,
    ceiling and a heading, which stands for the question.
    """
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}
    order = {name: i for i, name in enumerate(colours)}
    datasets = sorted({row["dataset"] for row in rows}, key=natural_order)
    panels = {d: _grouped([r for r in rows if r["dataset"] == d], order) for d in datasets}
    num_lines = {d: sum(len(group) + 1.25 for group in panels[d].values()) for d in datasets}
    with styled():
        key = Key(entries, width_mm)
        heights = [num_lines[d] * _ROW_IN + 0.35 for d in datasets]
        figure = new_figure(width_mm, sum(heights) + 0.35 + key.height_in)
        grid = figure.subplots(len(datasets), 1, squeeze=False, height_ratios=heights, sharex=True)[
            :, 0
        ]
        name_in = min(_WIDEST_NAME_IN, max(text_width(n) for n in colours) + 0.05)
        for axes, dataset in zip(grid, datasets, strict=True):
            y, places, shown = 0.0, [], []
            for question, group in panels[dataset].items():
                heading = group[0].get("heading") or _question_text(question, group)
                axes.text(
                    0,
                    y,
                    shortened(heading, width_mm * MM - name_in - 0.3),
                    transform=axes.get_yaxis_transform(),
                    fontsize=7,
                    color="0.3",
                    va="center",
                )
                for row in group:
                    y += 1
                    _draw_row(axes, y, row, colours[row["name"]], limits)
                    places.append(y)
                    shown.append(row["name"])
                y += 1.25
            label_rows(axes, places, shown, _WIDEST_NAME_IN)
            axes.set(xlim=limits, ylim=(y - 0.5, -0.7))
            set_title(axes, width_mm * MM - name_in - 0.2, dataset)
            axes.hlines(places, *limits, color="0.93", linewidth=0.6, zorder=0)
            if limits[0] < 0:
                axes.axvline(0, color="0.3", linewidth=0.7, zorder=1)
            axes.spines["left"].set_visible(False)
        grid[-1].set_xlabel(label)
        key.draw(figure)
    return figure


def _grouped(
    rows: Sequence[Mapping[str, Any]], order: Mapping[str, int]
) -> dict[Question, list[Mapping[str, Any]]]:
    groups: dict[Question, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["question"], []).append(row)
    return {
        question: sorted(group, key=lambda r: order[r["name"]])
        for question, group in groups.items()
    }


def _question_text(question: Question, rows: Sequence[Mapping[str, Any]]) -> str:
    metric, rules, label, level = question
    notes = {row["note"] for row in rows} - {""}
    shown = f"{metric.upper() if len(metric) < 6 else metric}, {label} of each {level}"
    if rules != "text":
        shown += f", {rules} rule"
    return shown + (f"; {notes.pop()}" if len(notes) == 1 else "")


def _draw_row(
    axes: Axes, y: float, row: Mapping[str, Any], colour: str, limits: tuple[float, float]
) -> None:
    if row["interval"]:
        axes.plot(row["interval"], (y, y), color=colour, linewidth=1.4, solid_capstyle="butt")
    for kind, marker in (("chance", "|"), ("ceiling", "d")):
        value = row.get(kind)
        if value is not None and value <= limits[1]:
            tone = "black" if kind == "chance" else GREY
            axes.plot(
                value,
                y,
                marker,
                color=tone,
                markersize=6 if kind == "chance" else 4,
                markerfacecolor="none",
                markeredgewidth=0.8,
                clip_on=False,
            )
    axes.plot(row["value"], y, "o", color=colour, markersize=4.5)
