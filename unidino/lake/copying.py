"""A lake copied to another place, file by file with their hashes compared, and then its tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import duckdb

from unidino.core.errors import LakeError
from unidino.core.progress import progress_bar
from unidino.core.results import Result
from unidino.core.sql import CONFIG
from unidino.lake import records
from unidino.lake.catalog import TABLES
from unidino.lake.lake import Lake
from unidino.lake.states import FileState, fault_of, state_from

_AT_ONCE = 8


@dataclass(frozen=True)
class Copied(Result):
    """What was copied: files and their bytes, files that were there already, and rows."""

    num_files: int
    num_bytes: int
    num_skipped: int
    num_rows: int


def copy_lake(old: Lake, new: Lake) -> Copied:
    """What was copied of a lake into an empty one, or into one whose copy was stopped.

    Every file is compared with its registered hash on the way. The tables land last, at once, so
    that the new lake is empty until it is whole; a copy that is run again goes on.
    Raises LakeError if the new lake has other plates or models, if a file is missing or damaged,
    or if a plate stays outside the old lake.
    """
    _refuse_other_content(old, new)
    states = list(_states(old))
    known = dict(new.files())
    wanted = [state for state in states if known.get(state.path) != state.num_bytes]

    def copy(state: FileState) -> int:
        source = old.resolve_file(state)
        if fault := fault_of(source, state, deep=True):
            raise LakeError(
                f"'{state.path}' of {old.address} {fault}; `unidino check` names the command that"
                " mends it"
            )
        new.take(state, source)
        return state.num_bytes

    total = sum(state.num_bytes for state in wanted)
    with (
        progress_bar("copy", total, "bytes") as advance,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        for num_bytes in pool.map(copy, wanted):
            advance(num_bytes)
    return Copied(len(wanted), total, len(states) - len(wanted), _copy_tables(old, new))


def _refuse_other_content(old: Lake, new: Lake) -> None:
    for table, key in (("plate", "plate_id"), ("model", "model")):
        query = f"select {key} as name from {table} order by all"
        have, want = (set(lake.look_up(query)["name"]) for lake in (new, old))
        if other := sorted(have - want):
            raise LakeError(
                f"the lake '{new.address}' has the {table} {other[0]}, which '{old.address}' lacks;"
                " copy into an empty lake"
            )
    query = "select plate_id from plate where uri like '/%' order by all"
    if outside := old.look_up(query)["plate_id"].to_list():
        raise LakeError(
            f"plate {outside[0]} stays outside the lake (--in-place), so it cannot be copied with"
            " it; ingest it without --in-place first"
        )


def _states(lake: Lake) -> Iterator[FileState]:
    """States of every registered file, and of every file of a plate."""
    for row in lake.look_up("from file order by uri").to_dicts():
        yield state_from(row)
    query = (
        "select plate.plate_id, plate.uri, file.uri as record from plate"
        " left join file on file.kind = 'record' and file.plate = plate_id"
        " where plate.uri is not null order by all"
    )
    for plate, uri, record in lake.look_up(query).iter_rows():
        found = None
        if record:
            with closing(duckdb.connect(config=CONFIG)) as con:
                found = records.states_in(con, lake.resolve(record))
        if found is None:
            raise LakeError(
                f"plate {plate} has no record of its files; make it by `unidino check --rebuild`"
            )
        for state in found:
            yield replace(state, path=f"{uri}/{state.path}")


def _copy_tables(old: Lake, new: Lake) -> int:
    num_rows = 0
    with old.held() as source:
        tables = {table: source.sql(f"from {table}").to_arrow_table() for table in TABLES}
    with new.landing() as landing:
        for table, rows in tables.items():
            landing.clear(table)
            landing.put(table, rows)
            num_rows += rows.num_rows
    return num_rows
