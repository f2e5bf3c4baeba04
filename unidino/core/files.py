"""Hashes, locks across processes, and files that are written completely or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from unidino.core.locks import refuse_without_locks
from unidino.core.log import log
from unidino.core.stopping import unfinished

_FLUSHES = 8  # at once; the file system writes its journal once for all of them


@contextmanager
def locked(folder: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Lock `name` across processes until the block ends; yields whether this process holds it.

    Raises LakeError if the file system gives no locks.

    wait: wait until another process releases the lock; the yielded value is then always true. The
    lock ends when its process ends or is killed. It works on one machine, and on a shared file
    system that supports locks.
    """
    folder.mkdir(exist_ok=True)
    _refuse_once(folder)
    lock = FileLock(folder / f"{name}.lock")
    held = True
    try:
        lock.acquire(blocking=False)
    except Timeout:
        held = wait
        if wait:
            log.info(f"waiting for another process, which holds the lock '{name}'")
            lock.acquire()
    try:
        yield held
    finally:
        if held:
            lock.release()


_NOTHING_FREE = 1 << 16  # bytes
_refuse_once = cache(refuse_without_locks)


def digest(*items: object) -> str:
    """BLAKE2b hash (128 bit, hex) of the items as JSON."""
    text = json.dumps(items, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(folder: Path) -> None:
    """Bring every file and folder below a folder to the disk, so that a power loss spares them."""
    places = [Path(parent, name) for parent, _, names in os.walk(folder) for name in ["", *names]]
    with ThreadPoolExecutor(_FLUSHES) as pool:
        list(pool.map(flush_one, places))


def flush_one(place: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    opened = os.open(place, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < _NOTHING_FREE


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends without an error."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished(temporary):
            yield temporary
        flush_one(temporary)
        temporary.replace(path)
        flush_one(path.parent)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename, error.filename2 = str(path), None
        raise
    except Exception as error:
        if _is_full(path.parent):  # which libraries that write files may say in other words
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
