"""A problem of a lake: what is wrong, and the command that mends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One invalid row or file.

    check: name of the query of `sql/checks`, or kind of the problem. mend: the command that mends
    it, or, where no command can, what to do.
    """

    check: str
    problem: str
    mend: str = ""
