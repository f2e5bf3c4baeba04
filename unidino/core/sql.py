"""Small tools for DuckDB: quoted names, scratch connections, a read-only guard, error texts."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError

Connection = duckdb.DuckDBPyConnection
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def quoted(name: str) -> str:
    """The name as an SQL identifier. Names enter composed SQL only through this function."""
    return '"' + name.replace('"', '""') + '"'


def literal_path(path: Path | str) -> str:
    """The path as DuckDB reads files: characters of patterns stand for themselves."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def first_row(
    con: Connection, query: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """The first row of a query, or an empty tuple.

    All rows are fetched, because a pending result would block the next query of the connection.
    """
    rows: list[tuple[Any, ...]] = con.execute(query, dict(parameters or {})).fetchall()
    return rows[0] if rows else ()


def prepare(con: Connection) -> Connection:
    """The connection, with the macros of `sql/macros`."""
    for name in assets.names("macros"):
        con.execute(assets.sql("macros", name))
    return con


def scratch() -> Connection:
    """An in-memory connection with the macros, for tables outside the catalog."""
    return prepare(duckdb.connect(":memory:", config=CONFIG))


def keep_small(con: Connection) -> None:
    """Limit the memory of a connection to 400 MB; more data go to a temporary folder."""
    con.execute("set memory_limit = '400MB'")
    if con.execute("select current_setting('temp_directory')").fetchall() in ([("",)], [(".tmp",)]):
        con.execute("set temp_directory = $folder", {"folder": tempfile.gettempdir()})


def read_only_statement(con: Connection, query: str) -> str:
    """The query, if it is one statement that only reads.

    Raises InputError for a statement that writes, for several statements, and for invalid SQL.
    """
    try:
        statements = con.extract_statements(query)
    except duckdb.Error as error:
        raise InputError(sql_error(error)) from error
    if len(statements) != 1:
        raise InputError(f"expected one SQL statement, got {len(statements)}")
    kind = statements[0].type
    explains_a_write = kind == duckdb.StatementType.EXPLAIN and not re.match(
        r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?(select|from|with|values|describe)\b",
        query,
        re.I,
    )
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN) or explains_a_write:
        raise InputError(
            f"{kind.name.lower()} statements are refused: a query only reads"
            " (`unidino sql --write` may change the catalog)"
        )
    return query


def insert(
    con: Connection, table: str, rows: Sequence[Mapping[str, Any]], *, replace: bool = False
) -> None:
    """Insert rows by column name; missing columns stay NULL.

    replace: a row replaces the row of the same primary key.
    """
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        con.register("_rows", pa.table({n: [row.get(n) for row in rows] for n in names}))
        verb = "insert or replace into" if replace else "insert into"
        con.execute(f"{verb} {quoted(table)} by name from _rows")
        con.unregister("_rows")


def sql_error(error: Exception) -> str:
    """The error of DuckDB as one line, with the names that it proposes."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    proposals = [line for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
    return "; ".join([lines[0], *proposals[:1]])
