"""Sections, figures and tables, and the self-contained page that they make."""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from unidino.core.errors import ProfileError
from unidino.figures.draw import style

TEMPLATE = Path(__file__).with_name("page.html.j2")
_LARGEST_SVG = 300_000  # bytes; larger figures are embedded as PNG
_MOST_ROWS = 300


@dataclass(frozen=True)
class FigurePart:
    """A figure with its caption and its text for screen readers.

    pixels: embed it as PNG, for photographs.
    """

    figure: Figure
    caption: str
    alternative: str
    pixels: bool = False


@dataclass(frozen=True)
class TablePart:
    """A table with its caption, folded or open."""

    table: pl.DataFrame
    caption: str
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with its text, figures and tables.

    missing: a sentence that names the command which fills the section, shown if it is empty.
    answers: questions with their answers in words.
    """

    heading: str
    text: str = ""
    parts: Sequence[FigurePart | TablePart] = field(default_factory=tuple)
    missing: str = ""
    answers: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def is_empty(self) -> bool:
        """Whether the section has neither a figure nor a table with rows."""
        has_part = any(isinstance(p, FigurePart) or not p.table.is_empty() for p in self.parts)
        return not (has_part or self.answers)


def figure_if_any(draw: Callable[[], Figure], caption: str, alternative: str) -> list[FigurePart]:
    """The figure, or nothing if the lake has no data for it."""
    try:
        return [FigurePart(draw(), caption, alternative)]
    except ProfileError:
        return []


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page as HTML; texts from the lake are escaped.

    Empty sections become a list of the commands that fill them.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [s for s in sections if not s.is_empty]
    number = iter(range(1, 10_000))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        subtitle=subtitle,
        sections=[
            {
                "id": _slug(s.heading),
                "heading": s.heading,
                "text": _with_code(s.text),
                "answers": [(question, _with_code(answer)) for question, answer in s.answers],
                "parts": [
                    _part(p, next(number))
                    for p in s.parts
                    if isinstance(p, FigurePart) or not p.table.is_empty()
                ],
            }
            for s in shown
        ],
        missing=[(s.heading, _with_code(s.missing)) for s in sections if s.is_empty and s.missing],
    )


def _with_code(text: str) -> Markup:
    """The text, escaped, with passages between backticks set as code; a % stays at its number."""
    text = text.replace(" %", "\u00a0%")
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(Markup.escape(text))))  # noqa: S704


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _part(part: FigurePart | TablePart, number: int) -> dict[str, Any]:
    if isinstance(part, FigurePart):
        picture = _picture(part, number)
        return {"kind": "figure", "picture": picture, "caption": _with_code(part.caption)}
    return {"kind": "table", **_cells(part)}


def _picture(part: FigurePart, number: int) -> Markup:
    """The figure as an SVG element, or as a PNG where the SVG would be large."""
    text = "" if part.pixels else style.svg(part.figure)
    if not text or len(text) > _LARGEST_SVG:
        encoded = base64.b64encode(style.png(part.figure, dpi=170)).decode()
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(
            encoded, part.alternative
        )
    return Markup(_unique_ids(_without_size(text, part.alternative), number))  # noqa: S704


def _without_size(text: str, alternative: str) -> str:
    """The element without width and height, with a label for screen readers."""
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, count=1, flags=re.DOTALL)
    label = Markup.escape(alternative)
    return f'{head} role="img" aria-label="{label}">{rest}'


def _unique_ids(text: str, number: int) -> str:
    """The element with a prefix before its ids, so that ids are unique on the page."""
    text = re.sub(r'\bid="', f'id="f{number}-', text)
    text = re.sub(r'xlink:href="#', f'href="#f{number}-', text)
    return text.replace("url(#", f"url(#f{number}-")


def _cells(part: TablePart) -> dict[str, Any]:
    table = part.table
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    caption = part.caption
    if len(table) > _MOST_ROWS:
        caption += f" The first {_MOST_ROWS} of {len(table)}."
    names = [name.replace("_", " ") for name in table.columns]
    return {
        "caption": caption,
        "folded": part.folded or len(table) > 30,
        "num_rows": len(table),
        "columns": list(zip(names, numeric, strict=True)),
        "rows": [
            list(zip((as_text(v) for v in row), numeric, strict=True))
            for row in table.head(_MOST_ROWS).iter_rows()
        ],
    }


def as_text(value: Any) -> str:
    """A value as text: three decimals or four digits of a number, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, float):
        size = abs(value)
        if size >= 10_000:
            return f"{value:,.0f}"
        return f"{value:.4g}" if size >= 10 or 0 < size < 0.001 else f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(v) for v in value)
    return str(value)
