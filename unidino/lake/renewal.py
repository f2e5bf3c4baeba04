"""What is kept beside a sound catalog is written anew: records, and states of files without one."""

from contextlib import closing
from pathlib import Path

import duckdb

from unidino.core.sql import CONFIG
from unidino.lake import records
from unidino.lake.checked_catalog import is_stale
from unidino.lake.checked_plates import registered_records, wrong_content, wrong_fields
from unidino.lake.lake import Lake
from unidino.lake.states import FileState, files_below, state_of


def records_anew(lake: Lake) -> list[str]:
    """Write records that are missing or damaged, and states of files that have none, anew.

    The files of a plate get new hashes only if its pixels are those that were ingested. A record
    that is damaged stays so if its plate is damaged too: that lands again.
    """
    lines = []
    known = registered_records(lake)
    rows = lake.look_up("select plate_id, uri from plate order by plate_id").rows()
    for plate, uri in rows:
        record = known.get(plate)
        if record and records.is_whole_record(lake.resolve(record)) and _lists(lake, record):
            continue
        is_lost = record is not None and not records.is_whole_record(lake.resolve(record))
        if is_lost and uri and not Path(uri).is_absolute():
            fault = next(wrong_content(lake, plate, uri), None)
            if fault:
                lines.append(f"left the record of plate {plate}, because of {fault[1]}")
                continue
        files = _listed(lake, plate, uri)
        if record and files is None and records.is_whole_record(lake.resolve(record)):
            continue
        with lake.landing() as landing:
            records.keep_plate(lake, landing, plate, files)
        lines.append(f"wrote the record of plate {plate} anew")
    records.remove_unregistered(lake, [plate for plate, _ in rows])
    return lines + _parts_listed(lake) + _copy_anew(lake)


def _lists(lake: Lake, record: str) -> bool:
    """Whether a record has the states of the files of its plate."""
    with closing(duckdb.connect(config=CONFIG)) as con:
        return records.states_in(con, lake.resolve(record)) is not None


def _listed(lake: Lake, plate: str, uri: str | None) -> list[FileState] | None:
    """States of the files of a plate in the lake; None if its pixels are not as ingested."""
    if uri is None:
        return []
    if Path(uri).is_absolute() or any(wrong_fields(lake, plate, pixels=True)):
        return None
    folder = lake.resolve(uri)
    return [
        state_of(Path(file), Path(file).relative_to(folder).as_posix())
        for file in files_below(folder)
    ]


def _parts_listed(lake: Lake) -> list[str]:
    """Register the files of parts that an earlier version wrote, if they are whole."""
    rows = lake.look_up("from part anti join file using (uri) order by uri").to_dicts()
    whole = []
    for row in rows:
        path = lake.resolve(row["uri"])
        if path.is_file() and (state := state_of(path, row["uri"])).sha256 == row["sha256"]:
            whole.append((row, state))
    if not whole:
        return []
    files = [
        records.file_row("part", state, plate=row["plate"], model=row["model"])
        for row, state in whole
    ]
    with lake.landing() as landing:
        landing.put("file", files, instead_of="uri")
    return [f"registered the files of {len(whole)} parts"]


def _copy_anew(lake: Lake) -> list[str]:
    if not is_stale(lake):
        return []
    with lake.landing():
        pass  # writes the copy of the tables
    return ["wrote the copy of the catalog's tables anew"]
