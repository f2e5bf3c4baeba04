"""Work that is done while the result of the work before is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items in their order; a thread makes the next one while the caller uses the last."""
    waiting = iter(items)
    end: list[Item] = []  # told from every item by its identity
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, waiting, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, waiting, end)
            yield item  # type: ignore[misc]
