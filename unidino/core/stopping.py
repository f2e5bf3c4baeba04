"""Ctrl C: what runs is stopped, and the process ends in a moment, whatever it waits for.

Ctrl C raises `Stopped` in the main thread and interrupts queries; threads look at `check`. A
library may be busy outside of Python or swallow an exception: after a moment the process removes
what it has half written, and ends.
"""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn
from weakref import WeakSet

STATUS = 130  # what a shell gives a program that Ctrl C ended
LINE = "stopped: what has landed stays; run the command again for the rest"
_PATIENCE_S = 0.7
_RAISED_AGAIN_S = 0.05
# The process that tidies up after worker processes would tell the user that it does.
_OF_HELPERS = "ignore:resource_tracker"

_asked = threading.Event()
_raised = threading.Event()
_unfinished: set[Path] = set()
_queries: "WeakSet[Any]" = WeakSet()


class Stopped(BaseException):
    """The user has stopped the program; libraries do not catch it."""


def is_asked() -> bool:
    """Whether the program is to end."""
    return _asked.is_set()


def check() -> None:
    """Raise Stopped if the program is to end; threads call it between two pieces of work."""
    if _asked.is_set():
        raise Stopped


def interruptible(connection: Any) -> Any:
    """The connection of DuckDB, whose queries end when the program is to end."""
    _queries.add(connection)
    return connection


def remove_at_end(path: Path) -> None:
    """Remove this file or folder if the process must end before it does so itself."""
    _unfinished.add(path)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file or folder that is removed if the process must end within the block."""
    _unfinished.add(path)
    try:
        yield path
    finally:
        _unfinished.discard(path)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the time of the block, however the block ends."""
    folder = TemporaryDirectory(prefix="unidino-", ignore_cleanup_errors=True)
    with folder as name, unfinished(Path(name)) as path:
        yield path


@contextmanager
def on_ctrl_c() -> Iterator[None]:
    """A block that Ctrl C ends by Stopped; if that takes long, the process ends with a line.

    Only the main thread gets signals, and a program in the background gets none: the block is an
    ordinary one then.
    """
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before in (signal.SIG_IGN, None):
        yield
        return
    _asked.clear()
    _raised.clear()
    awake, bell = socket.socketpair()
    bell.setblocking(False)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(awake, ended), daemon=True)
    watcher.start()
    wakeup = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    warnings = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (warnings, _OF_HELPERS)))
    report, sys.unraisablehook = sys.unraisablehook, _raise_again
    of_threads, threading.excepthook = threading.excepthook, _say_of_thread
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if _asked.is_set() else before)
        ended.set()
        signal.set_wakeup_fd(wakeup)
        bell.close()
        watcher.join()
        awake.close()
        del os.environ["PYTHONWARNINGS"]
        if warnings is not None:
            os.environ["PYTHONWARNINGS"] = warnings
        if not _asked.is_set():
            sys.unraisablehook = report
            threading.excepthook = of_threads


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """Handle Ctrl C; a second one does not disturb what the first has begun to clean up.

    A module that is being imported is waited for: libraries abort where an import of theirs fails.
    """
    _asked.set()
    if _raised.is_set():
        return
    _raised.set()
    if _is_importing(frame):
        _ring_later()
    else:
        raise Stopped


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


def _raise_again(report: Any) -> None:
    """Raise Stopped once more, a little later, if a callback of a library has swallowed it."""
    if isinstance(report.exc_value, Stopped):
        _ring_later()
    elif not _asked.is_set():
        sys.__unraisablehook__(report)


def _say_of_thread(args: threading.ExceptHookArgs) -> None:
    """Say why a thread has ended, unless it ended because the program is to end."""
    if not _asked.is_set():
        threading.__excepthook__(args)


def _ring_later() -> None:
    timer = threading.Timer(_RAISED_AGAIN_S, _ring_again)
    timer.daemon = True
    timer.start()


def _ring_again() -> None:
    _raised.clear()
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)  # which ends what the thread waits for


def _watch(awake: socket.socket, ended: threading.Event) -> None:
    """Wait for Ctrl C in a thread of its own; then end the process if it does not end itself."""
    while True:
        rung = awake.recv(64)
        if not rung:
            return
        if signal.SIGINT in rung:
            break
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for connection in list(_queries):
            with suppress(Exception):  # one that is closed
                connection.interrupt()
        if ended.wait(0.1):
            return
    say()
    end_now()


def say() -> None:
    """Say that the program was stopped, without a lock that another thread may hold."""
    with suppress(OSError):
        os.write(2, f"{LINE}\n".encode())


def leave() -> NoReturn:
    """End the process after Ctrl C, without waiting for threads that are still busy.

    A thread that is busy outside of Python would abort the process if Python ended before it.
    """
    if threading.active_count() > 1 or multiprocessing.active_children():
        end_now()
    sys.exit(STATUS)


def end_now() -> NoReturn:
    """End the process, with those that it started, without what it has half written."""
    for process in multiprocessing.active_children():
        with suppress(ProcessLookupError):
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)  # those of joblib have no method `kill`
    sys.setswitchinterval(60)  # other threads write no more
    for path in list(_unfinished):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    os._exit(STATUS)
