"""Catalogs as this process has them open: each file at most once, shared by all its readers.

The lock of a file belongs to the process, not to the connection: closing any descriptor of a file
ends every lock of the process on it (POSIX record locks, fcntl(2)). Two instances of DuckDB over
one catalog would therefore lose their locks as soon as one of them closes, and another process
would write under a running query. Here all readers of a catalog are cursors of one instance, which
closes when the last of them ends. What must have the file for itself waits for that.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock, get_ident

from unidino.core.errors import LakeError
from unidino.core.sql import Connection

_PATIENCE_S = 60.0
# Readers that overlap without end would shut writers of other processes out. An instance that is
# open for so long takes no new reader, until it is closed and others had time to open the file.
_LONG_S = 5.0
_WAIT_FOR_END_S = 2.0  # but a reader that computes for long does not keep others waiting
_PAUSE_S = 0.6
_State = tuple[int, int]

_catalogs: dict[tuple[int, Path], "OpenCatalog"] = {}
_lock = Lock()


def open_catalog(path: Path) -> "OpenCatalog":
    """The catalog at a path, as this process has it open."""
    with _lock:
        return _catalogs.setdefault((os.getpid(), path.resolve()), OpenCatalog(path))


class OpenCatalog:
    """A catalog file: its one instance of DuckDB, and the threads that read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = Condition()
        self._root: Connection | None = None
        self._file: _State | None = None
        self._since = 0.0
        self._is_long = False
        self._readers: Counter[int] = Counter()
        self._alone: int | None = None

    @contextmanager
    def reading(self, connect: Callable[[], Connection]) -> Iterator[Connection]:
        """A cursor of the instance; it has its own views, macros and variables.

        connect: opens the instance for its first reader.
        Raises LakeError if this process writes to the catalog and does not end.
        """
        me = get_ident()
        with self._changed:
            self._wait_to_join(me)
            if self._root is None:
                self._root = connect()
                self._file, self._since, self._is_long = self._state(), time.monotonic(), False
            cursor = self._root.cursor()
            self._readers[me] += 1
        try:
            yield cursor
        finally:
            cursor.close()
            with self._changed:
                self._readers -= Counter([me])
                if not self._readers:
                    self._root.close()
                    self._root = None
                    self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which nothing else of this process has the file open.

        Raises LakeError if a reader of this process does not end.
        """
        me = get_ident()
        with self._changed:
            self._wait(lambda: self._root is None and self._alone is None, me)
            self._alone = me
        try:
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()

    def _wait_to_join(self, me: int) -> None:
        self._wait(lambda: self._alone is None, me)
        if me in self._readers:  # it would wait for itself
            return
        if self._root is not None and self._file != self._state():  # another file is there now
            self._wait(lambda: self._root is None, me)
        old = self._root
        if old is None or self._is_long or time.monotonic() - self._since < _LONG_S:
            return
        self._changed.wait_for(lambda: self._root is not old, _WAIT_FOR_END_S)
        if self._root is None:
            time.sleep(_PAUSE_S)
        self._is_long = self._root is old

    def _wait(self, is_free: Callable[[], bool], me: int) -> None:
        patience_s = 0.0 if me == self._alone or me in self._readers else _PATIENCE_S
        if not self._changed.wait_for(is_free, patience_s):
            raise LakeError(
                f"{self._path} is in use by another part of this program; wait until it ends, then"
                " run again"
            )

    def _state(self) -> _State | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
