"""The style that all figures share, and how a figure becomes a file or part of a page.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Where there are more classes
than colours, each class also has a marker or a second colour. Text is 7 pt or larger at the printed
width.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from unidino.core.errors import InputError, choose
from unidino.core.files import written_beside

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#B3A800")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
GREY, PALE = "0.45", "0.82"
FORMATS = ("png", "svg", "pdf")
WIDTH_MM, DPI = 180.0, 300
SMALL, NORMAL = 7.0, 8.0  # pt
MM = 1 / 25.4  # inch
_LINE = 1.25  # height of a line, in units of the font size
_MANY_POINTS = 2_000
_MOST_CLASSES, _MOST_COMMON = 20, 20
_MANY_ENTRIES = 12
_STYLE: Any = {
    "font.size": NORMAL,
    "font.family": "sans-serif",
    "axes.titlesize": NORMAL,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": NORMAL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # a dollar in a compound's name is a dollar
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "unidino",
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style inside the block, where a figure is created or drawn."""
    with mpl.rc_context(_STYLE):
        yield


class ShownFigure(Figure):
    """A figure that a notebook shows without further settings."""

    def _repr_png_(self) -> bytes:
        return png(self, dpi=100)


def new_figure(width_mm: float, height_in: float) -> Figure:
    """An empty figure with constrained layout.

    Raises InputError for a width below 40 mm or above 2000 mm.
    """
    if not 40 <= width_mm <= 2000:
        raise InputError(f"--width-mm is {width_mm:g}; it must be between 40 and 2000")
    figure = ShownFigure(figsize=(width_mm * MM, height_in), layout="constrained")
    # Leaves a little room at the top, since titles are placed after the layout.
    rect = (0, 0, 1, 1 - 0.05 / height_in)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04, rect=rect)  # type: ignore[call-arg, union-attr]
    return figure


@cache
def text_width(text: str, size: float = SMALL) -> float:
    """Width in inches of one line of text as it is drawn."""
    with styled():
        font = FontProperties(size=size)
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def line_height(size: float = SMALL) -> float:
    """Height of a line of text in inches."""
    return size * _LINE / 72


def shortened(text: str, width_in: float, size: float = SMALL) -> str:
    """The text, with its middle replaced by an ellipsis where it is wider than `width_in`."""
    if text_width(text, size) <= width_in:
        return text
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(_without_middle(text, middle), size) <= width_in:
            low = middle
        else:
            high = middle - 1
    return _without_middle(text, low)


