"""Files of an export, without the files that desktop systems leave beside them."""

import os
from pathlib import Path

from unidino.core.errors import InputError
from unidino.core.log import log

_FILES = {".ds_store", "thumbs.db", "desktop.ini"}
_FOLDERS = {
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    ".appledouble",
    ".fseventsd",
    ".spotlight-v100",
    ".trashes",
    "system volume information",
}


def walk_files(path: Path) -> list[Path]:
    """Files under a folder, in order of name.

    Resource files of macOS (`._name.tif`, `__MACOSX`), Windows and network storages are passed
    over. A folder that cannot be listed and one that is a link are named in a warning.
    Raises InputError if the path is not a folder.
    """
    if not path.is_dir():
        raise InputError(f"this layout reads a folder; '{path}' is a file")
    found: list[Path] = []
    links: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_warn):
        folders[:] = [name for name in folders if name.lower() not in _FOLDERS]
        links += [inner for name in folders if (inner := Path(folder, name)).is_symlink()]
        found += [
            Path(folder, name)
            for name in names
            if not name.startswith("._") and name.lower() not in _FILES
        ]
    if links:
        log.warning(
            f"{len(links)} folders are links and are not followed, such as '{min(links)}'; pass"
            " such a folder as PATH to read it"
        )
    return sorted(found)


def _warn(error: OSError) -> None:
    log.warning(f"folder '{error.filename}' is passed over: {error.strerror}")
