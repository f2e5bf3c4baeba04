"""Documents of JSON that others wrote, and files that are no files."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from unidino.core.errors import InputError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError if it is none, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_special(path: Path | str) -> None:
    """Raise InputError if a path is a folder, a device, a pipe or a socket: reading may not end.

    Raises OSError if there is nothing at the path.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no ordinary file")
        raise InputError(f"'{path}' is {kind}; expected a file")
