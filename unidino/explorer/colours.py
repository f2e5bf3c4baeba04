"""Colours of values, which colour-blind readers can tell apart, and their legend.

Shapes: N values.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.text import cell

# Okabe and Ito 2008, "Color Universal Design", then three of Tol's muted scheme.
CATEGORIES = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#e3d12f",
    "#332288",
    "#882255",
    "#999933",
)
OTHER, NONE = "#7d8590", "#d5dae1"
# Steps of viridis without its darkest and brightest ends, so that both ends show on white.
_NUMBERS = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e8e419")
_TAIL = 0.005
_LOG_RATIO = 100.0
_MOST_CATEGORIES = len(CATEGORIES)


@dataclass(frozen=True)
class Entry:
    """One entry of the legend: a category, its colour, and how many values have it."""

    name: str
    colour: str
    num: int


@dataclass(frozen=True)
class Colours:
    """Colours of N values.

    codes: (N,), float32, positions in the colorscale between low and high. entries: legend of the
    categories. ends: texts for the lowest and highest colour of numbers.
    """

    codes: NDArray[np.float32]
    colorscale: list[tuple[float, str]]
    low: float
    high: float
    entries: tuple[Entry, ...]
    ends: tuple[str, str] | None = None
    is_log: bool = False

    @property
    def gradient(self) -> str:
        """The colorscale of numbers as CSS."""
        return f"linear-gradient(to right, {', '.join(_NUMBERS)})"


def colours_of(values: pl.Series) -> Colours:
    """Colours of values: steps of viridis for numbers, else one colour for each category.

    Of more than ten categories the nine most frequent have a colour each; the others are grey.
    Numbers are clipped at their 0.5th and 99.5th percentiles. The scale is logarithmic where
    non-negative numbers span more than a factor of 100.
    """
    if values.dtype.is_numeric() and values.drop_nans().drop_nulls().len():
        return _of_numbers(values.cast(pl.Float64).to_numpy())
    return _of_categories(values)


def _of_categories(values: pl.Series) -> Colours:
    texts = pl.Series(
        "value", [None if v is None else cell(v) for v in values.to_list()], pl.String
    )
    counts = (
        texts.drop_nulls()
        .value_counts(sort=True, name="num")
        .sort(["num", "value"], descending=[True, False])
    )
    most = counts.head(
        _MOST_CATEGORIES if len(counts) <= _MOST_CATEGORIES else _MOST_CATEGORIES - 1
    ).sort("value")
    entries = [Entry(name, CATEGORIES[i], num) for i, (name, num) in enumerate(most.iter_rows())]
    code = {name: i for i, name in enumerate(most["value"])}
    if rest := len(counts) - len(most):
        num = sum(counts["num"].to_list()) - sum(most["num"].to_list())
        code |= dict.fromkeys(counts["value"].to_list()[len(most) :], len(entries))
        entries.append(Entry(f"{rest} others", OTHER, num))
    if texts.null_count():
        entries.append(Entry("none", NONE, texts.null_count()))
    codes = np.array(
        [code.get(t, len(entries) - 1) if t is not None else len(entries) - 1 for t in texts],
        dtype=np.float32,
    )
    return Colours(
        codes,
        _steps([e.colour for e in entries] or [NONE]),
        -0.5,
        max(len(entries), 1) - 0.5,
        tuple(entries),
    )


def _steps(colours: list[str]) -> list[tuple[float, str]]:
    """A colorscale of equal steps without gradients."""
    num = len(colours)
    return [(edge / num, colour) for i, colour in enumerate(colours) for edge in (i, i + 1)]


def _of_numbers(values: NDArray[np.float64]) -> Colours:
    is_number = np.isfinite(values)
    finite = values[is_number]
    if not len(finite):
        return _of_categories(pl.Series([None] * len(values)))
    low, high = (float(v) for v in np.quantile(finite, [_TAIL, 1 - _TAIL], method="nearest"))
    positive = finite[finite > 0]
    is_log = bool(finite.min() >= 0 and len(positive) and high / positive.min() > _LOG_RATIO)
    marks = ("≤ " if finite.min() < low else "", "≥ " if finite.max() > high else "")
    if is_log:
        low = max(low, float(positive.min()))
        marks = ("≤ " if finite.min() < low else "", marks[1])
    ends = (f"{marks[0]}{cell(low)}", f"{marks[1]}{cell(high)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled, lowest, highest = (
            (np.log10(values), np.log10(low), np.log10(high)) if is_log else (values, low, high)
        )
    spread = highest - lowest
    with np.errstate(invalid="ignore"):
        codes = np.clip((scaled - lowest) / spread, 0, 1) if spread > 0 else 0.0 * scaled + 0.5
    shown = np.where(is_number, np.nan_to_num(codes, nan=0.0), -0.25)
    # Missing values use the lowest fifth of the scale, from -0.25 to 0, which no number reaches.
    num = len(_NUMBERS) - 1
    scale = [(0.0, NONE), (0.199, NONE)]
    scale += [(min(0.2 + 0.8 * i / num, 1.0), colour) for i, colour in enumerate(_NUMBERS)]
    missing = int((~is_number).sum())
    entries = (Entry("none", NONE, missing),) if missing else ()
    return Colours(np.asarray(shown, dtype=np.float32), scale, -0.25, 1.0, entries, ends, is_log)
