"""Messages on standard error.

All messages go to the logger `unidino`. The command line shows all of them. A program that imports
the library sees warnings and errors; it can change the level with `logging`.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("unidino")


@cache
def console() -> "Console":
    """The console of standard error; rich is imported at the first call."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


class _ConsoleHandler(logging.Handler):
    """Writes above the progress bar, without markup and without line wrapping."""

    def emit(self, record: logging.LogRecord) -> None:
        console().print(self.format(record), markup=False, soft_wrap=True)


def show_messages() -> None:
    """Send all messages to standard error, one line each."""
    if not any(isinstance(handler, _ConsoleHandler) for handler in log.handlers):
        log.addHandler(_ConsoleHandler())
        log.setLevel(logging.INFO)
