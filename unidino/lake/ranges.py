"""A file of which only the ranges that are asked for are read."""

from collections.abc import Callable
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from typing import Any


class Ranges(RawIOBase):
    """A file of `num_bytes`. read: its bytes from a first place to before an end."""

    def __init__(self, read: Callable[[int, int], bytes], num_bytes: int) -> None:
        super().__init__()
        self._read, self._num_bytes, self._place = read, num_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        start = {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._num_bytes}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        end = min(self._place + len(view), self._num_bytes)
        if end <= self._place:
            return 0
        data = self._read(self._place, end)
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
