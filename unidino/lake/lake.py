"""A lake: plates, vectors and models in a folder, and a catalog of tables that tell of them.

A command that computes takes a `snapshot`: an in-memory connection with a copy of the metadata, and
with views over the files of vectors. It opens the catalog again only to land its results, in one
short transaction.
"""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import polars as pl

from unidino.core import assets
from unidino.core.columns import portable
from unidino.core.errors import InputError, LakeError
from unidino.core.files import written_beside
from unidino.core.log import log
from unidino.core.sql import Connection, outcome, prepare, quoted, scratch, sql_error
from unidino.core.user_sql import ask, asked
from unidino.lake import edited, records, schema
from unidino.lake.catalog import BY_PLATE, TABLES, Catalog, Landing
from unidino.lake.damage import way_back
from unidino.lake.file_catalog import LOCKS, FileCatalog, FileLanding
from unidino.lake.states import OF_FILE_MANAGERS, FileState, files_below
from unidino.lake.views import (
    OVER_PARTS,
    OVER_TABLES,
    create_views_over_parts,
    create_views_over_tables,
    may_read,
)

_NO_CONTENT = {LOCKS, records.FOLDER, "._.DS_Store"} | OF_FILE_MANAGERS
ORIGIN = ".origin"  # in a temporary copy: a link to the lake whose files the copy links to


