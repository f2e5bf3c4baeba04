"""Files of wide tables, as Arrow tables: CSV, TSV, Parquet, Arrow and AnnData."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.spreadsheets import unguarded
from unidino.core.sql import Connection
from unidino.core.text import first_line
from unidino.plates.reserved import free_names
from unidino.plates.text_files import create_from_text
from unidino.profiles.anndata_files import read_anndata

_ANNDATA = (".h5ad", ".zarr")
SUFFIXES = (
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".txt",
    ".parquet",
    ".arrow",
    ".feather",
    *_ANNDATA,
)


class WideFile(NamedTuple):
    """A file as a table. index_columns: those that are the index of a pandas frame."""

    path: Path
    table: pa.Table
    index_columns: set[str]


def read_table(con: Connection, path: Path, layer: str | None = None) -> WideFile:
    """The table of a file.

    A column of vectors becomes a column for each entry. layer: matrix of an AnnData file.
    Raises InputError if the file cannot be read, has no rows, or has two columns of one name.
    """
    name = path.name.lower()
    if not (path.is_dir() if name.endswith(".zarr") else path.is_file()):
        raise InputError(f"no such table: '{path}'")
    if not name.endswith(SUFFIXES):
        raise InputError(f"cannot read '{path}'; its name must end in one of {', '.join(SUFFIXES)}")
    if layer is not None and not name.endswith(_ANNDATA):
        raise InputError(
            f"--layer names a matrix of an AnnData file (.h5ad, .zarr), not of '{path}'"
        )
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"'{path}' is empty")
    try:
        if name.endswith(_ANNDATA):
            table = read_anndata(path, layer)
        elif name.endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                _refuse_twins(file.schema_arrow.names, path)
                table = file.read()
        elif name.endswith((".arrow", ".feather")):
            table = pyarrow.feather.read_table(path)
        else:
            create_from_text(con, "_text", path, number_twins=True)
            table = con.sql("select * exclude (_line) from _text").to_arrow_table()
            con.execute("drop table _text")
            table = _without_guards(table, path)
    except (OSError, ValueError, KeyError, pa.ArrowException, duckdb.Error) as error:
        reason = first_line(error)
        raise InputError(f"cannot read the table '{path}': {reason}") from error
    _refuse_twins(table.column_names, path)
    table = table.rename_columns(free_names(table.column_names, path))
    if not table.num_columns:
        raise InputError(f"'{path}' has no columns")
    if not table.num_rows:
        raise InputError(f"'{path}' has no rows, only the names of {table.num_columns} columns")
    spread = _spread(table)
    _refuse_twins(spread.column_names, path)
    return WideFile(path, spread, _pandas_index(table))


def _without_guards(table: pa.Table, path: Path) -> pa.Table:
    """The table without the apostrophes that keep spreadsheets from computing its texts."""
    for at, field in enumerate(table.schema):
        if not pa.types.is_string(field.type) or not pc.any(pc.starts_with(table[at], "'")).as_py():
            continue
        rows, names = unguarded(pl.DataFrame({"text": table[at]}))
        if names:
            log.info(
                f"'{path.name}', column {field.name}: texts such as '=1 lose the apostrophe that"
                " keeps a spreadsheet from computing them"
            )
            table = table.set_column(at, field, rows["text"].to_arrow().cast(field.type))
    return table


def _refuse_twins(names: list[str], path: Path) -> None:
    for name, num in Counter(names).items():
        if num > 1:
            raise InputError(f"'{path}' has {num} columns named '{name}'; rename them")


def _pandas_index(table: pa.Table) -> set[str]:
    """Columns that pandas wrote of the index of a frame."""
    told = (table.schema.metadata or {}).get(b"pandas")
    if told is None:
        return set()
    try:
        columns = json.loads(told).get("index_columns", [])
    except (ValueError, AttributeError):
        return set()
    return {c for c in columns if isinstance(c, str)}


def _spread(table: pa.Table) -> pa.Table:
    """The table, with a column of vectors replaced by a column for each entry."""
    names: list[str] = []
    columns: list[Any] = []
    for column in table.column_names:
        kind = table[column].type
        if pa.types.is_dictionary(kind):
            names.append(column)
            columns.append(table[column].cast(kind.value_type))
        elif not (
            pa.types.is_list(kind)
            or pa.types.is_fixed_size_list(kind)
            or pa.types.is_large_list(kind)
        ) or not is_number(kind.value_type):
            names.append(column)
            columns.append(table[column])
        else:
            lengths = pc.list_value_length(table[column]).unique().to_pylist()
            if len(lengths) != 1 or lengths[0] is None:
                raise InputError(f"the vectors of column '{column}' have different lengths")
            for i in range(lengths[0]):
                names.append(f"{column}_{i}")
                columns.append(pc.list_element(table[column], i))
    return pa.table(columns, names=names)


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
