"""A catalog that is a PostgreSQL database, read and written by ADBC.

Queries run in DuckDB, over copies of the tables that they name. Every landing counts itself, so the
copies of this process stay valid until the count changes, and all that one query reads is of one
state. Landings wait for one another, as they do on a file.
"""

import atexit
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from unidino.core import assets, stopping
from unidino.core.errors import InputError, LakeError
from unidino.core.log import log
from unidino.core.sql import CONFIG, Connection
from unidino.core.user_sql import confine, keep_within_limits
from unidino.lake import schema
from unidino.lake.catalog import BY_PLATE, TABLES
from unidino.lake.named_tables import named_tables
from unidino.lake.postgres_landing import PostgresLanding
from unidino.lake.postgres_rows import (
    MOST_VALUES,
    insert_rows,
    rows_of,
    rows_of_plates,
    run,
    tables_without_rows,
)

_PATIENCE_S = 30.0
_PASSWORD = re.compile(r"(?P<start>postgres(?:ql)?://[^/@:]*):[^/@]*@")
_LANDING = 0x756E6964  # key of the lock that landings take
_PRELUDE = """
create or replace function regexp_full_match(value text, pattern text) returns boolean
language sql immutable as $$ select value ~ ('^(?:' || pattern || ')$') $$
"""
_LAKE = """
create table if not exists lake (url varchar not null, landings bigint not null)
"""
T = TypeVar("T")


def refuse_password(address: str) -> None:
    """Raise InputError if the address of a database holds a password."""
    if _PASSWORD.search(address) or re.search(r"[?&]password=", address):
        raise InputError(
            "the address of the catalog may hold no password: it is kept in the lake; set"
            " PGPASSWORD, or write the password to ~/.pgpass"
        )


class PostgresCatalog:
    """The tables of a lake in a database.

    address: as libpq takes it, without a password. folder: of files that queries may read.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._reader: Any = None
        self._copies: _Copies | None = None
        self._mutex = threading.RLock()
        self._claims: set[Any] = set()
        atexit.register(self.close)

    def close(self) -> None:
        """Close the connection that reads; it is opened again when it is needed."""
        from adbc_driver_manager import Error

        with self._mutex, suppress(Error):
            lost, self._reader = self._reader, None
            if lost is not None:
                lost.close()

    def create(self, url: str) -> None:
        """Make the tables of a lake; those that are there stay.

        url: of the lake. Raises LakeError if the database is that of another lake.
        """
        with self._errors(), _connected(self) as con:
            run(con, f"select pg_advisory_xact_lock({_LANDING})")
            for statement in (_LAKE, _PRELUDE, *_definitions()):
                run(con, statement)
            for table in (*BY_PLATE, "file"):
                run(con, f"create index if not exists {table}_of_plate on {table} (plate)")
            found = [row["url"] for row in rows_of(con, "select url from lake").to_pylist()]
            if found and found != [url]:
                raise LakeError(
                    f"the database {self.address} is the catalog of the lake '{found[0]}' already;"
                    " name another one by --catalog"
                )
            if not found:
                run(con, "insert into lake values ($1, 0)", [url])
            con.commit()

    def refuse_other_tables(self) -> None:
        """Raise LakeError unless the database has the tables of this version of the program."""
        with self._errors(), _connected(self) as con:
            have: dict[str, set[str]] = {}
            query = (
                "select table_name, column_name from information_schema.columns"
                " where table_schema = current_schema()"
            )
            for row in rows_of(con, query).to_pylist():
                have.setdefault(row["table_name"], set()).add(row["column_name"])
        shape = tables_without_rows()
        for table in TABLES:
            want = set(shape.sql(f"from {table}").columns)
            if lacking := sorted(want - have.get(table, set())):
                raise LakeError(
                    f"the catalog {self.address} was made by another version of unidino: its table"
                    f" {table} lacks {', '.join(lacking)}; use that version to copy the lake to a"
                    " folder, and this one to copy it back (`unidino lake copy`)"
                )

    @property
    def is_writable(self) -> bool:
        """Whether this user may write to the tables."""
        with self._errors(), self._mutex:
            query = "select has_table_privilege('plate', 'insert') as may"
            return bool(self._read(lambda con: rows_of(con, query)["may"][0].as_py()))

    @property
    def state(self) -> int:
        """Number of landings until now."""
        with self._errors(), self._mutex:
            return self._read(_landings)

    @contextmanager
    def reading(
        self, query: str | None = None, plates: Sequence[str] | None = None
    ) -> Iterator[Connection]:
        """A confined connection with copies of the tables that a query names."""
        with self._errors():
            cursor = self._cursor(query, plates)
        try:
            yield cursor
        finally:
            cursor.close()

    def _cursor(self, query: str | None, plates: Sequence[str] | None) -> Connection:
        with self._mutex:
            names = named_tables(tables_without_rows(), query)

            def load(con: Any) -> _Copies:
                number = _landings(con)
                copies = self._copies
                if copies is None or copies.number != number:
                    copies = _Copies(number, self._folder)
                for name in sorted(names):
                    copies.load(con, name, plates)
                return copies

            self._copies = self._read(load)
            cursor: Connection = stopping.interruptible(self._copies.con.cursor())
            return cursor

    def _read(self, action: Callable[[Any], T]) -> T:
        """What an action gives in a transaction that reads one state; once more if it is lost."""
        from adbc_driver_manager import Error

        for attempt in range(2):
            if self._reader is None:
                self._reader = self._connect()
            try:
                run(self._reader, "set transaction isolation level repeatable read, read only")
                found = action(self._reader)
                self._reader.rollback()
                return found
            except Error:
                lost, self._reader = self._reader, None
                with suppress(Error):
                    lost.close()
                if attempt:
                    raise
        raise AssertionError

    @contextmanager
    def landing(self) -> Iterator[PostgresLanding]:
        """A transaction; it waits for the landings of others."""
        from adbc_driver_manager import Error

        with self._errors(), _connected(self) as con:
            self._refuse_lost_claims()
            run(con, f"select pg_advisory_xact_lock({_LANDING})")
            yield PostgresLanding(con)
            run(con, "update lake set landings = landings + 1")
            try:
                con.commit()
            except Error as error:
                raise LakeError(
                    f"the connection to {self.address} was lost while results landed; run the"
                    " command again: it goes on where it stood"
                ) from error

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """A lock that ends with this process's connection; see `catalog.Catalog.lock`."""
        with self._errors(), _connected(self, autocommit=True) as con:
            take = "select pg_try_advisory_lock(hashtextextended($1, 0)) as held"
            held = bool(rows_of(con, take, [name])["held"][0].as_py())
            if wait and not held:
                log.info(f"waiting for another process, which holds the lock '{name}'")
            while wait and not held:
                time.sleep(0.2)
                stopping.check()
                held = bool(rows_of(con, take, [name])["held"][0].as_py())
            if held:
                self._claims.add(con)
            try:
                yield held
            finally:
                self._claims.discard(con)

    def _refuse_lost_claims(self) -> None:
        """Raise LakeError if a lock of this process has ended with its connection."""
        from adbc_driver_manager import Error

        for con in list(self._claims):
            try:
                run(con, "select 1")
            except Error as error:
                self._claims.discard(con)
                raise LakeError(
                    f"the connection to {self.address} was lost, and with it the lock under which"
                    " this command works; run it again: it goes on where it stood"
                ) from error

    def _connect(self, *, autocommit: bool = False) -> Any:
        """A connection; waits up to 30 s for a database that starts or is out of reach."""
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        deadline = time.monotonic() + _PATIENCE_S
        said = False
        while True:
            try:
                return dbapi.connect(self.address, autocommit=autocommit)
            except Error as error:
                reason = _reason(error)
                if _is_final(reason) or time.monotonic() > deadline:
                    raise LakeError(f"cannot open the catalog {self.address}: {reason}") from error
                if not said:
                    log.warning(f"waiting for the catalog {self.address}: {reason}")
                    said = True
                stopping.check()
                time.sleep(0.5)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """A block whose errors of the database become one line."""
        from adbc_driver_manager import Error

        try:
            yield
        except Error as error:
            raise LakeError(f"the catalog {self.address} says: {_reason(error)}") from error


