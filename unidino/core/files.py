"""Hashes, locks across processes, and files that are written completely or not at all."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from unidino.core.locks import refuse_without_locks
from unidino.core.log import log
from unidino.core.stopping import unfinished


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


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished(temporary):
            yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
