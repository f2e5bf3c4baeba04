"""Figures of what each channel contributes to separating classes and to accuracies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    COLOURS,
    MM,
    WIDTH_MM,
    Key,
    dot,
    label_rows,
    line_height,
    natural_order,
    new_figure,
    set_title,
    styled,
    text_width,
)
from unidino.scores.accuracy import LakeScore

_WIDEST_NAME_IN = 1.9
_ROW_IN = line_height() * 1.4
_HATCHES = ("", "////", "....", "xxxx")
_MOST_DOTS = 8


def attribution_bars(shares: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Share of the most important features by channel and class; a panel for each dataset.

    shares: columns dataset, class, channel, share, expected; with share_low and share_high a second
    panel shows the interval of each channel. Dotted lines: shares expected by chance.
    Raises ProfileError if there is no share.
    """
    if shares.is_empty():
        raise ProfileError(
            "the lake has no channel attribution; run `unidino attribute --model NAME`"
        )
    shares = shares.filter(pl.col("share").is_not_null() & pl.col("share").is_not_nan())
    datasets = sorted(shares["dataset"].unique().to_list(), key=natural_order)
    channels = shares["channel"].unique(maintain_order=True).to_list()
    with styled():
        faces: dict[str, dict[str, Any]] = {
            c: {"facecolor": COLOURS[i % 8], "hatch": _HATCHES[i // 8 % 4]}
            for i, c in enumerate(channels)
        }
        entries: list[tuple[Any, str]] = [
            (Patch(**faces[c], edgecolor="white", linewidth=0), c) for c in channels
        ]
        dotted = Line2D([], [], color="0.2", linewidth=0.9, linestyle=":")
        entries.append((dotted, "share by chance"))
        with_intervals = "share_low" in shares.columns and _has_intervals(shares)
        if with_intervals:
            entries.append((Line2D([], [], color="0.3", linewidth=1.2), "95 % interval over seeds"))
        key = Key(entries, width_mm, "channel")
        panels: list[tuple[str, pl.DataFrame, bool]] = []
        for dataset in datasets:
            rows = shares.filter(pl.col("dataset") == dataset)
            panels.append((dataset, rows, False))
            if with_intervals and rows["channel"].n_unique() <= _MOST_DOTS:
                panels.append((dataset, rows, True))
        heights = [
            rows["class"].n_unique() * _ROW_IN + (0.55 if is_dots else 0.62)
            for _, rows, is_dots in panels
        ]
        figure = new_figure(width_mm, sum(heights) + key.height_in)
        parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, (dataset, rows, is_dots) in zip(parts, panels, strict=True):
            classes = sorted(rows["class"].unique().to_list(), key=natural_order)
            if is_dots:
                _draw_intervals(part, rows, classes, faces)
            else:
                axes = part.subplots()
                _draw_stack(axes, rows, classes, faces)
                set_title(axes, width_mm * MM - _WIDEST_NAME_IN - 0.2, dataset)
        key.draw(figure)
    return figure


def _has_intervals(shares: pl.DataFrame) -> bool:
    spread = (shares["share_high"] - shares["share_low"]).drop_nulls()
    return bool(len(spread) and (spread > 0).any())


def _expected(shares: pl.DataFrame, channel: str) -> float:
    return float(shares.filter(pl.col("channel") == channel)["expected"][0])


def _draw_stack(
    axes: Axes,
    shares: pl.DataFrame,
    classes: Sequence[str],
    faces: Mapping[str, Mapping[str, Any]],
) -> None:
    left = np.zeros(len(classes))
    channels = shares["channel"].unique(maintain_order=True).to_list()
    for channel in channels:
        by_class = dict(
            shares.filter(pl.col("channel") == channel).select("class", "share").iter_rows()
        )
        values = np.array([by_class.get(name, 0.0) for name in classes])
        axes.barh(
            range(len(classes)),
            values,
            left=left,
            height=0.78,
            edgecolor="white",
            linewidth=0,
            **faces[channel],
        )
        left += values
    for edge in np.cumsum([_expected(shares, c) for c in channels])[:-1]:
        axes.axvline(edge, color="white", linewidth=1.6, alpha=0.6)
        axes.axvline(edge, color="0.2", linewidth=0.9, linestyle=":")
    axes.set(
        xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5), xlabel="share of the most important features"
    )
    label_rows(axes, range(len(classes)), classes, _WIDEST_NAME_IN)
    axes.spines["left"].set_visible(False)


def _draw_intervals(
    part: Any,
    shares: pl.DataFrame,
    classes: Sequence[str],
    faces: Mapping[str, Mapping[str, Any]],
) -> None:
    channels = shares["channel"].unique(maintain_order=True).to_list()
    row_of = {name: y for y, name in enumerate(classes)}
    for axes, channel in zip(
        part.subplots(1, len(channels), sharey=True, squeeze=False)[0], channels, strict=True
    ):
        colour = faces[channel]["facecolor"]
        for row in shares.filter(pl.col("channel") == channel).iter_rows(named=True):
            y = row_of[row["class"]]
            if row["share_low"] is not None:
                ends = (row["share_low"], row["share_high"])
                axes.plot(ends, (y, y), color=colour, linewidth=1.4)
            axes.plot(row["share"], y, "o", color=colour, markersize=3.5, clip_on=False)
        axes.axvline(_expected(shares, channel), color="0.2", linewidth=0.9, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_xticklabels(["0", ".5", "1"])
        set_title(axes, 0.85, channel)
        label_rows(axes, range(len(classes)), classes, _WIDEST_NAME_IN)


@dataclass(frozen=True)
class Subsets:
    """Scores of one question with all channels, with each alone, and with each left out."""

    dataset: str
    model: str
    question: str
    all_channels: LakeScore
    alone: dict[str, LakeScore]
    without: dict[str, LakeScore]


def channel_subsets(scores: Sequence[LakeScore]) -> list[Subsets]:
    """Scores grouped by question, for questions that also have scores of parts of the channels.

    The score with the most channels counts as the one with all channels.
    """
    by_question: dict[tuple[str, ...], list[LakeScore]] = {}
    for s in scores:
        if s.accuracy is not None:
            by_question.setdefault(
                (s.dataset, s.model, s.normalization, s.metric, s.rules, s.label, s.level), []
            ).append(s)
    subsets = []
    for (dataset, model, normalization, metric, rules, label, level), same in by_question.items():
        all_channels = max(same, key=lambda s: len(s.channels))
        names = set(all_channels.channels)
        alone = {s.channels[0]: s for s in same if len(s.channels) == 1 and len(names) > 1}
        without = {
            (names - set(s.channels)).pop(): s
            for s in same
            if len(names - set(s.channels)) == 1 and len(s.channels) > 1
        }
        if alone or without:
            question = f"{metric.upper() if len(metric) < 6 else metric}, {label} of each {level}"
            question += "" if rules == "text" else f", {rules} rule"
            shown = model if normalization == "mad_robustize" else f"{model}, {normalization}"
            subsets.append(Subsets(dataset, shown, question, all_channels, alone, without))
    return subsets


def channel_accuracies(subsets: Sequence[Subsets], *, width_mm: float = WIDTH_MM) -> Figure:
    """Accuracies with one channel alone and with one left out, against all channels.

    One panel for each dataset, model and question; the band is the 95 % interval with all channels.
    Raises ProfileError if no score has a part of the channels.
    """
    if not subsets:
        raise ProfileError(
            "the lake has no scores of single channels; run"
            " `unidino attribute --model NAME --scores auto`"
        )
    with styled():
        key = Key(
            [
                (dot(COLOURS[0]), "this channel alone"),
                (dot(COLOURS[5], "s", markerfacecolor="none"), "all but this channel"),
                (Line2D([], [], color="0.3", linewidth=1), "all channels, with 95 % interval"),
                (Line2D([], [], color="black", linewidth=0.9, linestyle=":"), "chance"),
            ],
            width_mm,
        )
        across = 2 if len(subsets) > 1 else 1
        down = -(-len(subsets) // across)
        most = max(len(s.all_channels.channels) for s in subsets)
        figure = new_figure(width_mm, down * (most * _ROW_IN * 1.3 + 0.85) + key.height_in)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(subsets) :]:
            axes.remove()
        for axes, panel in zip(grid, subsets, strict=False):
            _draw_subsets(axes, panel)
            room = width_mm * MM / across - 0.4
            names_in = max(text_width(c) for c in panel.all_channels.channels)
            set_title(axes, room - names_in, f"{panel.dataset}, {panel.model}", panel.question)
        key.draw(figure)
    return figure


def _draw_subsets(axes: Axes, subsets: Subsets) -> None:
    score = subsets.all_channels
    assert score.accuracy is not None
    if score.interval_95:
        axes.axvspan(*score.interval_95, color="0.9", linewidth=0)
    axes.axvline(score.accuracy, color="0.3", linewidth=1)
    if score.chance is not None:
        axes.axvline(score.chance, color="black", linewidth=0.9, linestyle=":")
    for row, channel in enumerate(score.channels):
        for part, colour, marker, shift, face in (
            (subsets.alone.get(channel), COLOURS[0], "o", -0.16, COLOURS[0]),
            (subsets.without.get(channel), COLOURS[5], "s", 0.16, "white"),
        ):
            if part is None or part.accuracy is None:
                continue
            y = row + shift
            if part.interval_95:
                axes.plot(part.interval_95, (y, y), color=colour, linewidth=1.2)
            axes.plot(part.accuracy, y, marker, color=colour, markersize=4.5, markerfacecolor=face)
    label_rows(axes, range(len(score.channels)), score.channels, 1.2)
    axes.set(xlim=(0, 1.02), ylim=(len(score.channels) - 0.4, -0.6), xlabel="accuracy")
