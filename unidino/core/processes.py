"""Processes that work side by side, and that end with the one that started them."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from threading import Thread
from time import sleep
from typing import Any

_LOOK_S = 0.5


def end_with_parent() -> None:
    """Start to watch the process that started this one, and end this one after it.

    A process that is killed takes none of its workers with it: they wait for work for ever.
    """
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(_LOOK_S)
    os._exit(1)


def num_useful(jobs: int | None) -> int:
    """Number of processes that make work faster: those that are wanted, but at most one a core.

    jobs: None for one a core.
    """
    num_cores = os.cpu_count() or 1
    return min(jobs or num_cores, num_cores)


def processes(num: int) -> ProcessPoolExecutor:
    """A pool of `num` new processes."""
    return ProcessPoolExecutor(
        num, multiprocessing.get_context("spawn"), initializer=end_with_parent
    )


def side_by_side(calls: Sequence[Any], jobs: int | None) -> Iterator[Any]:
    """Results of calls in their order, computed in several processes.

    calls: made by `joblib.delayed`; large arrays reach the processes as files that they share.
    jobs: see `num_useful`.
    """
    from joblib import Parallel

    num = num_useful(jobs)
    # One process is this one, which nothing is to end.
    options = {"initializer": end_with_parent} if num > 1 else {}
    found: Iterator[Any] = Parallel(n_jobs=num, return_as="generator", **options)(calls)
    return found
