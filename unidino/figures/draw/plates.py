"""Figure of plates: a value of each well at its row and column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from unidino.core.errors import ProfileError
from unidino.core.wells import row_letters
from unidino.figures.draw.style import (
    MM,
    SMALL,
    WIDTH_MM,
    Key,
    colours_and_markers,
    compact,
    dot,
    named_classes,
    new_figure,
    set_title,
    styled,
    text_width,
    wrapped,
)

MOST_PLATES = 24
_SCALE = "viridis"
_ZERO = "0.75"  # of a scale by powers of ten
_RATIO = 20  # between doses, from which on their scale goes by powers of ten


@dataclass(frozen=True)
class PlateValues:
    """A plate and a value of each of its wells.

    wells: columns well_row and well_column, from 1, and value: a number or a text, or NULL.
    """

    plate: str
    num_rows: int
    num_columns: int
    wells: pl.DataFrame


def plate_heatmaps(
    plates: Sequence[PlateValues], label: str, *, width_mm: float = WIDTH_MM
) -> Figure:
    """Values by row and column of each plate, on one scale; wells without a value are hatched.

    label: name of the value. Numbers get a colour scale, texts a colour and marker each.
    Raises ProfileError if there is no value, or for more than 24 plates.
    """
    if len(plates) > MOST_PLATES:
        raise ProfileError(
            f"{len(plates)} plates are too many for one figure; name at most {MOST_PLATES} by"
            " --plate, or choose by --where"
        )
    values = (
        pl.concat([p.wells["value"] for p in plates]) if plates else pl.Series([], dtype=pl.Float64)
    )
    values = _known(values)
    if values.is_empty():
        raise ProfileError(
            f"no well has a value of {label}; choose another --value, such as moa or avg(mean)"
        )
    with styled():
        is_number = values.dtype.is_numeric()
        entries: list[tuple[Any, str]] = []
        styles: dict[str, tuple[str, str]] = {}
        if not is_number:
            styles = colours_and_markers(named_classes(values))
            entries = [(dot(tone, marker), name) for name, (tone, marker) in styles.items()]
            if others := values.n_unique() - len(styles):
                entries.append((dot("0.6", "."), f"{others} others"))
        if any(_num_missing(p) for p in plates):
            entries.append(
                (
                    Patch(facecolor="white", edgecolor="0.82", hatch="//////", linewidth=0),
                    "no value",
                )
            )
        key = Key(entries, width_mm, "" if is_number else label)
        across, cell_in = _layout(plates, width_mm)
        down = -(-len(plates) // across)
        height = max(p.num_rows for p in plates) * cell_in + 0.48
        figure = new_figure(width_mm, down * height + key.height_in + 0.1)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(plates) :]:
            axes.remove()
        scale = _scale(values, label) if is_number else None
        if isinstance(scale, LogNorm) and (values.cast(pl.Float64) <= 0).any():
            entries.append((Patch(facecolor=_ZERO, linewidth=0), "0"))
            key = Key(entries, width_mm, "")
        for axes, plate in zip(grid, plates, strict=False):
            _draw(axes, plate, scale, styles, cell_in)
            room = (plate.num_columns * cell_in) if len(plates) > 1 else width_mm * MM - 1.5
            set_title(axes, max(room, 0.8), plate.plate, above_pt=SMALL * 1.3 + 4)
        if scale:
            bar = figure.colorbar(
                ScalarMappable(scale, _SCALE),
                ax=list(grid[: len(plates)]),
                shrink=0.8 if down == 1 else 0.5,
                aspect=25,
                pad=0.01,
            )
            bar.set_label(wrapped(label, max(1.2, down * height * 0.8), 8))
            bar.outline.set_visible(False)
            bar.ax.yaxis.set_major_formatter(lambda value, _: compact(value))
        key.draw(figure)
    return figure


def _known(values: pl.Series) -> pl.Series:
    if values.dtype.is_float():
        return values.filter(values.is_finite().fill_null(value=False))
    return values.drop_nulls()


def _num_missing(plate: PlateValues) -> int:
    return plate.num_rows * plate.num_columns - len(_known(plate.wells["value"]))


def _limits(values: pl.Series) -> tuple[float, float]:
    """Ends of the scale: with 200 values or more the 1st and 99th percentile, against outliers."""
    numbers = values.to_numpy().astype(np.float64)
    low, high = (
        np.quantile(numbers, [0.01, 0.99])
        if len(numbers) >= 200
        else (numbers.min(), numbers.max())
    )
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _scale(values: pl.Series, label: str) -> Normalize:
    """The scale of numbers; that of doses goes by powers of ten if they span more than one."""
    positive = values.filter(values > 0)
    if "concentration" in label and not positive.is_empty() and not (values < 0).any():
        low, high = float(positive.min()), float(positive.max())  # type: ignore[arg-type]
        if high / low >= _RATIO:
            return LogNorm(low, high)
    return Normalize(*_limits(values))


def _layout(plates: Sequence[PlateValues], width_mm: float) -> tuple[int, float]:
    """Number of plates in a row of the figure, and the size of a well in inches."""
    columns = max(p.num_columns for p in plates)
    room = width_mm * MM - 0.8
    best = 1
    for across in range(1, min(4, len(plates)) + 1):
        if (room / across - 0.4) / columns >= 0.065:
            best = across
    best = -(-len(plates) // -(-len(plates) // best))
    return best, min(0.5, (room / best - 0.4) / columns)


def _draw(
    axes: Axes,
    plate: PlateValues,
    scale: Normalize | None,
    styles: dict[str, tuple[str, str]],
    cell_in: float,
) -> None:
    rows, columns = plate.num_rows, plate.num_columns
    axes.add_patch(
        Rectangle(
            (0.5, 0.5),
            columns,
            rows,
            facecolor="white",
            edgecolor="0.82",
            hatch="//////",
            linewidth=0,
            zorder=0,
        )
    )
    if scale:
        values = np.full((rows, columns), np.nan)
        for row, column, value in plate.wells.select(
            "well_row", "well_column", "value"
        ).iter_rows():
            values[row - 1, column - 1] = np.nan if value is None else float(value)
        values[~np.isfinite(values)] = np.nan
        if isinstance(scale, LogNorm):
            zero = np.where(values == 0, 0.0, np.nan)
            axes.pcolormesh(
                np.arange(columns + 1) + 0.5,
                np.arange(rows + 1) + 0.5,
                zero,
                cmap=ListedColormap([_ZERO]),
                edgecolors="white",
                linewidth=0.4 if cell_in > 0.09 else 0,
            )
            values[values <= 0] = np.nan
        axes.pcolormesh(
            np.arange(columns + 1) + 0.5,
            np.arange(rows + 1) + 0.5,
            values,
            norm=scale,
            cmap=_SCALE,
            edgecolors="white",
            linewidth=0.4 if cell_in > 0.09 else 0,
        )
    else:
        for row, column, value in plate.wells.select(
            "well_row", "well_column", "value"
        ).iter_rows():
            if value is not None:
                tone, marker = styles.get(str(value), ("0.6", "."))
                for face, alpha in (("white", 1.0), (tone, 0.25)):
                    axes.add_patch(
                        Rectangle(
                            (column - 0.5, row - 0.5),
                            1,
                            1,
                            facecolor=face,
                            alpha=alpha,
                            linewidth=0,
                        )
                    )
                size_pt = cell_in * 72 * 0.6
                axes.plot(column, row, marker, color=tone, markersize=size_pt, markeredgewidth=0)
    axes.set(xlim=(0.5, columns + 0.5), ylim=(rows + 0.5, 0.5), aspect="equal")
    axes.xaxis.tick_top()
    step = _step(columns, max(text_width(str(columns)) + 0.05, 0.1) / cell_in)
    axes.set_xticks([1, *range(step, columns + 1, step)] if step > 1 else range(1, columns + 1))
    row_step = _step(rows, SMALL * 1.15 / 72 / cell_in)
    shown = range(1, rows + 1, row_step)
    axes.set_yticks(list(shown), [row_letters(r) for r in shown])
    axes.tick_params(length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.6", linewidth=0.5)


def _step(num: int, least: float) -> int:
    """Step between labelled rows or columns, so that labels do not touch."""
    return next((s for s in (1, 2, 4, 6, 8, 12) if s >= least), num)
