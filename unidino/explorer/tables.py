"""Small tables of the page."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from dash import html

from unidino.core.text import cell

_MOST_ROWS = 300


def table(rows: pl.DataFrame, *, first: Sequence[Any] = (), on: Sequence[bool] = ()) -> html.Table:
    """At most 300 rows as a table.

    first: what stands in the first column of each row, in place of its values. on: which rows are
    marked.
    """
    columns = [name.replace("_", " ") for name in rows.columns]
    body = []
    for i, values in enumerate(rows.head(_MOST_ROWS).iter_rows()):
        texts: list[Any] = ["" if v is None else _number(v) for v in values]
        if first:
            texts[0] = first[i]
        is_on = bool(on) and on[i]
        body.append(html.Tr([html.Td(t) for t in texts], className="on" if is_on else ""))
    return html.Table(
        [html.Thead(html.Tr([html.Th(name) for name in columns])), html.Tbody(body)],
        className="list",
    )


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else cell(value)
