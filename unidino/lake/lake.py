"""A lake: a folder with a DuckDB catalog.

While one process writes to a DuckDB file, no other process can open it. A command that computes
therefore takes a `snapshot`: an in-memory connection with a copy of the metadata, and with views
over the files of vectors. It opens the catalog again only to land its results, in one short
transaction.

All that reads a catalog in this process shares one read-only instance of DuckDB, which is confined
to the lake; see `opened`.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from unidino.core import assets, stopping
from unidino.core.columns import portable
from unidino.core.errors import InputError, LakeError
from unidino.core.files import locked
from unidino.core.locks import refuse_without_locks
from unidino.core.log import log
from unidino.core.sql import (
    CONFIG,
    Connection,
    outcome,
    prepare,
    quoted,
    scratch,
    sql_error,
)
from unidino.core.user_sql import ask, asked, confine, keep_within_limits
from unidino.lake import edited, records, schema
from unidino.lake.damage import damage_is_told, way_back
from unidino.lake.opened import open_catalog
from unidino.lake.states import OF_FILE_MANAGERS
from unidino.lake.views import create_views_over_parts, create_views_over_tables

_TABLES = (
    "plate",
    "channel",
    "well",
    "field",
    "image",
    "model",
    "run",
    "part",
    "score",
    "label_score",
    "readout_score",
    "attribution",
    "pair_score",
    "batch_mixing",
    "batch_drift",
    "quality",
    "dose",
    "file",
)
_LOCK_PATIENCE_S = 60.0
LOCKS = ".locks"
_NO_CONTENT = {LOCKS, records.FOLDER, "._.DS_Store"} | OF_FILE_MANAGERS
# What DuckDB says of a catalog that another process has opened; a path may have any words.
_HELD = re.compile(
    r'(?:IO Error: )?Could not set lock on file ".*": Conflicting lock is held in'
    r" (?:(?P<program>.*?) \(PID (?P<pid>\d+)\)|(?P<unknown>PID \d+)).*",
    re.DOTALL,
)
ORIGIN = ".origin"  # in a temporary copy: a link to the lake whose files the copy links to


@dataclass(frozen=True)
class Lake:
    """A lake in a folder.

    path: the folder, which holds `catalog.duckdb`.

    >>> import unidino as ud
    >>> ud.Lake.open(lake.path)
    Lake('...lake'): 1 dataset, 2 plates, 12 wells, 1 model
    """

    path: Path

    @classmethod
    def create(cls, path: str | Path) -> "Lake":
        """The lake in this folder; it is created if there is none.

        Raises LakeError if the folder holds other files.
        """
        lake = cls(Path(path))
        if lake.catalog.exists():
            return cls.open(path)
        if lake.path.is_dir():
            lake._refuse_lost_catalog()
            if any(p.name not in _NO_CONTENT for p in lake.path.iterdir()):
                raise LakeError(f"'{path}' is neither empty nor a lake; choose another --lake")
        lake._refuse_odd_path(writes=True)
        lake.path.mkdir(parents=True, exist_ok=True)
        with lake.lock("catalog"):
            if not lake.catalog.exists():
                lake._create_catalog()
        return lake

    def _create_catalog(self) -> None:
        """Write a new catalog beside its place, and move it there when it is whole.

        Raises OSError or an error of DuckDB if that fails; nothing of it is left then.
        """
        new = self.path / LOCKS / "catalog.new"
        log_of_new = new.with_name(f"{new.name}.wal")
        with stopping.unfinished(new), stopping.unfinished(log_of_new):
            try:
                for left_over in (new, log_of_new):
                    left_over.unlink(missing_ok=True)
                con = duckdb.connect(str(new), config=CONFIG)
                try:
                    con.execute("begin")
                    schema.create_tables(con)
                    con.execute("commit")
                    con.execute("checkpoint")  # closing would do it, and hide that it failed
                    records.keep_tables(self.path, con)
                finally:
                    con.close()
                new.rename(self.catalog)
            finally:
                for left_over in (new, log_of_new):
                    left_over.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: str | Path) -> "Lake":
        """The lake in this folder; tables of an earlier version are brought up to date.

        That happens in a temporary copy of the catalog if the lake may only be read.
        Raises LakeError if there is none.
        """
        lake = cls(Path(path))
        if not lake.catalog.is_file():
            lake._refuse_lost_catalog()
            raise LakeError(
                f"no lake at '{path}'; create one with `unidino ingest`, or pass --lake FOLDER"
            )
        with lake.held() as con:
            old = schema.outdated(con)
        if old and not lake.is_writable:
            from unidino.lake.overlay import to_compute_in

            return to_compute_in(lake)
        if old:
            log.info(f"bringing tables of the catalog up to date: {', '.join(old)}")
            try:
                with lake.write() as con:
                    schema.bring_up_to_date(con)
                    edited.keep_plates(lake.path, con, missing_only=True)
            except duckdb.Error as error:
                raise LakeError(
                    f"{lake.catalog} has other tables than this program makes"
                    f" ({', '.join(old)}), and they cannot be brought up to date:"
                    f" {sql_error(error)}; undo what changed them"
                ) from error
        return lake

    def __repr__(self) -> str:
        """The folder of the lake and its numbers of datasets, plates, wells and models."""
        if not self.catalog.is_file():
            return f"Lake('{self.path}'): does not exist"
        counts = self.look_up(assets.sql("queries", "lake_counts")).row(0, named=True)
        held = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items())
        return f"Lake('{self.path}'): {held}"

    @property
    def catalog(self) -> Path:
        """The DuckDB file."""
        return self.path / "catalog.duckdb"

    @property
    def is_writable(self) -> bool:
        """Whether this process may change the catalog and add files."""
        places = (self.path, self.catalog, self.path / "profiles")
        return all(os.access(place, os.W_OK) for place in places if place.exists())

    def resolve(self, uri: str) -> Path:
        """Path of a file or folder from its uri in the catalog; relative uris start at the lake."""
        return self.path / uri

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Lock `name` of this lake across processes; see `core.files.locked`."""
        return locked(self.path / LOCKS, name, wait=wait)

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """A read-only connection; no process writes to the catalog until the block ends."""
        with (
            damage_is_told(self.catalog),
            open_catalog(self.catalog).reading(self._confined_instance) as con,
        ):
            yield con

    def copy_catalog(self, folder: Path) -> None:
        """Copy the catalog into a folder, while no process writes to it."""
        with open_catalog(self.catalog).alone():
            con = self._connect(read_only=True)
            try:
                # The log of DuckDB goes first: closing the catalog's file ends the lock on it.
                for file in sorted(self.path.glob(f"{self.catalog.name}*"), reverse=True):
                    if file.is_file():
                        shutil.copyfile(file, folder / file.name)
            finally:
                con.close()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in one transaction, which is committed, or rolled back after any error."""
        with damage_is_told(self.catalog), open_catalog(self.catalog).alone():
            con = self._connect(read_only=False)
            try:
                con.execute("begin")
                yield con
                con.execute("commit")
                records.keep_tables(self.path, con)
            finally:
                con.close()

    @contextmanager
    def read(self, texts: Iterable[str] | None = None) -> Iterator[Connection]:
        """A read-only connection with macros and views; end the block before long computations.

        texts: of queries; only the macros that they name are there. Default: all macros.
        """
        with self.held() as con:
            self._create_views(prepare(con, texts))
            yield con

    @contextmanager
    def confined(self) -> Iterator[Connection]:
        """A read-only connection for queries that users wrote, with macros and views.

        It cannot open files outside the lake or read variables of the program, and its settings
        are locked.
        """
        with self.read() as con:
            yield con

    def _confined_instance(self) -> Connection:
        """The instance whose cursors read the catalog; it opens the other files of the lake."""
        con = self._connect(read_only=True)
        try:
            keep_within_limits(con)
            places = [p for p in self.path.iterdir() if not p.name.startswith(self.catalog.name)]
            confine(
                con,
                [p for p in places if p.is_dir() and p.name != LOCKS],
                [p for p in places if p.is_file()],
            )
        except BaseException:
            con.close()
            raise
        return con

    @contextmanager
    def snapshot(self, tables: Sequence[str] = _TABLES) -> Iterator[Connection]:
        """An in-memory connection with copies of these tables, and with macros and views."""
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

    def query(
        self, query: str, parameters: Mapping[str, Any] | None = None, *, what: str = ""
    ) -> pl.DataFrame:
        """Rows of one SQL statement that reads tables, views and macros of the lake.

        parameters: values by name, for `$name` in the query. what: the option that gave the query,
        for messages.
        Raises InputError if the query writes, opens a file outside the lake, or is not valid.
        """
        try:
            with self.read([query]) as con:
                return pl.DataFrame(ask(con, query, parameters, what=what))
        except InputError as error:
            if "does not exist" not in str(error):
                raise
        with self.confined() as con:  # a function that the query only composes, or a wrong name
            return pl.DataFrame(ask(con, query, parameters, what=what))

    @contextmanager
    def answer(self, query: str) -> Iterator[duckdb.DuckDBPyRelation]:
        """The rows of `query` as a relation of DuckDB, which must be read inside the block."""
        with self.confined() as con, asked(con, query) as rows:
            yield rows

    def only_reads(self, query: str) -> bool:
        """Whether `query` would take this text."""
        try:
            with self.answer(query):
                return True
        except InputError:
            return False

    def look_up(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Rows of a query of this program over tables of the catalog and views of them."""
        with self.held() as con:
            create_views_over_tables(con, _TABLES, of=query)
            rows: pl.DataFrame = con.sql(query, params=dict(parameters or {})).pl()
            return rows

    def execute(self, query: str) -> None:
        """Execute statements that may write to the catalog, in one transaction."""
        with self.executed(query):
            pass

    @contextmanager
    def executed(self, query: str) -> Iterator[duckdb.DuckDBPyRelation | int | None]:
        """What the last of these statements gives: rows, the number of rows it changed, or nothing.

        All may write, in one transaction. The rows must be read inside the block.
        """
        try:
            with self.write() as con, edited.plates_kept(self.path, con):
                done = outcome(con, query)
                yield portable(done) if isinstance(done, duckdb.DuckDBPyRelation) else done
        except duckdb.Error as error:
            raise InputError(sql_error(error)) from error

    def _connect(self, *, read_only: bool) -> Connection:
        """A connection to the catalog; waits while another process writes."""
        self._refuse_odd_path(writes=not read_only)
        return self._patiently(
            lambda: duckdb.connect(str(self.catalog), read_only=read_only, config=CONFIG)
        )

    def _refuse_lost_catalog(self) -> None:
        """Raise LakeError if the folder is that of a lake whose catalog is lost."""
        if (self.path / records.FOLDER).is_dir() and not records.are_bare(self.path):
            raise LakeError(f"'{self.catalog}' is missing{way_back(self.catalog)}")

    def _refuse_odd_path(self, *, writes: bool) -> None:
        """Raise LakeError if DuckDB cannot use the catalog because of a character in its path.

        It takes `\\` for `/`, and writes no file below a name with `?`.
        """
        path = str(self.path.resolve())
        for letter in ("\\", "?") if writes else ("\\",):
            if letter in path and letter != os.sep:
                raise LakeError(
                    f"DuckDB cannot {'write' if writes else 'read'} below a folder with '{letter}'"
                    f" in its name: '{path}'; rename the folder, or choose another --lake"
                )

    def _patiently(self, connect: Callable[[], Connection]) -> Connection:
        """The connection that `connect` opens; waits up to 60 s while another process writes."""
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        pause_s = 0.02
        while True:
            try:
                opened: Connection = stopping.interruptible(connect())
                return opened
            except duckdb.Error as error:
                holder = _HELD.fullmatch(str(error))
                if holder is None:
                    if "locks are not supported" in str(error):
                        refuse_without_locks(self.path)
                    raise LakeError(
                        f"cannot open {self.catalog}: {sql_error(error)}{way_back(self.catalog)}"
                    ) from error
                if holder["unknown"]:
                    refuse_without_locks(self.path)
                if time.monotonic() > deadline:
                    by = f"process {holder['pid']} ({holder['program']})"
                    raise LakeError(
                        f"{self.catalog} is in use by {by if holder['pid'] else 'another process'};"
                        " wait until it ends, then run again"
                    ) from error
                stopping.check()
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, 0.5)

    def _create_views(self, con: Connection, tables: Sequence[str] = _TABLES) -> None:
        create_views_over_parts(con, self.path)
        create_views_over_tables(con, tables)
