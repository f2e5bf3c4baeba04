"""The catalog itself: whether every page of it can be read, and whether rows were lost."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from unidino.core import assets
from unidino.core.sql import CONFIG, Connection, quoted
from unidino.lake import records
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.problem import Problem

_KEYED = ("plate", "model", "run", "part", "file")


class _RolledBackError(Exception):
    """Rolls back a transaction that was only tried."""


def read_every_page(lake: Lake) -> None:
    """Read every table; raises LakeError with the way back if the catalog is damaged."""
    with lake.held() as con:
        query = "select table_name from duckdb_tables() where database_name = current_database()"
        for (table,) in con.execute(query).fetchall():
            con.execute(f"select bit_xor(hash(_row)) from {quoted(table)} as _row").fetchall()
    if lake.is_writable:
        _use_indexes(lake)


def _use_indexes(lake: Lake) -> None:
    """Look up every key; indexes have pages of their own, which only writing reads."""
    try:
        with lake.write() as con:
            for table in _KEYED:
                con.execute(f"insert or ignore into {quoted(table)} from {quoted(table)}")
            raise _RolledBackError
    except _RolledBackError:
        pass


def wrong_rows(lake: Lake, mender: Mender) -> Iterator[Problem]:
    """Rows that the queries of `sql/checks` find."""
    for name in assets.names("checks"):
        if not name.startswith("manifest_"):  # those check a manifest before it is ingested
            for row in lake.look_up(assets.sql("checks", name)).iter_rows():
                text = ", ".join(str(value) for value in row)
                yield Problem(name, text, _mend(mender, name, row))


def _mend(mender: Mender, check: str, row: tuple[str, ...]) -> str:
    first, key = row[0], row[1]
    if check == "incomplete_registration":
        return mender.of_plate(first)
    if check == "duplicate_key":
        return mender.of_plate(mender.plate_in(key))
    if first == "image":
        have = "select plate, well, field from field"
        return mender.of_row("image", f"(plate, well, field) not in ({have})")
    column = "uri" if first == "part" else "plate"
    value = key.replace("'", "''")
    return mender.of_row(first, f"{column} = '{value}'")


def wrong_copies(lake: Lake, mender: Mender) -> Iterator[Problem]:
    """A copy of the tables that is missing or damaged, and rows that only the copy has."""
    copies = records.copies_of_tables(lake.path)
    newest = _newest_whole(lake)
    if newest is None:
        name = copies[-1].name if copies else "tables.*.parquet"
        uri = f"{records.FOLDER}/{name}"
        kind = "changed_file" if copies else "missing_file"
        yield Problem(kind, f"{uri}: the copy of the catalog's tables", mender.of_catalog())
        return
    catalog_ns = max(p.stat().st_mtime_ns for p in lake.path.glob(f"{lake.catalog.name}*"))
    with closing(duckdb.connect(config=CONFIG)) as con, lake.held() as catalog:
        differing = _differing(con, newest, catalog)
        lost = _lost_runs(con, newest, catalog) if "run" in differing else []
    if lost or (differing and newest.stat().st_mtime_ns > catalog_ns):
        what = f", such as those of '{lost[0]}'" if lost else f" of {', '.join(differing)}"
        yield Problem(
            "lost_rows",
            f"the copy of the catalog's tables has rows that the catalog lacks{what}",
            mender.of_catalog(),
        )


def is_stale(lake: Lake) -> bool:
    """Whether the copy of the tables is older than the catalog, as a killed run leaves it."""
    newest = _newest_whole(lake)
    if newest is None:
        return True
    with closing(duckdb.connect(config=CONFIG)) as con, lake.held() as catalog:
        return bool(_differing(con, newest, catalog))


def _newest_whole(lake: Lake) -> Path | None:
    whole = [p for p in records.copies_of_tables(lake.path) if records.is_whole_record(p)]
    return records.newest(whole) if whole else None


def _differing(con: Connection, copy: Path, catalog: Connection) -> list[str]:
    """Tables whose rows in a copy are not those of the catalog."""
    held = records.tables_in(con, copy)
    return [t for t in records.COPIED if t in held and _sum(con, copy, t) != _sum_of(catalog, t)]


def _sum(con: Connection, copy: Path, table: str) -> object:
    return _sum_of(con, records.read_rows(con, copy, table))


def _sum_of(con: Connection, table: str) -> object:
    query = f"select count(*), sum(hash(_row)::hugeint) from {quoted(table)} as _row"
    return con.execute(query).fetchall()


def _lost_runs(con: Connection, copy: Path, catalog: Connection) -> list[str]:
    """Commands of the runs that the copy knows, and the catalog does not know or not to the end."""
    known = dict(catalog.execute("select run_id, ended from run").fetchall())
    name = records.read_rows(con, copy, "run")
    rows = con.execute(f"select run_id, ended, command from {quoted(name)} order by started")
    return [
        command
        for run_id, ended, command in rows.fetchall()
        if run_id not in known or (ended is not None and known[run_id] < ended)
    ]
