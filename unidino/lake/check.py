"""Problems of a lake: invalid rows of the catalog, and files that are missing or changed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from unidino.core.files import digest, file_sha256
from unidino.core.progress import progress_bar
from unidino.core.results import Results
from unidino.core.sql import CONFIG
from unidino.lake.checked_catalog import wrong_copies, wrong_rows
from unidino.lake.checked_plates import Depth, registered_records, wrong_plate
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.problem import Problem
from unidino.lake.states import FileState, faults_of, state_from

# Rooms of registered files, each after those that its files are made of.
_ROOMS = ("records", "illumination", "models", "embeddings", "crops", "profiles")
_PLATES = "select plate_id, uri from plate where uri is not null order by plate_id"
_UNLISTED = (
    "select uri, sha256 from part anti join file using (uri) order by uri",
    "select model, weights_hash from model anti join file using (model) order by model",
    "select plate, illumination from channel where illumination is not null"
    " and illumination not in (select uri from file) order by all",
)
_SHA256_DIGITS = 64  # the hash of a model without weights is shorter


def check(lake: Lake, *, deep: bool = False, pixels: bool = False) -> Results[Problem]:
    """Every problem of a lake, each with the command that mends it.

    Files are compared with their registered sizes and times of change; those of other times are
    read, and their hashes compared. deep: read every file. pixels: read every plane too, and
    compare its mean with the one at its ingest.
    Raises LakeError if the catalog is damaged; the message names the way back.

    >>> import unidino as ud
    >>> len(ud.check(lake))
    0
    """
    mender = Mender(lake)
    if lake.is_remote:
        found = [*wrong_rows(lake, mender), *_wrong_objects(lake, mender, deep or pixels)]
        return Results(found, _table)
    with lake.held():  # all that is asked of the catalog shares one opening of it
        problems = [*wrong_copies(lake, mender), *wrong_rows(lake, mender)]
        plates = lake.look_up(_PLATES).rows()
        known = registered_records(lake)
    problems += _wrong_plates(lake, mender, plates, known, Depth(deep, pixels))
    with lake.held():
        files = lake.look_up("from file order by uri").to_dicts()
        unlisted = _Unlisted.of(lake)
    problems += sorted(
        [*_wrong_files(lake, mender, files, deep), *_wrong_unlisted_files(lake, mender, unlisted)],
        key=_turn,
    )
    return Results(problems, _table)


def _wrong_objects(lake: Lake, mender: Mender, deep: bool) -> Iterator[Problem]:
    """Files of a remote lake that are missing or changed."""
    from unidino.lake.checked_objects import wrong_objects
    from unidino.lake.remote import RemoteLake

    assert isinstance(lake, RemoteLake)
    for (kind, problem), state, what, owner in wrong_objects(lake, deep=deep):
        yield Problem(kind, problem, _mend(mender, what, owner, state))


def _mend(mender: Mender, kind: str, owner: str | None, state: FileState) -> str:
    """The command that makes a file again. kind: as in the table file, or `plate`."""
    if kind == "part":
        return mender.of_part(state.path)
    if kind == "model" and owner:
        return mender.of_model(owner, state.path, state.sha256)
    if kind in ("illumination", "plate", "record") and owner:
        return mender.of_plate(owner)
    return mender.of_catalog()


def _turn(problem: Problem) -> tuple[int, str]:
    """Place of a file's problem: what is mended first is what others are made of."""
    room = problem.problem.split("/")[0]
    later = ("statistics/", "/projection-")
    step = _ROOMS.index(room) if room in _ROOMS else len(_ROOMS)
    return step + any(name in problem.problem for name in later), problem.problem


def _table(problems: Sequence[Problem]) -> pl.DataFrame:
    schema = dict.fromkeys(("check", "problem", "mend"), pl.String)
    return pl.DataFrame([asdict(problem) for problem in problems], schema)


def _wrong_files(
    lake: Lake, mender: Mender, registered: Sequence[dict[str, Any]], deep: bool
) -> Iterator[Problem]:
    """Registered files that are missing or changed."""
    rows = {row["uri"]: row for row in registered}
    files = [(lake.resolve(uri), state_from(row)) for uri, row in rows.items()]
    for state, fault in faults_of(files, deep=deep):
        row = rows[state.path]
        if row["kind"] == "record":
            mend = mender.of_catalog()
        else:
            mend = _mend(mender, row["kind"], row["model"] or row["plate"], state)
        is_gone = fault == "is missing"
        kind = "missing_file" if is_gone else "changed_file"
        yield Problem(kind, state.path if is_gone else f"{state.path}: {fault}", mend)


@dataclass(frozen=True)
class _Unlisted:
    """Files that earlier versions registered in other tables than `file`.

    parts: uri and hash. models: name and hash of the weights. functions: plate and uri.
    """

    parts: Sequence[tuple[str, str]]
    models: Sequence[tuple[str, str]]
    functions: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, lake: Lake) -> "_Unlisted":
        """Those of a lake."""
        return cls(*(lake.look_up(query).rows() for query in _UNLISTED))


def _wrong_unlisted_files(lake: Lake, mender: Mender, unlisted: _Unlisted) -> Iterator[Problem]:
    """Files that earlier versions registered, by what their rows tell."""
    for uri, sha256 in unlisted.parts:
        yield from _wrong_file(lake, uri, sha256, mender.of_part(uri))
    for model, weights_hash in unlisted.models:
        config = f"models/{model}/config.json"
        mend = mender.of_model(model, config, None)
        if len(weights_hash) == _SHA256_DIGITS:
            weights = f"models/{model}/model.safetensors"
            asked = mender.of_model(model, weights, weights_hash)
            yield from _wrong_file(lake, weights, weights_hash, asked)
            if not lake.resolve(config).is_file():
                yield Problem("missing_file", config, mend)
        elif not lake.resolve(config).is_file():
            yield Problem("missing_file", config, mend)
        elif digest(lake.resolve(config).read_text(errors="replace")) != weights_hash:
            yield Problem("changed_file", config, mend)
    for plate, uri in unlisted.functions:
        if not _is_function(lake.resolve(uri)):
            yield Problem("changed_file", uri, mender.of_plate(plate))


def _wrong_file(lake: Lake, uri: str, sha256: str, mend: str) -> Iterator[Problem]:
    path = lake.resolve(uri)
    if not path.is_file():
        yield Problem("missing_file", uri, mend)
    elif file_sha256(path) != sha256:
        yield Problem("changed_file", f"{uri}: has other content", mend)


def _is_function(path: Path) -> bool:
    """Whether a file holds an illumination function (H, W)."""
    try:
        return bool(np.load(path, allow_pickle=False).ndim == 2)
    except (OSError, ValueError, EOFError):
        return False


def _wrong_plates(
    lake: Lake,
    mender: Mender,
    plates: Sequence[tuple[str, str]],
    known: Mapping[str, str],
    depth: Depth,
) -> Iterator[Problem]:
    with (
        closing(duckdb.connect(config=CONFIG)) as con,
        progress_bar("plates", len(plates), "plate") as advance,
    ):
        for plate, uri in plates:
            for kind, problem in wrong_plate(lake, con, plate, uri, known.get(plate), depth):
                yield Problem(kind, problem, mender.of_plate(plate))
            advance(1)
