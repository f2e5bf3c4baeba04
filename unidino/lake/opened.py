"""Catalogs as this process has them open: each file at most once, shared by all its readers.

The lock of a file belongs to the process, not to the connection: closing any descriptor of a file
ends every lock of the process on it (POSIX record locks, fcntl(2)). Two instances of DuckDB over
one catalog would therefore lose their locks as soon as one of them closes, and another process
would write under a running query. Here all readers of a catalog are cursors of one instance. What
must have the file for itself waits until the last of them ends.

To open an instance costs more than most queries. Where `keep_open` was called it stays open for a
moment after its last reader, for the next one, unless somebody waits for the file.
"""

import atexit
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock, Thread, get_ident

from unidino.core.errors import LakeError
from unidino.core.sql import Connection

_PATIENCE_S = 60.0
# Readers that overlap without end would shut writers of other processes out. An instance that is
# open for so long takes no new reader, until it is closed and others had time to open the file.
_LONG_S = 5.0
_WAIT_FOR_END_S = 2.0  # but a reader that computes for long does not keep others waiting
_PAUSE_S = 0.6
_IDLE_S = 0.05  # that an instance without readers stays open
_State = tuple[int, ...]

_catalogs: dict[tuple[int, Path], "OpenCatalog"] = {}
_lock = Lock()
_is_kept = False


def open_catalog(path: Path) -> "OpenCatalog":
    """The catalog at a path, as this process has it open."""
    with _lock:
        return _catalogs.setdefault((os.getpid(), path.resolve()), OpenCatalog(path))


def keep_open() -> None:
    """Let catalogs stay open for a moment after their last reader, from now on.

    For programs whose every part reads through this module: DuckDB lets no other part of a process
    open a file with other settings at the same time.
    """
    global _is_kept
    _is_kept = True


def close_idle() -> None:
    """Close the instances that nobody reads, so that none is forked or closed as Python ends."""
    for (pid, _), catalog in list(_catalogs.items()):
        if pid == os.getpid():
            catalog.close_if_idle()


atexit.register(close_idle)
os.register_at_fork(before=close_idle)


class OpenCatalog:
    """A catalog file: its one instance of DuckDB, and the threads that read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = Condition()
        self._root: Connection | None = None
        self._file: _State | None = None
        self._since = 0.0
        self._idle_since = 0.0
        self._closer: Thread | None = None
        self._num_waiting = 0  # for the file without an instance
        self._is_long = False
        self._readers: Counter[int] = Counter()
        self._alone: int | None = None

    @contextmanager
    def reading(
        self, connect: Callable[[], Connection], is_wanted: Callable[[], bool]
    ) -> Iterator[Connection]:
        """A cursor of the instance; it has its own views, macros and variables.

        connect: opens the instance for its first reader. is_wanted: whether another process waits
        for the file.
        Raises LakeError if this process writes to the catalog and does not end.
        """
        me = get_ident()
        with self._changed:
            self._wait_to_join(me)
            if self._is_idle() and (self._is_old() or is_wanted()):
                self._close()
            if self._root is None:
                self._open(connect)
            assert self._root is not None
            cursor = self._root.cursor()
            self._readers[me] += 1
        try:
            yield cursor
        finally:
            cursor.close()
            with self._changed:
                self._readers -= Counter([me])
                self._idle_since = time.monotonic()
                is_kept = self._closer is not None and not self._num_waiting
                if self._is_idle() and not is_kept:
                    self._close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which nothing else of this process has the file open.

        Raises LakeError if a reader of this process does not end.
        """
        me = get_ident()
        with self._changed:
            self._wait_for_the_file(lambda: self._root is None and self._alone is None, me)
            self._alone = me
        try:
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()

    def close_if_idle(self) -> None:
        """Close the instance, if nobody reads or is opening it, and end the thread that would."""
        if not self._changed.acquire(timeout=_WAIT_FOR_END_S):
            return
        try:
            if self._is_idle():
                self._close()
        finally:
            self._changed.release()
        if self._root is None and self._closer is not None:
            self._closer.join(_WAIT_FOR_END_S)

    def _open(self, connect: Callable[[], Connection]) -> None:
        self._root = connect()
        self._file, self._since, self._is_long = self._state(), time.monotonic(), False
        self._idle_since = self._since
        self._closer = None
        if _is_kept:
            self._closer = Thread(target=self._close_after_a_while, args=(self._root,), daemon=True)
            self._closer.start()

    def _close(self) -> None:
        assert self._root is not None
        self._root.close()
        self._root = None
        self._changed.notify_all()

    def _close_after_a_while(self, root: Connection) -> None:
        """Close an instance when it was idle for a while."""
        with self._changed:
            while self._root is root:
                left_s = self._idle_since + _IDLE_S - time.monotonic()
                if self._readers or left_s > 0:
                    self._changed.wait(_IDLE_S if self._readers else left_s)
                else:
                    self._close()

    def _is_idle(self) -> bool:
        return self._root is not None and not self._readers

    def _is_old(self) -> bool:
        """Whether the next reader needs another instance: the file or its folder has changed."""
        return self._file != self._state() or time.monotonic() - self._since >= _LONG_S

    def _wait_to_join(self, me: int) -> None:
        self._wait(lambda: self._alone is None, me)
        if me in self._readers or self._is_idle():  # it would wait for itself, or need not wait
            return
        if self._root is not None and self._is_another_file():
            self._wait_for_the_file(lambda: self._root is None, me)
        old = self._root
        if old is None or self._is_long or time.monotonic() - self._since < _LONG_S:
            return
        self._num_waiting += 1
        self._changed.wait_for(lambda: self._root is not old, _WAIT_FOR_END_S)
        self._num_waiting -= 1
        if self._root is None:
            time.sleep(_PAUSE_S)
        self._is_long = self._root is old

    def _wait_for_the_file(self, is_free: Callable[[], bool], me: int) -> None:
        """Wait until the instance is closed, at once if nobody reads."""
        if self._is_idle():
            self._close()
        self._num_waiting += 1
        try:
            self._wait(is_free, me)
        finally:
            self._num_waiting -= 1

    def _wait(self, is_free: Callable[[], bool], me: int) -> None:
        patience_s = 0.0 if me == self._alone or me in self._readers else _PATIENCE_S
        if not self._changed.wait_for(is_free, patience_s):
            raise LakeError(
                f"{self._path} is in use by another part of this program; wait until it ends, then"
                " run again"
            )

    def _is_another_file(self) -> bool:
        now = self._state()
        return self._file is None or now is None or self._file[:2] != now[:2]

    def _state(self) -> _State | None:
        """The file, its last change, and that of its folder, whose folders a reader may open."""
        try:
            file, folder = self._path.stat(), self._path.parent.stat()
        except OSError:
            return None
        return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size, folder.st_mtime_ns
