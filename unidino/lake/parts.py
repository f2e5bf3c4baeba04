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

from unidino.core.errors import LakeError
from unidino.core.files import file_sha256, written_beside
from unidino.core.sql import Connection, insert
from unidino.lake.lake import Lake
from unidino.lake.runs import Run

Kind = Literal["embedding", "crop_embedding", "profile", "statistic", "projection"]


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


def current(lake: Lake, uri: str, inputs_hash: str) -> dict[str, Any] | None:
    """Row of the part at a uri; None if its inputs have changed or its file is missing."""
    rows = lake.look_up(
        "select * from part where uri = $uri and inputs_hash = $inputs",
        {"uri": uri, "inputs": inputs_hash},
    )
    if rows.is_empty() or not lake.resolve(uri).is_file():
        return None
    return rows.row(0, named=True)


class Parts:
    """The files that a run writes, and then registers in one transaction."""

    def __init__(self, lake: Lake, run: Run) -> None:
        self._lake, self._run = lake, run
        self._rows: list[dict[str, Any]] = []

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
        path = self._lake.resolve(part.uri)
        try:
            with written_beside(path) as temporary:
                yield temporary
        except OSError as error:
            if self._lake.is_writable:
                raise
            raise LakeError(
                f"the lake '{self._lake.path}' is read-only here, so that"
                f" {part.uri} cannot be kept: {error.strerror}"
            ) from error
        sha256 = file_sha256(path)
        self._rows.append(
            asdict(part)
            | {
                "inputs_hash": part.inputs_hash or sha256,
                "num_rows": num_rows,
                "sha256": sha256,
                "dropped": None if dropped is None else json.dumps(dropped),
                "details": None if details is None else json.dumps(details),
                "run_id": self._run.run_id,
            }
        )

    def land(
        self,
        *,
        gone: Sequence[str] = (),
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        """Register the written files, replacing rows of the same uri, and record the run.

        gone: uris whose rows are deleted. also: more changes to the catalog, in the same
        transaction.
        """
        with self._lake.write() as con:
            self._run.record(con)
            if also:
                also(con)
            insert(con, "part", self._rows, replace=True)
            con.execute("delete from part where list_contains($gone, uri)", {"gone": list(gone)})
        self._rows = []
