"""Sections, figures and tables of a page that needs nothing else."""

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
from unidino.figures import draw

TEMPLATE = Path(__file__).with_name("page.html.j2")
_LARGEST_SVG = 300_000  # bytes; figures with more are embedded as pixels
_MOST_ROWS = 300


@dataclass(frozen=True)
class Shown:
    """A figure with a caption, and what it shows for those who cannot see it."""

    figure: Figure
    caption: str
    alternative: str
    pixels: bool = False


@dataclass(frozen=True)
class Listed:
    """A table with a caption; folded if it is long."""

    table: pl.DataFrame
    caption: str
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what is under it; left out if there is nothing.

    missing: what would fill it, in a sentence, if there is nothing.
    """

    heading: str
    text: str = ""
    parts: Sequence[Shown | Listed] = field(default_factory=tuple)
    missing: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be shown."""
        return not any(isinstance(p, Shown) or not p.table.is_empty() for p in self.parts)


def shown_if(make: Callable[[], Figure], caption: str, alternative: str) -> list[Shown]:
    """The figure, or nothing where the lake has nothing to show in it."""
    try:
        return [Shown(make(), caption, alternative)]
    except ProfileError:
        return []


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page as HTML; texts from the lake are escaped.

    Sections without content become a list of what would fill them.
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
                "text": s.text,
                "parts": [
                    _part(p, next(number))
                    for p in s.parts
                    if isinstance(p, Shown) or not p.table.is_empty()
                ],
            }
            for s in shown
        ],
        missing=[(s.heading, _with_code(s.missing)) for s in sections if s.is_empty and s.missing],
    )


def _with_code(text: str) -> Markup:
    """The text, escaped, with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(Markup.escape(text))))  # noqa: S704


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _part(part: Shown | Listed, number: int) -> dict[str, Any]:
    if isinstance(part, Shown):
        picture = _picture(part, number)
        return {"kind": "figure", "picture": picture, "caption": _with_code(part.caption)}
    return {"kind": "table", **_cells(part)}


def _picture(shown: Shown, number: int) -> Markup:
    """An SVG element, or an image of pixels where that is smaller."""
    text = "" if shown.pixels else draw.svg(shown.figure)
    if not text or len(text) > _LARGEST_SVG:
        encoded = base64.b64encode(draw.png(shown.figure, dpi=170)).decode()
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(
            encoded, shown.alternative
        )
    return Markup(_own_ids(_without_size(text, shown.alternative), number))  # noqa: S704


def _without_size(text: str, alternative: str) -> str:
    """The element with its size left to the page, named for those who cannot see it."""
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, count=1, flags=re.DOTALL)
    label = Markup.escape(alternative)
    return f'{head} role="img" aria-label="{label}">{rest}'


def _own_ids(text: str, number: int) -> str:
    """Names inside one element that no other element of the page has."""
    text = re.sub(r'\bid="', f'id="f{number}-', text)
    text = re.sub(r'xlink:href="#', f'href="#f{number}-', text)
    return text.replace("url(#", f"url(#f{number}-")


def _cells(listed: Listed) -> dict[str, Any]:
    table = listed.table
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    caption = listed.caption
    if len(table) > _MOST_ROWS:
        caption += f" The first {_MOST_ROWS} of {len(table)}."
    names = [name.replace("_", " ") for name in table.columns]
    return {
        "caption": caption,
        "folded": listed.folded or len(table) > 30,
        "num_rows": len(table),
        "columns": list(zip(names, numeric, strict=True)),
        "rows": [
            list(zip((as_text(v) for v in row), numeric, strict=True))
            for row in table.head(_MOST_ROWS).iter_rows()
        ],
    }


def as_text(value: Any) -> str:
    """A value as people read it: three decimals or digits, nothing for NULL."""
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
