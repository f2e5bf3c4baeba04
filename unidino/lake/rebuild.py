"""A catalog that is made anew, of the copy of its tables and the files of the lake.

Sources are taken in this order: the copy of the small tables, or what can still be read of the
catalog if that is newer; the records of plates; and, for what neither knows, the records of models
and what parts carry. The catalog before is moved aside.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core.errors import LakeError
from unidino.core.files import file_sha256
from unidino.core.sql import CONFIG, Connection, quoted
from unidino.lake import records, schema
from unidino.lake.checked_catalog import read_every_page, wrong_copies
from unidino.lake.damage import is_damage
from unidino.lake.file_catalog import LOCKS, FileLanding
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.parts import CARRIED
from unidino.lake.renewal import records_anew
from unidino.lake.runs import Run
from unidino.lake.sources import OF_PLATES, age, from_catalog, from_copy
from unidino.lake.states import files_below, state_of

_NOT_ON_DISK = (
    *("score", "label_score", "readout_score", "attribution", "dose", "quality", "pair_score"),
    *("batch_mixing", "batch_drift"),
)
_VECTORS = ("embeddings", "crops", "profiles", "cells")


def rebuild(path: Path) -> list[str]:
    """Lines that say what was made anew: the catalog if it is lost or damaged, and records.

    Raises LakeError if the folder is no lake, if it may only be read, or if another process uses
    the catalog.
    """
    lake = Lake(path)
    rooms = (records.FOLDER, "plates", *_VECTORS)
    if not lake.catalog.exists() and not any((path / room).is_dir() for room in rooms):
        raise LakeError(f"no lake at '{path}': it has neither a catalog nor {', '.join(rooms)}")
    if not lake.is_writable:
        raise LakeError(f"the lake '{path}' is read-only here; --rebuild writes to it")
    with lake.lock("catalog"):
        lines = [] if _is_sound(lake) else _catalog_anew(lake)
    return lines + records_anew(Lake.open(path))


def _is_sound(lake: Lake) -> bool:
    """Whether the catalog is there, can be read, and has all rows that its copy has."""
    if not lake.catalog.is_file():
        return False
    try:
        opened = Lake.open(lake.path)
        read_every_page(opened)
        return "lost_rows" not in {p.check for p in wrong_copies(opened, Mender(opened))}
    except LakeError as error:
        if not _tells_damage(error):
            raise
        return False


def _tells_damage(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that the catalog is damaged."""
    while error is not None:
        if is_damage(error):
            return True
        error = error.__cause__
    return False


def _catalog_anew(lake: Lake) -> list[str]:
    """Make the catalog anew beside its place, and put it there; the one before is moved aside."""
    new = lake.path / LOCKS / "catalog.new"
    new.parent.mkdir(exist_ok=True)
    new.unlink(missing_ok=True)
    lines: list[str] = []
    with closing(duckdb.connect(str(new), config=CONFIG)) as con:
        schema.create_tables(con)
        con.execute("begin")
        lines += _small_tables(lake, con)
        lines += _plates(lake, con)
        lines += _models(lake, con)
        lines += _parts(lake, con)
        con.execute("commit")
        counts = [(table, _count(con, table)) for table in (*records.COPIED, *OF_PLATES)]
        records.keep_tables(lake.path, con)
    aside = _move_aside(lake)
    new.rename(lake.catalog)
    listed = ", ".join(f"{n} {table}" for table, n in counts if n)
    where = f"; the one before is '{aside}'" if aside else ""
    return [*lines, f"made the catalog anew, with rows: {listed or 'none'}{where}"]


def _count(con: Connection, table: str) -> int:
    return int(con.execute(f"select count(*) from {quoted(table)}").fetchall()[0][0])


