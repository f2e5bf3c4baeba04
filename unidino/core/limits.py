"""How large an image may be, by what its file declares, before memory is taken for it."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

from unidino.core import stopping
from unidino.core.errors import InputError

MAX_PIXELS = 10**9  # of a plane
MAX_CHANNELS = 1000  # of a field
MAX_PLANES = 100_000  # of a field, over channels, slices and time points
MAX_CHUNKS = 32_768  # of a plane
_SHARE = 0.8  # of the memory of the machine


def check_planes(num_channels: int, num_planes: int) -> None:
    """Raise ValueError if an image declares more channels or planes than a field may have."""
    if num_channels > MAX_CHANNELS:
        raise ValueError(
            f"it declares {num_channels} channels; a field may have up to {MAX_CHANNELS}"
        )
    if num_planes > MAX_PLANES:
        raise ValueError(f"it declares {num_planes} planes; a field may have up to {MAX_PLANES}")


def check_pixels(height: int, width: int, max_pixels: int) -> None:
    """Raise ValueError if a plane of so many pixels is not to be read."""
    if height * width > max_pixels:
        raise ValueError(
            f"it declares {height} x {width} px; --max-pixels allows {max_pixels} a plane"
        )


def check_bytes(shape: Sequence[int], bytes_each: int, what: str) -> None:
    """Raise ValueError if an array of this shape would not fit in the memory of the machine."""
    num_bytes = prod(shape) * bytes_each
    if num_bytes > memory_bytes():
        size = " x ".join(map(str, shape))
        raise ValueError(f"{what} of {size} takes {num_bytes / 2**30:.1f} GiB, more than there is")


def check_memory(num_bytes: int, what: str) -> None:
    """Raise InputError if so many bytes do not fit in the memory of the machine.

    what: takes them, as the first words of the message.
    """
    if num_bytes > memory_bytes():
        raise InputError(
            f"{what} takes {num_bytes / 2**30:.1f} GiB; this machine has"
            f" {memory_bytes() / 2**30:.0f} GiB to give"
        )


class Room:
    """Memory that several threads share: each waits until there is room for what it takes."""

    def __init__(self, num_bytes: int | None = None) -> None:
        self._total = memory_bytes() if num_bytes is None else num_bytes
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, num_bytes: int, what: str) -> Iterator[None]:
        """A block that holds so many bytes. what: takes them, for the message.

        Raises InputError if there is never room for them.
        """
        if num_bytes > self._total:
            raise InputError(
                f"{what} takes {num_bytes / 2**30:.1f} GiB of memory; there are"
                f" {self._total / 2**30:.1f} GiB"
            )
        with self._changed:
            while self._taken + num_bytes > self._total:
                stopping.check()
                self._changed.wait(0.2)
            self._taken += num_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= num_bytes
                self._changed.notify_all()


def memory_bytes() -> int:
    """Memory of the machine that one program may take."""
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _SHARE)
    except (AttributeError, ValueError, OSError):  # of other systems than Unix
        return 1 << 62
