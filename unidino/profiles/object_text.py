"""CSV files with a row a cell, written to Parquet with the types of their columns."""

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from unidino.core.account import Account, number_of
from unidino.core.errors import InputError
from unidino.core.sql import Connection, literal_path

_ROWS = 20_000
_HEAD = 2000  # rows that show how numbers are written
_DECIMAL_COMMA = re.compile(r"[-+]?\d*(,\d+)?([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
_MISSING = "['', 'nan', 'NaN', 'NA', 'N/A', 'null', 'NULL', 'None']"


def write_csv(con: Connection, files: Sequence[Path], target: Path, account: Account) -> None:
    """Write CSV files with their types to one Parquet file, with the column `filename`.

    Commas are decimal points if values of a column show it, as in exports of many countries.
    """
    whole = [file for file in files if file.stat().st_size]
    if not whole:
        raise InputError(f"'{files[0]}' is empty")
    # A file of one row is too short for DuckDB to find its separator.
    query = (
        "from read_csv($files, union_by_name = true, filename = true, sample_size = -1,"
        f" header = true, delim = $delim, decimal_separator = $point, nullstr = {_MISSING})"
    )
    of_files = {"files": [literal_path(f) for f in whole], "delim": _separator(whole[0])}
    rows = con.sql(query, params=of_files | {"point": "."})
    if of_files["delim"] != "," and (commas := _with_decimal_commas(rows)):
        rows = con.sql(query, params=of_files | {"point": ","})
        account.say("numbers", f"decimal commas in {number_of(len(commas), 'column')}")
    rows.write_parquet(str(target), compression="zstd", row_group_size=_ROWS)


def _with_decimal_commas(rows: Any) -> list[str]:
    """Columns whose first values are numbers with a comma, if that cannot be one of thousands."""
    texts = [c for c, kind in zip(rows.columns, rows.types, strict=True) if str(kind) == "VARCHAR"]
    if not texts:
        return []
    head = rows.select(*map(duckdb.ColumnExpression, texts)).limit(_HEAD).pl()
    found = []
    for name in texts:
        values = [str(v).strip() for v in head[name].drop_nulls().to_list()]
        commas = [v for v in values if "," in v]
        are_numbers = commas and all(_DECIMAL_COMMA.fullmatch(v) for v in values)
        if are_numbers and not all(_THOUSANDS.fullmatch(v) for v in commas):
            found.append(name)
    return found


def _separator(file: Path) -> str:
    """The separator that is most frequent in the first line of a file."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", errors="replace") as lines:
        head = lines.readline()
    return max(",;\t|", key=head.count)