def _move_aside(lake: Lake) -> str | None:
    """Rename the catalog and its log; the new name of the catalog, None if there was none."""
    taken = range(1, 1_000_000)
    aside = next(
        name
        for name in (f"catalog.damaged-{number}.duckdb" for number in taken)
        if not (lake.path / name).exists() and not (lake.path / f"{name}.wal").exists()
    )
    moved = None
    for ending in (".wal", ""):
        place = lake.path / f"{lake.catalog.name}{ending}"
        if place.exists():
            place.rename(lake.path / f"{aside}{ending}")
            moved = f"{aside}{ending}"
    return moved


def _small_tables(lake: Lake, con: Connection) -> list[str]:
    """Fill the small tables from their copy, or from the catalog where it is newer."""
    sources = [from_copy(lake), from_catalog(lake)]
    sources.sort(key=age, reverse=True)
    lines = []
    for table in records.COPIED:
        rows = next((source[table] for source in sources if table in source), None)
        if rows is not None:
            _put(con, table, rows)
        elif table in _NOT_ON_DISK:
            lines.append(f"the rows of {table} are lost: neither copy nor catalog has them")
    return lines


def _put(con: Connection, table: str, rows: pa.Table) -> None:
    """Insert rows; columns that the table lacks are left out."""
    have = [name for (name, *_) in con.execute(f"describe {quoted(table)}").fetchall()]
    con.register("_rows", rows.select([name for name in have if name in rows.column_names]))
    con.execute(f"insert into {quoted(table)} by name from _rows")
    con.unregister("_rows")


def _plates(lake: Lake, con: Connection) -> list[str]:
    """Fill the tables of plates from their records; plates without one from the old catalog."""
    lines = []
    old = from_catalog(lake)
    registered = dict(con.execute("select plate, uri from file where kind = 'record'").fetchall())
    for (plate,) in con.execute("select plate_id from plate order by all").fetchall():
        record = _record_of(lake, plate, registered.get(plate))
        if record:
            _put_record(con, record, OF_PLATES)
        elif all(table in old for table in OF_PLATES):
            for table in OF_PLATES:
                mask = pa.compute.equal(old[table]["plate"], plate)
                _put(con, table, old[table].filter(mask))
        else:
            con.execute("delete from plate where plate_id = $plate", {"plate": plate})
            lines.append(f"plate {plate} has no record; ingest it again")
    for plate, record in _unknown_plates(lake, con):
        _put_record(con, record, ("plate", "run", "file", *OF_PLATES))
        state = state_of(record, record.relative_to(lake.path).as_posix())
        row = records.file_row("record", state, plate=plate)
        FileLanding(con).put("file", [row], instead_of="uri")
        lines.append(f"plate {plate} is registered by its record")
    return lines


