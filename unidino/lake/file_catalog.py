"""A catalog that is a DuckDB file in the folder of its lake.

While one process writes to the file, no other process can open it. All that reads it in this
process shares one read-only instance of DuckDB, which is confined to the lake; see `opened`.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from unidino.core import stopping
from unidino.core.errors import LakeError
from unidino.core.files import locked
from unidino.core.locks import refuse_without_locks
from unidino.core.sql import CONFIG, Connection, first_row, quoted, sql_error, table_of
from unidino.core.user_sql import confine, keep_within_limits
from unidino.lake import records, schema
from unidino.lake.catalog import KEYS, Rows
from unidino.lake.damage import damage_is_told, way_back
from unidino.lake.opened import open_catalog

LOCKS = ".locks"
_LOCK_PATIENCE_S = 60.0
_PATIENCE_S = 60.0  # of a writer for its turn
_READER_PATIENCE_S = 2.0  # a writer may wait for a reader that computes for long
_POLL_S = 0.01
# What DuckDB says of a catalog that another process has opened; a path may have any words.
_HELD = re.compile(
    r'(?:IO Error: )?Could not set lock on file ".*": Conflicting lock is held in'
    r" (?:(?P<program>.*?) \(PID (?P<pid>\d+)\)|(?P<unknown>PID \d+)).*",
    re.DOTALL,
)


class FileLanding:
    """A transaction of a DuckDB file. con: its connection."""

    def __init__(self, con: Connection) -> None:
        self.con = con

    def put(self, table: str, rows: Rows, *, instead_of: str | None = None) -> None:
        """Insert rows; see `catalog.Landing`."""
        given = table_of(rows)
        if not len(given):
            return
        self.con.register("_rows", given)
        try:
            verb = "insert into"
            if instead_of is not None and KEYS.get(table) == instead_of:
                verb = "insert or replace into"
            elif instead_of is not None:
                column = quoted(instead_of)
                self.con.execute(
                    f"delete from {quoted(table)} where {column} in (select {column} from _rows)"
                )
            self.con.execute(f"{verb} {quoted(table)} by name from _rows")
        finally:
            self.con.unregister("_rows")

    def forget(self, table: str, column: str, values: Sequence[str]) -> None:
        """Delete rows; see `catalog.Landing`."""
        if values:
            self.con.execute(
                f"delete from {quoted(table)} where list_contains($values, {quoted(column)})",
                {"values": list(values)},
            )

    def clear(self, table: str) -> None:
        """Delete every row of a table."""
        self.con.execute(f"delete from {quoted(table)}")

    def next_number(self) -> int:
        """The number of the next run; see `catalog.Landing`."""
        (number,) = first_row(self.con, "select coalesce(max(number), 0) + 1 from run")
        return int(number)

    @contextmanager
    def tables(
        self, names: Sequence[str], plates: Sequence[str] | None = None
    ) -> Iterator[Connection]:
        """The connection itself: it has all tables."""
        yield self.con


@dataclass(frozen=True)
class FileCatalog:
    """The catalog of a lake in a folder.

    folder: of the lake. file: the DuckDB file.
    """

    folder: Path
    file: Path

    def create(self) -> None:
        """Write a new catalog beside its place, and move it there when it is whole.

        Raises OSError or an error of DuckDB if that fails; nothing of it is left then.
        """
        new = self.folder / LOCKS / "catalog.new"
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
                    records.keep_tables(self.folder, con)
                finally:
                    con.close()
                new.rename(self.file)
            finally:
                for left_over in (new, log_of_new):
                    left_over.unlink(missing_ok=True)

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        """A file lock; see `core.files.locked`."""
        return locked(self.folder / LOCKS, name, wait=wait)

    @contextmanager
    def reading(
        self, query: str | None = None, plates: Sequence[str] | None = None
    ) -> Iterator[Connection]:
        """A cursor of the shared instance, which has all tables.

        No process writes to the catalog until the block ends.
        """
        with (
            damage_is_told(self.file),
            open_catalog(self.file).reading(self._confined_instance, self._is_wanted) as con,
        ):
            yield con

    def copy(self, folder: Path) -> None:
        """Copy the catalog into a folder, while no process writes to it."""
        with open_catalog(self.file).alone():
            con = self._connect(read_only=True)
            try:
                # The log of DuckDB goes first: closing the catalog's file ends the lock on it.
                for file in sorted(self.folder.glob(f"{self.file.name}*"), reverse=True):
                    if file.is_file():
                        shutil.copyfile(file, folder / file.name)
            finally:
                con.close()

    @contextmanager
    def landing(self) -> Iterator[FileLanding]:
        """A transaction; a copy of the small tables is kept after it."""
        with damage_is_told(self.file), open_catalog(self.file).alone(), self._turn(_PATIENCE_S):
            con = self._connect(read_only=False)
            try:
                con.execute("begin")
                yield FileLanding(con)
                con.execute("commit")
                records.keep_tables(self.folder, con)
            finally:
                con.close()

    @contextmanager
    def _turn(self, patience_s: float) -> Iterator[None]:
        """A block that waits for those that came before to open the catalog, up to a time.

        DuckDB refuses whom it cannot let in, and who then tries again at the wrong moments may
        never get in. Here one process waits at a time, and no new reader goes before a writer.
        """
        folder = self.folder / LOCKS
        if not os.access(folder, os.W_OK):
            yield
            return
        turn = FileLock(folder / "turn.lock")
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            with suppress(Timeout):
                turn.acquire(timeout=min(1.0, patience_s), poll_interval=_POLL_S)
                break
            stopping.check()
        try:
            yield
        finally:
            turn.release()

    def _is_wanted(self) -> bool:
        """Whether another process may wait for the catalog."""
        turn = FileLock(self.folder / LOCKS / "turn.lock")
        try:
            turn.acquire(timeout=0)
        except (Timeout, OSError):
            return True
        turn.release()
        return False

    def _confined_instance(self) -> Connection:
        """The instance whose cursors read the catalog; it opens the other files of the lake."""
        with self._turn(_READER_PATIENCE_S):
            con = self._connect(read_only=True)
        try:
            keep_within_limits(con)
            places = [p for p in self.folder.iterdir() if not p.name.startswith(self.file.name)]
            confine(
                con,
                [p for p in places if p.is_dir() and p.name != LOCKS],
                [p for p in places if p.is_file()],
            )
        except BaseException:
            con.close()
            raise
        return con

    def _connect(self, *, read_only: bool) -> Connection:
        """A connection to the catalog; waits while another process writes."""
        self.refuse_odd_path(writes=not read_only)
        return self._patiently(
            lambda: duckdb.connect(str(self.file), read_only=read_only, config=CONFIG)
        )

    def refuse_odd_path(self, *, writes: bool) -> None:
        """Raise LakeError if DuckDB cannot use the catalog because of a character in its path.

        It takes `\\` for `/`, and writes no file below a name with `?`.
        """
        path = str(self.folder.resolve())
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
                        refuse_without_locks(self.folder)
                    raise LakeError(
                        f"cannot open {self.file}: {sql_error(error)}{way_back(self.file)}"
                    ) from error
                if holder["unknown"]:
                    refuse_without_locks(self.folder)
                if time.monotonic() > deadline:
                    by = f"process {holder['pid']} ({holder['program']})"
                    raise LakeError(
                        f"{self.file} is in use by {by if holder['pid'] else 'another process'};"
                        " wait until it ends, then run again"
                    ) from error
                stopping.check()
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, 0.5)
