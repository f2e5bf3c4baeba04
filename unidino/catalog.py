"""A lake: a folder with a DuckDB catalog that is held open only for moments.

DuckDB lets one process write and shuts out all others meanwhile, so a command that computes takes
a `snapshot` (an in-memory connection with a copy of the metadata and views over the files of
vectors) and opens the catalog again, in one short transaction, only to land its results.
"""

import hashlib
import json
import os
import platform
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from unidino import assets, schema
from unidino.errors import InputError, LakeError
from unidino.locks import locked
from unidino.progress import say

Connection = duckdb.DuckDBPyConnection

_TABLES = ("plate", "channel", "well", "field", "image", "model", "run", "part", "score",
           "label_score", "readout_score", "attribution")  # fmt: skip
_VIEWS_OVER_PARTS = ("embedding", "crop_embedding", "profile", "statistic", "projection")
_SAMPLE_VIEWS = ("training_sample", "labelled_sample")
_SAMPLE_TABLES = {"plate", "well", "field", "image"}
_LOCK_PATIENCE_S = 60.0
_LOCKS = ".locks"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def quoted(name: str) -> str:
    """The name as an SQL identifier: the only way a name is composed into SQL."""
    return '"' + name.replace('"', '""') + '"'


def digest(*items: object) -> str:
    """BLAKE2b (128 bit, hex) of the items' JSON."""
    text = json.dumps(items, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def first_row(
    con: Connection, query: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """The first row of a query, or an empty tuple.

    Fetches all rows: a result that is not drained would refuse the connection to the next one.
    """
    rows: list[tuple[Any, ...]] = con.execute(query, dict(parameters or {})).fetchall()
    return rows[0] if rows else ()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepare(con: Connection) -> Connection:
    """The connection, with the macros of `sql/macros`."""
    for name in assets.names("macros"):
        con.execute(assets.sql("macros", name))
    return con


def scratch() -> Connection:
    """An in-memory connection with the macros, for work on tables that are not the catalog's."""
    return prepare(duckdb.connect(":memory:", config=_CONFIG))


def confine(con: Connection, folders: Sequence[Path] = ()) -> None:
    """Let a connection open no file outside these folders, and keep its settings as they are."""
    allowed = [f"{folder.resolve()}/" for folder in folders]
    allowed += [f"{folder}/" for folder in folders]
    con.execute("set allowed_directories = $allowed", {"allowed": allowed})
    con.execute("set enable_external_access = false")
    con.execute("set python_enable_replacements = false")
    con.execute("set lock_configuration = true")


def keep_small(con: Connection) -> None:
    """Let a connection hold little in memory and the rest in a temporary folder."""
    con.execute("set memory_limit = '400MB'")
    if con.execute("select current_setting('temp_directory')").fetchall() in ([("",)], [(".tmp",)]):
        con.execute("set temp_directory = $folder", {"folder": tempfile.gettempdir()})


def read_only_statement(con: Connection, query: str) -> str:
    """The query, if it is one statement that only reads.

    Raises InputError for a statement that writes, or for several.
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
            f"{kind.name.lower()} statements are refused by a read-only query; add --write to allow"
        )
    return query


@dataclass
class Run:
    """A command under way; recorded with the first thing it lands."""

    command: str
    arguments: Mapping[str, Any]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def record(self, con: Connection) -> None:
        """Insert this run unless it is there, and set its end to now."""
        versions = {"python": platform.python_version()} | {
            name: version(name) for name in ("unidino", "duckdb", "torch", "timm", "zarr")
        }
        con.execute(
            "insert or ignore into run by name select $run_id as run_id, $command as command,"
            " $arguments::json as arguments, $versions::json as versions, $started as started",
            {
                "run_id": self.run_id,
                "command": self.command,
                "arguments": json.dumps(dict(self.arguments), default=str),
                "versions": json.dumps(versions),
                "started": self.started.replace(tzinfo=None),
            },
        )
        con.execute(
            "update run set ended = $now where run_id = $run_id",
            {"now": datetime.now(UTC).replace(tzinfo=None), "run_id": self.run_id},
        )


@dataclass(frozen=True)
class Lake:
    """A lake at a folder.

    path: folder that holds, or will hold, `catalog.duckdb`.
    """

    path: Path

    @classmethod
    def create(cls, path: str | Path) -> "Lake":
        """The lake at this folder, made if there is none.

        Raises LakeError if the folder holds other things.
        """
        lake = cls(Path(path))
        if lake.catalog.exists():
            return lake
        if lake.path.is_dir() and any(p.name != _LOCKS for p in lake.path.iterdir()):
            raise LakeError(f"'{path}' is neither empty nor a lake; choose another --lake")
        lake.path.mkdir(parents=True, exist_ok=True)
        with lake.lock("catalog"):
            if not lake.catalog.exists():
                new = lake.path / _LOCKS / "catalog.new"
                new.unlink(missing_ok=True)
                con = duckdb.connect(str(new), config=_CONFIG)
                try:
                    schema.create_tables(con)
                finally:
                    con.close()
                new.rename(lake.catalog)
        return lake

    @classmethod
    def open(cls, path: str | Path) -> "Lake":
        """The lake at this folder; tables of an earlier version are brought up to date.

        Raises LakeError if there is none.
        """
        lake = cls(Path(path))
        if not lake.catalog.is_file():
            raise LakeError(
                f"no lake at '{path}'; make one with `unidino ingest`, or pass --lake FOLDER"
            )
        con = lake._connect(read_only=True)
        try:
            old = schema.outdated(con)
        finally:
            con.close()
        if old:
            say(f"bringing tables of the catalog up to date: {', '.join(old)}")
            with lake.write() as con:
                schema.bring_up_to_date(con)
        return lake

    @property
    def catalog(self) -> Path:
        """The DuckDB file."""
        return self.path / "catalog.duckdb"

    def resolve(self, uri: str) -> Path:
        """Path of a file or folder that the catalog names; relative uris are in the lake."""
        return self.path / uri

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Hold what this name stands for against all other processes: see `locks.locked`."""
        return locked(self.path / _LOCKS, name, wait=wait)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection inside one transaction: committed whole, or rolled back on any error."""
        con = self._connect(read_only=False)
        try:
            con.execute("begin")
            yield con
            con.execute("commit")
        finally:
            con.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only connection with macros and views; close it before computing."""
        con = prepare(self._connect(read_only=True))
        try:
            self._create_views(con)
            yield con
        finally:
            con.close()

    @contextmanager
    def confined(self) -> Iterator[Connection]:
        """A read-only connection for queries from elsewhere, with macros and views.

        It opens no file outside the lake, sees no variable of the program, and its settings are
        locked; other connections of this process are not touched by that.
        """
        con = self._patiently(self._attached)
        try:
            self._create_views(prepare(con))
            confine(con, [self.path])
            yield con
        finally:
            con.close()

    def _attached(self) -> Connection:
        con = duckdb.connect(":memory:", config=_CONFIG)
        try:
            path = str(self.catalog).replace("'", "''")
            con.execute(f"attach '{path}' as catalog (read_only)")
            con.execute("use catalog")
        except duckdb.Error:
            con.close()
            raise
        return con

    @contextmanager
    def snapshot(self, tables: Sequence[str] = _TABLES) -> Iterator[Connection]:
        """An in-memory connection with these tables copied, macros, and the views they allow."""
        con = scratch()
        try:
            with self.read() as source:
                for table in tables:
                    rows = source.sql(f"from {quoted(table)}").to_arrow_table()
                    con.register("_rows", rows)
                    con.execute(f"create table {quoted(table)} as from _rows")
                    con.unregister("_rows")
            self._create_views(con, tables)
            yield con
        finally:
            con.close()

    def query(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Rows of one read-only SQL statement over tables, views and macros.

        Raises InputError if it writes or is not valid SQL.
        """
        with self.read() as con:
            return _rows(con, query, parameters)

    def look_up(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Rows of one read-only SQL statement over the catalog's tables; no other file is opened.

        Raises InputError if it writes or is not valid SQL.
        """
        con = self._connect(read_only=True)
        try:
            return _rows(con, query, parameters)
        finally:
            con.close()

    def execute(self, query: str) -> None:
        """Run statements that may write to the catalog, in one transaction."""
        try:
            with self.write() as con:
                con.execute(query)
        except duckdb.Error as error:
            raise InputError(sql_error(error)) from error

    def _connect(self, *, read_only: bool) -> Connection:
        """A connection to the catalog, waiting while another process writes."""
        return self._patiently(
            lambda: duckdb.connect(str(self.catalog), read_only=read_only, config=_CONFIG)
        )

    def _patiently(self, connect: Callable[[], Connection]) -> Connection:
        """The connection, waiting while another process writes."""
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        pause_s = 0.02
        while True:
            try:
                return connect()
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise LakeError(f"cannot open {self.catalog}: {sql_error(error)}") from error
                if time.monotonic() > deadline:
                    holder = re.search(r"\(PID (\d+)\)", str(error))
                    by = f"process {holder[1]}" if holder else "another process"
                    raise LakeError(
                        f"{self.catalog} is held by {by}; wait for it to end, then run again"
                    ) from error
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, 0.5)

    def _create_views(self, con: Connection, tables: Sequence[str] = _TABLES) -> None:
        for kind in _VIEWS_OVER_PARTS:
            uris = con.execute(
                "select uri from part where kind = $kind order by uri", {"kind": kind}
            )
            paths = [self.resolve(uri) for (uri,) in uris.fetchall()]
            files = [str(path) for path in paths if path.is_file()]
            if len(files) < len(paths):
                say(f"{len(paths) - len(files)} {kind} files are missing; run `unidino check`")
            if files:
                con.execute(f"set variable {kind}_files = $files", {"files": files})
                try:
                    con.execute(f"create temp view {kind} as {assets.sql('views', kind)}")
                except duckdb.Error as error:
                    raise LakeError(
                        f"a file of {kind}s is damaged ({sql_error(error)}); run `unidino check`"
                    ) from error
            else:
                empty = assets.arrow_schema(kind).empty_table()
                con.register(kind, empty)
        for view in _SAMPLE_VIEWS if set(tables) >= _SAMPLE_TABLES else ():
            con.execute(f"create temp view {view} as {assets.sql('views', view)}")


def insert(
    con: Connection, table: str, rows: Sequence[Mapping[str, Any]], *, replace: bool = False
) -> None:
    """Insert rows by name; columns that are not given stay NULL.

    replace: a row with the key of one that is there takes its place.
    """
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        con.register("_rows", pa.table({n: [row.get(n) for row in rows] for n in names}))
        verb = "insert or replace into" if replace else "insert into"
        con.execute(f"{verb} {quoted(table)} by name from _rows")
        con.unregister("_rows")


def land_parts(
    lake: Lake, run: Run, parts: Mapping[str, Mapping[str, Any]], *, gone: Sequence[str] = ()
) -> None:
    """Record whole files, by uri, in the catalog, in place of those that were there.

    gone: uris that are forgotten in the same moment.
    """
    rows = part_rows(lake, run, parts)
    with lake.write() as con:
        run.record(con)
        insert(con, "part", rows, replace=True)
        con.execute("delete from part where list_contains($gone, uri)", {"gone": list(gone)})


def part_rows(lake: Lake, run: Run, parts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table `part` for whole files, by uri, with their hashes."""
    return [
        {"uri": uri, "sha256": file_sha256(lake.resolve(uri)), "run_id": run.run_id} | dict(part)
        for uri, part in parts.items()
    ]


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _rows(con: Connection, query: str, parameters: Mapping[str, Any] | None) -> pl.DataFrame:
    read_only_statement(con, query)
    try:
        rows: pl.DataFrame = con.sql(query, params=dict(parameters or {})).pl()
        return rows
    except duckdb.Error as error:
        raise InputError(sql_error(error)) from error


def sql_error(error: duckdb.Error) -> str:
    """What DuckDB says is wrong, as one line, with the names that it proposes."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    proposals = [line for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
    return "; ".join([lines[0], *proposals[:1]])
