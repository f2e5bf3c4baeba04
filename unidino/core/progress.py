"""A progress bar on standard error, with the count, the rate and the time left."""

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

from unidino.core.log import console


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}/s" if speed else "")


@contextmanager
def progress_bar(
    label: str, total: int, unit: str, *, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by a number of units.

    Nothing is drawn if quiet, or if standard error is no terminal.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    is_off = quiet or not console().is_terminal
    with Progress(*columns, console=console(), transient=True, disable=is_off) as bar:
        task = bar.add_task(label, total=total, unit=unit)
        yield lambda count: bar.advance(task, count)
