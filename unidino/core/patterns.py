"""Regular expressions that users write: they are compiled, and searched for a limited time."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from unidino.core.errors import InputError

_PATIENCE_S = 15.0
_SHOWN = 200


def compiled(option: str, pattern: str) -> re.Pattern[str]:
    """The regular expression. option: that gives it, for messages.

    Raises InputError if it is not valid.
    """
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, MemoryError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(
            f"{option} '{pattern[:_SHOWN]}' is no regular expression: {reason}"
        ) from error


@contextmanager
def in_time(option: str, pattern: str, num_texts: int) -> Iterator[None]:
    """A block that searches a pattern in so many texts, for a limited time.

    Some expressions, such as `(a+)+b`, need more time than the universe has. Only the main thread
    is limited.
    Raises InputError after 15 s, and a second more for every 10 000 texts.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seconds = _PATIENCE_S + num_texts / 10_000

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise InputError(
            f"{option} '{pattern[:_SHOWN]}' was searched for {seconds:.0f} s without an end;"
            " simplify it: a repetition within a repetition, such as (a+)+, has no end"
        )

    before = signal.signal(signal.SIGALRM, stop)
    started = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        passed = time.monotonic() - started
        signal.setitimer(signal.ITIMER_REAL, max(left - passed, 0.001) if left else 0)
        signal.signal(signal.SIGALRM, before)
