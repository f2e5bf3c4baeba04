"""Values of tables as short text, and tables in what CSV can hold."""

import json
from typing import Any

import polars as pl

_MOST_ITEMS = 6


def cell(value: Any) -> str:
    """A value as short text: four digits of a number, the first items of a long vector."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.1f}"
    if isinstance(value, list) and len(value) > _MOST_ITEMS:
        return f"[{', '.join(cell(v) for v in value[:4])}, ... {len(value)} values]"
    if isinstance(value, list):
        return f"[{', '.join(cell(v) for v in value)}]"
    return str(value)


def flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with lists as JSON text, which CSV can hold."""
    lists = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    texts = [
        pl.Series(
            name,
            [json.dumps(v.to_list() if isinstance(v, pl.Series) else v) for v in rows[name]],
            pl.String,
        )
        for name in lists
    ]
    return rows.with_columns(texts)
