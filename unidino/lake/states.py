"""States of files: size, time of change and hash, and whether a file still has the state it had.

A file of the registered size and time is taken as unchanged. One of another time is read, because
copies of a lake have times of their own; its hash decides.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any

from unidino.core.files import file_sha256

_THREADS = 8
_BATCH = 256
# Files that file managers write into every folder that is looked at.
OF_FILE_MANAGERS = {".DS_Store", "Thumbs.db", "desktop.ini", ".directory"}


@dataclass(frozen=True)
class FileState:
    """A file as it was written: path, size, time of change (ns since 1970) and SHA-256.

    sha256: None for a file that was not read, such as one of a plate that stays in place.
    """

    path: str
    num_bytes: int
    modified_ns: int
    sha256: str | None

    def below(self, folder: Path) -> "FileState":
        """The same state, with the path relative to a folder."""
        return replace(self, path=os.path.relpath(self.path, folder))


def write_file(path: str, parts: Sequence[bytes]) -> FileState:
    """The state of a file that is written here: parts one after another, without a copy."""
    digest = hashlib.sha256()
    with open(path, "wb", buffering=0) as file:
        for part in parts:
            digest.update(part)
            view = memoryview(part)
            while view:  # an unbuffered write may be incomplete
                view = view[file.write(view) :]
        stat = os.fstat(file.fileno())
    return FileState(path, stat.st_size, stat.st_mtime_ns, digest.hexdigest())


def state_of(path: Path, uri: str) -> FileState:
    """The state of a file, which is read. uri: path in the result."""
    stat = path.stat()
    return FileState(uri, stat.st_size, stat.st_mtime_ns, file_sha256(path))


def unread_state_of(path: str) -> FileState:
    """The state of a file, without its hash."""
    stat = os.stat(path)
    return FileState(path, stat.st_size, stat.st_mtime_ns, None)


def fault_of(path: Path | str, state: FileState, *, deep: bool = False) -> str | None:
    """How a file differs from its state; None if it does not.

    deep: read files of the same size and time too. A file without a hash is judged by its size and
    time alone.
    """
    return _judged(Path(path), state, deep)[0]


def _judged(path: Path, state: FileState, deep: bool) -> tuple[str | None, bool]:
    """The fault of a file, and whether it was read to find it."""
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            return "is no file", False
        if stat.st_size != state.num_bytes:
            return f"has {stat.st_size} bytes, not {state.num_bytes}", False
        is_of_time = stat.st_mtime_ns == state.modified_ns
        if state.sha256 is None:
            return None if is_of_time else "was changed", False
        if is_of_time and not deep:
            return None, False
        return None if file_sha256(path) == state.sha256 else "has other content", True
    except FileNotFoundError:
        return "is missing", False
    except OSError as error:
        return f"cannot be read: {error.strerror}", False


def is_whole(path: Path, state: FileState) -> bool:
    """Whether a file has its state."""
    return fault_of(path, state) is None


def _settle(path: Path, state: FileState, fault: str | None) -> None:
    """Give a file that was read the time that tells its fault to whoever looks only at times.

    A whole file gets its registered time, a changed one the present time. Where the lake may only
    be read, nothing is done.
    """
    with contextlib.suppress(OSError):
        stat = path.stat()
        is_of_time = stat.st_mtime_ns == state.modified_ns
        if fault is None and not is_of_time:
            os.utime(path, ns=(stat.st_atime_ns, state.modified_ns))
        elif fault and is_of_time:
            os.utime(path)


def faults_of(
    files: Iterable[tuple[Path, FileState]],
    *,
    deep: bool,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[FileState, str]]:
    """States that files no longer have, with the fault of each. advance: called with a number."""

    def judged(batch: Sequence[tuple[Path, FileState]]) -> list[tuple[FileState, str]]:
        found = []
        for path, state in batch:
            fault, was_read = _judged(path, state, deep)
            if was_read:
                _settle(path, state, fault)
            if fault:
                found.append((state, fault))
        return found

    rows = list(files)
    batches = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch, found in zip(batches, pool.map(judged, batches), strict=True):
            if advance:
                advance(len(batch))
            yield from found


def files_below(folder: Path | str) -> Iterator[str]:
    """Paths of the files below a folder, in order; those of file managers are left out."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name not in OF_FILE_MANAGERS and not name.startswith("._"):
                yield os.path.join(place, name)


def state_from(row: dict[str, Any]) -> FileState:
    """The state that a row of the table `file` tells."""
    return FileState(row["uri"], row["num_bytes"], row["modified_ns"], row["sha256"])
