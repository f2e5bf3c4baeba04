"""Names of plates that are nearly the same, and names that spreadsheets have damaged."""

import re

from unidino.core.log import log
from unidino.core.sql import Connection
from unidino.lake.lake import Lake

_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+\d+")
_POINTED = re.compile(r"\d+\.0+")


def say_odd_plates(con: Connection, lake: Lake) -> None:
    """Warn of a new plate of the table `manifest` whose name is nearly that of another plate.

    Names are near that differ in case, blanks, leading zeros, or a last `.0`. Else warn of a name
    that a spreadsheet or a missing value in the column has damaged.
    """
    known = lake.look_up("select plate_id from plate order by plate_id")["plate_id"].to_list()
    rows = con.execute("select distinct plate from manifest order by plate").fetchall()
    known_names = set(known)
    new = dict.fromkeys(plate for (plate,) in rows if plate not in known_names)
    by_key: dict[str, str] = {}
    for name in [*known, *new]:
        other = by_key.setdefault(_key(name), name)
        if other != name and name in new:
            log.warning(
                f"plate '{name}' is new, beside a plate '{other}'; if they are the same, name it by"
                ' --map "plate=..."'
            )
            return
    for name in new:
        if _SHORTENED.fullmatch(name):
            log.warning(
                f"plate '{name}' is a number whose last digits a spreadsheet left out; save the"
                " plates of the table as text"
            )
            return
        if _POINTED.fullmatch(name):
            log.warning(
                f"plate '{name}' is named as a number with a point; --map"
                " \"plate=split_part(plate, '.', 1)\" names it without"
            )
            return


def _key(name: str) -> str:
    bare = re.sub(r"[\s_-]+", "_", name.strip().lower())
    return re.sub(r"(?<=\d)\.0+$", "", bare).lstrip("0")
