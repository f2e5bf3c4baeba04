"""The plates of a lake: their files against their records, and their pixels.

A plate in the lake has a record with the states of its files. Plates that stay in place, and plates
of lakes that earlier versions wrote, are judged by their metadata and pixels.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from unidino.core import assets, stopping
from unidino.core.choices import NgffVersion
from unidino.core.errors import LakeError
from unidino.core.files import file_sha256
from unidino.core.sql import CONFIG, Connection
from unidino.lake import ngff, records
from unidino.lake.lake import Lake
from unidino.lake.pixels import read_plane
from unidino.lake.stacks import stack_of
from unidino.lake.states import FileState, faults_of, files_below, state_from
from unidino.lake.stored import Expected, faults

_THREADS = 8
_SAME_MEAN = 1e-6  # relative; sums of pixels are exact
Found = tuple[str, str]  # kind of a problem, and the problem


@dataclass(frozen=True)
class Depth:
    """How closely a plate is looked at.

    deep: every file is read and its hash compared. pixels: every plane is read and its mean
    compared. The time and size of every file are always compared.
    """

    deep: bool = False
    pixels: bool = False


def registered_records(lake: Lake) -> dict[str, str]:
    """Uri of the record of each plate."""
    return dict(
        lake.look_up("select plate, uri from file where kind = 'record' order by all").iter_rows()
    )


def wrong_plate(
    lake: Lake, con: Connection, plate: str, uri: str, record: str | None, depth: Depth
) -> Iterator[Found]:
    """Every fault of a plate's files.

    con: any connection. uri: of the plate, as in its table. record: uri of its record.
    """
    folder = lake.resolve(uri)
    if not folder.is_dir():
        yield "missing_plate", uri
        return
    states = _states(con, lake.resolve(record)) if record else None
    if states is None:
        is_lost = record is not None and not records.is_whole_record(lake.resolve(record))
        if is_lost and not Path(uri).is_absolute():
            yield from wrong_content(lake, plate, uri)
        else:
            yield from wrong_fields(lake, plate, pixels=depth.pixels or depth.deep)
    elif Path(uri).is_absolute():
        yield from _wrong_in_place(lake, plate, folder, states, depth)
    else:
        files = [(folder / state.path, state) for state in states]
        yield from _wrong_files(lake, plate, uri, faults_of(files, deep=depth.deep))
        known = {str(path) for path, _ in files}
        for path in files_below(folder):
            if path not in known:
                yield "foreign_file", f"{uri}/{Path(path).relative_to(folder).as_posix()}"
        if depth.pixels:
            yield from wrong_fields(lake, plate, pixels=True)


def _states(con: Connection, record: Path) -> list[FileState] | None:
    """States of the files of a plate, by its record; None if there is none that can be read."""
    if not records.is_whole_record(record):
        return None
    with suppress(duckdb.Error):
        return records.states_in(con, record)
    return None


def _wrong_files(
    lake: Lake, plate: str, uri: str, found: Iterator[tuple[FileState, str]]
) -> Iterator[Found]:
    """Files that are not as registered; where they make a field unreadable, how they do so."""
    differing: dict[str, list[Found]] = {}
    for state, fault in found:
        group = f"{uri}/{'/'.join(state.path.split('/')[:3])}"
        is_gone = fault == "is missing"
        path = f"{uri}/{state.path}" if is_gone else f"{uri}/{state.path}: {fault}"
        kind = "missing_file" if is_gone else "changed_file"
        differing.setdefault(group, []).append((kind, path))
    if not differing:
        return
    fields = {field["uri"]: field for field in _fields(lake, plate)}
    for group, files in differing.items():
        yield from (_wrong_field(lake, False, fields[group]) if group in fields else []) or files


def _wrong_in_place(
    lake: Lake, plate: str, folder: Path, states: list[FileState], depth: Depth
) -> Iterator[Found]:
    """Faults of a plate outside the lake; pixels of fields with changed files are read."""
    files = [(folder / state.path, state) for state in states]
    changed = []
    for state, fault in faults_of(files, deep=depth.deep):
        if state.sha256 is None:
            changed.append(state.path)
        else:
            yield "changed_file", f"{folder}/{state.path}: {fault}"
    for field in _fields(lake, plate):
        group = Path(stack_of(field["uri"]).group).relative_to(folder).as_posix()
        is_changed = any(path.startswith(f"{group}/") for path in changed)
        if is_changed or depth.pixels or depth.deep:
            yield from _wrong_field(lake, True, field)


def wrong_fields(lake: Lake, plate: str, *, pixels: bool) -> Iterator[Found]:
    """Faults of the fields of a plate by their metadata and sizes. pixels: read every plane too."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for found in pool.map(partial(_wrong_field, lake, pixels), _fields(lake, plate)):
            yield from found


