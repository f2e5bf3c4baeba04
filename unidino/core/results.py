"""Results of the verbs.

A result prints as a table, in a terminal and in a notebook; `.frame` is the table in Polars.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar, overload

import polars as pl

from unidino.core.text import cell

T = TypeVar("T")
_MAX_ROWS = 60


def as_text(frame: pl.DataFrame) -> str:
    """A table as plain text, in aligned columns; at most 60 rows."""
    from rich.cells import cell_len  # the width in a terminal: a Chinese character has two columns

    names = [cell(name) for name in frame.columns]
    rows = [[cell(value) for value in row] for row in frame.head(_MAX_ROWS).iter_rows()]
    widths = [max(cell_len(t) for t in column) for column in zip(names, *rows, strict=True)]
    right = [dtype.is_numeric() for dtype in frame.dtypes]

    def aligned(text: str, width: int, flush_right: bool) -> str:
        blanks = " " * (width - cell_len(text))
        return blanks + text if flush_right else text + blanks

    lines = [
        "   ".join(map(aligned, row, widths, right)).rstrip()
        for row in [names, ["─" * width for width in widths], *rows]
    ]
    more = len(frame) - len(rows)
    return "\n".join([*lines, *([f"... and {more} more rows"] if more else [])])


def as_html(frame: pl.DataFrame) -> str:
    """A table as HTML, for notebooks; at most 60 rows."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell(value))}</td>" for value in row) + "</tr>"
        for row in frame.head(_MAX_ROWS).iter_rows()
    )
    more = len(frame) - _MAX_ROWS
    note = f"<p>... and {more} more rows</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


class Result:
    """One result: a dataclass that prints as a table of one row."""

    @property
    def frame(self) -> pl.DataFrame:
        """The result as a table of one row."""
        assert is_dataclass(self)
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        return pl.DataFrame([{name: _plain(value) for name, value in values.items()}])

    def __str__(self) -> str:
        return as_text(self.frame)

    def _repr_html_(self) -> str:
        return as_html(self.frame)


class Results(Sequence[T], Generic[T]):
    """Several results in order, which print as one table."""

    def __init__(self, items: Sequence[T], table: Callable[[Sequence[T]], pl.DataFrame]) -> None:
        self._items, self._table = tuple(items), table

    @property
    def frame(self) -> pl.DataFrame:
        """The results as a table, with a row for each result."""
        return self._table(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Results[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Results[T]":
        if isinstance(index, slice):
            return Results(self._items[index], self._table)
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return as_text(self.frame)

    def _repr_html_(self) -> str:
        return as_html(self.frame)


def _plain(value: Any) -> Any:
    """The value as text, number or None, which a cell of a table can hold."""
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