def wrapped(text: str, width_in: float, size: float = SMALL, *, most: int = 3) -> str:
    """The text in at most so many lines, which break at blanks; shortened if it needs more."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width_in:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > most or any(text_width(line, size) > width_in for line in lines):
        return shortened(text, width_in, size)
    return "\n".join(lines)


def _without_middle(text: str, num: int) -> str:
    head = (num + 1) // 2
    return f"{text[:head].rstrip()}…{text[len(text) - num + head :].lstrip()}"


def set_title(axes: Axes, width_in: float, *lines: str, above_pt: float | None = None) -> None:
    """Give an axes a bold title of these lines, each shortened to the width.

    above_pt: space between title and axes, for tick labels at the top.
    """
    wide = NORMAL * 1.16  # bold letters are wider
    axes.set_title(
        "\n".join(shortened(line, width_in, wide) for line in lines),
        y=None if above_pt is None else 1,
        pad=above_pt,
    )


def distinct(names: Sequence[str], width_in: float, size: float = SMALL) -> list[str]:
    """Shortened names; different names stay different, by a number where needed."""
    short = [shortened(name, width_in, size) for name in names]
    seen: dict[str, set[str]] = {}
    for name, text in zip(names, short, strict=True):
        seen.setdefault(text, set()).add(name)
    numbered = {
        name: f"{text} ({i + 1})"
        for text, same in seen.items()
        if len(same) > 1
        for i, name in enumerate(sorted(same))
    }
    return [numbered.get(name, text) for name, text in zip(names, short, strict=True)]


def natural_order(text: str) -> tuple[tuple[int, float, str], ...]:
    """A sort key that puts p2 before p10."""
    return tuple(
        (0, float(piece), "") if piece.isdecimal() else (1, 0.0, piece.casefold())
        for piece in re.split(r"(\d+)", text)
        if piece
    )


def named_classes(values: Iterable[str | None]) -> list[str]:
    """The classes that are shown one by one, sorted by name.

    All classes if there are at most 20, else the 20 most frequent: a longer legend cannot be read,
    and more colours and markers cannot be told apart.
    """
    counts = Counter(value for value in values if value is not None)
    often = sorted(counts, key=lambda name: (-counts[name], natural_order(name)))
    return sorted(often if len(often) <= _MOST_CLASSES else often[:_MOST_COMMON], key=natural_order)


def colours_and_markers(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each name; all pairs differ for up to 64 names."""
    return {name: (COLOURS[i % 8], MARKERS[(i + i // 8) % 8]) for i, name in enumerate(names)}


def colour_pairs(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Two colours for each name, equal ones for the first eight; all pairs differ up to 64."""
    return {name: (COLOURS[i % 8], COLOURS[(i + i // 8) % 8]) for i, name in enumerate(names)}


def dot(colour: str, marker: str = "o", **properties: Any) -> Line2D:
    """A marker for a legend."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        color=colour,
        markersize=4.5,
        markeredgewidth=0.6,
        **properties,
    )


class Key:
    """A legend below a figure, in as many columns as fit.

    height_in: height that the figure needs for it.
    """

    def __init__(
        self, entries: Sequence[tuple[Any, str]], width_mm: float, title: str = ""
    ) -> None:
        widest = max(0.6, width_mm * MM - 0.5)
        # Many entries are set in three columns or more.
        room = widest / 3 - 0.4 if len(entries) > _MANY_ENTRIES else widest
        labels = distinct([label for _, label in entries], max(room, 0.5))
        # Matplotlib leaves out labels that start with an underscore.
        self._labels = ["\u200b" + text if text.startswith("_") else text for text in labels]
        self._handles = [handle for handle, _ in entries]
        self._title = title
        widths = [text_width(text) + 0.36 for text in labels]
        self._num_columns = next(
            (n for n in range(len(entries), 1, -1) if _width(widths, n) <= widest + 0.3), 1
        )
        rows = -(-len(entries) // self._num_columns) + bool(title)
        self.height_in = rows * line_height() * 1.18 + 0.12 if entries else 0.0

    def draw(self, figure: Figure, **properties: Any) -> None:
        """Add the legend to the figure."""
        if self._handles:
            figure.legend(
                self._handles,
                self._labels,
                loc="outside lower left",
                ncols=self._num_columns,
                title=self._title or None,
                alignment="left",
                handlelength=1.6,
                columnspacing=1.0,
                handletextpad=0.5,
                labelspacing=0.3,
                borderpad=0.1,
                **properties,
            )


def _width(widths: Sequence[float], num_columns: int) -> float:
    """Width in inches of a legend whose columns are filled from top to bottom."""
    return float(sum(max(part) + 0.1 for part in np.array_split(widths, num_columns)))


def rasterize_many(axes: Axes, num_points: int) -> None:
    """Draw many points as pixels in SVG and PDF, so that the file stays small; text stays text."""
    if num_points > _MANY_POINTS:
        for artist in axes.collections:
            _rasterize(artist)


def _rasterize(artist: Artist | Collection) -> None:
    artist.set_rasterized(True)


def label_rows(
    axes: Axes, positions: Iterable[float], names: Sequence[str], width_in: float
) -> None:
    """Label rows at these positions of the y axis, each name shortened to the width."""
    axes.set_yticks(list(positions), distinct(names, width_in))
    axes.tick_params(axis="y", length=0)


def compact(value: float) -> str:
    """A number with three significant digits, for axes."""
    return f"{value:.3g}"


def save(figure: Figure, path: Path, *, dpi: int = DPI) -> Path:
    """The path of the figure's file, whose ending chooses PNG, SVG or PDF.

    Raises UnidinoError for another ending, InputError for a resolution below 20 or above 1200 dpi.
    """
    choose("format of a figure", path.suffix[1:].lower() or path.name, FORMATS)
    if not 20 <= dpi <= 1200:
        raise InputError(f"--dpi is {dpi}; it must be between 20 and 1200")
    kind = path.suffix[1:].lower()
    metadata: Mapping[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[
        kind
    ]
    with styled(), written_beside(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi, metadata=dict(metadata))
    return path


def svg(figure: Figure) -> str:
    """The figure as an SVG element for a page; equal figures give equal text."""
    buffer = StringIO()
    with styled():
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
