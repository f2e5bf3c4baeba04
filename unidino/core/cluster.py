"""A dask cluster that runs tasks of this program: rerun-safe calls, tried again on another worker.

The workers need the lake at the same address, and the packages of this program.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from unidino.core.errors import InputError, UnidinoError

_PATIENCE_S = 30.0
_RETRIES = 3
_FEWEST_AT_ONCE = 50


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
    tasks: Iterable[dict[str, Any]],
    *,
    needs_gpu: bool,
    done: Callable[[Any], None],
    goes_on: bool = True,
) -> None:
    """Call a function once with each of the tasks' arguments, on any workers, in any order.

    tasks: some at a time are given to the scheduler, so that they and their results need little
    memory there. needs_gpu: a task takes one unit of the resource GPU, of which each worker states
    how many it has. done: called with each result. goes_on: the other tasks are carried out after
    one has failed. A task whose worker is lost is tried again on another.
    Raises the first error of a task, after the tasks that were given have ended.
    """
    from distributed import as_completed
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    resources = {"GPU": 1} if needs_gpu else None
    left = iter(tasks)

    def some(num: int) -> list[Any]:
        return [
            client.submit(function, **task, pure=False, retries=_RETRIES, resources=resources)
            for task in islice(left, max(0, num))
        ]

    first: Exception | None = None
    given = as_completed(some(_num_at_once(client)), loop=client.loop)
    for future in given:
        try:
            done(future.result())
        except (UnidinoError, KilledWorker, FutureCancelledError) as error:
            first = first or error
        if goes_on or not first:
            given.update(some(_num_at_once(client) - given.count()))
    if isinstance(first, UnidinoError):
        raise first
    if first is not None:
        raise InputError(
            f"workers of the cluster were lost again and again ({first}); run the command again"
            + (": it goes on where it stood" if goes_on else "")
        ) from first


def _num_at_once(client: Any) -> int:
    """Number of tasks that the scheduler is given at once: more than its workers take."""
    num_threads: int = sum(client.nthreads().values())
    return max(_FEWEST_AT_ONCE, 3 * num_threads)
