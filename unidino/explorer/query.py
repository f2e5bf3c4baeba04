"""Queries that a user writes: their first rows, all of them as a file, and why one is refused.

A query sees the lake and nothing else: no other file, no setting of the program.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Timer
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.files import digest
from unidino.core.sql import Connection, read_only_statement
from unidino.core.text import cell, flat
from unidino.lake.lake import Lake

MOST_ROWS = 10_000
FORMATS = ("csv", "parquet")
_PATIENCE_S = 60.0
_BATCH = 50_000


@dataclass(frozen=True)
class Result:
    """The first rows of a query.

    num_rows: how many it has in all. token: names the query, so that all rows can be had as a file.
    """

    rows: pl.DataFrame
    num_rows: int
    token: str


def run_query(lake: Lake, query: str, *, most: int = MOST_ROWS) -> Result:
    """The first rows of one statement that only reads, and how many there are.

    Raises InputError if it writes, is not valid SQL, opens a file that is not the lake's or takes
    over a minute.
    """
    if not query.strip():
        raise InputError("write a query, or choose an example")
    with _patience(lake, query) as con:
        relation = con.sql(query)
        table = relation.limit(most + 1).pl() if _can_limit(query) else relation.pl()
        num_rows = len(table)
        if num_rows > most:
            (num_rows,) = relation.count("*").fetchall()[0]
        return Result(table.head(most), int(num_rows), digest(query))


def file_of(lake: Lake, query: str, kind: str) -> Iterator[bytes]:
    """All rows of a query as CSV (lists as JSON) or Parquet, piece by piece."""
    with _patience(lake, query) as con:
        reader = con.sql(query).to_arrow_reader(_BATCH)
        yield from _csv(reader) if kind == "csv" else _parquet(reader)


def _csv(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    empty: Any = pl.from_arrow(reader.schema.empty_table())
    yield flat(empty).write_csv().encode()
    for batch in reader:
        rows: Any = pl.from_arrow(batch)
        yield flat(rows).write_csv(include_header=False).encode()


def _parquet(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    buffer = io.BytesIO()
    written = 0
    with pq.ParquetWriter(buffer, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            yield buffer.getvalue()[written:]
            written = buffer.tell()
    yield buffer.getvalue()[written:]


@contextmanager
def _patience(lake: Lake, query: str) -> Iterator[Connection]:
    """A confined connection that runs the query for a minute at most."""
    with lake.confined() as con:
        read_only_statement(con, query)
        late = Event()

        def stop() -> None:
            late.set()
            con.interrupt()

        timer = Timer(_PATIENCE_S, stop)
        timer.daemon = True
        timer.start()
        try:
            yield con
        except (duckdb.Error, pa.ArrowException) as error:
            line = str(error).strip().splitlines()[0]
            if late.is_set():
                line = f"stopped after {_PATIENCE_S:.0f} s; ask for less, or use `unidino sql`"
            raise InputError(line) from error
        finally:
            timer.cancel()


def _can_limit(query: str) -> bool:
    return query.lstrip().lower().startswith(("select", "from", "with", "values", "("))


def shown(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values for a table: numbers as they are, long vectors abbreviated."""
    columns = [
        [_plain(v) for v in column.to_list()]
        if column.dtype.is_numeric()
        else [cell(v) for v in column.to_list()]
        for column in rows.iter_columns()
    ]
    names = [f"c{i}" for i in range(rows.width)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    """A number that JSON can hold, to six digits: the files have all of them."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else cell(value)


def examples() -> dict[str, str]:
    """Queries to start from, by the question that each answers."""
    found = {}
    for name in assets.names("examples"):
        text = assets.sql("examples", name)
        lines = text.splitlines()
        code = [line for line in lines if not line.startswith("--")]
        found[lines[0].removeprefix("--").strip()] = "\n".join(code)
    return found
