"""What each channel contributes: to telling classes apart, and to accuracies."""

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
    COLORS,
    MM,
    WIDTH_MM,
    Key,
    dot,
    line_height,
    natural,
    new_figure,
    row_labels,
    styled,
    text_width,
    titled,
)
from unidino.scores.accuracy import LakeScore

_WIDEST_NAME_IN = 1.9
_ROW_IN = line_height() * 1.4
_HATCHES = ("", "////", "....", "xxxx")
_MOST_DOTS = 8


def attribution_bars(shares: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Share of the most important features by channel and class; a panel for each dataset.

    shares: columns dataset, class, channel, share, expected; and share_low, share_high where
    known: then a second panel shows the interval of each channel. Dotted: shares by chance.
    Raises ProfileError if there is none.
    """
    if shares.is_empty():
        raise ProfileError(
            "no channel attribution is in the lake; run `unidino attribute --model NAME`"
        )
    shares = shares.filter(pl.col("share").is_not_null() & pl.col("share").is_not_nan())
    datasets = sorted(shares["dataset"].unique().to_list(), key=natural)
    channels = shares["channel"].unique(maintain_order=True).to_list()
    with styled():
        faces: dict[str, dict[str, Any]] = {
            c: {"facecolor": COLORS[i % 8], "hatch": _HATCHES[i // 8 % 4]}
            for i, c in enumerate(channels)
        }
        entries: list[tuple[Any, str]] = [
            (Patch(**faces[c], edgecolor="white", linewidth=0), c) for c in channels
        ]
        dotted = Line2D([], [], color="0.2", linewidth=0.9, linestyle=":")
        entries.append((dotted, "share by chance"))
        with_intervals = "share_low" in shares.columns and _vary(shares)
        if with_intervals:
            entries.append((Line2D([], [], color="0.3", linewidth=1.2), "95 % interval over seeds"))
        key = Key(entries, width_mm, "channel")
        panels: list[tuple[str, pl.DataFrame, bool]] = []
        for dataset in datasets:
            own = shares.filter(pl.col("dataset") == dataset)
            panels.append((dataset, own, False))
            if with_intervals and own["channel"].n_unique() <= _MOST_DOTS:
                panels.append((dataset, own, True))
        heights = [
            own["class"].n_unique() * _ROW_IN + (0.55 if dots else 0.62) for _, own, dots in panels
        ]
        figure = new_figure(width_mm, sum(heights) + key.height_in)
        parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, (dataset, own, dots) in zip(parts, panels, strict=True):
            classes = sorted(own["class"].unique().to_list(), key=natural)
            if dots:
                _draw_intervals(part, own, classes, faces)
            else:
                axes = part.subplots()
                _draw_stack(axes, own, classes, faces)
                titled(axes, width_mm * MM - _WIDEST_NAME_IN - 0.2, dataset)
        key.draw(figure)
    return figure


def _vary(shares: pl.DataFrame) -> bool:
    spread = (shares["share_high"] - shares["share_low"]).drop_nulls()
    return bool(len(spread) and (spread > 0).any())


def _expected(own: pl.DataFrame, channel: str) -> float:
    return float(own.filter(pl.col("channel") == channel)["expected"][0])


def _draw_stack(
    axes: Axes, own: pl.DataFrame, classes: Sequence[str], faces: Mapping[str, Mapping[str, Any]]
) -> None:
    left = np.zeros(len(classes))
    channels = own["channel"].unique(maintain_order=True).to_list()
    for channel in channels:
        by_class = dict(
            own.filter(pl.col("channel") == channel).select("class", "share").iter_rows()
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
    for edge in np.cumsum([_expected(own, c) for c in channels])[:-1]:
        axes.axvline(edge, color="white", linewidth=1.6, alpha=0.6)
        axes.axvline(edge, color="0.2", linewidth=0.9, linestyle=":")
    axes.set(
        xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5), xlabel="share of the most important features"
    )
    row_labels(axes, range(len(classes)), classes, _WIDEST_NAME_IN)
    axes.spines["left"].set_visible(False)


def _draw_intervals(
    part: Any, own: pl.DataFrame, classes: Sequence[str], faces: Mapping[str, Mapping[str, Any]]
) -> None:
    channels = own["channel"].unique(maintain_order=True).to_list()
    row_of = {name: y for y, name in enumerate(classes)}
    for axes, channel in zip(
        part.subplots(1, len(channels), sharey=True, squeeze=False)[0], channels, strict=True
    ):
        color = faces[channel]["facecolor"]
        for row in own.filter(pl.col("channel") == channel).iter_rows(named=True):
            y = row_of[row["class"]]
            if row["share_low"] is not None:
                axes.plot((row["share_low"], row["share_high"]), (y, y), color=color, linewidth=1.4)
            axes.plot(row["share"], y, "o", color=color, markersize=3.5, clip_on=False)
        axes.axvline(_expected(own, channel), color="0.2", linewidth=0.9, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_xticklabels(["0", ".5", "1"])
        titled(axes, 0.85, channel)
        row_labels(axes, range(len(classes)), classes, _WIDEST_NAME_IN)


@dataclass(frozen=True)
class Subsets:
    """Accuracies of one question with all channels, with one alone, and with one left out."""

    dataset: str
    model: str
    question: str
    everything: LakeScore
    only: dict[str, LakeScore]
    without: dict[str, LakeScore]


def channel_subsets(scores: Sequence[LakeScore]) -> list[Subsets]:
    """What scores say about channels: of every question that was asked with all of them and fewer.

    All are the channels of the score with the most.
    """
    asked: dict[tuple[str, ...], list[LakeScore]] = {}
    for s in scores:
        if s.accuracy is not None:
            asked.setdefault(
                (s.dataset, s.model, s.normalization, s.metric, s.rules, s.label, s.level), []
            ).append(s)
    found = []
    for (dataset, model, normalization, metric, rules, label, level), own in asked.items():
        everything = max(own, key=lambda s: len(s.channels))
        whole = set(everything.channels)
        only = {s.channels[0]: s for s in own if len(s.channels) == 1 and len(whole) > 1}
        without = {
            (whole - set(s.channels)).pop(): s
            for s in own
            if len(whole - set(s.channels)) == 1 and len(s.channels) > 1
        }
        if only or without:
            question = f"{metric.upper() if len(metric) < 6 else metric}, {label} of each {level}"
            question += "" if rules == "text" else f", {rules} rule"
            shown = model if normalization == "mad_robustize" else f"{model}, {normalization}"
            found.append(Subsets(dataset, shown, question, everything, only, without))
    return found


def channel_accuracies(subsets: Sequence[Subsets], *, width_mm: float = WIDTH_MM) -> Figure:
    """Accuracies with one channel alone and with one left out, against all channels.

    A panel for each dataset, model and question; the band is the 95 % interval with all channels.
    Raises ProfileError if no score has a subset of the channels.
    """
    if not subsets:
        raise ProfileError(
            "no score has a part of the channels beside all of them; run"
            " `unidino attribute --model NAME --scores auto`"
        )
    with styled():
        key = Key(
            [
                (dot(COLORS[0]), "this channel alone"),
                (dot(COLORS[5], "s", markerfacecolor="none"), "all but this channel"),
                (Line2D([], [], color="0.3", linewidth=1), "all channels, with 95 % interval"),
                (Line2D([], [], color="black", linewidth=0.9, linestyle=":"), "chance"),
            ],
            width_mm,
        )
        across = 2 if len(subsets) > 1 else 1
        down = -(-len(subsets) // across)
        rows = max(len(s.everything.channels) for s in subsets)
        figure = new_figure(width_mm, down * (rows * _ROW_IN * 1.3 + 0.85) + key.height_in)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(subsets) :]:
            axes.remove()
        for axes, own in zip(grid, subsets, strict=False):
            _draw_subsets(axes, own)
            room = width_mm * MM / across - 0.4
            names_in = max(text_width(c) for c in own.everything.channels)
            titled(axes, room - names_in, f"{own.dataset}, {own.model}", own.question)
        key.draw(figure)
    return figure


def _draw_subsets(axes: Axes, own: Subsets) -> None:
    every = own.everything
    assert every.accuracy is not None
    if every.interval_95:
        axes.axvspan(*every.interval_95, color="0.9", linewidth=0)
    axes.axvline(every.accuracy, color="0.3", linewidth=1)
    if every.chance is not None:
        axes.axvline(every.chance, color="black", linewidth=0.9, linestyle=":")
    for y, channel in enumerate(every.channels):
        for found, color, mark, shift, face in (
            (own.only.get(channel), COLORS[0], "o", -0.16, COLORS[0]),
            (own.without.get(channel), COLORS[5], "s", 0.16, "white"),
        ):
            if found is None or found.accuracy is None:
                continue
            if found.interval_95:
                axes.plot(found.interval_95, (y + shift, y + shift), color=color, linewidth=1.2)
            axes.plot(
                found.accuracy, y + shift, mark, color=color, markersize=4.5, markerfacecolor=face
            )
    row_labels(axes, range(len(every.channels)), every.channels, 1.2)
    axes.set(xlim=(0, 1.02), ylim=(len(every.channels) - 0.4, -0.6), xlabel="accuracy")
