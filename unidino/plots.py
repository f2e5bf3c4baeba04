"""One figure per function; each returns the figure.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unidino.score import LakeScore

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "unidino",
}


def score_bars(scores: Sequence[LakeScore]) -> Figure:
    """Accuracy by metric and model with 95 % intervals; a panel for each dataset.

    The dash on each bar is chance, the grey line above it the ceiling.
    """
    datasets = sorted({s.dataset for s in scores})
    models = list(dict.fromkeys(s.model for s in scores))
    metrics = list(dict.fromkeys((s.metric, s.rules) for s in scores))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.6 * len(datasets)), layout="constrained")
        panels = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
        width = 0.8 / len(models)
        for axes, dataset in zip(panels, datasets, strict=True):
            for m, model in enumerate(models):
                own = {
                    (s.metric, s.rules): s
                    for s in scores
                    if s.dataset == dataset and s.model == model
                }
                for x, metric in enumerate(metrics):
                    found = own.get(metric)
                    if found and found.accuracy is not None:
                        left = x - 0.4 + (m + 0.5) * width
                        _bar(axes, left, width, found, COLORS[m % len(COLORS)])
            axes.set_xticks(range(len(metrics)), [f"{m.upper()}\n{r}" for m, r in metrics])
            axes.set(ylim=(0, 1.02), ylabel="accuracy", title=dataset)
        handles = [
            mpl.patches.Patch(color=COLORS[m % len(COLORS)], label=model)
            for m, model in enumerate(models)
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=min(4, len(models)))
    return figure


def _bar(axes: Axes, center: float, width: float, score: LakeScore, color: str) -> None:
    assert score.accuracy is not None
    half = width * 0.45
    axes.bar(center, score.accuracy, 2 * half, color=color)
    if score.interval_95:
        axes.vlines(center, *score.interval_95, color="black", linewidth=1)
    if score.chance is not None:
        axes.hlines(score.chance, center - half, center + half, color="white", linewidth=2.5)
        axes.hlines(score.chance, center - half, center + half, color="black", linewidth=1)
    if score.ceiling is not None:
        axes.hlines(score.ceiling, center - half, center + half, color="0.6", linewidth=1)


def attribution_bars(shares: pl.DataFrame) -> Figure:
    """Share of the most important features by channel and class; a panel for each dataset.

    shares: rows of `Attribution.shares`. Dotted lines mark equal shares.
    """
    datasets = shares["dataset"].unique(maintain_order=True).to_list()
    heights = [shares.filter(pl.col("dataset") == d)["class"].n_unique() for d in datasets]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 1.0 * len(datasets) + 0.3 * sum(heights)),
                        layout="constrained")  # fmt: skip
        panels = figure.subplots(len(datasets), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, dataset in zip(panels, datasets, strict=True):
            own = shares.filter(pl.col("dataset") == dataset)
            classes = sorted(own["class"].unique().to_list(), reverse=True)
            channels = own["channel"].unique(maintain_order=True).to_list()
            left = np.zeros(len(classes))
            for c, channel in enumerate(channels):
                by_class = dict(
                    own.filter(pl.col("channel") == channel).select("class", "share").iter_rows()
                )
                values = np.array([by_class[name] for name in classes])
                axes.barh(classes, values, left=left, color=COLORS[c % len(COLORS)], label=channel)
                left += values
            for c in range(1, len(channels)):
                axes.axvline(c / len(channels), color="white", linewidth=1, linestyle=":")
            axes.set(xlim=(0, 1), title=dataset, xlabel="share of the most important features")
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def field_channels(planes: Sequence[NDArray[np.float32]], channels: Sequence[str]) -> Figure:
    """The channels of one field side by side.

    planes: each (H, W), intensities in [0, 1].
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 7.2 / max(3, len(planes)) + 0.3), layout="constrained")
        for axes, plane, channel in zip(
            figure.subplots(1, len(planes), squeeze=False)[0], planes, channels, strict=True
        ):
            axes.imshow(plane, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(channel)
            axes.set_axis_off()
    return figure


def svg(figure: Figure) -> str:
    """The figure as an SVG element to put into a page; equal figures give equal text."""
    buffer = StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
