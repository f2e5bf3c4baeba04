"""SQL that a user wrote: rules, conditions, values, samples, queries. All of it runs here.

Such a query must be one statement that only reads. It runs on a confined connection, which opens no
file outside the lake, reads no variable of the program and has locked settings.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.files import as_glob
from unidino.core.sql import Connection, read_only_statement, scratch, sql_error

PATIENCE_S = 600.0


def confine(con: Connection, folders: Sequence[Path] = ()) -> None:
    """Forbid a connection to open files outside these folders, and lock its settings."""
    allowed = [f"{folder.resolve()}/" for folder in folders]
    allowed += [f"{folder}/" for folder in folders]
    allowed += [f"{as_glob(folder)}/" for folder in folders]  # as views name the files
    con.execute("set allowed_directories = $allowed", {"allowed": allowed})
    con.execute("set enable_external_access = false")
    con.execute("set python_enable_replacements = false")
    con.execute("set lock_configuration = true")


@contextmanager
def confined(tables: Mapping[str, pa.Table | pl.DataFrame]) -> Iterator[Connection]:
    """A confined in-memory connection with these tables and the macros."""
    con = scratch()
    try:
        for name, table in tables.items():
            con.register(name, table)
        confine(con)
        yield con
    finally:
        con.close()


@contextmanager
def asked(
    con: Connection,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    what: str = "",
    patience_s: float = PATIENCE_S,
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The result of a user's query; it must be read inside the block.

    con: confined. what: the option that gave the query, for messages. patience_s: time limit of the
    query in seconds.
    Raises InputError if the query writes, is not one valid statement, or exceeds the time limit.
    """
    (is_locked,) = con.execute("select current_setting('lock_configuration')").fetchall()[0]
    assert is_locked, "a user's query needs a confined connection"
    prefix = f"{what}: " if what else ""
    late = Event()

    def stop() -> None:
        late.set()
        con.interrupt()

    timer = Timer(patience_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield con.sql(read_only_statement(con, query), params=dict(parameters or {}))
    except InputError as error:
        raise InputError(f"{prefix}{error}") from error
    except (duckdb.Error, pa.ArrowException) as error:
        reason = sql_error(error)
        if late.is_set():
            reason = f"stopped after {patience_s:.0f} s; select fewer rows or columns"
        raise InputError(f"{prefix}{reason}") from error
    finally:
        timer.cancel()


def ask(
    con: Connection,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    what: str = "",
) -> pa.Table:
    """All rows of a user's query; for arguments and errors see `asked`."""
    with asked(con, query, parameters, what=what) as answer:
        return answer.to_arrow_table()
