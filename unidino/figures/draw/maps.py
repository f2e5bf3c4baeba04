"""Figure of profiles as points in a plane, coloured by a column of their metadata."""

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
    colours_and_markers,
    compact,
    dot,
    named_classes,
    new_figure,
    rasterize_many,
    set_title,
    styled,
)

_ABOUT_TREATMENT = ("compound", "concentration_um", "moa", "perturbation", "target", "treatment")
_PANEL_IN = 3.2
_SCALE = "viridis"


def map_points(
    panels: Sequence[tuple[str, pl.DataFrame]],
    colour: str = "moa",
    *,
    axis: str = "UMAP",
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Points in a plane coloured by a column, one panel for each table, with one shared key.

    panels: title, and a table with x, y, the column, and control_type if there are controls.
    Texts get a colour and marker each (the most frequent ones if there are many), numbers a colour
    scale. Points without a value are pale and lie behind the others. Where the column describes the
    treatment, negative controls are grey.
    Raises ProfileError if there is no point, or no point has a value.
    """
    panels = [(title, _with_parts(points, colour)) for title, points in panels if len(points)]
    all_points = pl.concat([points for _, points in panels]) if panels else pl.DataFrame()
    if all_points.is_empty():
        raise ProfileError("there is no profile to map")
    coloured = all_points.filter(pl.col("part") == "coloured")
    if coloured.is_empty():
        raise ProfileError(f"no profile has a {colour}; choose another --colour")
    with styled():
        is_number = coloured["value"].dtype.is_numeric()
        scale = _scale(coloured["value"]) if is_number else None
        entries = _entries(all_points, colour, is_number=is_number)
        key = Key(entries, width_mm, "" if is_number else colour)
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
        styles = {} if is_number else colours_and_markers(named_classes(coloured["value"]))
        size = float(np.clip(4000 / len(all_points), 0.8, 16))
        for axes, (title, points) in zip(grid, panels, strict=False):
            _draw(axes, points, styles, scale, size)
            set_title(axes, width_mm * MM / across - 0.3, title)
            axes.set(xlabel=f"{axis} 1", ylabel=f"{axis} 2", xticks=[], yticks=[])
            axes.set_aspect("equal", adjustable="datalim")
            rasterize_many(axes, len(all_points))
        if scale:
            bar = figure.colorbar(
                ScalarMappable(scale, _SCALE),
                ax=list(grid[: len(panels)]),
                shrink=0.7,
                aspect=30,
                pad=0.02,
            )
            bar.set_label(colour)
            bar.outline.set_visible(False)
            if isinstance(scale, LogNorm):
                bar.ax.yaxis.set_major_formatter(lambda value, _: compact(value))
                bar.ax.yaxis.set_minor_formatter(lambda value, _: "")
        key.draw(figure)
    return figure


def _with_parts(points: pl.DataFrame, colour: str) -> pl.DataFrame:
    """Columns x, y, value, and part: coloured, control or missing."""
    value = pl.col(colour)
    if points[colour].dtype.is_float():
        value = value.fill_nan(None)
    elif not points[colour].dtype.is_numeric():
        value = value.cast(pl.String)
    is_control = (
        pl.col("control_type").is_in(["negcon", "empty"]).fill_null(value=False)
        if colour in _ABOUT_TREATMENT and "control_type" in points.columns
        else pl.lit(value=False)
    )
    part = (
        pl.when(is_control)
        .then(pl.lit("control"))
        .when(value.is_null())
        .then(pl.lit("missing"))
        .otherwise(pl.lit("coloured"))
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


def _entries(points: pl.DataFrame, colour: str, *, is_number: bool) -> list[tuple[object, str]]:
    parts = set(points["part"])
    values = points.filter(pl.col("part") == "coloured")["value"]
    entries: list[tuple[object, str]] = []
    if not is_number:
        styles = colours_and_markers(named_classes(values))
        entries = [(dot(tone, marker), name) for name, (tone, marker) in styles.items()]
        if more := values.n_unique() - len(entries):
            entries.append((dot(PALE), f"{more} others"))
    if "control" in parts:
        entries.append((dot(GREY, "."), "negative control or empty"))
    if "missing" in parts:
        entries.append((dot(PALE, "."), f"no {colour}"))
    return entries


def _draw(
    axes: Axes,
    points: pl.DataFrame,
    styles: dict[str, tuple[str, str]],
    scale: Normalize | None,
    size: float,
) -> None:
    for part, tone in (("missing", PALE), ("control", GREY)):
        behind = points.filter(pl.col("part") == part)
        if len(behind):
            axes.scatter(behind["x"], behind["y"], s=size * 0.6, c=tone, marker="o", linewidths=0)
    # Shuffled, so that no class hides another because its name comes later.
    shown = points.filter(pl.col("part") == "coloured").sample(fraction=1, shuffle=True, seed=0)
    if scale:
        axes.scatter(
            shown["x"],
            shown["y"],
            s=size,
            c=shown["value"].to_numpy().astype(np.float64),
            norm=scale,
            cmap=_SCALE,
            linewidths=0,
        )
        return
    tones = {name: tone for name, (tone, _) in styles.items()}
    markers = {name: marker for name, (_, marker) in styles.items()}
    shown = shown.with_columns(
        pl.col("value").replace_strict(tones, default=PALE).alias("tone"),
        pl.col("value").replace_strict(markers, default="o").alias("marker"),
    )
    for (marker,), same in shown.group_by("marker", maintain_order=True):
        tones_of_points = same["tone"].to_list()
        axes.scatter(
            same["x"], same["y"], s=size, c=tones_of_points, marker=str(marker), linewidths=0
        )
