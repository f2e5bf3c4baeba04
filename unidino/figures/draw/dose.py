"""Figure of dose responses: small multiples of compounds and channels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    COLOURS,
    GREY,
    MM,
    PALE,
    WIDTH_MM,
    Key,
    compact,
    dot,
    new_figure,
    rasterize_many,
    set_title,
    shortened,
    styled,
    text_width,
)

_MOST_CHANNELS = 8
_ROW_IN = 1.05
UNITS = {
    "axis": "effect, SD of controls",
    "distance": "distance from controls",
    "projection": "effect, 1: positive control",
    "feature": "effect, SD of controls",
}


def dose_curves(rows: pl.DataFrame, *, most: int = 12, width_mm: float = WIDTH_MM) -> Figure:
    """Effects of the wells and fitted curves, a row for each compound, a column for each channel.

    rows: of the table `dose`, of one model and dataset. Of more compounds, the `most` with the
    strongest evidence are shown; of more channels, the first eight. Panels of a channel share
    their vertical axis. Filled curves are active; a vertical line is the EC50 in its interval.
    Raises ProfileError if there is no row.
    """
    if rows.is_empty():
        raise ProfileError("the lake has no dose responses; run `unidino dose --model NAME`")
    channels = rows["channel"].unique(maintain_order=True).to_list()[:_MOST_CHANNELS]
    rows = rows.filter(pl.col("channel").is_in(channels))
    ranked = rows.group_by("compound").agg(
        pl.col("q_value").min(), (pl.col("r2") * pl.col("is_active")).max()
    )
    best = ranked.sort("q_value", "r2", "compound", descending=[False, True, False])
    compounds = sorted(best["compound"].head(most).to_list())
    panels = {(r["compound"], r["channel"]): r for r in rows.iter_rows(named=True)}
    left_out = rows["compound"].n_unique() - len(compounds)
    with styled():
        key = Key(
            [
                (dot(COLOURS[0]), "well"),
                (Line2D([], [], color=COLOURS[0], linewidth=1.4), "curve, active"),
                (Line2D([], [], color=GREY, linewidth=1.4), "curve, not active"),
                (Patch(color=COLOURS[0], alpha=0.2, linewidth=0), "95 % band"),
                (Patch(color=PALE, linewidth=0), "95 % of the negative controls"),
                (Line2D([], [], color=COLOURS[5], linewidth=1.2), "EC50 with 95 % interval"),
                (dot("black", "v"), "lowest active dose"),
            ],
            width_mm,
        )
        # Compounds by channels; compounds alone stand side by side.
        across = len(channels) if len(channels) > 1 else min(4, len(compounds))
        shown = [(compound, channel) for compound in compounds for channel in channels]
        down = -(-len(shown) // across)
        figure = new_figure(width_mm, _ROW_IN * down + 0.5 + key.height_in)
        grid = figure.subplots(
            down, across, squeeze=False, sharey="col" if len(channels) > 1 else "row"
        )
        width_in = width_mm * MM / across
        for axes in grid.ravel()[len(shown) :]:
            axes.set_axis_off()
        for axes, (compound, channel) in zip(grid.ravel(), shown, strict=False):
            row = panels.get((compound, channel))
            if row is None:
                axes.set_axis_off()
                continue
            _draw(axes, row, width_in - 0.45)
            title = compound if len(channels) == 1 else f"{compound}, {channel}"
            set_title(axes, width_in - 0.35, title)
        for axes in grid[-1]:
            axes.set_xlabel("dose, µM")
        unit = UNITS[str(rows["effect"][0])]
        figure.supylabel(shortened(unit, _ROW_IN * down + 0.3), fontsize=8)
        if left_out:
            num = f"{len(compounds)} of {len(compounds) + left_out} compounds"
            figure.suptitle(num, fontsize=8, x=0.99, ha="right")
        key.draw(figure)
    return figure


def _draw(axes: Axes, row: Mapping[str, Any], width_in: float) -> None:
    """One panel: controls as a band, wells as points, the curve with its band, the EC50."""
    colour = COLOURS[0] if row["is_active"] else GREY
    low, high = np.quantile(row["control_effect"], [0.025, 0.975])
    axes.axhspan(low, high, color=PALE, linewidth=0, zorder=0)
    axes.fill_between(
        row["curve_um"], row["curve_low"], row["curve_high"], color=colour, alpha=0.2, linewidth=0
    )
    axes.plot(row["curve_um"], row["curve_effect"], color=colour, linewidth=1.4)
    axes.scatter(row["point_um"], row["point_effect"], s=7, color=colour, linewidth=0, zorder=3)
    rasterize_many(axes, len(row["point_um"]))
    if row["ec50_um"] is not None:
        axes.axvline(row["ec50_um"], color=COLOURS[5], linewidth=1.2)
        axes.axvspan(
            row["ec50_low_um"] or min(row["point_um"]),
            row["ec50_high_um"] or max(row["point_um"]),
            color=COLOURS[5],
            alpha=0.13,
            linewidth=0,
        )
    if row["lowest_active_um"] is not None:
        axes.plot(
            row["lowest_active_um"],
            0.97,
            "v",
            color="black",
            markersize=4,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
    axes.set_xscale("log")
    axes.minorticks_off()
    doses = sorted(set(row["point_um"]))
    texts = [compact(dose) for dose in doses]
    ticks = _apart(np.log10(doses), [text_width(text) + 0.06 for text in texts], width_in)
    axes.set_xticks([doses[i] for i in ticks], [texts[i] for i in ticks])


def _apart(places: NDArray[np.float64], widths: Sequence[float], width_in: float) -> list[int]:
    """The doses whose labels fit side by side; the first and the last come first."""
    scale = width_in / float(np.ptp(places))
    taken: list[int] = []
    for i in sorted(range(len(places)), key=lambda i: i not in (0, len(places) - 1)):
        gaps = (abs(places[i] - places[j]) * scale - (widths[i] + widths[j]) / 2 for j in taken)
        if all(gap >= 0 for gap in gaps):
            taken.append(i)
    return sorted(taken)
