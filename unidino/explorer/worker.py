"""A process that runs the SQL of users for the page, within limits that no query can pass.

DuckDB checks its limits of time and memory between pieces of work. One call of a function, such as
`repeat('x', 3000000000)`, is one piece, so the limits of the process hold where those of DuckDB do
not.
"""

import os
import pickle
import resource
import signal
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from unidino.core.errors import InputError, UnidinoError
from unidino.core.processes import end_with_parent

READY = "ready"
_MOST_BYTES = 256 << 20  # of an answer
_MOST_FILE_BYTES = 4 << 30  # of a download, and of data that leave the memory
_NICENESS = 5
_LEFT_OVER = 0.25


def serve(connection: Connection, folder: Path, memory: int) -> None:
    """Answer calls that come by a connection, until it ends.

    A call is a function and its arguments. Its answer is a pickled triple: true and the value, or
    false and the line of a UnidinoError; then whether this process should end, because calls have
    left much in its memory. folder: of this process, for temporary files. memory: bytes that calls
    may take.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process
    end_with_parent()
    tempfile.tempdir = str(folder)
    os.nice(_NICENESS)
    _load()
    taken = _taken()
    _limit(taken + memory)
    connection.send_bytes(pickle.dumps(READY))
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = True, function(*arguments)
            if (size := len(pickle.dumps(answer))) > _MOST_BYTES:
                raise InputError(f"the answer has {size >> 20} MB; select fewer or shorter values")
        except UnidinoError as error:
            answer = False, str(error)
        except MemoryError:
            answer = False, too_much(memory)
        connection.send_bytes(pickle.dumps((*answer, _taken() - taken > memory * _LEFT_OVER)))
        del answer


def too_much(memory: int) -> str:
    """The line about a query that needs more memory than these bytes."""
    return f"the query needs more than its {memory / 2**30:.1f} GB of memory; select fewer values"


def _load() -> None:
    """Load what queries need, before the limit counts."""
    import polars  # noqa: F401

    from unidino.core.user_sql import confined
    from unidino.explorer import query, wells  # noqa: F401

    with confined({}) as con:
        con.sql("select 1").pl()


def _limit(memory: int) -> None:
    """Limit what this process writes, and the bytes that it may have."""
    _lower(resource.RLIMIT_FSIZE, _MOST_FILE_BYTES)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_DATA, memory)


def _taken() -> int:
    """Bytes that this process has, as its limit counts them; 0 where this is not known."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))


def _lower(what: int, limit: int) -> None:
    now, most = resource.getrlimit(what)
    given = [n for n in (now, most) if n != resource.RLIM_INFINITY]
    resource.setrlimit(what, (min([limit, *given]), most))
