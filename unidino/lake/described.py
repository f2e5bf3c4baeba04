"""What the tables of a lake and their columns mean."""

import json
from typing import Any

import polars as pl

from unidino.core import assets
from unidino.core.sql import quoted
from unidino.lake.lake import Lake


def tables_of(lake: Lake) -> pl.DataFrame:
    """Each table and view that SQL reads, with what a row of it is."""
    said = lake.query(
        "select table_name as table, comment as one_row_per from duckdb_tables()"
        " where not internal"
        " union all select view_name, comment from duckdb_views() where not internal"
    )
    documents = {name: text["description"] for name, text in _documents().items()}
    documents = {name: _header(name) for name in assets.names("views")} | documents
    rows = {table: comment or documents.get(table) for table, comment in said.iter_rows()}
    kept = {name: text for name, text in rows.items() if not name.startswith("_")}
    return pl.DataFrame(
        sorted((name, text or "") for name, text in kept.items()),
        schema={"table": pl.String, "about": pl.String},
        orient="row",
    )


def columns_of(lake: Lake, table: str) -> pl.DataFrame:
    """Each column of a table, with its type and meaning; the table must be there."""
    kinds = lake.query(f"describe {quoted(table)}").select("column_name", "column_type")
    said = dict(
        lake.query(
            "select column_name, comment from duckdb_columns() where table_name = $table",
            {"table": table},
        ).iter_rows()
    )
    if table in _documents():
        said |= {f["name"]: f.get("description") for f in _documents()[table]["fields"]}
    return pl.DataFrame(
        [(name, kind.lower(), said.get(name) or "") for name, kind in kinds.iter_rows()],
        schema={"column": pl.String, "type": pl.String, "meaning": pl.String},
        orient="row",
    )


def _header(view: str) -> str:
    """What the comment of a view says first."""
    text = " ".join(assets.sql("views", view).partition("\n\n")[0].split("--")).split()
    return " ".join(text).partition(". ")[0].rstrip(".") + "."


def _documents() -> dict[str, Any]:
    """The schemas of tables that are files, by name."""
    return {
        path.name.split(".")[0]: json.loads(path.read_text(encoding="utf-8"))
        for path in (assets.ROOT / "schemas").glob("*.arrow.json")
    }
