"""Messages on standard error.

Messages go to the logger `unidino`. The command line shows all of them; a program that imports the
library sees warnings, and decides about the rest as usual with `logging`.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("unidino")


@cache
def console() -> "Console":
    """The terminal of standard error; loaded when something is written."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


class _ConsoleHandler(logging.Handler):
    """Writes above the progress bar, without a terminal's markup or wrapping."""

    def emit(self, record: logging.LogRecord) -> None:
        console().print(self.format(record), markup=False, soft_wrap=True)


def show_messages() -> None:
    """Send all messages to standard error, one line each."""
    if not any(isinstance(handler, _ConsoleHandler) for handler in log.handlers):
        log.addHandler(_ConsoleHandler())
        log.setLevel(logging.INFO)
