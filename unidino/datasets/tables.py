"""Tables of metadata: read as text, renamed to the manifest's columns, joined, typed, checked."""

import re
from pathlib import Path

import duckdb

from unidino import assets
from unidino.catalog import Connection, first_row, quoted
from unidino.errors import InputError

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet")
_KEY_FIRST = (("plate", "well"), ("well",), ("plate",))


def is_table(path: Path) -> bool:
    """Whether the file is a CSV, TSV or Parquet table by its name."""
    return path.name.lower().endswith(_TABLE_SUFFIXES)


def stem(path: Path) -> str:
    """Name of a table file without its endings."""
    return re.sub(r"\.(csv|tsv|txt|parquet)(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def load(con: Connection, name: str, path: Path) -> None:
    """Create a table of text columns from a CSV, TSV or Parquet file, with its line numbers.

    Raises InputError if the file is missing or no table.
    """
    if not path.is_file():
        raise InputError(f"no such table: '{path}'")
    if not is_table(path):
        raise InputError(f"'{path}' is no table; expected one of {', '.join(_TABLE_SUFFIXES)}")
    if path.suffix == ".parquet":
        source = "read_parquet($path)"
    else:
        source = "read_csv($path, all_varchar = true, header = true, nullstr = ['', 'NA', 'nan'])"
    try:
        con.execute(
            f"create or replace table {quoted(name)} as"
            f" select columns(*)::varchar, row_number() over () + 1 as _line from {source}",
            {"path": str(path)},
        )
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
    """Names of a table's columns."""
    return [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]


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


def join(con: Connection, table: str, path: Path) -> str:
    """Join a table of metadata and say what matched; what it gives replaces what was there.

    It joins by plate and well, by well, by plate, or else by every column it shares.
    Raises InputError if it shares none, or has two rows for one key.
    """
    load(con, "joined", path)
    rename_to_manifest(con, "joined")
    have = [c for c in columns(con, table) if c != "_line"]
    new = [c for c in columns(con, "joined") if c != "_line"]
    shared = [c for c in new if c in have]
    for candidate in _KEY_FIRST:
        if set(candidate) <= set(shared):
            keys = list(candidate)
            break
    else:
        keys = shared
    if not keys:
        raise InputError(
            f"'{path}' shares no column with the images; it has {', '.join(new)};"
            f" the images have {', '.join(have)}"
        )
    for side in (table, "joined"):
        if "well" in keys:
            con.execute(f"update {quoted(side)} set well = {_CANONICAL_WELL}")
    key_list = ", ".join(map(quoted, keys))
    twice = first_row(
        con,
        f"select {key_list}, min(_line), max(_line) from joined group by {key_list}"
        " having count(*) > 1 order by all limit 1",
    )
    if twice:
        values = ", ".join(f"{k} {v}" for k, v in zip(keys, twice, strict=False))
        raise InputError(
            f"'{path}' has two rows for {values} (lines {twice[-2]} and {twice[-1]});"
            " leave one row for each"
        )
    gives = [c for c in new if c not in keys]
    on = " and ".join(f"t.{quoted(k)} is not distinct from j.{quoted(k)}" for k in keys)
    kept = [f"t.{quoted(c)}" for c in have if c not in gives]
    given = [
        f"coalesce(j.{quoted(c)}, t.{quoted(c)}) as {quoted(c)}" if c in have else f"j.{quoted(c)}"
        for c in gives
    ]
    counts = first_row(
        con,
        f"select count(*), count(*) filter (where exists (from joined j where {on}))"
        f" from (select distinct {key_list} from {quoted(table)}) t",
    )
    unused = first_row(
        con, f"select count(*) from joined j where not exists (from {quoted(table)} t where {on})"
    )
    con.execute(
        f"create table merged as select {', '.join(kept + given)}, t._line"
        f" from {quoted(table)} t left join joined j on {on} order by t._line"
        if "_line" in columns(con, table)
        else f"create table merged as select {', '.join(kept + given)}"
        f" from {quoted(table)} t left join joined j on {on}"
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table merged rename to {quoted(table)}")
    return (
        f"{path.name}: joined by {', '.join(keys)}; {counts[1]} of {counts[0]} matched,"
        f" {unused[0]} rows not used"
    )


_CANONICAL_WELL = (
    "upper(regexp_extract(trim(well), '^[A-Za-z]{1,2}'))"
    " || lpad(regexp_extract(trim(well), '[0-9]+$'), 2, '0')"
)


def finish(con: Connection, dataset: str, root: Path, channel_names: list[str]) -> None:
    """Create the table `manifest` from `_images`: every column there, typed, named and in order.

    Raises InputError if a column that the manifest needs is not there, or a value has a wrong type.
    """
    have = columns(con, "_images")
    schema = assets.manifest_schema()
    if "channel" not in have and "channel_index" in have:
        con.execute("alter table _images add column channel varchar")
        have.append("channel")
    missing = [c for c in schema["required"] if c not in have]
    if missing:
        raise InputError(
            f"the manifest lacks the column {missing[0]}; it has"
            f" {', '.join(c for c in have if c != '_line')}; needed are"
            f" {', '.join(schema['required'])}"
        )
    _check_types(con, have)
    extra = [c for c in have if c not in schema["properties"] and c not in ("_line", "z")]
    extra_json = (
        "to_json({" + ", ".join(f"{quoted(c)}: {quoted(c)}" for c in extra) + "})"
        if extra
        else "null::json"
    )
    typed = []
    for name, rule in schema["properties"].items():
        kind = {"string": "varchar", "integer": "integer", "number": "double"}[rule["type"]]
        value = f"try_cast({quoted(name)} as {kind})" if name in have else f"null::{kind}"
        typed.append(f"{value} as {quoted(name)}")
    line = "_line" if "_line" in have else "row_number() over ()"
    con.execute(f"create table typed as select {', '.join(typed)}, {extra_json} as extra,"
                f" {line} as line from _images")  # fmt: skip
    con.execute(
        f"create table manifest as {assets.sql('queries', 'manifest')}",
        {"dataset": dataset, "root": str(root.resolve()), "channel_names": channel_names},
    )


def _check_types(con: Connection, have: list[str]) -> None:
    for name, rule in assets.manifest_schema()["properties"].items():
        if name not in have or rule["type"] == "string":
            continue
        kind = "integer" if rule["type"] == "integer" else "double"
        line = "_line" if "_line" in have else "rowid + 2"
        wrong = first_row(
            con,
            f"select {quoted(name)}, {line} from _images where {quoted(name)} is not null"
            f" and try_cast({quoted(name)} as {kind}) is null limit 1",
        )
        if wrong:
            raise InputError(f"line {wrong[1]}, column {name}: '{wrong[0]}' is no {rule['type']}")


def validate(con: Connection, source: Path) -> None:
    """Check the table `manifest` with every `sql/checks/manifest_*.sql`.

    Raises InputError with the first offending row of the first check, and how many more there are.
    """
    for name in assets.names("checks"):
        if not name.startswith("manifest_"):
            continue
        rows = con.execute(assets.sql("checks", name)).fetchall()
        if rows:
            line, column, problem = rows[0]
            more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
            raise InputError(f"{source}, line {line}, column {column}: {problem}{more}")
