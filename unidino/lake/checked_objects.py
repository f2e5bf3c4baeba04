"""Files of a remote lake against their registered states, and what no row names.

Without `deep` only what the storage lists is compared: names and sizes. Objects are whole or
absent, so nothing half-written is found there.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from unidino.core.files import file_sha256
from unidino.core.progress import progress_bar
from unidino.lake.checked_plates import Found
from unidino.lake.remote import CATALOG, RemoteLake
from unidino.lake.states import FileState, state_from

ROOMS = ("plates", "embeddings", "crops", "profiles", "cells", "models", "illumination", "records")


def registered_states(
    lake: RemoteLake, plate: str | None = None
) -> dict[str, tuple[FileState, str, str | None]]:
    """The state, kind and owner (plate or model) of every file that should be there, by uri.

    plate: only the files that an ingest of this plate wrote.
    """
    found = {}
    asked = {"plate": plate}
    files = lake.look_up(
        "from file where $plate is null or (plate = $plate and kind in ('illumination', 'record'))"
        " order by uri",
        asked,
    )
    for row in files.to_dicts():
        owner = row["model"] if row["kind"] == "model" else row["plate"]
        found[row["uri"]] = (state_from(row), row["kind"], owner)
    plates = lake.look_up(
        "select plate_id, uri from plate where uri is not null and plate_id = coalesce($plate,"
        " plate_id) order by plate_id",
        asked,
    )
    for name, uri in plates.iter_rows():
        for states in lake.states_of_plate(uri).values():
            found |= {state.path: (state, "plate", name) for state in states}
    return found


def wrong_objects(
    lake: RemoteLake, *, deep: bool
) -> Iterator[tuple[Found, FileState, str, str | None]]:
    """Files that are missing or changed: the problem, the registered state, kind and owner.

    deep: bring every file here and compare its hash.
    """
    there = {found.uri: found.num_bytes for found in lake.objects.under("")}
    registered = registered_states(lake)
    unit = "files" if deep else "names"
    with progress_bar("check", len(registered), unit) as advance:
        for uri, (state, kind, owner) in registered.items():
            fault = _fault(lake, state, there, deep=deep)
            advance(1)
            if fault:
                is_gone = fault == "is missing"
                problem = uri if is_gone else f"{uri}: {fault}"
                yield (
                    ("missing_file" if is_gone else "changed_file", problem),
                    state,
                    kind,
                    owner,
                )


def first_wrong_object(lake: RemoteLake, plate: str, uri: str | None) -> str | None:
    """What is wrong with the files of a plate as the storage lists them; None if nothing.

    uri: of the folder of its pixels, if it has any.
    """
    registered = registered_states(lake, plate)
    pixels = lake.objects.under(f"{uri}/") if uri else ()
    there = {found.uri: found.num_bytes for found in pixels}
    for name in set(registered) - set(there):
        if (num_bytes := lake.objects.size(name)) is not None:
            there[name] = num_bytes
    for name, (state, _, _) in registered.items():
        if fault := _fault(lake, state, there, deep=False):
            return f"{name} {fault}"
    return None


def _fault(
    lake: RemoteLake, state: FileState, there: Mapping[str, int], *, deep: bool
) -> str | None:
    if state.path not in there:
        return "is missing"
    if there[state.path] != state.num_bytes:
        return f"has {there[state.path]} bytes, not {state.num_bytes}"
    if not deep or state.sha256 is None:
        return None
    with tempfile.TemporaryDirectory(dir=lake.path) as folder:
        path = Path(folder) / "file"
        if not lake.objects.fetch(state.path, path):
            return "is missing"
        return None if file_sha256(path) == state.sha256 else "has other content"


def unnamed(lake: RemoteLake) -> Iterator[tuple[str, bool]]:
    """Uris that no row names, and whether they are in a folder of the lake; a plate is one uri."""
    known = set(registered_states(lake)) | {CATALOG}
    plates = set(lake.look_up("select uri from plate where uri is not null")["uri"])
    seen = set()
    for found in lake.objects.under(""):
        room, *names = found.uri.split("/")
        uri = f"{room}/{names[0]}" if room == "plates" and names else found.uri
        if found.uri in known or uri in seen:
            continue
        seen.add(uri)
        if uri in plates:  # a file that is foreign to a registered plate
            yield found.uri, False
        else:
            yield uri, room in ROOMS and bool(names)
