"""A progress bar on standard error, with the count, the rate and the time left.

Without a terminal, as in a job of a cluster or a notebook, a line says the same from time to time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from unidino.core.log import console, log

_SECONDS = 30  # between lines where no bar is drawn


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}/s" if speed else "")


@contextmanager
def progress_bar(
    label: str, total: int, unit: str, *, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by a number of units.

    If standard error is no terminal, a line says how far it is every half minute. Nothing is drawn
    or said if quiet.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    is_off = quiet or not console().is_terminal
    if is_off and not quiet:
        yield _Spoken(label, total, unit).advance
        return
    with Progress(*columns, console=console(), transient=True, disable=is_off) as bar:
        task = bar.add_task(label, total=total, unit=unit)
        yield lambda count: bar.advance(task, count)


class _Spoken:
    """Progress as lines of text."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done, self._started = 0, time.monotonic()
        self._said = self._started

    def advance(self, count: int) -> None:
        """Count units; say how far it is if nothing was said for half a minute."""
        self._done += count
        now = time.monotonic()
        if now - self._said < _SECONDS or self._done >= self._total:
            return
        self._said = now
        rate = self._done / (now - self._started)
        left = _duration((self._total - self._done) / rate) if rate else "?"
        log.info(
            f"{self._label}: {self._done:,} of {self._total:,} {self._unit},"
            f" {rate:.1f} {self._unit}/s, {left} left"
        )


def _duration(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
