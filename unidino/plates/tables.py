"""Tables of metadata: read as text, renamed to the manifest's columns, joined."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet")
_KEY_FIRST = (("plate", "well"), ("well",), ("plate",))
_OWN = ("_line", "_file")  # where a row came from: number of the line, path of the file
_SHOWN = 5


def is_table(path: Path) -> bool:
    """Whether the file is a CSV, TSV or Parquet table by its name."""
    return path.name.lower().endswith(_TABLE_SUFFIXES)


def stem(path: Path) -> str:
    """Name of a table file without its endings."""
    return re.sub(
        r"\.(csv|tsv|txt|parquet|arrow|feather|h5ad)(\.gz)?$", "", path.name, flags=re.IGNORECASE
    )


def load(con: Connection, name: str, paths: Sequence[Path]) -> None:
    """Create a table of text columns from CSV, TSV or Parquet files, each row with its place.

    Columns that only some of the files have are empty for the others.
    Raises InputError if a file is missing or no table.
    """
    con.execute(f"drop table if exists {quoted(name)}")
    for path in paths:
        if not path.is_file():
            raise InputError(f"no such table: '{path}'")
        if not is_table(path):
            raise InputError(f"'{path}' is no table; expected one of {', '.join(_TABLE_SUFFIXES)}")
        if path.suffix == ".parquet":
            source = "read_parquet($path)"
        else:
            source = (
                "read_csv($path, all_varchar = true, header = true, nullstr = ['', 'NA', 'nan'])"
            )
        rows = (
            "select columns(*)::varchar, row_number() over () + 1 as _line, $path as _file"
            f" from {source}"
        )
        try:
            if path == paths[0]:
                con.execute(f"create table {quoted(name)} as {rows}", {"path": str(path)})
            else:
                con.execute(f"create table more as {rows}", {"path": str(path)})
                con.execute(f"alter table {quoted(name)} rename to first")
                con.execute(
                    f"create table {quoted(name)} as from first union all by name from more"
                )
                con.execute("drop table first")
                con.execute("drop table more")
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"cannot read the table '{path}': {reason}") from error


def run_select(con: Connection, name: str, query: str, layout: str) -> None:
    """Create a table from a layout's SELECT.

    Raises InputError that names the table or column that it lacks.
    """
    try:
        con.execute(f"create table {quoted(name)} as {query}")
    except duckdb.CatalogException as error:
        missing = re.search(r"Table with name (\S+) does not exist", str(error))
        if not missing:
            raise InputError(f"layout {layout}: {str(error).splitlines()[0]}") from error
        have = ", ".join(sorted(row[0] for row in con.execute("show tables").fetchall()))
        raise InputError(
            f"layout {layout} needs the table {missing[1]}; put {missing[1]}.csv in the folder or"
            f" pass it with --metadata (tables found: {have or 'none'})"
        ) from error
    except duckdb.BinderException as error:
        missing = re.search(r'column "([^"]+)"', str(error), re.IGNORECASE)
        what = f"needs the column {missing[1]}" if missing else str(error).splitlines()[0]
        raise InputError(f"layout {layout} {what}, which its tables lack") from error
    except duckdb.Error as error:
        raise InputError(f"layout {layout}: {str(error).strip().splitlines()[0]}") from error


def columns(con: Connection, table: str) -> list[str]:
    """Names of a table's columns, without those that say where a row came from."""
    names = [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
    return [name for name in names if name not in _OWN]


def text_table(rows: Sequence[Mapping[str, str | None]]) -> pa.Table:
    """Rows of text as a table that has every column that some row has."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    )


def rename_to_manifest(con: Connection, table: str) -> None:
    """Rename columns that mean a manifest column: by case, `Metadata_` prefix or known alias."""
    meaning = {}
    for name, rule in assets.manifest_schema()["properties"].items():
        for alias in (name, *rule.get("aliases", ())):
            meaning[alias] = name
    present = set(columns(con, table))
    for column in columns(con, table):
        key = re.sub(r"^(image_)?metadata_", "", column.strip().lower())
        canonical = meaning.get(key)
        if canonical and canonical != column and canonical not in present:
            con.execute(
                f"alter table {quoted(table)} rename column {quoted(column)} to {quoted(canonical)}"
            )
            present = (present - {column}) | {canonical}


def join(con: Connection, table: str, joined: str, name: str) -> str:
    """Join a table of metadata and say what matched; what it gives replaces what was there.

    It joins by plate and well, by well, by plate, or else by every column that both have.
    name: of the table's file. Raises InputError if nothing is shared, or two rows have one key.
    """
    have, new = columns(con, table), columns(con, joined)
    keys = _join_keys(have, new, name)
    for side in (table, joined):
        if "well" in keys:
            con.execute(f"update {quoted(side)} set well = canonical_well(well)")
        for key in set(keys) & _numbers():  # 0.3 is 0.300
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
    kept += [f"t.{quoted(c)}" for c in places if c in _OWN]
    note = _match_report(con, table, joined, keys, name)
    con.execute(
        f"create table merged as select {', '.join(kept + given)}"
        f" from {quoted(table)} t left join {quoted(joined)} j on {on}"
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table merged rename to {quoted(table)}")
    return note


def _numbers() -> set[str]:
    """Columns of the manifest that hold numbers with a fraction."""
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
    """How many keys of the images found a row, which did not, and how many rows were not used."""
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
