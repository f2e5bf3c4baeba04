"""Tables with a row a cell, of any program, as a relation of DuckDB that is read column by column.

CSV and SQLite are first written to Parquet in a temporary folder, a piece at a time; Parquet is
read where it lies. Compartments of CellProfiler are joined as pycytominer does it.
"""

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core.account import Account, listed, number_of
from unidino.core.errors import InputError
from unidino.core.files import file_sha256
from unidino.core.sql import Connection, first_row, literal_path, quoted, sql_error
from unidino.profiles.object_text import write_csv

COMPARTMENTS = ("Cytoplasm", "Cells", "Nuclei")
_SQLITE = (".sqlite", ".sqlite3", ".db")
_TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
_TABLE = re.compile(r"(?P<set>.*?)(Per_)?(?P<what>Image|Cells|Nuclei|Cytoplasm)$", re.IGNORECASE)
_KEYS = ("TableNumber", "ImageNumber", "ObjectNumber")
_ROWS = 20_000
_MISSING_WORDS = ("", "nan", "na", "n/a", "null", "none", "inf", "-inf")


@dataclass(frozen=True)
class ObjectRelation:
    """A relation with a row a cell, and one with a row an image if the tables have one.

    name: of the view. images: name of the table of images, whose column `_image` numbers them; the
    view has it too. None if the columns of the view tell the image.
    """

    name: str
    images: str | None


def open_objects(
    con: Connection, paths: Sequence[Path], folder: Path, account: Account
) -> ObjectRelation:
    """The cells of tables, as the view `_object`.

    paths: a folder of CSV files of CellProfiler, its SQLite files, or CSV or Parquet files with a
    row a cell. folder: for files that are written on the way. The account says what was joined.
    Raises InputError if a file cannot be read or its tables cannot be joined with certainty.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"no such table: '{path}'")
    _refuse_equal_files(paths)
    try:
        if len(paths) == 1 and paths[0].is_dir() and not list(paths[0].glob("*.parquet")):
            return _of_folder(con, paths[0], folder, account)
        if all(path.name.lower().endswith(_SQLITE) for path in paths):
            return _of_sqlite(con, paths, folder, account)
        files = [f for p in paths for f in (sorted(p.glob("*.parquet")) if p.is_dir() else [p])]
        return _of_files(con, files, folder, account)
    except (OSError, duckdb.Error, sqlite3.Error, pa.ArrowException) as error:
        bad = next((path for path in paths if f"'{path}'" in str(error)), paths[0])
        raise InputError(_words_for(error, bad)) from error


def _refuse_equal_files(paths: Sequence[Path]) -> None:
    """Raise InputError if a table is given twice, whose cells would count twice."""
    by_size: dict[int, list[Path]] = {}
    for path in paths:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    for alike in by_size.values():
        seen: dict[str, Path] = {}
        for path in alike if len(alike) > 1 else []:
            other = seen.setdefault(file_sha256(path), path)
            if other is not path:
                raise InputError(f"'{path}' has the content of '{other}'; give a table once")


def _words_for(error: Exception, path: Path) -> str:
    """What is wrong with a file, in one line; a truncated CSV file is the usual case."""
    text = str(error)
    file = re.search(r"[Ss]niffing file \"(.+?)\"|[Ff]ile: (.+)|CSV Error on Line", text)
    if isinstance(error, duckdb.Error) and file:
        name = file[1] or file[2] or path
        return (
            f"'{name}' is not a whole table: a row has another number of values than its header;"
            " mend it or take it out"
        )
    return f"cannot read '{path}': {sql_error(error)}"


def _of_files(
    con: Connection, files: Sequence[Path], folder: Path, account: Account
) -> ObjectRelation:
    """Files whose rows are whole cells, with the column `filename`."""
    is_parquet = [file.name.lower().endswith(".parquet") for file in files]
    is_text = [file.name.lower().endswith(_TEXT) for file in files]
    if all(is_text):
        write_csv(con, files, folder / "objects.parquet", account)
        source = {"files": [str(folder / "objects.parquet")]}
        columns = "*"
    elif all(is_parquet):
        source = {"files": [literal_path(file) for file in files]}
        columns = "*"
    else:
        kinds = ".parquet, .csv, .sqlite, or a folder of CellProfiler's CSV files"
        raise InputError(
            f"cannot read '{', '.join(map(str, files[:3]))}' as tables of cells; expected one kind"
            f" of {kinds}"
        )
    con.execute("set variable object_files = $files", source)
    named = "" if all(is_text) else ", filename = true"
    con.execute(
        f"create or replace temp view _object as select {columns} from read_parquet("
        f"getvariable('object_files'), union_by_name = true, hive_partitioning = false{named})"
    )
    return ObjectRelation("_object", None)


def _of_folder(con: Connection, path: Path, folder: Path, account: Account) -> ObjectRelation:
    """A folder of CellProfiler's CSV files: Image, Cells, Nuclei and Cytoplasm, at any depth."""
    sets: dict[str, dict[str, Path]] = {}
    others = set()
    for file in sorted(path.rglob("*.csv")):
        found = _TABLE.fullmatch(file.stem)
        if found:
            key = (file.parent / found["set"]).as_posix()
            sets.setdefault(key, {})[found["what"].title()] = file
        else:
            others.add(file.name)
    if not any("Image" in tables for tables in sets.values()):
        raise InputError(
            f"'{path}' has no Image.csv of CellProfiler; give a folder with Image.csv beside"
            " Cells.csv, Nuclei.csv or Cytoplasm.csv, or name single tables"
        )
    if others:
        account.say("tables", f"left out: {listed(sorted(others), 6)}")
    files: dict[str, list[Path]] = {}
    for tables in sets.values():
        for what, file in tables.items():
            files.setdefault(what, []).append(file)
    staged = {}
    for what, paths in files.items():
        if not any(p.stat().st_size for p in paths):
            continue
        target = folder / f"{what}.parquet"
        write_csv(con, paths, target, account)
        # The folder and what precedes the table in the file's name tell the set of images.
        set_of = f"regexp_replace(filename, '(Per_)?{what}\\.csv$', '', 'i')"
        _view(con, what, target, set_of)
        staged[what] = _columns(con, f"_of_{what}")
    return _joined(con, staged, str(path), account)


