"""Records: what is needed to make the catalog anew, in files beside it.

`records/tables.HASH.parquet` is a copy of the small tables, written after every landing.
`records/plates/PLATE.HASH.parquet` has the rows of one plate and the states of its files. Each is
one row whose columns are lists of rows; its name tells the hash of its bytes.
"""

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from unidino.core.files import file_sha256
from unidino.core.log import log
from unidino.core.sql import CONFIG, Connection, literal_path, quoted, sql_error
from unidino.lake.catalog import Landing
from unidino.lake.states import FileState, state_of

if TYPE_CHECKING:
    from unidino.lake.lake import Lake

FOLDER = "records"
COPIED = (
    *("run", "plate", "model", "part", "file"),
    *("score", "label_score", "readout_score", "attribution", "dose", "quality", "pair_score"),
    *("batch_mixing", "batch_drift"),
)
OF_PLATE = ("plate", "channel", "well", "field", "image")
_PLATES = f"{FOLDER}/plates"
_TABLES = f"{FOLDER}/tables"
_HASH_DIGITS = 16
_STATES = pa.schema(
    [
        ("path", pa.string()),
        ("num_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("sha256", pa.string()),
    ]
)


def is_whole_record(path: Path) -> bool:
    """Whether a record has the bytes that its name tells."""
    try:
        return path.name.split(".")[-2] == file_sha256(path)[:_HASH_DIGITS]
    except (OSError, IndexError):
        return False


def keep_tables(folder: Path, con: Connection) -> None:
    """Keep a copy of the small tables beside the catalog, in place of the copy before.

    What was landed stays landed if that fails, which is said.
    """
    there = present(con)
    tables = [table for table in COPIED if table in there]
    columns = ", ".join(f"{_rows(table)} as {quoted(table)}" for table in tables)
    try:
        kept = _keep(folder, con, _TABLES, f"select {columns}")
        for path in copies_of_tables(folder):
            if path.name != Path(kept.path).name:
                path.unlink(missing_ok=True)
    except (OSError, duckdb.IOException) as error:
        reason = sql_error(error) if isinstance(error, duckdb.Error) else error.strerror
        log.warning(f"no copy of the catalog's tables could be kept in '{folder}': {reason}")


def present(con: Connection) -> set[str]:
    """Names of the tables that a catalog has."""
    query = "select table_name from duckdb_tables() where database_name = current_database()"
    return {name for (name,) in con.execute(query).fetchall()}


def copies_of_tables(folder: Path) -> list[Path]:
    """Copies of the small tables, whole or not; several if a process was killed."""
    return sorted((folder / FOLDER).glob("tables.*.parquet"))


def are_bare(folder: Path) -> bool:
    """Whether the records of a folder are those of a lake in which nothing has landed yet."""
    copies = copies_of_tables(folder)
    others = {path for path in (folder / FOLDER).iterdir() if not path.name.startswith(".tables.")}
    if others - set(copies) or not all(map(is_whole_record, copies)):
        return False
    with closing(duckdb.connect(config=CONFIG)) as con:
        return all(_is_empty(con, copy) for copy in copies)


def _is_empty(con: Connection, record: Path) -> bool:
    """Whether the tables of a record have no rows."""
    (row,) = con.execute("from read_parquet($path)", {"path": literal_path(record)}).fetchall()
    return not any(row)


def keep_plate(
    lake: "Lake", landing: Landing, plate: str, files: Sequence[FileState] | None
) -> None:
    """Keep the rows of a plate and the states of its files, and register this record.

    landing: that changes the rows. files: with paths relative to the folder of the plate; None for
    a plate whose files are not known. The record before is removed later, by `remove_unregistered`.
    """
    states = [asdict(state) for state in files or ()]
    columns = [f"{_rows(table, _key(table))} as {quoted(table)}" for table in OF_PLATE]
    columns.append(
        f"{_rows('run', 'run_id in (select run_id from plate where plate_id = $plate)')} as run"
    )
    columns.append(f"{_rows('file', _FUNCTIONS)} as file")
    columns.append(f"{_UNKNOWN if files is None else _rows('_states')} as states")
    query = f"select {', '.join(columns)}"
    with landing.tables((*OF_PLATE, "run", "file"), [plate]) as con:
        con.register("_states", pa.Table.from_pylist(states, schema=_STATES))
        try:
            kept = _keep(lake.path, con, f"{_PLATES}/{plate}", query, {"plate": plate})
        finally:
            con.unregister("_states")
        before = con.execute(
            "select uri from file where kind = 'record' and plate = $plate and uri <> $uri",
            {"plate": plate, "uri": kept.path},
        ).fetchall()
    lake.kept(kept.path)
    landing.forget("file", "uri", [uri for (uri,) in before])
    landing.put("file", [file_row("record", kept, plate=plate)], instead_of="uri")


_UNKNOWN = "null::struct(path varchar, num_bytes bigint, modified_ns bigint, sha256 varchar)[]"
_FUNCTIONS = "kind = 'illumination' and plate = $plate"


def _key(table: str) -> str:
    return f"{'plate_id' if table == 'plate' else 'plate'} = $plate"


def _rows(table: str, condition: str = "true") -> str:
    """A query of one value: the list of the rows of a table."""
    return f"(select coalesce(list(_row), []) from {quoted(table)} as _row where {condition})"


def _keep(
    folder: Path,
    con: Connection,
    stem: str,
    query: str,
    parameters: Mapping[str, Any] | None = None,
) -> FileState:
    """The state of a record that is written: the row of a query, in a file named by its hash."""
    place = folder / stem
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        target = str(temporary).replace("'", "''")
        con.execute(
            f"copy ({query}) to '{target}' (format parquet, compression zstd)",
            dict(parameters or {}),
        )
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        state = state_of(temporary, "")
        uri = f"{stem}.{str(state.sha256)[:_HASH_DIGITS]}.parquet"
        temporary.replace(folder / uri)
    finally:
        temporary.unlink(missing_ok=True)
    return replace(state, path=uri)


def file_row(
    kind: str, state: FileState, *, plate: str | None = None, model: str | None = None
) -> dict[str, Any]:
    """Row of the table `file` for a file."""
    return {
        "uri": state.path,
        "kind": kind,
        "plate": plate,
        "model": model,
        "num_bytes": state.num_bytes,
        "modified_ns": state.modified_ns,
        "sha256": state.sha256,
    }


def read_rows(con: Connection, path: Path, table: str) -> str:
    """Name of a temporary table with the rows of a table that a record holds."""
    name = f"_read_{table}"
    con.execute(
        f"create or replace temp table {quoted(name)} as"
        f" select unnest({quoted(table)}, max_depth := 2) from read_parquet($path)",
        {"path": literal_path(path)},
    )
    return name


def states_in(con: Connection, path: Path) -> list[FileState] | None:
    """States of the files of a plate that its record holds; None if it holds none.

    Raises duckdb.Error for a damaged record.
    """
    query = "select states is null from read_parquet($path)"
    ((is_unknown,),) = con.execute(query, {"path": literal_path(path)}).fetchall()
    if is_unknown:
        return None
    rows = con.execute(
        "select state.path, state.num_bytes, state.modified_ns, state.sha256 from"
        " (select unnest(states) as state from read_parquet($path))",
        {"path": literal_path(path)},
    ).fetchall()
    return [FileState(*row) for row in rows]


def records_of(folder: Path, plate: str) -> list[Path]:
    """Records of a plate, whole or not, registered or not."""
    found = (folder / _PLATES).glob(f"{escape(plate)}.*.parquet")
    return sorted(path for path in found if plate_of(path) == plate)


def plate_of(record: Path) -> str:
    """Name of the plate of a record, by the name of its file."""
    return record.name.removesuffix(".parquet").rpartition(".")[0]


def all_records(folder: Path) -> Iterator[Path]:
    """Records of all plates, whole or not, registered or not."""
    yield from sorted((folder / _PLATES).glob("*.parquet"))


def registered(con: Connection) -> set[str]:
    """Uris of the registered records."""
    rows = con.execute("select uri from file where kind = 'record'").fetchall()
    return {uri for (uri,) in rows}


def remove_unregistered(
    lake: "Lake", plates: Sequence[str], kept: Container[str] | None = None
) -> None:
    """Remove the records of these plates but for the registered ones.

    kept: uris of those, if the caller knows them; else they are looked up.
    """
    if kept is None:
        with lake.held() as con:
            kept = registered(con)
    for plate in plates:
        for path in records_of(lake.path, plate):
            uri = path.relative_to(lake.path).as_posix()
            if uri not in kept:
                lake.remove(uri)


def newest(copies: Sequence[Path]) -> Path:
    """The copy that was written last."""
    return max(copies, key=lambda path: (path.stat().st_mtime_ns, path.name))


def tables_in(con: Connection, record: Path) -> list[str]:
    """Names of the tables that a record holds."""
    query = "select column_name from (describe from read_parquet($path))"
    rows = con.execute(query, {"path": literal_path(record)}).fetchall()
    return [name for (name,) in rows]
