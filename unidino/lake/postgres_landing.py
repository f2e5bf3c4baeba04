"""Landings in a PostgreSQL catalog."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from unidino.core.sql import CONFIG, Connection, quoted, table_of
from unidino.lake import schema
from unidino.lake.catalog import BY_PLATE, Rows
from unidino.lake.postgres_rows import (
    MOST_VALUES,
    insert_rows,
    rows_of,
    rows_of_plates,
    run,
    tables_without_rows,
)


class PostgresLanding:
    """A transaction of a database. con: its connection."""

    def __init__(self, con: Any) -> None:
        self._con = con
        self._seen: Connection | None = None

    def put(self, table: str, rows: Rows, *, instead_of: str | None = None) -> None:
        """Insert rows; see `catalog.Landing`."""
        given = table_of(rows)
        if not len(given):
            return
        if instead_of is not None:
            values = pc.unique(given[instead_of]).to_pylist()
            self.forget(table, instead_of, values)
        typed = _typed(table, given)
        if not any(pa.types.is_list(kind) for kind in typed.schema.types):
            with self._con.cursor() as cursor:
                cursor.adbc_ingest(table, typed, mode="append")
            return
        # An array is written as text[], which only a cast makes a varchar[] of.
        with self._con.cursor() as cursor:
            cursor.adbc_ingest("_given", typed, mode="create", temporary=True)
        kinds = {
            row["column_name"]: row["kind"]
            for row in rows_of(
                self._con,
                "select attname::text as column_name, format_type(atttypid, atttypmod) as kind"
                " from pg_attribute where attrelid = $1::regclass and attnum > 0",
                [table],
            ).to_pylist()
        }
        names = ", ".join(map(quoted, typed.column_names))
        cast = ", ".join(f"{quoted(name)}::{kinds[name]}" for name in typed.column_names)
        run(self._con, f"insert into {table} ({names}) select {cast} from _given")
        run(self._con, "drop table _given")

    def forget(self, table: str, column: str, values: Sequence[str]) -> None:
        """Delete rows; see `catalog.Landing`."""
        for start in range(0, len(values), MOST_VALUES):
            some = list(values[start : start + MOST_VALUES])
            places = ", ".join(f"${i + 1}" for i in range(len(some)))
            run(self._con, f"delete from {table} where {quoted(column)} in ({places})", some)

    def clear(self, table: str) -> None:
        """Delete every row of a table."""
        run(self._con, f"delete from {quoted(table)}")

    def next_number(self) -> int:
        """The number of the next run; see `catalog.Landing`."""
        query = "select coalesce(max(number), 0) + 1 as number from run"
        return int(rows_of(self._con, query)["number"][0].as_py())

    @contextmanager
    def tables(
        self, names: Sequence[str], plates: Sequence[str] | None = None
    ) -> Iterator[Connection]:
        """Copies of the tables as this transaction sees them; see `catalog.Landing`."""
        con = duckdb.connect(":memory:", config=CONFIG)
        try:
            schema.create_tables(con)
            for name in names:
                is_part = plates is not None and name in (*BY_PLATE, "file")
                rows = (
                    rows_of_plates(self._con, name, list(plates or ()))
                    if is_part
                    else rows_of(self._con, f"select * from {name}")
                )
                insert_rows(con, name, rows)
            yield con
        finally:
            con.close()


def _typed(table: str, rows: pa.Table) -> pa.Table:
    """Rows with all columns of a table, in its types; texts of JSON are plain texts.

    Raises duckdb.ConstraintException for rows that the table would not take.
    """
    con = tables_without_rows()
    columns = ", ".join(
        f"{quoted(name)}::varchar as {quoted(name)}" if kind == "JSON" else quoted(name)
        for name, kind, *_ in con.execute(f"describe {table}").fetchall()
    )
    con.execute("begin")
    try:
        insert_rows(con, table, rows)
        return con.sql(f"select {columns} from {table}").to_arrow_table()
    finally:
        con.execute("rollback")
