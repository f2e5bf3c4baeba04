"""Whether a file system gives locks, without which two processes cannot share a lake."""

import errno
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from unidino.core.errors import LakeError

_WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def refuse_without_locks(folder: Path) -> None:
    """Raise LakeError if the file system of a folder gives no locks, with its reason.

    A folder that may only be read is not tried.
    """
    try:
        import fcntl
    except ImportError:  # of other systems than Unix
        return
    try:
        with NamedTemporaryFile(prefix=".lock-", dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _WITHOUT and os.access(folder, os.W_OK):
            raise LakeError(
                f"the file system of '{folder}' gives no locks ({error.strerror}), which a lake"
                " needs: put the lake on another one"
            ) from error