def is_url(path: str | Path) -> bool:
    """Whether a text is an address in object storage; a Path keeps one slash of the two."""
    return str(path).startswith(("s3:/", "gs:/", "az:/", "file:/"))


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
        if is_url(path) or lake.catalog.exists():
            return cls.open(path)
        if lake.path.is_dir():
            lake._refuse_lost_catalog()
            if any(p.name not in _NO_CONTENT for p in lake.path.iterdir()):
                if lake.catalog.exists():  # another process has just made it
                    return cls.open(path)
                raise LakeError(f"'{path}' is neither empty nor a lake; choose another --lake")
        lake._in_file.refuse_odd_path(writes=True)
        lake.path.mkdir(parents=True, exist_ok=True)
        with lake.lock("catalog"):
            if not lake.catalog.exists():
                lake._in_file.create()
        return lake

    @classmethod
    def open(cls, path: str | Path) -> "Lake":
        """The lake in this folder; tables of an earlier version are brought up to date.

        That happens in a temporary copy of the catalog if the lake may only be read.
        Raises LakeError if there is none.
        """
        if is_url(path):
            from unidino.lake.remote import open_remote

            return open_remote(path)
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
                    edited.keep_plates(lake, FileLanding(con), missing_only=True)
            except duckdb.Error as error:
                raise LakeError(
                    f"{lake.catalog} has other tables than this program makes"
                    f" ({', '.join(old)}), and they cannot be brought up to date:"
                    f" {sql_error(error)}; undo what changed them"
                ) from error
        return lake

    def __repr__(self) -> str:
        """The place of the lake and its numbers of datasets, plates, wells and models."""
        if not self.exists:
            return f"Lake('{self.address}'): does not exist"
        counts = self.look_up(assets.sql("queries", "lake_counts")).row(0, named=True)
        held = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items())
        return f"Lake('{self.address}'): {held}"

    @property
    def address(self) -> str:
        """What names the lake on the command line."""
        return str(self.path)

    @property
    def absolute_address(self) -> str:
        """What names the lake for processes in other folders, and on machines that see it."""
        return str(self.path.absolute())

    @property
    def is_remote(self) -> bool:
        """Whether the files are in object storage."""
        return False

    @property
    def exists(self) -> bool:
        """Whether there is a catalog."""
        return self.catalog.is_file()

    @property
    def catalog(self) -> Path:
        """The DuckDB file."""
        return self.path / "catalog.duckdb"

    @property
    def _in_file(self) -> FileCatalog:
        return FileCatalog(self.path, self.catalog)

    @property
    def tables(self) -> Catalog:
        """The catalog: what reads and writes the tables of the lake."""
        return self._in_file

    @property
    def is_writable(self) -> bool:
        """Whether this process may change the catalog and add files."""
        places = (self.path, self.catalog, self.path / "profiles")
        return all(os.access(place, os.W_OK) for place in places if place.exists())

    def resolve(self, uri: str) -> Path:
        """Path of a file or folder from its uri in the catalog; relative uris start at the lake."""
        return self.path / uri

    @contextmanager
    def opened(self, uri: str) -> Iterator[Path | BinaryIO]:
        """A file of which parts will be read: its path, or an open file."""
        yield self.path / uri

    def bring(self, uris: Sequence[str]) -> list[Path]:
        """Paths of these files, all at once; see `resolve`."""
        return [self.path / uri for uri in uris]

    def resolve_file(self, state: FileState) -> Path:
        """Path of a file with this state."""
        return self.path / state.path

    def take(self, state: FileState, source: Path) -> None:
        """Copy a file that has this state into the lake, with its time of change."""
        with written_beside(self.place_of(state.path)) as path:
            shutil.copyfile(source, path)
            os.utime(path, ns=(state.modified_ns, state.modified_ns))

    def files(self) -> Iterator[tuple[str, int]]:
        """Uri and bytes of every file below the lake."""
        for name in files_below(self.path):
            yield os.path.relpath(name, self.path), os.path.getsize(name)

    def place_of(self, uri: str) -> Path:
        """Path at which a file is written, or a folder looked into, on this machine."""
        return self.path / uri

    @contextmanager
    def writing(self, uri: str) -> Iterator[Path]:
        """A temporary path for a file; it is whole and in its place when the block ends."""
        with written_beside(self.place_of(uri)) as path:
            yield path
        self.kept(uri)

    def kept(self, uri: str) -> None:
        """Take over a file or folder that was written at its place; it is registered next."""

    def remove(self, uri: str) -> None:
        """Remove a file, if it is there."""
        self.place_of(uri).unlink(missing_ok=True)

    def remove_folder(self, uri: str) -> None:
        """Remove a folder, if it is there."""
        if self.place_of(uri).exists():
            shutil.rmtree(self.place_of(uri))

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Lock `name` of this lake across processes; see `catalog.Catalog.lock`."""
        return self.tables.lock(name, wait=wait)

    def landing(self) -> AbstractContextManager[Landing]:
        """A transaction that writes to the catalog; see `catalog.Landing`."""
        return self.tables.landing()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection to the DuckDB file in one transaction, for any SQL; see `landing`."""
        with self._in_file.landing() as landing:
            yield landing.con

    def held(
        self, query: str | None = None, plates: Sequence[str] | None = None
    ) -> AbstractContextManager[Connection]:
        """A read-only connection with the tables; see `catalog.Catalog.reading`."""
        return self.tables.reading(query, plates)

    def copy_catalog(self, folder: Path) -> None:
        """Copy the DuckDB file into a folder, while no process writes to it."""
        self._in_file.copy(folder)

    @contextmanager
    def confined(
        self, query: str | None = None, *, texts: Iterable[str] | None = None
    ) -> Iterator[Connection]:
        """A read-only connection for queries that users wrote, with macros and views.

        It cannot open files outside the lake or read variables of the program, and its settings
        are locked. query: see `held`. texts: of queries; only the macros and views that they may
        name are there. Default: all. End the block before long computations.
        """
        texts = None if texts is None else list(texts)
        views = None if texts is None else may_read(texts)
        with self.held(query) as con:
            self._create_views(prepare(con, texts), of=query, views=views)
            yield con

    def _create_views(
        self,
        con: Connection,
        tables: Sequence[str] = TABLES,
        *,
        of: str | None = None,
        views: Collection[str] | None = None,
    ) -> None:
        views = (*OVER_PARTS, *OVER_TABLES) if views is None else views
        create_views_over_parts(con, self, views=views)
        create_views_over_tables(con, tables, views=views)

    @contextmanager
    def snapshot(
        self,
        tables: Sequence[str] = TABLES,
        plates: Sequence[str] | None = None,
        *,
        of: str | None = None,
        texts: Iterable[str] | None = None,
    ) -> Iterator[Connection]:
        """An in-memory connection with copies of these tables, and with macros and views.

        plates: rows of channels, wells, fields and images are copied of these alone; default all.
        of: text with the names of the views over parts that are needed; default all.
        texts: of queries; only the macros that they name are there. Default: all macros.
        """
        con = scratch(texts)
        try:
            named = " union all ".join(f"select 1 from {quoted(table)}" for table in tables)
            with self.held(named, plates) as source:
                for table in tables:
                    is_part = plates is not None and table in BY_PLATE
                    where = " where list_contains($plates, plate)" if is_part else ""
                    values = {"plates": list(plates or ())} if is_part else {}
                    wanted = source.sql(f"from {quoted(table)}{where}", params=values)
                    rows = wanted.to_arrow_table()
                    con.register("_rows", rows)
                    con.execute(f"create table {quoted(table)} as from _rows")
                    con.unregister("_rows")
            self._create_views(con, tables, of=of, views=None if of is None else may_read([of]))
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
            with self.confined(query, texts=[query]) as con:
                return pl.DataFrame(ask(con, query, parameters, what=what))
        except InputError as error:
            if "does not exist" not in str(error):
                raise
        with self.confined(query) as con:  # a function that it only composes, or a wrong name
            return pl.DataFrame(ask(con, query, parameters, what=what))

    @contextmanager
    def answer(self, query: str) -> Iterator[duckdb.DuckDBPyRelation]:
        """The rows of `query` as a relation of DuckDB, which must be read inside the block."""
        with self.confined(query) as con, asked(con, query) as rows:
            yield rows

    def only_reads(self, query: str) -> bool:
        """Whether `query` would take this text."""
        try:
            with self.answer(query):
                return True
        except InputError:
            return False

    def look_up(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        plates: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows of a query of this program over tables of the catalog and views of them.

        plates: those that the query asks for rows of channels, wells, fields and images of.
        """
        with self.held(query, plates) as con:
            create_views_over_tables(con, TABLES, of=query)
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
            with self.write() as con, edited.plates_kept(self, FileLanding(con)):
                done = outcome(con, query)
                yield portable(done) if isinstance(done, duckdb.DuckDBPyRelation) else done
        except duckdb.Error as error:
            raise InputError(sql_error(error)) from error

    def _refuse_lost_catalog(self) -> None:
        """Raise LakeError if the folder is that of a lake whose catalog is lost."""
        if (self.path / records.FOLDER).is_dir() and not records.are_bare(self.path):
            raise LakeError(f"'{self.catalog}' is missing{way_back(self.catalog)}")
