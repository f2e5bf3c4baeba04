"""Names of new plates that are nearly those of others, or that spreadsheets have damaged."""

import re
from collections.abc import Iterable
from pathlib import Path

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.lake.lake import Lake

SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+\d+")
_POINTED = re.compile(r"\d+\.0+")


def say_odd_plates(lake: Lake, plates: Iterable[str], renaming: str) -> None:
    """Warn of the first new plate whose name is near that of another; else of a damaged name.

    Names are near that differ in case, blanks, leading zeros, or a last `.0`. renaming: the option
    that names plates, for the message.
    Raises InputError if the file system of the lake takes two of the names for one.
    """
    known = sorted(lake.look_up("select plate_id from plate")["plate_id"])
    new = sorted(set(plates).difference(known))
    near = _near(known, new)
    alike = [(name, other) for name, other in near if name.casefold() == other.casefold()]
    if alike and _ignores_case(lake.path):
        name, other = alike[0]
        raise InputError(
            f"plates '{name}' and '{other}' differ only by case, and the disk of the lake takes"
            f" such names for one; name one by {renaming}"
        )
    shortened = next(filter(SHORTENED.fullmatch, new), None)
    pointed = next(filter(_POINTED.fullmatch, new), None)
    if near:
        name, other = near[0]
        log.warning(
            f"plate '{name}' is new, beside a plate '{other}'; if they are the same, name one by"
            f" {renaming}" + ("; some disks take such names for one" if near[0] in alike else "")
        )
    elif shortened:
        log.warning(
            f"plate '{shortened}' is a number whose last digits a spreadsheet left out; save the"
            " plates of the table as text"
        )
    elif pointed:
        log.warning(
            f"plate '{pointed}' is named as a number with a point; {renaming} names it without"
        )


def _near(known: list[str], new: list[str]) -> list[tuple[str, str]]:
    """New plates, each with one that was before it and has nearly its name."""
    first: dict[str, str] = {}
    for name in [*known, *new]:
        first.setdefault(_bare(name), name)
    return [(name, first[_bare(name)]) for name in new if first[_bare(name)] != name]


def _bare(name: str) -> str:
    bare = re.sub(r"[\s_-]+", "_", name.strip().casefold())
    return re.sub(r"(?<=\d)\.0+$", "", bare).lstrip("0")


def _ignores_case(folder: Path) -> bool:
    """Whether the file system of a lake takes names that differ by case for one."""
    return (folder / "CATALOG.DUCKDB").exists()
