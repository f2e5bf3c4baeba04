"""Tables of metadata: read as text, renamed to the manifest's columns, joined."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from unidino.core import assets
from unidino.core.clean import clean_texts
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, literal_path, quoted, sql_error
from unidino.plates.text_files import create_from_text

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet")
_KEY_FIRST = (("plate", "well"), ("well",), ("plate",))
PROBLEM = "_problem"  # column of what a reader found wrong with a row
MEASUREMENT = "_measurement"  # column of the place of a row's measurement
_PLACE = ("_line", "_file", PROBLEM, MEASUREMENT)  # columns that say where a row came from
_SHOWN = 5


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a CSV, TSV or Parquet table."""
    return path.name.lower().endswith(_TABLE_SUFFIXES)


def stem(path: Path) -> str:
    """Name of a table file without its endings."""
    return re.sub(
        r"\.(csv|tsv|txt|parquet|arrow|feather|h5ad)(\.gz)?$", "", path.name, flags=re.IGNORECASE
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
        query = (
            "select columns(*)::varchar, row_number() over () + 1 as _line from read_parquet($path,"
            " hive_partitioning = false)"
        )
        try:
            con.execute(
                f"create or replace table {quoted(name)} as {query}", {"path": literal_path(path)}
            )
        except duckdb.Error as error:
            raise InputError(f"cannot read the table '{path}': {sql_error(error)}") from error
    else:
        create_from_text(con, name, path)
    given = columns(con, name)
    clean_texts(con, name, verbatim={c for c in given if c.lower() == "path"})
    some = f"coalesce({', '.join(map(quoted, given))}) is not null" if given else "true"
    con.execute(
        f"create or replace table {quoted(name)} as select *, $path as _file from {quoted(name)}"
        f" where {some}",
        {"path": str(path)},
    )


def bare_name(column: str) -> str:
    """The name of a column in lower case, without the prefix Metadata_."""
    return re.sub(r"^(image_)?metadata_", "", column.strip().lower())


def columns(con: Connection, table: str) -> list[str]:
    """Names of a table's columns, without those that say where a row came from."""
    names = [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
    return [name for name in names if name not in _PLACE]


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


def join(con: Connection, table: str, joined: str, name: str) -> str:
    """Join a table of metadata to a table of images; returns a line that says what matched.

    The key is plate and well, else well, else plate, else every column that both tables have.
    Values of the joined table replace those of the images. name: of the file of the joined table.
    Raises InputError if the tables share no column, or if two joined rows have the same key.
    """
    have, new = columns(con, table), columns(con, joined)
    keys = _join_keys(have, new, name)
    for side in (table, joined):
        if "well" in keys:
            con.execute(f"update {quoted(side)} set well = well_or_text(well)")
        for key in set(keys) & _numbers():  # 0.3 and 0.300 are the same key
            column = quoted(key)
            con.execute(
                f"update {quoted(side)} set {column} ="
                f" coalesce(try_cast({column} as double)::varchar, {column})"
            )
    _refuse_repeated_keys(con, joined, keys, name)
    gives = [c for c in new if c not in keys]
    on = " and ".join(f"t.{quoted(k)} is not distinct from j.{quoted(k)}" for k in keys)
    kept = [f"t.{quoted(c)}" for c in have if c not in gives]
    given = [
        f"coalesce(j.{quoted(c)}, t.{quoted(c)}) as {quoted(c)}" if c in have else f"j.{quoted(c)}"
        for c in gives
    ]
    places = [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
    kept += [f"t.{quoted(c)}" for c in places if c in _PLACE]
    note = _match_report(con, table, joined, keys, name)
    con.execute(
        f"create table merged as select {', '.join(kept + given)}"
        f" from {quoted(table)} t left join {quoted(joined)} j on {on}"
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table merged rename to {quoted(table)}")
    return note


def _numbers() -> set[str]:
    """Columns of the manifest whose numbers may have a fraction."""
    properties = assets.manifest_schema()["properties"]
    return {name for name, rule in properties.items() if rule["type"] == "number"}


def _join_keys(have: list[str], new: list[str], name: str) -> list[str]:
    shared = [c for c in new if c in have]
    for candidate in _KEY_FIRST:
        if set(candidate) <= set(shared):
            return list(candidate)
    if not shared:
        raise InputError(
            f"'{name}' shares no column with the images; it has {', '.join(new)};"
            f" the images have {', '.join(have)}"
        )
    return shared


def _refuse_repeated_keys(con: Connection, joined: str, keys: list[str], name: str) -> None:
    key_list = ", ".join(map(quoted, keys))
    twice = first_row(
        con,
        f"select {key_list}, min(_line), max(_line) from {quoted(joined)} group by {key_list}"
        " having count(*) > 1 order by all limit 1",
    )
    if twice:
        values = ", ".join(f"{k} {v}" for k, v in zip(keys, twice, strict=False))
        raise InputError(
            f"'{name}' has two rows for {values} (lines {twice[-2]} and {twice[-1]});"
            " leave one row for each"
        )


def _match_report(con: Connection, table: str, joined: str, keys: list[str], name: str) -> str:
    """A line: how many keys of the images have a row, which have none, how many rows are unused."""
    key_list = ", ".join(map(quoted, keys))
    distinct = f"(select distinct {key_list} from {quoted(table)})"
    num_keys = first_row(con, f"select count(*) from {distinct}")[0]
    unmatched = con.execute(
        f"select * from {distinct} t where not exists (from {quoted(joined)} j where "
        + " and ".join(f"t.{quoted(k)} is not distinct from j.{quoted(k)}" for k in keys)
        + ") order by all"
    ).fetchall()
    unused = first_row(
        con,
        f"select count(*) from {quoted(joined)} j where not exists (from {quoted(table)} t where "
        + " and ".join(f"t.{quoted(k)} is not distinct from j.{quoted(k)}" for k in keys)
        + ")",
    )[0]
    shown = "; ".join(" ".join(str(v) for v in key) for key in unmatched[:_SHOWN])
    more = f" and {len(unmatched) - _SHOWN} more" if len(unmatched) > _SHOWN else ""
    return (
        f"{name}: joined by {', '.join(keys)}; {num_keys - len(unmatched)} of {num_keys} matched,"
        f" {unused} rows not used" + (f"; nothing for {shown}{more}" if unmatched else "")
    )
