"""What no row of the catalog names: files that a killed run left, and files of others.

Only what this tool certainly made is removed: temporary files and folders by their names, parts by
what they carry, plates by the metadata that they were written with. What a running command may
still need stays: a plate or table whose lock is held, a temporary file whose process runs, and
what is younger than a few seconds.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core.log import log
from unidino.core.results import Results
from unidino.lake import codec, records
from unidino.lake.checked_catalog import is_stale
from unidino.lake.file_catalog import LOCKS
from unidino.lake.lake import ORIGIN, Lake
from unidino.lake.parts import CARRIED
from unidino.lake.states import OF_FILE_MANAGERS, files_below

_VECTORS = ("embeddings", "crops", "profiles")
_ROOMS = (*_VECTORS, "plates", "models", "illumination", records.FOLDER)
_TEMPORARY = re.compile(r"\..+\.(?P<pid>\d+)\.(tmp|download.*)")
_ASIDE = re.compile(r"catalog\.damaged-\d+\.duckdb(\.wal)?")
_CHECKPOINT = "checkpoint.safetensors"
_AGE_S = 10.0


@dataclass(frozen=True)
class Leftover:
    """A file or folder that no row names.

    uri: relative to the lake. what: why it is there. is_ours: whether this tool certainly made it,
    so that `clean` removes it.
    """

    uri: str
    what: str
    is_ours: bool


def leftovers(lake: Lake) -> Results[Leftover]:
    """Files and folders of a lake that no row of the catalog names."""
    return Results(list(_leftovers(lake)), _table)


def _table(items: Sequence[Leftover]) -> pl.DataFrame:
    schema = {"uri": pl.String, "what": pl.String, "is_ours": pl.Boolean}
    return pl.DataFrame([asdict(item) for item in items], schema)


def clean(lake: Lake) -> Results[Leftover]:
    """What was removed: leftovers that this tool made and that no running command may need."""
    found = [item for item in _leftovers(lake) if item.is_ours]
    if lake.is_remote:
        return _clean_remote(lake, found)
    youngest = max((_changed(lake.path / item.uri) for item in found), default=0.0)
    time.sleep(max(0.0, min(_AGE_S, youngest + _AGE_S - time.time())))
    still = {item.uri for item in _leftovers(lake)}
    removed = [item for item in found if item.uri in still and _remove(lake, item)]
    if lake.is_writable and is_stale(lake):
        with lake.landing():
            pass  # writes the copy of the tables
    return Results(removed, _table)


def _clean_remote(lake: Lake, found: Sequence[Leftover]) -> Results[Leftover]:
    """Remove what no row names, once more than a landing lasts has passed, unless it is locked."""
    if found:
        time.sleep(_AGE_S)
    still = {item.uri for item in _leftovers(lake)}
    removed = []
    for item in found:
        with _lock_of(lake, item.uri) as held:
            if item.uri not in still or held is False:
                log.info(f"{item.uri} stays: a running command holds it")
                continue
            is_plate = item.uri.startswith("plates/") and item.uri.count("/") == 1
            (lake.remove_folder if is_plate else lake.remove)(item.uri)
            removed.append(item)
    return Results(removed, _table)


def _remove(lake: Lake, item: Leftover) -> bool:
    """Remove a leftover, unless a running command holds it; whether it was removed."""
    path = lake.path / item.uri
    match = _TEMPORARY.fullmatch(path.name)
    if match and _runs(int(match["pid"])):
        log.info(f"{item.uri} stays: process {match['pid']} runs")
        return False
    with _lock_of(lake, item.uri) as held:
        if held is False:
            log.info(f"{item.uri} stays: a running command holds it")
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == lake.path or folder.parent == lake.path or any(folder.iterdir()):
            break
        folder.rmdir()
    return True


def _first_name(name: str) -> str:
    """The name of a plate, of that of its folder; a plate that was replaced has a second name."""
    return name.removesuffix("~2").removesuffix("~")


def _lock_of(lake: Lake, uri: str) -> AbstractContextManager[bool | None]:
    """The lock under which a running command would write this."""
    room, *names = uri.split("/")
    if room == "plates":
        name = names[0].removeprefix(".").removesuffix(".tmp").removesuffix(".zarr")
        return lake.lock(f"plate {_first_name(name)}", wait=False)
    if room in ("embeddings", "crops") and len(names) == 2:
        plate = re.sub(r"^\.|\.parquet(\.\d+\.tmp)?$", "", names[1])
        return lake.lock(f"embed-{names[0]}-{plate}", wait=False)
    if room == "models":
        return lake.lock(f"train-{names[0]}", wait=False)
    return nullcontext(None)


def _runs(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _changed(path: Path) -> float:
    """Time of the last change of a file or folder, s since 1970."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _leftovers(lake: Lake) -> Iterator[Leftover]:
    if lake.is_remote:
        yield from _in_storage(lake)
        return
    yield from _in_root(lake)
    yield from _in_records(lake)
    yield from _plates(lake)
    yield from _vectors(lake)
    yield from _in_models(lake)
    yield from _functions(lake)


def _in_storage(lake: Lake) -> Iterator[Leftover]:
    from unidino.lake.checked_objects import unnamed
    from unidino.lake.remote import RemoteLake

    assert isinstance(lake, RemoteLake)
    for uri, is_ours in unnamed(lake):
        yield _judged(uri, "not registered", is_ours)


