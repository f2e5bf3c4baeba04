"""Copies of remote files on this machine, as many as a limit allows.

A copy has the size and time of change of its registered state, so that it is known to be whole
without being read; its time of access is that of its last use. What was used longest ago is
removed first. Files that are in use, by the last minute, stay even beyond the limit.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from unidino.core.errors import InputError, LakeError
from unidino.core.stopping import unfinished
from unidino.lake.states import FileState, fault_of, files_below

_ROOMS = ("plates", "embeddings", "crops", "profiles", "cells", "illumination", "records")
_USUAL = "20 GB"
_IN_USE_S = 60.0
_SHARE = 0.9  # of the limit stays when room is made
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def limit_bytes() -> int:
    """Bytes that the copies may have: UNIDINO_CACHE_SIZE, such as 200 GB; default 20 GB."""
    text = os.environ.get("UNIDINO_CACHE_SIZE", _USUAL)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if not found:
        raise InputError(f"UNIDINO_CACHE_SIZE is '{text}'; give a size such as '{_USUAL}'")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def folder_of(name: str) -> Path:
    """Folder for the copies of a lake: in UNIDINO_CACHE, or among the caches of this user."""
    given = os.environ.get("UNIDINO_CACHE") or os.environ.get("XDG_CACHE_HOME")
    above = Path(given) if given else Path.home() / ".cache"
    return above / name if os.environ.get("UNIDINO_CACHE") else above / "unidino" / name


class Cache:
    """The copies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.limit = limit_bytes()
        self._num_bytes: int | None = None
        self._lock = threading.Lock()

    def is_whole(self, state: FileState) -> bool:
        """Whether the copy of a file has its registered state; it counts as used now."""
        path = self.folder / state.path
        if fault_of(path, state) is not None:
            return False
        os.utime(path, ns=(time.time_ns(), state.modified_ns))
        return True

    def bring(self, state: FileState, fetch: Callable[[str, Path], bool]) -> bool:
        """Make a copy of a file with `fetch`; whether what came is whole.

        Raises LakeError if this machine has no room for it.
        """
        path = self.folder / state.path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(state.num_bytes)
        descriptor, name = tempfile.mkstemp(".tmp", f".{path.name[:80]}.", path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            with unfinished(temporary):
                try:
                    is_there = fetch(state.path, temporary)
                except OSError as error:
                    raise LakeError(
                        f"no copy of '{state.path}' can be kept in '{self.folder}':"
                        f" {error.strerror}; make room there, or set UNIDINO_CACHE to another"
                        " folder"
                    ) from error
                if not is_there or _other_content(temporary, state):
                    return False
                os.utime(temporary, ns=(time.time_ns(), state.modified_ns))
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _make_room(self, num_bytes: int) -> None:
        """Remove copies that were not used for long, if the next one would exceed the limit."""
        with self._lock:
            if self._num_bytes is None:
                self._num_bytes = sum(size for size, *_ in self._copies())
            self._num_bytes += num_bytes
            if self._num_bytes <= self.limit:
                return
            copies = sorted(self._copies(), key=lambda copy: copy[1])
            total = sum(size for size, *_ in copies) + num_bytes
            for size, used, path in copies:
                if total <= self.limit * _SHARE or used > time.time() - _IN_USE_S:
                    break
                path.unlink(missing_ok=True)
                total -= size
            self._num_bytes = total

    def _copies(self) -> list[tuple[int, float, Path]]:
        """Bytes, time of the last use (s since 1970) and path of each copy."""
        found = []
        for room in _ROOMS:
            for name in files_below(self.folder / room):
                try:
                    stat = os.stat(name)
                except OSError:  # removed by another process
                    continue
                found.append((stat.st_size, stat.st_atime, Path(name)))
        return found


def _other_content(path: Path, state: FileState) -> bool:
    from unidino.core.files import file_sha256

    return state.sha256 is not None and file_sha256(path) != state.sha256
