"""Profiles as points in a plane, coloured by what is known of them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    GREY,
    MM,
    PALE,
    WIDTH_MM,
    Key,
    compact,
    dot,
    looks,
    named_classes,
    new_figure,
    rasterized,
    styled,
    titled,
)

_ABOUT_TREATMENT = ("compound", "concentration_um", "moa", "perturbation", "target", "treatment")
_PANEL_IN = 3.2
_SCALE = "viridis"


def map_points(
    panels: Sequence[tuple[str, pl.DataFrame]],
    color: str = "moa",
    *,
    axis: str = "UMAP",
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Points in a plane by a column: a panel for each table, one key or scale for all.

    panels: title, and a table with x, y, the column, and control_type if there are controls.
    A column of text gets a colour and marker per value, the most frequent ones of many; numbers
    get a scale. Points without a value are pale and behind; where the column tells about the
    treatment, negative controls are grey.
    Raises ProfileError if there is no point, or none has a value.
    """
    panels = [(title, _plain(points, color)) for title, points in panels if len(points)]
    everything = pl.concat([points for _, points in panels]) if panels else pl.DataFrame()
    if everything.is_empty():
        raise ProfileError("there is no profile to map")
    colored = everything.filter(pl.col("part") == "colored")
    if colored.is_empty():
        raise ProfileError(f"no profile has a {color}; choose another --color")
    with styled():
        number = colored["value"].dtype.is_numeric()
        scale = _scale(colored["value"]) if number else None
        key = Key(_entries(everything, color, number=number), width_mm, "" if number else color)
        across = min(2, len(panels))
        down = -(-len(panels) // across)
        side = (
            min(_PANEL_IN, width_mm * MM / across)
            if len(panels) > 1
            else min(4.6, width_mm * MM * 0.75)
        )
        figure = new_figure(width_mm, down * (side + 0.25) + key.height_in)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.remove()
        styles = looks(named_classes(colored["value"])) if not number else {}
        size = float(np.clip(4000 / len(everything), 0.8, 16))
        for axes, (title, points) in zip(grid, panels, strict=False):
            _draw(axes, points, styles, scale, size)
            titled(axes, width_mm * MM / across - 0.3, title)
            axes.set(xlabel=f"{axis} 1", ylabel=f"{axis} 2", xticks=[], yticks=[])
            axes.set_aspect("equal", adjustable="datalim")
            rasterized(axes, len(everything))
        if scale:
            bar = figure.colorbar(
                ScalarMappable(scale, _SCALE),
                ax=list(grid[: len(panels)]),
                shrink=0.7,
                aspect=30,
                pad=0.02,
            )
            bar.set_label(color)
            bar.outline.set_visible(False)
            if isinstance(scale, LogNorm):
                bar.ax.yaxis.set_major_formatter(lambda value, _: compact(value))
                bar.ax.yaxis.set_minor_formatter(lambda value, _: "")
        key.draw(figure)
    return figure


def _plain(points: pl.DataFrame, color: str) -> pl.DataFrame:
    """Columns x, y, value, and part: colored, control or nameless."""
    value = pl.col(color)
    if points[color].dtype.is_float():
        value = value.fill_nan(None)
    elif not points[color].dtype.is_numeric():
        value = value.cast(pl.String)
    is_control = (
        pl.col("control_type").is_in(["negcon", "empty"]).fill_null(value=False)
        if color in _ABOUT_TREATMENT and "control_type" in points.columns
        else pl.lit(value=False)
    )
    part = (
        pl.when(is_control)
        .then(pl.lit("control"))
        .when(value.is_null())
        .then(pl.lit("nameless"))
        .otherwise(pl.lit("colored"))
    )
    return points.select(
        pl.col("x").cast(pl.Float64),
        pl.col("y").cast(pl.Float64),
        value.alias("value"),
        part.alias("part"),
    )


def _scale(values: pl.Series) -> Normalize:
    numbers = values.drop_nulls().to_numpy().astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if low > 0 and high / low >= 50:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def _entries(points: pl.DataFrame, color: str, *, number: bool) -> list[tuple[object, str]]:
    parts = set(points["part"])
    values = points.filter(pl.col("part") == "colored")["value"]
    entries: list[tuple[object, str]] = []
    if not number:
        entries = [
            (dot(tone, mark), name) for name, (tone, mark) in looks(named_classes(values)).items()
        ]
        if more := values.n_unique() - len(entries):
            entries.append((dot(PALE), f"{more} others"))
    if "control" in parts:
        entries.append((dot(GREY, "."), "negative control or empty"))
    if "nameless" in parts:
        entries.append((dot(PALE, "."), f"no {color}"))
    return entries


def _draw(
    axes: Axes,
    points: pl.DataFrame,
    styles: dict[str, tuple[str, str]],
    scale: Normalize | None,
    size: float,
) -> None:
    for part, tone in (("nameless", PALE), ("control", GREY)):
        own = points.filter(pl.col("part") == part)
        if len(own):
            axes.scatter(own["x"], own["y"], s=size * 0.6, c=tone, marker="o", linewidths=0)
    # Shuffled, so that no class hides another just because its name comes later.
    own = points.filter(pl.col("part") == "colored").sample(fraction=1, shuffle=True, seed=0)
    if scale:
        axes.scatter(
            own["x"],
            own["y"],
            s=size,
            c=own["value"].to_numpy().astype(np.float64),
            norm=scale,
            cmap=_SCALE,
            linewidths=0,
        )
        return
    tones = {name: tone for name, (tone, _) in styles.items()}
    marks = {name: mark for name, (_, mark) in styles.items()}
    own = own.with_columns(
        pl.col("value").replace_strict(tones, default=PALE).alias("tone"),
        pl.col("value").replace_strict(marks, default="o").alias("mark"),
    )
    for (mark,), same in own.group_by("mark", maintain_order=True):
        axes.scatter(
            same["x"], same["y"], s=size, c=same["tone"].to_list(), marker=str(mark), linewidths=0
        )