class _Copies:
    """Copies of tables at one count of landings, in memory. con: the confined instance."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.con = duckdb.connect(":memory:", config=CONFIG)
        schema.create_tables(self.con)
        keep_within_limits(self.con)
        confine(self.con, [folder])
        self._plates: dict[str, set[str] | None] = {}  # None: of all

    def load(self, con: Any, table: str, plates: Sequence[str] | None) -> None:
        """Load a table, or the rows of plates of it, unless they are there."""
        if table not in BY_PLATE or plates is None or len(plates) > MOST_VALUES:
            if table not in self._plates or self._plates[table] is not None:
                self._insert(table, rows_of(con, f"select * from {table}"), anew=True)
                self._plates[table] = None
            return
        have = self._plates.setdefault(table, set())
        if have is None:
            return
        if wanted := sorted(set(plates) - have):
            self._insert(table, rows_of_plates(con, table, wanted), anew=False)
            have.update(wanted)

    def _insert(self, table: str, rows: pa.Table, *, anew: bool) -> None:
        if anew:
            self.con.execute(f"delete from {table}")
        insert_rows(self.con, table, rows)


def _definitions() -> Iterator[str]:
    """The statements of `schemas` as PostgreSQL takes them."""
    for text in assets.ddl():
        for statement in tables_without_rows().extract_statements(text):
            yield re.sub(r"\bdouble\b(?! precision)", "double precision", statement.query)


def _landings(con: Any) -> int:
    return int(rows_of(con, "select landings from lake")["landings"][0].as_py())


@contextmanager
def _connected(catalog: PostgresCatalog, *, autocommit: bool = False) -> Iterator[Any]:
    """A connection that is closed at the end; what was not committed is rolled back."""
    from adbc_driver_manager import Error

    con = catalog._connect(autocommit=autocommit)
    try:
        yield con
    finally:
        with suppress(Error):
            con.close()


def _reason(error: BaseException) -> str:
    """What a database says, as one line without a password."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    text = next((line for line in lines if "ERROR" in line or "FATAL" in line), lines[0])
    text = re.sub(r"^[A-Z_]+: |\[libpq\] |.*?(ERROR|FATAL): +", "", text)
    text = _PASSWORD.sub(r"\g<start>@", text)
    if "password" in text:
        text += "; set PGUSER and PGPASSWORD, or write the password to ~/.pgpass"
    return text


def _is_final(reason: str) -> bool:
    """Whether waiting will not mend why a database cannot be opened."""
    return any(
        word in reason
        for word in ("password", "does not exist", "no pg_hba", "permission denied", "role ")
    )