def _in_root(lake: Lake) -> Iterator[Leftover]:
    for path in sorted(lake.path.iterdir()):
        name = path.name
        of_catalog = name.startswith(lake.catalog.name) or _ASIDE.fullmatch(name)
        if of_catalog or name in (LOCKS, ORIGIN, *_ROOMS) or _is_hidden_by_others(name):
            continue
        yield Leftover(name, "a file of others", False)
    new = lake.path / LOCKS / "catalog.new"
    if new.exists():
        yield Leftover(f"{LOCKS}/catalog.new", "an unfinished catalog", True)


def _is_hidden_by_others(name: str) -> bool:
    return name in OF_FILE_MANAGERS or name.startswith("._")


def _in_records(lake: Lake) -> Iterator[Leftover]:
    with lake.held() as con:
        kept = records.registered(con)
    copies = records.copies_of_tables(lake.path)
    whole = [path for path in copies if records.is_whole_record(path)]
    kept |= {f"{records.FOLDER}/{path.name}" for path in (whole and [records.newest(whole)])}
    ours = re.compile(r"records/(plates/.+|tables)\.[0-9a-f]{16}\.parquet")
    for uri in _files(lake, records.FOLDER):
        if uri not in kept:
            yield _judged(uri, "an outdated record", bool(ours.fullmatch(uri)))


def _plates(lake: Lake) -> Iterator[Leftover]:
    uris = lake.look_up("select uri from plate where uri is not null")["uri"]
    kept = {lake.resolve(uri).resolve() for uri in uris}
    folder = lake.path / "plates"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        uri = f"plates/{path.name}"
        if path.resolve() in kept or _is_hidden_by_others(path.name):
            continue
        if path.name.startswith(".") and path.name.endswith(".zarr.tmp"):
            yield Leftover(uri, "a plate that was not written to its end", True)
        elif path.is_dir() and path.suffix == ".zarr":
            yield Leftover(uri, "a plate that is not registered", _is_our_plate(path))
        else:
            yield _judged(uri, "", False)


def _is_our_plate(folder: Path) -> bool:
    """Whether a plate has exactly the metadata that this tool writes for it."""
    try:
        (zarr,) = {p.name for p in folder.iterdir()} & {"zarr.json", ".zattrs"}
        stored = json.loads((folder / zarr).read_bytes())
        plate = stored["attributes"]["ome"]["plate"] if zarr == "zarr.json" else stored["plate"]
        well = folder / plate["wells"][0]["path"]
        array = next(path for path in sorted(well.glob("*/0")) if path.is_dir())
        file = array / ("zarr.json" if zarr == "zarr.json" else ".zarray")
        found = json.loads(file.read_bytes())
        dtype = found.get("data_type") or found["dtype"].lstrip("<|").replace("u1", "uint8")
        expected = codec.array_metadata(
            tuple(found["shape"]), dtype.replace("u2", "uint16"), plate["version"]
        )
        is_named = plate["name"] == _first_name(folder.name.removesuffix(".zarr"))
        return bool(is_named and file.read_bytes() == expected)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return False


def _vectors(lake: Lake) -> Iterator[Leftover]:
    kept = set(lake.look_up("select uri from part")["uri"])
    for room in _VECTORS:
        for uri in _files(lake, room):
            if uri not in kept:
                yield _judged(uri, "a table that is not registered", _is_part(lake.path / uri))


def _is_part(path: Path) -> bool:
    try:
        return CARRIED in (pq.read_schema(path).metadata or {})
    except (OSError, ValueError, pa.ArrowException):
        return False


def _in_models(lake: Lake) -> Iterator[Leftover]:
    known = set(lake.look_up("select model from model")["model"])
    kept = set(lake.look_up("select uri from file where kind = 'model'")["uri"])
    listed = set(lake.look_up("select model from file where kind = 'model'")["model"])
    unfinished = {p.parent.name for p in (lake.path / "models").glob(f"*/{_CHECKPOINT}")} - known
    for uri in _files(lake, "models"):
        _, model, *names = uri.split("/")
        name = names[-1] if names else model
        if uri in kept or (model in unfinished and not _TEMPORARY.fullmatch(name)):
            continue
        if names == [_CHECKPOINT]:
            yield Leftover(uri, "the checkpoint of a training that has finished", True)
        elif model in known:
            is_log = names and (names[0] == "tensorboard" or model not in listed)
            if not is_log or _TEMPORARY.fullmatch(name):
                yield _judged(uri, "", False)
        else:
            ours = names and (names[0] in _OF_MODEL or names[0] == "tensorboard")
            yield _judged(uri, "of a model that is not registered", bool(ours))


_OF_MODEL = {
    *("model.safetensors", "config.json", "record.json", "samples.parquet"),
    *("train.jsonl", "card.md"),
}


def _functions(lake: Lake) -> Iterator[Leftover]:
    query = "select illumination from channel where illumination is not null"
    kept = set(lake.look_up(query)["illumination"])
    for uri in _files(lake, "illumination"):
        if uri not in kept:
            is_ours = bool(re.fullmatch(r"illumination/[^/]+/\d+\.npy", uri))
            yield _judged(uri, "an illumination function that is not registered", is_ours)


def _files(lake: Lake, room: str) -> Iterator[str]:
    for path in files_below(lake.path / room):
        yield Path(path).relative_to(lake.path).as_posix()


def _judged(uri: str, what: str, is_ours: bool) -> Leftover:
    """A leftover: a temporary file by its name, or what is ours, or else a file of others."""
    if _TEMPORARY.fullmatch(uri.rpartition("/")[2]):
        return Leftover(uri, "a temporary file of a command that was ended", True)
    return Leftover(uri, what, True) if is_ours else Leftover(uri, "a file of others", False)
