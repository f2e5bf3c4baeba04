"""A cache of computed values, and the version of a catalog as part of its keys."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock, RLock
from typing import Any, TypeVar

from unidino.lake.copied import State, state_of
from unidino.lake.lake import Lake

Value = TypeVar("Value")


class Cache:
    """The values that were used last, each computed once, also when threads ask at the same time.

    most: number of values to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._locks: dict[Hashable, RLock] = {}
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of a key, computed if it is not in the cache."""
        with self._lock:
            lock_of_key = self._locks.setdefault(key, RLock())
        with lock_of_key:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    cached: Value = self._values[key]
                    return cached
            value = compute()
            self.put(key, value)
            return value

    def __contains__(self, key: Hashable) -> bool:
        """Whether the value of a key is in the cache."""
        with self._lock:
            return key in self._values

    def put(self, key: Hashable, value: object) -> None:
        """Add a value and remove those that were not used for longest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                removed, _ = self._values.popitem(last=False)
                self._locks.pop(removed, None)


def version(lake: Lake) -> State:
    """The state of the catalog, which changes when a command writes to it."""
    return state_of(lake)
