"""Tables of metadata, read as text."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from unidino.core.clean import clean_texts, say_spreadsheet_errors
from unidino.core.errors import InputError
from unidino.core.sql import Connection, literal_path, quoted, sql_error
from unidino.plates.grids import unfold
from unidino.plates.reserved import MEASUREMENT as MEASUREMENT
from unidino.plates.reserved import PLACE, free_names
from unidino.plates.reserved import PROBLEM as PROBLEM
from unidino.plates.text_files import create_from_text

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet")


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a CSV, TSV or Parquet table."""
    return path.name.lower().endswith(_TABLE_SUFFIXES)


def stem(path: Path) -> str:
    """Name of a table file without its endings."""
    return re.sub(
        r"\.(csv|tsv|txt|parquet|arrow|feather|h5ad|sqlite3?|db)(\.gz)?$",
        "",
        path.name,
        flags=re.IGNORECASE,
    )


def load(con: Connection, name: str, paths: Sequence[Path]) -> None:
    """Create a table of text columns from CSV, TSV or Parquet files.

    Each row has its place: `_line` and `_file`. A column that a file lacks is NULL in its rows.
    Raises InputError if a file is missing or is not a table.
    """
    con.execute(f"drop table if exists {quoted(name)}")
    for path in paths:
        if not path.is_file():
            raise InputError(f"no such table: '{path}'")
        if not is_table(path):
            raise InputError(
                f"'{path}' is not a table; expected one of {', '.join(_TABLE_SUFFIXES)}"
            )
        first = path == paths[0]
        _create(con, name if first else "more", path)
        if not first:
            con.execute(f"alter table {quoted(name)} rename to first")
            con.execute(f"create table {quoted(name)} as from first union all by name from more")
            con.execute("drop table first")
            con.execute("drop table more")


def _create(con: Connection, name: str, path: Path) -> None:
    """Create a table from one file, with its texts as they are kept; see `clean_texts`."""
    if path.suffix.lower() == ".parquet":
        at = {"path": literal_path(path)}
        source = "read_parquet($path, hive_partitioning = false)"
        try:
            names = [c for c, *_ in con.execute(f"describe from {source}", at).fetchall()]
            titles = ", ".join(
                f"{quoted(c)}::varchar as {quoted(title)}"
                for c, title in zip(names, free_names(names, path), strict=True)
            )
            con.execute(
                f"create or replace table {quoted(name)} as select {titles},"
                f" row_number() over () + 1 as _line from {source}",
                at,
            )
        except duckdb.Error as error:
            raise InputError(f"cannot read the table '{path}': {sql_error(error)}") from error
    else:
        create_from_text(con, name, path)
        unfold(con, name, path)
    given = columns(con, name)
    errors = clean_texts(con, name, verbatim={c for c in given if c.lower() == "path"})
    say_spreadsheet_errors(errors, path.name)
    some = f"coalesce({', '.join(map(quoted, given))}) is not null" if given else "true"
    con.execute(
        f"create or replace table {quoted(name)} as select *, $path as _file from {quoted(name)}"
        f" where {some}",
        {"path": str(path)},
    )


def bare_name(column: str) -> str:
    """The name of a column in lower case, without the prefix Metadata_."""
    return re.sub(r"^(image_)?metadata_", "", column.strip().lower())


def key_of(column: str) -> str:
    """The name of a column as it is compared: in lower case, without prefix, blanks and signs."""
    return re.sub(r"[\s_.-]", "", bare_name(column))


def columns(con: Connection, table: str) -> list[str]:
    """Names of a table's columns, without those that say where a row came from."""
    return [name for name in con.table(quoted(table)).columns if name not in PLACE]


def text_table(rows: Sequence[Mapping[str, str | None]]) -> pa.Table:
    """Rows of text as a table with every column that a row has.

    Raises InputError if a text is the name of a file in bytes that are no UTF-8.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return pa.table(
            {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
        )
    except UnicodeEncodeError as error:
        shown = error.object.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise InputError(
            f"the name '{shown}' is not in UTF-8; rename the file or folder"
        ) from error