def _of_sqlite(
    con: Connection, paths: Sequence[Path], folder: Path, account: Account
) -> ObjectRelation:
    """SQLite files of CellProfiler or of cytominer-database."""
    files: dict[str, list[str]] = {}
    for number, path in enumerate(paths):
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source:
            query = "select name from sqlite_master where type in ('table', 'view') order by name"
            tables = [name for (name,) in source.execute(query)]
            found = {m["what"].title(): t for t in tables if (m := _TABLE.fullmatch(t))}
            if "Image" not in found or len(found) < 2:
                raise InputError(
                    f"'{path}' has no tables Image and Cells, Nuclei or Cytoplasm; it has"
                    f" {listed(tables) or 'none'}"
                )
            if others := sorted(set(tables) - set(found.values())):
                account.say("tables", f"{path.name}: left out: {listed(others)}")
            for what, table in found.items():
                target = folder / f"{what}.{number}.parquet"
                if _write_sqlite(source, table, target, str(path)):
                    files.setdefault(what, []).append(str(target))
    staged = {}
    for what, targets in files.items():
        _view(con, what, targets, "filename")
        staged[what] = _columns(con, f"_of_{what}")
    return _joined(con, staged, ", ".join(str(path) for path in paths), account)


def _write_sqlite(source: sqlite3.Connection, table: str, target: Path, file: str) -> int:
    """The number of rows of a table of SQLite, which are written to a Parquet file by pieces."""
    # SQLite quotes names as DuckDB does.
    declared = source.execute(f"pragma table_info({quoted(table)})").fetchall()
    kinds = {row[1]: _arrow_type(row[2]) for row in declared}
    cursor = source.execute(f"select * from {quoted(table)}")
    rows = cursor.fetchmany(_ROWS)
    for name, values in zip(kinds, zip(*rows, strict=True), strict=False):
        if any(_as_number(v) is None and not _is_missing(v) for v in values):
            kinds[name] = pa.string()
    schema = pa.schema([*kinds.items(), ("filename", pa.string())])
    num = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while rows:
            arrays = [
                _array(values, kind, f"'{file}', table {table}, column {name}")
                for values, (name, kind) in zip(zip(*rows, strict=True), kinds.items(), strict=True)
            ]
            arrays.append(pa.array([file] * len(rows)))
            writer.write_table(pa.table(arrays, schema=schema))
            num += len(rows)
            rows = cursor.fetchmany(_ROWS)
    return num


def _arrow_type(declared: str) -> pa.DataType:
    """The type of a column by its declaration, by SQLite's rules of affinity."""
    text = declared.upper()
    if "INT" in text:
        return pa.int64()
    is_text = any(word in text for word in ("CHAR", "TEXT", "CLOB", "BLOB"))
    return pa.string() if is_text else pa.float64()


def _array(values: Sequence[object], kind: pa.DataType, place: str) -> pa.Array:
    """The values of a column; SQLite keeps any value in any column, such as the text nan.

    place: names the column. Raises InputError for a text in a column that began with numbers.
    """
    if pa.types.is_string(kind):
        return pa.array([None if v is None else str(v) for v in values], kind)
    if any(isinstance(v, str | bytes) for v in values):
        numbers = [_as_number(v) for v in values]
        for value, number in zip(values, numbers, strict=True):
            if number is None and not _is_missing(value):
                raise InputError(f"{place}: '{value!r}' is no number; mend the table")
        values = numbers
    return pa.array(values, pa.float64()).cast(kind)


