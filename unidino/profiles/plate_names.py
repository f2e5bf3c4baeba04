"""Names of plates that are nearly the same, and names that spreadsheets have damaged."""

import re

from unidino.core.log import log
from unidino.core.sql import Connection
from unidino.lake.lake import Lake

_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+\d+")
_MEND = """name it by --map "plate=..." if they are the same"""


def say_near_plates(con: Connection, lake: Lake) -> None:
    """Warn of a plate of the table `manifest` whose name is nearly that of another plate.

    Names are near that differ in case, blanks, leading zeros, or a last `.0`.
    """
    rows = con.execute("select distinct plate, is_known from manifest order by plate").fetchall()
    by_key: dict[str, list[str]] = {}
    for name in lake.look_up("select plate_id from plate order by plate_id")["plate_id"]:
        by_key.setdefault(_key(name), []).append(name)
    for name, is_known in rows:
        near = [other for other in by_key.get(_key(name), []) if other != name]
        if near and not is_known:
            log.warning(f"plate '{name}' is new, but there is a plate '{near[0]}'; {_MEND}")
            return
        by_key.setdefault(_key(name), []).append(name)
    for name, is_known in rows:
        if is_known:
            continue
        if _SHORTENED.fullmatch(name):
            log.warning(f"plate '{name}' is a number that a spreadsheet shortened; {_CHECK}")
            return
        if re.fullmatch(r"\d+\.0+", name):
            log.warning(
                f"plate '{name}' is named as a number with a point; --map"
                " \"plate=split_part(plate, '.', 1)\" names it without"
            )
            return


_CHECK = "its last digits are lost; export the table anew, with the plates as text"


def _key(name: str) -> str:
    bare = re.sub(r"[\s_-]+", "_", name.strip().lower())
    return re.sub(r"(?<=\d)\.0+$", "", bare).lstrip("0")