def wrong_content(lake: Lake, plate: str, uri: str) -> Iterator[Found]:
    """Faults of a plate of which no states of files are known: its groups, and every plane."""
    folder = lake.resolve(uri)
    rows = lake.look_up(
        "select well, list(field) as fields from field where plate = $plate group by well",
        {"plate": plate},
        plates=[plate],
    )
    version: NgffVersion = "0.4" if any(folder.rglob(".zgroup")) else "0.5"
    with stopping.temporary_folder() as beside:
        for group in ngff.write_plate(beside / "plate", plate, dict(rows.iter_rows()), version):
            path = Path(group.path).relative_to(beside / "plate").as_posix()
            if not (folder / path).is_file():
                yield "missing_file", f"{uri}/{path}"
            elif file_sha256(folder / path) != group.sha256:
                yield "changed_file", f"{uri}/{path}: has other content"
    yield from wrong_fields(lake, plate, pixels=True)


def _fields(lake: Lake, plate: str) -> list[dict[str, Any]]:
    query = assets.sql("queries", "stored_field")
    return lake.look_up(query, {"plate": plate}, plates=[plate]).to_dicts()


def _wrong_field(lake: Lake, pixels: bool, field: dict[str, Any]) -> list[Found]:
    path = lake.resolve(field["uri"])
    group = Path(stack_of(str(path)).group)
    if not any((group / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup")):
        return [("missing_field", field["uri"])]
    counted = [c for c, mean in zip(field["channels"], field["means"], strict=True) if mean]
    expected = Expected(field["height_px"], field["width_px"], counted)
    found = [
        ("unreadable_field", f"{field['uri']}: {fault}") for fault in faults(str(path), expected)
    ]
    if pixels and not found:
        means = zip(field["channels"], field["means"], strict=True)
        found = [f for channel, mean in means for f in _wrong_plane(path, field, channel, mean)]
    return found


def _wrong_plane(
    path: Path, field: dict[str, Any], channel: int, mean: float | None
) -> Iterator[Found]:
    try:
        plane = read_plane(path, channel)
    except LakeError as error:
        yield "unreadable_plane", str(error)
        return
    now = float(plane.sum(dtype="uint64")) / plane.size
    if mean is not None and abs(now - mean) > _SAME_MEAN * max(abs(mean), 1.0):
        yield (
            "changed_pixels",
            f"{field['uri']}: the mean of channel {channel} is {now:.6g}; it was {mean:.6g}",
        )


def first_fault(lake: Lake, plate: str) -> str | None:
    """What is wrong with a registered plate, by the sizes and times of its files; None if nothing.

    Its rows count too: a key that occurs twice, or wells, fields or images that are gone.
    """
    query = assets.sql("queries", "plate_rows")
    (row,) = lake.look_up(query, {"plate": plate}, plates=[plate]).to_dicts()
    if row["problem"]:
        return str(row["problem"])
    if lake.is_remote:
        from unidino.lake.checked_objects import first_wrong_object
        from unidino.lake.remote import RemoteLake

        assert isinstance(lake, RemoteLake)
        return first_wrong_object(lake, plate, row["uri"])
    registered = lake.look_up(
        "from file where kind in ('illumination', 'record') and plate = $plate", {"plate": plate}
    ).to_dicts()
    files = [(lake.resolve(f["uri"]), state_from(f)) for f in registered]
    for state, fault in faults_of(files, deep=False):
        return f"{state.path} {fault}"
    if row["uri"]:
        record = next((f["uri"] for f in registered if f["kind"] == "record"), None)
        with closing(duckdb.connect(config=CONFIG)) as con:
            for kind, problem in wrong_plate(lake, con, plate, row["uri"], record, Depth()):
                return f"{problem} ({kind.replace('_', ' ')})"
    return None
