"""Figure of assay quality: a row for each plate, with controls, replicates, positions and flags."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from unidino.figures.draw.style import (
    COLOURS,
    GREY,
    MARKERS,
    MM,
    NORMAL,
    PALE,
    SMALL,
    WIDTH_MM,
    Key,
    dot,
    label_rows,
    line_height,
    new_figure,
    set_title,
    styled,
)

_LEAST_Z = -1.0
FLAGS = ("outlier wells", "few cells", "blurred", "dim", "bright")
POSITIONS = ("row", "column", "edge")


@dataclass(frozen=True)
class PlateQuality:
    """What the figure shows of one plate.

    z_primes: by name of what was measured. correlation: median of replicates; chance: 95th
    percentile of pairs of different labels. positions: share of variance and q-value by position.
    flags: by name, how many wells or images are flagged, and of how many.
    """

    plate: str
    z_primes: dict[str, float] = field(default_factory=dict)
    correlation: float | None = None
    chance: float | None = None
    positions: dict[str, tuple[float, float]] = field(default_factory=dict)
    flags: dict[str, tuple[int, int]] = field(default_factory=dict)


def quality_overview(
    plates: Sequence[PlateQuality], title: str, *, width_mm: float = WIDTH_MM
) -> Figure:
    """Four panels with a row for each plate: Z', replicates, position effects, flags."""
    names = list(dict.fromkeys(n for p in plates for n in p.z_primes))
    looks = {n: (COLOURS[i % 8], MARKERS[i % 8]) for i, n in enumerate(names)}
    entries = [(dot(*looks[n]), n) for n in names]
    if any(p.correlation is not None for p in plates):
        entries.append((dot(COLOURS[0], "D"), "replicates, median"))
        entries.append((Line2D([], [], color=GREY, linewidth=1.2), "95 % of other pairs are below"))
    with styled():
        key = Key(entries, width_mm)
        height = 0.95 + 0.24 * max(len(plates), 3) + key.height_in + line_height(NORMAL)
        figure = new_figure(width_mm, height)
        axes = figure.subplots(1, 4, sharey=True, width_ratios=(3, 2, 1.6, 2.6))
        widest = width_mm * MM * 0.16
        _z_primes(axes[0], plates, looks)
        _correlations(axes[1], plates)
        _positions(axes[2], plates)
        _flags(axes[3], plates)
        axes[0].set_ylim(len(plates) - 0.5, -0.5)
        label_rows(axes[0], range(len(plates)), [p.plate for p in plates], widest)
        for panel in axes:
            for y in range(1, len(plates)):
                panel.axhline(y - 0.5, color=PALE, linewidth=0.4, zorder=0)
            panel.tick_params(axis="y", length=0)
            panel.spines["left"].set_visible(False)
        set_title(axes[0], width_mm * MM * 0.9, title)
        key.draw(figure)
    return figure


def _nothing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY,
              fontsize=SMALL)  # fmt: skip
    axes.set_xticks([])


def _z_primes(
    axes: Axes, plates: Sequence[PlateQuality], looks: dict[str, tuple[str, str]]
) -> None:
    axes.set_xlabel("Z′")
    if not looks:
        _nothing(axes, "not known")
        return
    axes.axvspan(0.5, 1, color=PALE, alpha=0.5, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=1)
    offsets = np.linspace(-0.25, 0.25, len(looks)) if len(looks) > 1 else [0.0]
    for y, plate in enumerate(plates):
        for (name, (colour, marker)), offset in zip(looks.items(), offsets, strict=True):
            value = plate.z_primes.get(name)
            if value is None:
                continue
            is_out = value < _LEAST_Z
            axes.plot(max(value, _LEAST_Z), y + offset, "<" if is_out else marker, color=colour,
                      markersize=4.5, markeredgewidth=0, clip_on=False)  # fmt: skip
    axes.set_xlim(_LEAST_Z, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["≤ −1", "−0.5", "0", "0.5", "1"])


def _correlations(axes: Axes, plates: Sequence[PlateQuality]) -> None:
    axes.set_xlabel("correlation\nof replicates")
    if all(p.correlation is None for p in plates):
        _nothing(axes, "no replicates")
        return
    for y, plate in enumerate(plates):
        if plate.correlation is not None:
            axes.plot(plate.correlation, y, "D", color=COLOURS[0], markersize=4.5, clip_on=False)
        if plate.chance is not None:
            axes.plot([plate.chance] * 2, [y - 0.35, y + 0.35], color=GREY, linewidth=1.2)
    axes.set_xlim(right=1)


def _positions(axes: Axes, plates: Sequence[PlateQuality]) -> None:
    axes.set_xlabel("variance of\ncontrols, %")
    _table(
        axes,
        [
            [
                None
                if kind not in p.positions
                else (
                    p.positions[kind][0],
                    f"{100 * p.positions[kind][0]:.0f}{'*' if p.positions[kind][1] < 0.05 else ''}",
                    p.positions[kind][1] < 0.05,
                )
                for kind in POSITIONS
            ]
            for p in plates
        ],
        POSITIONS,
    )


def _flags(axes: Axes, plates: Sequence[PlateQuality]) -> None:
    axes.set_xlabel("flagged wells\nand images")
    _table(
        axes,
        [
            [
                None
                if name not in p.flags
                else (
                    p.flags[name][0] / max(1, p.flags[name][1]),
                    f"{p.flags[name][0]}",
                    p.flags[name][0] > 0,
                )
                for name in FLAGS
            ]
            for p in plates
        ],
        FLAGS,
    )


def _table(
    axes: Axes, cells: Sequence[Sequence[tuple[float, str, bool] | None]], names: Sequence[str]
) -> None:
    """Numbers at the place of their plate and name; what is flagged is on an orange ground."""
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            if cell is None:
                axes.text(x, y, "–", ha="center", va="center", color=PALE, fontsize=SMALL)
                continue
            share, text, is_flagged = cell
            if is_flagged:
                axes.fill_between(
                    [x - 0.45, x + 0.45],
                    y - 0.42,
                    y + 0.42,
                    color=COLOURS[1],
                    alpha=0.25 + 0.65 * min(1.0, 4 * share),
                    linewidth=0,
                )
            axes.text(x, y, text, ha="center", va="center", fontsize=SMALL)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), names, rotation=45, ha="left", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0, pad=1)
    axes.spines["bottom"].set_visible(False)
