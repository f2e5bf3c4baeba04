"""Parts: immutable files of vectors, which the table `part` lists.

A part is written beside its final place, hashed, moved there and registered, so it is complete or
absent. Its row in the catalog keeps a hash of its inputs: a command that runs again computes only
parts that are missing or whose inputs have changed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core.errors import LakeError
from unidino.lake.catalog import Landing
from unidino.lake.lake import Lake
from unidino.lake.records import file_row
from unidino.lake.runs import Run
from unidino.lake.states import FileState, is_whole, state_from, state_of

CARRIED = b"unidino"  # key of the metadata of a file of vectors
Kind = Literal["embedding", "crop_embedding", "profile", "statistic", "projection", "cell"]


@dataclass(frozen=True)
class Part:
    """A file of vectors: where it is, which vectors it holds, and from which inputs.

    uri: path in the lake. inputs_hash: hash of everything that the file is computed from; None for
    the hash of the file itself.
    """

    uri: str
    kind: Kind
    model: str
    inputs_hash: str | None = None
    dataset: str | None = None
    plate: str | None = None
    normalization: str | None = None
    level: str | None = None


def carried(
    part: Part,
    *,
    dropped: Mapping[str, int] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[bytes, bytes]:
    """Metadata for the file of a part: what its row tells but for the run, to make it again.

    Equal parts have equal bytes, so the run is left out. dropped, details: as for `Parts.writing`.
    """
    row = asdict(part) | {"dropped": dropped, "details": details}
    return {CARRIED: json.dumps(row, sort_keys=True).encode()}


def current(lake: Lake, uri: str, inputs_hash: str) -> dict[str, Any] | None:
    """Row of the part at a uri; None if its inputs have changed or its file is not whole."""
    rows = lake.look_up(
        "select * from part where uri = $uri and inputs_hash = $inputs",
        {"uri": uri, "inputs": inputs_hash},
    )
    if rows.is_empty() or not is_whole_part(lake, uri):
        return None
    return rows.row(0, named=True)


def is_whole_part(lake: Lake, uri: str) -> bool:
    """Whether the file of a part is as it was registered; it is read if its time has changed."""
    path = lake.resolve(uri)
    if not path.is_file():
        return False
    rows = lake.look_up("from file where uri = $uri", {"uri": uri}).to_dicts()
    return not rows or is_whole(path, state_from(rows[0]))


def read_part(lake: Lake, uri: str, remake: str) -> pa.Table:
    """The table of a part. remake: the command that makes it again, for errors.

    Raises LakeError if its file is missing or damaged.
    """
    try:
        return pq.read_table(lake.resolve(uri), partitioning=None)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged(lake.resolve(uri), error, remake) from error


def damaged(place: Path | str, error: Exception, remake: str) -> LakeError:
    """The error of a part that cannot be read. remake: the command that makes it again."""
    reason = str(error).strip().splitlines()[0]
    return LakeError(f"'{place}' is missing or damaged ({reason}); make it again: `{remake}`")


class Parts:
    """The files that a run writes, and then registers in one transaction."""

    def __init__(self, lake: Lake, run: Run) -> None:
        self._lake, self._run = lake, run
        self._rows: list[dict[str, Any]] = []
        self._files: list[FileState] = []

    @contextmanager
    def writing(
        self,
        part: Part,
        num_rows: int,
        *,
        dropped: Mapping[str, int] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Iterator[Path]:
        """A temporary path for a part; the file is moved to its place when the block ends.

        dropped: rows that are left out of the file: reason and count. details: how it was computed.
        """
        try:
            with self._lake.writing(part.uri) as temporary:
                yield temporary
        except OSError as error:
            if self._lake.is_writable:
                raise
            raise LakeError(
                f"the lake '{self._lake.path}' is read-only here, so that"
                f" {part.uri} cannot be kept: {error.strerror}"
            ) from error
        state = state_of(self._lake.place_of(part.uri), part.uri)
        self._files.append(state)
        self._rows.append(
            asdict(part)
            | {
                "inputs_hash": part.inputs_hash or state.sha256,
                "num_rows": num_rows,
                "sha256": state.sha256,
                "dropped": None if dropped is None else json.dumps(dropped),
                "details": None if details is None else json.dumps(details),
                "run_id": self._run.run_id,
            }
        )

    def land(
        self,
        *,
        gone: Sequence[str] = (),
        also: Callable[[Landing], None] | None = None,
    ) -> None:
        """Register the written files, replacing rows of the same uri, and record the run.

        gone: uris whose rows are deleted. also: more changes to the catalog, in the same
        transaction.
        """
        with self._lake.landing() as landing:
            self._run.record(landing)
            if also:
                also(landing)
            landing.put("part", self._rows, instead_of="uri")
            files = [
                file_row("part", state, plate=row["plate"], model=row["model"])
                for row, state in zip(self._rows, self._files, strict=True)
            ]
            landing.put("file", files, instead_of="uri")
            for table in ("part", "file"):
                landing.forget(table, "uri", gone)
        self._rows, self._files = [], []
