"""Figure of how many measured readouts profiles predict, and how well.

Source: Morelli et al. 2025, section 2.3.3: the share S_t of readouts with R2 of at least t, and the
area under that curve.
"""

from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    COLOURS,
    DASHES,
    MM,
    WIDTH_MM,
    distinct,
    line_height,
    natural_order,
    new_figure,
    set_title,
    styled,
)
from unidino.insight.regression import area, area_interval, survival


def survival_curves(readouts: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Share of readouts with R2 of at least t, one panel for each dataset and stratum.

    readouts: rows of the table `readout_score`. The legend gives the area under each curve with its
    95 % interval over readouts, the largest first.
    Raises ProfileError if there is no row.
    """
    readouts = readouts.filter(pl.col("r2").is_not_null() & pl.col("r2").is_not_nan())
    if readouts.is_empty():
        raise ProfileError(
            "the lake has no readout scores; run `unidino readouts --table FILE --model NAME`"
        )
    name = pl.col("model")
    for column in ("normalization", "level", "regressor"):
        if readouts[column].n_unique() > 1:
            name = name + ", " + pl.col(column).str.replace_all("_", " ")
    readouts = readouts.with_columns(name.alias("name"))
    names = sorted(readouts["name"].unique().to_list(), key=natural_order)
    panels = sorted(
        readouts.group_by("dataset", "stratum"), key=lambda p: natural_order(f"{p[0][0]} {p[0][1]}")
    )
    several = readouts["dataset"].n_unique() > 1
    with styled():
        most = max(rows["name"].n_unique() for _, rows in panels)
        key_in = (most + 1) * line_height() * 1.2 + 0.15
        across = min(3 if width_mm >= 150 else 2, len(panels))
        side = width_mm * MM / max(across, 2)
        if len(panels) == 1:
            figure = new_figure(width_mm, max(min(2.8, side), key_in))
            grid = figure.subplots(1, 2)[None]
            places = [(grid[0, 0], grid[0, 1])]
        else:
            down = -(-len(panels) // across)
            heights = [min(2.5, side), key_in] * down
            figure = new_figure(width_mm, sum(heights))
            grid = figure.subplots(2 * down, across, squeeze=False, height_ratios=heights)
            places = [
                (grid[2 * i, j], grid[2 * i + 1, j]) for i in range(down) for j in range(across)
            ]
        for axes, below in places:
            below.set_axis_off()
            axes.set_visible(False)
        for (axes, beside), ((dataset, stratum), rows) in zip(places, panels, strict=False):
            axes.set_visible(True)
            _draw(axes, beside, rows, names, side)
            title = " / ".join(
                [
                    *([str(dataset)] if several or not stratum else []),
                    *([str(stratum)] if stratum else []),
                ]
            )
            set_title(axes, side - 0.6, title)
    return figure


def _draw(
    axes: Axes, beside: Axes, readouts: pl.DataFrame, names: Sequence[str], width_in: float
) -> None:
    """Draw the curves into one axes and their legend into the other."""
    curves = [
        (area(rows["r2"].to_numpy()), str(name), rows["r2"].to_numpy())
        for (name,), rows in readouts.group_by("name")
    ]
    entries = []
    for value, name, r2 in sorted(curves, key=lambda c: (-c[0], natural_order(c[1]))):
        number = names.index(name)
        line = {"color": COLOURS[number % 8], "linestyle": DASHES[number // 8 % 4]}
        shares = survival(r2)
        axes.step(shares["threshold"], shares["share"], where="post", linewidth=1.3, **line)
        low, high = area_interval(r2)
        entries.append((Line2D([], [], **line), f"{value:.3f} ({low:.3f}-{high:.3f})  {name}"))
    labels = distinct([label for _, label in entries], width_in - 0.75)
    beside.legend(
        [handle for handle, _ in entries],
        labels,
        title="area (95 % interval), model",
        alignment="left",
        loc="upper left",
        borderaxespad=0,
        handlelength=2,
        labelspacing=0.3,
    )
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1.01),
        xlabel="threshold t of R²",
        ylabel="share of readouts with R² ≥ t",
    )
