"""Columns that the program adds to tables, and other names for those of users."""

from collections.abc import Sequence
from pathlib import Path

from unidino.core.log import log

PROBLEM = "_problem"  # column of what a reader found wrong with a row
MEASUREMENT = "_measurement"  # column of the place of a row's measurement
STATED = "_stated"  # column of the names of columns that a table states for a row
MAY_MATCH = "_may_match"  # column of whether a row may match one of a table that is joined
NUM_ROWS = "_num_rows"  # column of how many rows of a table a row stands for
# Columns that say where a row came from; no table of a user has them.
PLACE = ("_line", "_file", PROBLEM, MEASUREMENT, STATED, MAY_MATCH, NUM_ROWS)
_RESERVED = (*PLACE, "_number", "_place", "_row")


def free_names(names: Sequence[str], path: Path) -> list[str]:
    """The names of a table's columns; those that the program uses itself get a number (said)."""
    taken, free = {name.lower() for name in names}, []
    for name in names:
        new, number = name, 0
        while new.lower() in _RESERVED or (new != name and new.lower() in taken):
            number += 1
            new = f"{name}_{number}"
        if new != name:
            log.warning(
                f"'{path}': column '{name}' is called '{new}' here, because the program uses the"
                " name itself"
            )
        free.append(new)
    return free
