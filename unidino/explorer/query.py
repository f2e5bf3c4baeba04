"""Queries that a user writes on the page: their first rows, and all rows as a file."""

import errno
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.columns import for_people
from unidino.core.errors import InputError
from unidino.core.files import digest
from unidino.core.formats import csv_frames
from unidino.core.spreadsheets import guarded
from unidino.core.text import cell
from unidino.core.user_sql import asked
from unidino.lake.lake import Lake

MOST_ROWS = 10_000
FORMATS = ("csv", "parquet")
_PATIENCE_S = 60.0
_BATCH = 50_000


@dataclass(frozen=True)
class Result:
    """The first rows of a query.

    num_rows: number of all its rows. token: identifies the query in links to files of all rows.
    """

    rows: pl.DataFrame
    num_rows: int
    token: str


def run_query(lake: Lake, query: str) -> Result:
    """The first rows of one statement that only reads, and how many rows it has.

    Raises InputError if it writes, is not valid SQL, opens a file outside the lake or takes over a
    minute.
    """
    if not query.strip():
        raise InputError("write a query, or choose an example")
    with lake.confined() as con, asked(con, query, patience_s=_PATIENCE_S) as relation:
        rows = for_people(relation)
        table = rows.limit(MOST_ROWS + 1).pl() if _can_limit(query) else rows.pl()
        num_rows = len(table)
        if num_rows > MOST_ROWS:
            (num_rows,) = relation.count("*").fetchall()[0]
        return Result(table.head(MOST_ROWS), int(num_rows), digest(query))


def file_of(lake: Lake, query: str, kind: str) -> Iterator[bytes]:
    """All rows of a query as CSV or Parquet, piece by piece; errors as above.

    CSV has lists as JSON, and an apostrophe before texts that a spreadsheet would compute.
    """
    with lake.confined() as con, asked(con, query, patience_s=_PATIENCE_S) as relation:
        if kind == "csv":
            for number, rows in enumerate(csv_frames(relation)):
                yield guarded(rows).write_csv(include_header=number == 0).encode()
        else:
            yield from _parquet(relation.to_arrow_reader(_BATCH))


def write_file(lake: Lake, query: str, kind: str, path: Path) -> None:
    """Write all rows of a query to a file; arguments and errors as of `file_of`."""
    try:
        with path.open("wb") as file:
            for piece in file_of(lake, query, kind):
                file.write(piece)
    except OSError as error:
        reason = "it is too large" if error.errno == errno.EFBIG else error.strerror
        raise InputError(f"the file cannot be written ({reason}); select fewer rows") from error


def _parquet(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    buffer = io.BytesIO()
    written = 0
    with pq.ParquetWriter(buffer, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            yield buffer.getvalue()[written:]
            written = buffer.tell()
    yield buffer.getvalue()[written:]


def _can_limit(query: str) -> bool:
    return query.lstrip().lower().startswith(("select", "from", "with", "values", "("))


def shown(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as values of the table: numbers, and other values as short text.

    Columns are named c0, c1, ..., since names in SQL may contain any character.
    """
    columns = [
        [_plain(v) for v in column.to_list()]
        if column.dtype.is_numeric()
        else [cell(v) for v in column.to_list()]
        for column in rows.iter_columns()
    ]
    names = [f"c{i}" for i in range(rows.width)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    """A number to six digits, or text if JSON cannot hold it; the files have all digits."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else cell(value)


def examples() -> dict[str, str]:
    """Example queries by the question that each answers."""
    queries = {}
    for name in assets.names("examples"):
        text = assets.sql("examples", name)
        lines = text.splitlines()
        code = [line for line in lines if not line.startswith("--")]
        queries[lines[0].removeprefix("--").strip()] = "\n".join(code)
    return queries
