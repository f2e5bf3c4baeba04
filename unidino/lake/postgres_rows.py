"""Statements of a PostgreSQL catalog, and rows between it and DuckDB."""

import threading
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from unidino.core.sql import CONFIG, Connection, quoted
from unidino.lake import schema

MOST_VALUES = 1000  # of one condition
_shapes = threading.local()


def run(con: Any, statement: str, parameters: Sequence[Any] = ()) -> None:
    """Carry out a statement of PostgreSQL. parameters: for $1, $2, ..."""
    with con.cursor() as cursor:
        cursor.execute(statement, list(parameters) or None)


def rows_of(con: Any, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """Rows of a query of PostgreSQL. parameters: for $1, $2, ..."""
    with con.cursor() as cursor:
        cursor.execute(query, list(parameters) or None)
        rows: pa.Table = cursor.fetch_arrow_table()
        return rows


def rows_of_plates(con: Any, table: str, plates: Sequence[str]) -> pa.Table:
    """Rows of a table that are of some plates."""
    places = ", ".join(f"${i + 1}" for i in range(len(plates)))
    return rows_of(con, f"select * from {table} where plate in ({places})", plates)


def tables_without_rows() -> Connection:
    """An in-memory connection of this thread with the tables of a catalog, empty."""
    if not hasattr(_shapes, "con"):
        _shapes.con = duckdb.connect(":memory:", config=CONFIG)
        schema.create_tables(_shapes.con)
    con: Connection = _shapes.con
    return con


def insert_rows(con: Connection, table: str, rows: pa.Table) -> None:
    """Insert rows into a table of DuckDB by column name."""
    con.register("_rows", rows)
    try:
        con.execute(f"insert into {quoted(table)} by name from _rows")
    finally:
        con.unregister("_rows")
