"""SQL that a user wrote: rules, conditions, values, samples, queries. All of it runs here.

Such a query must be one statement that only reads. It runs on a confined connection, which opens no
file outside the lake, reads no variable of the program and has locked settings.
"""

import os
import resource
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from threading import Event, Timer
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl
import pyarrow as pa

from unidino.core.columns import portable
from unidino.core.errors import InputError
from unidino.core.sql import Connection, literal_path, read_only_statement, scratch, sql_error

PATIENCE_S = 600.0
_SHARE = 0.5  # of the memory


def confine(con: Connection, folders: Sequence[Path] = (), files: Sequence[Path] = ()) -> None:
    """Forbid a connection to open other files than these and those in folders; lock its settings.

    This holds for all connections to its instance of DuckDB.
    """
    places = _spellings(folders)
    allowed = [f"{place}/" for place in places]
    con.execute("set allowed_directories = $allowed", {"allowed": allowed})
    con.execute("set allowed_paths = $allowed", {"allowed": _spellings(files)})
    con.execute("set enable_external_access = false")
    con.execute("set python_enable_replacements = false")
    con.execute("set lock_configuration = true")


def _spellings(paths: Sequence[Path]) -> list[str]:
    """The texts by which DuckDB may be asked for these paths."""
    texts = dict.fromkeys(str(p) for path in paths for p in (path, path.resolve()))
    return list(dict.fromkeys([*texts, *map(literal_path, texts)]))


def keep_within_limits(con: Connection) -> None:
    """Limit the memory of a connection to half of this machine's; more data go to a file.

    The file lies in a temporary folder that only this user can read. DuckDB removes it.
    """
    con.execute("set memory_limit = $limit", {"limit": f"{int(memory_bytes() * _SHARE)}B"})
    con.execute("set temp_directory = $folder", {"folder": _place_for_spilling()})


def memory_bytes() -> int:
    """Bytes that this process may have: of the machine, of its control group, or by its limits."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(limit)
        sizes += [soft] if soft != resource.RLIM_INFINITY else []
    for place in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (Path("/sys/fs/cgroup") / place).read_text(encoding="ascii").strip()
        except OSError:
            continue
        sizes += [int(text)] if text.isdecimal() else []
    return min(sizes)


def _place_for_spilling() -> str:
    """Path of a folder that is not there yet; empty, for none, if no folder can be made.

    The folder around it is this user's, and nobody else can read it.
    """
    try:
        place = Path(gettempdir()) / f"unidino-{os.getuid()}"
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError:
        return ""
    is_private = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    return f"{place}/{uuid4().hex}" if is_private and stat.S_ISDIR(found.st_mode) else ""


@contextmanager
def confined(
    tables: Mapping[str, pa.Table | pl.DataFrame], query: str | None = None
) -> Iterator[Connection]:
    """A confined in-memory connection with these tables and the macros.

    query: what will be asked; only the macros that it names are there. Default: all macros.
    """
    con = scratch(None if query is None else [query])
    try:
        for name, table in tables.items():
            con.register(name, table)
        keep_within_limits(con)
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
        statement = read_only_statement(con, query, parameters)
        yield portable(con.sql(statement, params=dict(parameters or {})))
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
    patience_s: float = PATIENCE_S,
) -> pa.Table:
    """All rows of a user's query; for arguments and errors see `asked`."""
    with asked(con, query, parameters, what=what, patience_s=patience_s) as answer:
        return answer.to_arrow_table()