def _as_number(value: object) -> float | None:
    """A value as a number; None for one that is missing or is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) or not isinstance(value, str) else None


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING_WORDS)


def _view(con: Connection, what: str, target: Path | Sequence[str], set_of: str) -> None:
    """The view `_of_WHAT` of a table's files; its column `_set` tells which set of images."""
    files = [str(target)] if isinstance(target, Path) else list(target)
    name = f"files_of_{what.lower()}"
    con.execute(f"set variable {name} = $files", {"files": files})
    con.execute(
        f"create or replace temp view {quoted(f'_of_{what}')} as select *, {set_of} as _set from"
        f" read_parquet(getvariable('{name}'), union_by_name = true, hive_partitioning = false)"
    )


def _columns(con: Connection, name: str) -> dict[str, str]:
    return {c: kind for c, kind, *_ in con.execute(f"describe {quoted(name)}").fetchall()}


def _joined(
    con: Connection, staged: Mapping[str, Mapping[str, str]], source: str, account: Account
) -> ObjectRelation:
    """The view of cells whose compartments are all there, and the table of images.

    Cells and nuclei are found by the numbers that their cytoplasm has as its parents (an inner
    join, as by pycytominer's `merge_single_cells`).
    """
    there = [what for what in COMPARTMENTS if what in staged]
    if not there:
        raise InputError(f"'{source}' has no cells: Cells, Nuclei and Cytoplasm are empty")
    keys = [key for key in _KEYS[:2] if all(_spelled(staged[w], key) for w in (*there, "Image"))]
    if not keys:
        raise InputError(f"'{source}': its tables have no ImageNumber, by which they are joined")
    keys = ["_set", *keys]
    con.execute("create or replace table _images as select *, row_number() over () + 1 as _image"
                " from (from _of_Image order by all)")  # fmt: skip
    twice = first_row(
        con,
        f"select {', '.join(keys)} from _images group by all having count(*) > 1 limit 1",
    )
    if twice:
        raise InputError(f"'{source}' has two rows of Image for {_told(keys, twice)}")
    for what in there:
        if len(there) > 1 and _spelled(staged[what], "ObjectNumber"):
            of_object = [*keys, "ObjectNumber"]
            twice = first_row(
                con,
                f"select {', '.join(of_object)} from {quoted(f'_of_{what}')} group by all"
                " having count(*) > 1 limit 1",
            )
            if twice:
                raise InputError(f"'{source}' has two rows of {what} for {_told(of_object, twice)}")
    first, *others = there
    joins = "".join(f" inner join _of_{what} on {_on(keys, what, first, staged, source)}"
                    for what in others)  # fmt: skip
    of_image = " and ".join(f"_of_{first}.{quoted(k)} = _images.{quoted(k)}" for k in keys)
    columns = ["_images._image"]
    for what in there:
        for column in staged[what]:
            if column in (*keys, "filename") or column == "TableNumber":
                continue
            prefixed = column.lower().startswith(what.lower() + "_")
            name = column if prefixed else f"{what}_{column}"
            columns.append(f"_of_{what}.{quoted(column)} as {quoted(name)}")
    con.execute(
        f"create or replace temp view _object as select {', '.join(columns)}"
        f" from _of_{first}{joins} inner join _images on {of_image}"
    )
    _say_unmatched(con, there, account)
    return ObjectRelation("_object", "_images")


def _told(keys: Sequence[str], values: Sequence[object]) -> str:
    return ", ".join(f"{k} {v}" for k, v in zip(keys, values, strict=True) if k != "_set")


def _spelled(columns: Mapping[str, str], name: str) -> bool:
    return name in columns


def _on(
    keys: Sequence[str],
    what: str,
    first: str,
    staged: Mapping[str, Mapping[str, str]],
    source: str,
) -> str:
    """SQL: whether rows of two compartments are of one cell."""
    names = (f"Parent_{what}", f"{first}_Parent_{what}")
    parent = next((name for name in names if name in staged[first]), None)
    if parent is None:
        raise InputError(
            f"'{source}': {first} has no column Parent_{what}, so that it is not certain which"
            f" {what} belong to it; export it, or give one table alone"
        )
    equal = [f"_of_{first}.{quoted(key)} = _of_{what}.{quoted(key)}" for key in keys]
    return " and ".join([*equal, f"_of_{first}.{quoted(parent)} = _of_{what}.ObjectNumber"])


def _say_unmatched(con: Connection, there: Sequence[str], account: Account) -> None:
    """Say how many objects of each compartment belong to no whole cell with an image."""
    (num,) = first_row(con, "select count(*) from _object")
    counts = {w: first_row(con, f"select count(*) from _of_{w}")[0] for w in there}
    text = f"{number_of(num, 'cell')} of {', '.join(f'{n} {w}' for w, n in counts.items())}"
    lost = {w: n - num for w, n in counts.items() if n != num}
    if lost:
        told = ", ".join(f"{n} {w}" for w, n in lost.items())
        account.warn("objects", f"{text}; without their other parts or their image: {told}")
    else:
        account.say("objects", text)
    if not num:
        raise InputError(f"no cell has all of {', '.join(there)} and a row of Image")
