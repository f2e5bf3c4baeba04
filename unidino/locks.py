"""Names that one process at a time may hold, on one machine or on a file system that they share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from unidino.progress import say


@contextmanager
def locked(folder: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Whether this process holds the name, against all others, until the block ends.

    wait: for a process that holds it, and so always true. The lock ends with its process, however
    that ends.
    """
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    held = True
    try:
        lock.acquire(blocking=False)
    except Timeout:
        held = wait
        if wait:
            say(f"waiting for another process that holds {name}")
            lock.acquire()
    try:
        yield held
    finally:
        if held:
            lock.release()
