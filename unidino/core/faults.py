"""Errors of the machine and of libraries in words: one line with the place, the reason, what to do.

Checks belong where a value is used; this is the net under them. Packages are told by the names of
their errors, so that none is imported for it.
"""

import errno
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

_NEXT = {
    errno.ENOSPC: "the disk is full: make room and run again; what landed before stays",
    errno.EDQUOT: "the quota is used up: make room and run again; what landed before stays",
    errno.EFBIG: "the file system or a limit of this process (ulimit -f) takes no larger file",
    errno.EACCES: "ask its owner for the right, or name another place",
    errno.EPERM: "ask its owner for the right, or name another place",
    errno.EROFS: "name a place that may be written to",
    errno.ENOENT: "check the path; perhaps it was removed meanwhile",
    errno.ENOTDIR: "name a folder",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "name another place, or remove it",
    errno.ENOTEMPTY: "name another place, or remove it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle",
    errno.EMFILE: "this process may open no more files: raise the limit (ulimit -n), or use fewer"
    " --jobs",
    errno.ENFILE: "this machine has no more files to open: end other programs",
    errno.ENOMEM: "end other programs, or use fewer --jobs",
    errno.EIO: "the disk or its connection has a fault: copy what is there, and mend it",
    errno.ESTALE: "the network file system has lost it: run again",
    errno.ETIMEDOUT: "the file system does not answer: run again when it does",
    errno.ENOLCK: "this file system gives no locks: put the lake on one that does",
    errno.EOPNOTSUPP: "this file system gives no locks, or lacks another operation that a lake"
    " needs: put the lake on another one",
    errno.ENOSYS: "this system lacks an operation that a lake needs: put the lake on another file"
    " system",
}
_MEMORY = (
    "there is not enough memory{}: end other programs, use fewer --jobs or a smaller --batch-size,"
    " or take less at once"
)
_NO_MEMORY = ("can't allocate memory", "not enough memory", "cannot allocate memory")
_SAFETENSORS = ("safetensors.SafetensorError", "safetensors_rust.SafetensorError")
_MAX_REASON = 600


def words_for(error: BaseException) -> str | None:
    """The line for an error that the program knows; None for any other, which is a bug."""
    kinds = {f"{c.__module__.partition('.')[0].lstrip('_')}.{c.__name__}" for c in _classes(error)}
    said = str(error).lower()
    if _is_disk_full(error, said):
        return f"cannot write{_place(error)}: {_NEXT[errno.ENOSPC]}"
    if kinds & {"duckdb.OutOfMemoryException", "torch.OutOfMemoryError"} or isinstance(
        error, MemoryError
    ):
        return _MEMORY.format(_in_brackets(error))
    if isinstance(error, RuntimeError) and any(text in said for text in _NO_MEMORY):
        return _MEMORY.format(_in_brackets(error))
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return "this process may start no more threads: raise the limit (ulimit -u), or use --jobs"
    if kinds & {"concurrent.BrokenProcessPool", "joblib.TerminatedWorkerError"}:
        return (
            "a process of this command was killed, perhaps because memory was short: use fewer"
            " --jobs, and run again"
        )
    if isinstance(error, RecursionError):
        return "a document is nested too deeply to be read: check what this command was given"
    if isinstance(error, UnicodeError):
        return f"a text cannot be read or written: {_reason(error)}; save it as UTF-8"
    if isinstance(error, OSError):
        return _of_the_system(error)
    if "duckdb.Error" in kinds:
        return (
            f"the catalog does not answer as it should: {_reason(error)}; `unidino check` looks for"
            " what is damaged"
        )
    if kinds & {
        "zarr.BaseZarrError",
        "safetensors.SafetensorError",
        "safetensors_rust.SafetensorError",
    }:
        return f"a file is damaged: {_reason(error)}; `unidino check` looks for it in a lake"
    if kinds & {"pyarrow.ArrowException", "polars.PolarsError"}:
        return f"a table cannot be read or written: {_reason(error)}; check what was given"
    return None


def words_for_bug(error: BaseException) -> str:
    """The line for an error that the program does not know, whose traceback goes to a file."""
    place = _written(error)
    kept = f"with the file '{place}'" if place else "with what UNIDINO_DEBUG=1 shows"
    return (
        f"this is a bug of unidino, not of what you gave: {type(error).__name__}: {_reason(error)};"
        f" please report it to the maintainers {kept}"
    )


def _classes(error: BaseException) -> tuple[type, ...]:
    return type(error).__mro__


def _is_disk_full(error: BaseException, said: str) -> bool:
    full = os.strerror(errno.ENOSPC).lower(), os.strerror(errno.EDQUOT).lower()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # Libraries that are not written in Python give the words of the system only.
    return not isinstance(error, UnicodeError) and any(text in said for text in full)


def _place(error: BaseException) -> str:
    names = [getattr(error, "filename", None), getattr(error, "filename2", None)]
    return " to ".join(f" '{os.fsdecode(n)}'" for n in names if isinstance(n, str | bytes))


def _of_the_system(error: OSError) -> str:
    """The line for an error of the operating system or of a file's content."""
    after = f"; {_NEXT[error.errno]}" if error.errno in _NEXT else ""
    place = _place(error)
    if error.strerror is None or not place:
        return f"cannot read or write a file: {_reason(error)}{after}"
    return f"cannot read or write{_shortened(place)}: {error.strerror}{after}"


def _shortened(place: str) -> str:
    return place if len(place) <= _MAX_REASON else f"{place[:80]}...'"


def _reason(error: BaseException) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        text = f"no {text}"
    text = text or type(error).__name__
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]} ..."


def _in_brackets(error: BaseException) -> str:
    reason = _reason(error)
    return "" if reason == type(error).__name__ else f" ({reason.rstrip('.')})"


def _written(error: BaseException) -> Path | None:
    """A new file with the traceback, which only this user can read; None if there is no room."""
    head = f"{' '.join(sys.argv)}\nPython {platform.python_version()}, {platform.platform()}\n\n"
    lines = traceback.format_exception(error)
    try:
        number, name = tempfile.mkstemp(prefix="unidino-", suffix=".log")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + "".join(lines))
    except OSError:
        return None
    return Path(name)
