"""SQL of users in processes of their own: a few at a time, each with a limit of time and memory.

A query that passes its limits ends with its process. The page stays, and serves others meanwhile.
"""

import atexit
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock, Semaphore
from typing import Any, TypeVar

from unidino.core.errors import InputError
from unidino.core.user_sql import memory_bytes
from unidino.explorer.worker import READY, serve, too_much

Value = TypeVar("Value")
_MOST_RUNNING = 3
_MOST_ASKED = 6  # running or waiting; the server has more threads, for requests without SQL
_SHARE = 0.2  # of the memory, for each
_LEAST_MEMORY = 1 << 30
_MOST_MEMORY = 8 << 30
_GRACE_S = 3.0  # after the limit of a query, at which DuckDB stops by itself
_START_S = 60.0
_BUSY = "the page is busy with other queries; wait until they end, then try again"


class Apart:
    """Processes for queries, and a folder for their temporary files that only this user can read.

    They start when they are needed.
    """

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="unidino-page-"))
        self._memory = min(max(int(memory_bytes() * _SHARE), _LEAST_MEMORY), _MOST_MEMORY)
        self._running = Semaphore(_MOST_RUNNING)
        self._lock = Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._num_asked = 0
        self._is_open = True
        atexit.register(self.close)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """A block that may wait for a query.

        Raises InputError if there are many already.
        """
        with self._lock:
            if self._num_asked >= _MOST_ASKED:
                raise InputError(_BUSY)
            self._num_asked += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_asked -= 1

    def run(self, function: Callable[..., Value], *arguments: object, patience_s: float) -> Value:
        """The value of a function of a module, called in one of the processes.

        patience_s: limit of its time in seconds.
        Raises InputError with the line of any UnidinoError that it raised, or if it passed a limit.
        """
        if not self._running.acquire(timeout=patience_s):
            raise InputError(_BUSY)
        try:
            worker = self._take()
            try:
                answer: Value = worker.call(function, arguments, patience_s)
            finally:
                self._give_back(worker)
            return answer
        finally:
            self._running.release()

    def start(self) -> None:
        """Start a process, so that the first query need not wait for it."""
        with self._running:
            self._give_back(self._take())

    def close(self) -> None:
        """End the processes, and remove their files."""
        atexit.unregister(self.close)
        with self._lock:
            self._is_open = False
            workers = list(self._all)
        for worker in workers:
            self._end(worker)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self) -> "_Worker":
        with self._lock:
            if not self._is_open:
                raise InputError("the server of the page has ended")
            if self._idle:
                return self._idle.pop()
            worker = _Worker(Path(mkdtemp(prefix="query-", dir=self.folder)), self._memory)
            self._all.add(worker)
        try:
            worker.wait_until_ready()
        except BaseException:
            self._end(worker)
            raise
        return worker

    def _give_back(self, worker: "_Worker") -> None:
        if not worker.is_free:
            self._end(worker)
            return
        with self._lock:
            self._idle.append(worker)

    def _end(self, worker: "_Worker") -> None:
        with self._lock:
            self._all.discard(worker)
            self._idle = [other for other in self._idle if other is not worker]
        worker.end()


class _Worker:
    """One process, with its folder."""

    def __init__(self, folder: Path, memory: int) -> None:
        self._folder, self._memory = folder, memory
        self._is_busy = False
        self._ending = Lock()
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, folder, memory), daemon=True, name="unidino query"
        )
        # Ctrl C goes to all processes of a terminal, and would interrupt this one while it starts.
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        theirs.close()

    @property
    def is_free(self) -> bool:
        """Whether the process can take another call."""
        return not self._is_busy and not self._connection.closed

    def wait_until_ready(self) -> None:
        """Wait until the process takes calls."""
        late = "the process for queries does not start; run the command again"
        if self._receive(_START_S, late) != READY:
            raise InputError(late)

    def call(self, function: Callable[..., Any], arguments: tuple[object, ...], s: float) -> Any:
        """The value of a function; s: its limit of time in seconds. Raises InputError."""
        self._is_busy = True
        self._connection.send((function, arguments))
        succeeded, value, should_end = self._receive(
            s + _GRACE_S, f"stopped after {s:.0f} s; select fewer rows or columns"
        )
        self._is_busy = False
        if should_end:
            self.end()
        if not succeeded:
            raise InputError(value)
        return value

    def _receive(self, patience_s: float, late: str) -> Any:
        try:
            if self._connection.poll(patience_s):
                return pickle.loads(self._connection.recv_bytes())  # noqa: S301 (a process of ours)
        except (EOFError, OSError) as error:
            self.end()
            raise InputError(too_much(self._memory)) from error
        self.end()
        raise InputError(late)

    def end(self) -> None:
        """End the process at once, and remove its files; threads may ask for that together."""
        with self._ending:
            if not self._connection.closed:
                self._process.kill()
                self._process.join()
                self._connection.close()
                shutil.rmtree(self._folder, ignore_errors=True)
