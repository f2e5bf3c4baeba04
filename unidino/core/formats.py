"""Rows of an answer of DuckDB as CSV, JSON, Parquet and Arrow.

CSV holds lists, structs and maps as JSON. JSON has no NaN and no infinity: they become null. Types
that a format lacks are text, in DuckDB's words; see `core.columns`.
"""

import io
import json
import re
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyRelation

from unidino.core.columns import for_csv, for_json, is_nested
from unidino.core.errors import InputError

_BATCH = 50_000
# A constant text, which stays as it is, or a number that JSON lacks.
_TEXT_OR_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")


def csv_frames(answer: DuckDBPyRelation) -> Iterator[pl.DataFrame]:
    """The rows as frames that CSV holds; the first has the columns and no row."""
    nested = [
        name for name, kind in zip(answer.columns, answer.types, strict=True) if is_nested(kind)
    ]
    reader = for_csv(answer).to_arrow_reader(_BATCH)
    yield pl.DataFrame(reader.schema.empty_table())
    for batch in reader:
        rows = pl.DataFrame(pa.Table.from_batches([batch]))
        yield rows.with_columns(
            pl.Series(name, map(_valid, rows[name]), pl.String) for name in nested
        )


def json_objects(answer: DuckDBPyRelation) -> Iterator[str]:
    """One JSON object for each row, in ASCII and without line ends."""
    names = [json.dumps(name) for name in answer.columns]
    for batch in for_json(answer).to_arrow_reader(_BATCH):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            pairs = zip(names, row, strict=True)
            yield f"{{{', '.join(f'{name}: {_ascii(_valid(value))}' for name, value in pairs)}}}"


def parquet(answer: DuckDBPyRelation) -> bytes:
    """A Parquet file.

    Raises InputError with the name and type of a column that Parquet cannot hold.
    """
    table = answer.to_arrow_table()
    try:
        return _parquet(table)
    except pa.ArrowException:
        for column, kind in zip(table.schema, answer.types, strict=True):
            try:
                _parquet(table.select([column.name]))
            except pa.ArrowException as error:
                raise InputError(
                    f"column '{column.name}' has the type {kind}, which Parquet cannot hold"
                    f" ({error}); cast it, or leave it out"
                ) from error
        raise


def arrow(answer: DuckDBPyRelation) -> bytes:
    """A stream of Arrow IPC."""
    table = answer.to_arrow_table()
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _valid(text: str | None) -> str | None:
    """JSON text with null for NaN and infinity."""
    if text is None or not ("NaN" in text or "Infinity" in text):
        return text
    return _TEXT_OR_NO_NUMBER.sub(lambda found: found[0] if found[0][0] == '"' else "null", text)


def _ascii(text: str | None) -> str:
    """JSON text with escapes for what is not ASCII."""
    if text is None:
        return "null"
    return text if text.isascii() else _BEYOND_ASCII.sub(lambda c: json.dumps(c[0])[1:-1], text)
