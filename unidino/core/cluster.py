"""A dask cluster that runs tasks of this program: rerun-safe calls, tried again on another worker.

The workers need the lake at the same address, and the packages of this program.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unidino.core.errors import InputError, UnidinoError

_PATIENCE_S = 30.0
_RETRIES = 3


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler: the file that it wrote, or its address such as tcp://HOST:8786.

    Raises InputError if dask is not installed, or if there is no such scheduler.
    """
    if not find_spec("distributed"):
        raise InputError("--scheduler needs more packages: `pip install 'unidino[dask]'`")
    from distributed import Client

    is_address = "://" in scheduler
    if not is_address and not Path(scheduler).is_file():
        raise InputError(f"--scheduler '{scheduler}' is neither a file nor an address like tcp://")
    place = {"address": scheduler} if is_address else {"scheduler_file": scheduler}
    try:
        client = Client(**place, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"no scheduler answers at '{scheduler}': {error}") from error
    with client:
        yield client


def carry_out(
    client: Any,
    function: Callable[..., Any],
    tasks: Sequence[dict[str, Any]],
    *,
    needs_gpu: bool,
    done: Callable[[Any], None],
) -> None:
    """Call a function once with each of the tasks' arguments, on any workers, in any order.

    needs_gpu: a task takes one unit of the resource GPU, of which each worker states how many it
    has. done: called with each result. A task whose worker is lost is tried again on another.
    Raises the first error of a task, after all others have ended.
    """
    from distributed import as_completed
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    resources = {"GPU": 1} if needs_gpu else None
    futures = [
        client.submit(function, **task, pure=False, retries=_RETRIES, resources=resources)
        for task in tasks
    ]
    first: Exception | None = None
    for future in as_completed(futures, loop=client.loop):
        try:
            done(future.result())
        except (UnidinoError, KilledWorker, FutureCancelledError) as error:
            first = first or error
    if isinstance(first, UnidinoError):
        raise first
    if first is not None:
        raise InputError(
            f"workers of the cluster were lost again and again ({first}); run the command again: it"
            " goes on where it stood"
        ) from first