def _record_of(lake: Lake, plate: str, uri: str | None) -> Path | None:
    """The registered record of a plate, or another that is whole."""
    found = [lake.path / uri] if uri else []
    found += sorted(
        records.records_of(lake.path, plate), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return next((path for path in found if records.is_whole_record(path)), None)


def _put_record(con: Connection, record: Path, tables: Sequence[str]) -> None:
    """Insert rows that a record holds; rows of the same key stay as they are."""
    for table in tables:
        name = records.read_rows(con, record, table)
        keyed = "or ignore " if table in ("plate", "run", "file") else ""
        con.execute(f"insert {keyed}into {quoted(table)} by name from {quoted(name)}")
        con.execute(f"drop table {quoted(name)}")


def _unknown_plates(lake: Lake, con: Connection) -> Iterator[tuple[str, Path]]:
    """Plates that only their records know, with the newest record of each."""
    known = {plate for (plate,) in con.execute("select plate_id from plate").fetchall()}
    for plate in sorted({records.plate_of(path) for path in records.all_records(lake.path)}):
        record = _record_of(lake, plate, None)
        if plate not in known and record and _has_pixels(lake, con, record):
            yield plate, record


def _has_pixels(lake: Lake, con: Connection, record: Path) -> bool:
    """Whether the plate of a record is where the record says, if it has pixels."""
    name = records.read_rows(con, record, "plate")
    uris = con.execute(f"select uri from {quoted(name)}").fetchall()
    con.execute(f"drop table {quoted(name)}")
    return all(uri is None or lake.resolve(uri).is_dir() for (uri,) in uris)


def _models(lake: Lake, con: Connection) -> list[str]:
    """Register models that only their records know."""
    known = {model for (model,) in con.execute("select model from model").fetchall()}
    lines = []
    for path in sorted((lake.path / "models").glob("*/record.json")):
        name = path.parent.name
        if name in known:
            continue
        try:
            told = json.loads(path.read_bytes())
            row, run = told["model"], told["run"]
        except (OSError, ValueError, LookupError, TypeError):
            lines.append(f"'{path}' is damaged: model {name} is not registered")
            continue
        for table, values in (("model", row), ("run", run)):
            _put_json(con, table, values)
        states = [
            state_of(Path(file), Path(file).relative_to(lake.path).as_posix())
            for file in files_below(path.parent)
            if "tensorboard" not in file and not Path(file).name.startswith((".", "checkpoint."))
        ]
        files = [records.file_row("model", state, model=name) for state in states]
        FileLanding(con).put("file", files, instead_of="uri")
        lines.append(f"model {name} is registered by its record")
    return lines


def _put_json(con: Connection, table: str, values: dict[str, Any]) -> None:
    """Insert a row that is told as JSON; a row of the same key stays as it is."""
    kinds = {name: kind for name, kind, *_ in con.execute(f"describe {quoted(table)}").fetchall()}
    structure = json.dumps({name: kind for name, kind in kinds.items() if name in values})
    con.execute(
        f"insert or ignore into {quoted(table)} by name"
        " select unnest(json_transform($row, $structure))",
        {"row": json.dumps(values), "structure": structure},
    )


def _parts(lake: Lake, con: Connection) -> list[str]:
    """Register parts that only their files know, if their model and plate are registered.

    Where there is a copy of the tables, only parts that are newer than it: it tells of all others.
    """
    copies = [p for p in records.copies_of_tables(lake.path) if records.is_whole_record(p)]
    since = records.newest(copies).stat().st_mtime_ns if copies else 0
    known = {uri for (uri,) in con.execute("select uri from part").fetchall()}
    models = {model for (model,) in con.execute("select model from model").fetchall()}
    plates = {plate for (plate,) in con.execute("select plate_id from plate").fetchall()}
    run = Run("check", {"rebuild": True})
    found: list[str] = []
    for room in _VECTORS:
        for file in map(Path, files_below(lake.path / room)):
            uri = file.relative_to(lake.path).as_posix()
            if uri in known or file.stat().st_mtime_ns <= since:
                continue
            row = _carried_row(file, uri)
            if row and row["model"] in models and row["plate"] in {None, *plates}:
                landing = FileLanding(con)
                if not found:
                    run.record(landing)
                landing.put("part", [row | {"run_id": run.run_id}])
                told = {"plate": row["plate"], "model": row["model"]}
                state = records.file_row("part", state_of(file, uri), **told)
                landing.put("file", [state], instead_of="uri")
                found.append(uri)
    return [f"{len(found)} parts are registered by what they carry"] if found else []


def _carried_row(file: Path, uri: str) -> dict[str, Any] | None:
    """The row of a part, by what its file carries; None if it carries none."""
    try:
        metadata = pq.read_metadata(file)
        row: dict[str, Any] = json.loads((metadata.metadata or {})[CARRIED])
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    sha256 = file_sha256(file)
    if row.get("uri") != uri:
        return None
    return row | {
        "num_rows": metadata.num_rows,
        "sha256": sha256,
        "inputs_hash": row["inputs_hash"] or sha256,
        "dropped": None if row["dropped"] is None else json.dumps(row["dropped"]),
        "details": None if row["details"] is None else json.dumps(row["details"]),
    }
