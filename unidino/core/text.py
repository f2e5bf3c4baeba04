"""Values of tables as short text, and tables that CSV can hold."""

import json
from typing import Any

import polars as pl

_MAX_ITEMS = 6


def cell(value: Any) -> str:
    """A value as short text: numbers with four digits, long vectors with their first items."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.1f}"
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        return f"[{', '.join(cell(v) for v in value[:4])}, ... {len(value)} values]"
    if isinstance(value, list):
        return f"[{', '.join(cell(v) for v in value)}]"
    return str(value)


def flat(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with lists written as JSON text, for CSV."""
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
