"""A lake behind a private copy of its catalog, which no process writes to."""

import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

from unidino.core.errors import LakeError
from unidino.lake.lake import Lake
from unidino.lake.remote import RemoteLake

_MOST_COPIES = 2  # a reader of the copy before the last may not have opened it yet
State = tuple[int, int, int]


@dataclass(frozen=True, repr=False)
class CopiedLake(Lake):
    """A lake that is read by a copy of its catalog, and by the files that this copy lists.

    folder: holds the copy. Queries of this lake keep no process from writing to the real one.
    """

    folder: Path

    @property
    def catalog(self) -> Path:
        """The copy of the DuckDB file."""
        return self.folder / "catalog.duckdb"


def state_of(lake: Lake) -> State:
    """What changes when a command writes to the catalog: its file, its times and its size."""
    if isinstance(lake, RemoteLake):
        return lake.state, 0, 0
    found = lake.catalog.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


class Copies:
    """Copies of the catalog of a lake, made anew when it has changed.

    place: folder of this process for the copies.
    """

    def __init__(self, lake: Lake, place: Path) -> None:
        self._lake, self._place = lake, place
        self._copies: OrderedDict[State, CopiedLake] = OrderedDict()
        self._lock = Lock()

    def latest(self) -> Lake:
        """The lake behind a copy of its catalog as it is now; a remote lake itself.

        Raises LakeError if there is no room for the copy.
        """
        if self._lake.is_remote:
            return self._lake
        with self._lock:
            state = state_of(self._lake)
            if state not in self._copies:
                self._copies[state] = self._copy()
            self._copies.move_to_end(state)
            while len(self._copies) > _MOST_COPIES:
                _, old = self._copies.popitem(last=False)
                shutil.rmtree(old.folder, ignore_errors=True)
            return self._copies[state]

    def _copy(self) -> CopiedLake:
        folder = Path(mkdtemp(prefix="catalog-", dir=self._place))
        try:
            self._lake.copy_catalog(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LakeError(
                f"cannot copy the catalog to '{self._place}' ({error.strerror}); make room there,"
                " or set TMPDIR to another folder"
            ) from error
        return CopiedLake(self._lake.path, folder)
