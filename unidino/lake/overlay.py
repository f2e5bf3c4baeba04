"""A lake that may only be read, with a temporary folder in front of it for what is computed."""

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from unidino.core.log import log
from unidino.lake import records
from unidino.lake.lake import ORIGIN, Lake

_COMPUTED = "profiles"  # the only folder to which figures, reports and exports add files
_LEFT_OUT = {".locks", records.FOLDER}


def to_compute_in(lake: Lake) -> Lake:
    """The lake, or, if this process may not write to it, a copy that lasts as long as the process.

    The copy has the catalog of the lake, and links to its files. What is computed there is not
    kept; this is said once.
    """
    if lake.is_writable or lake.is_remote:
        return lake
    state = lake.catalog.stat()
    return Lake.open(_copy(lake, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=16)
def _copy(lake: Lake, modified_ns: int, size: int) -> Path:
    """Folder of the copy of a lake at one state of its catalog."""
    log.warning(f"the lake '{lake.path}' is read-only here: what is computed is not kept")
    origin = lake.path.resolve()
    above = Path(tempfile.mkdtemp(prefix="unidino-lake-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    folder = above / origin.name
    folder.mkdir()
    (folder / ORIGIN).symlink_to(origin)
    lake.copy_catalog(folder)
    for path in origin.iterdir():
        if path.name == _COMPUTED:
            _link_files(path, folder / _COMPUTED)
        elif path.name not in _LEFT_OUT and not path.name.startswith(lake.catalog.name):
            (folder / path.name).symlink_to(path)
    return folder


def _link_files(origin: Path, folder: Path) -> None:
    """Make the folders of a tree again, with links to its files."""
    for path, _, names in os.walk(origin):
        beside = folder / Path(path).relative_to(origin)
        beside.mkdir()
        for name in names:
            (beside / name).symlink_to(Path(path) / name)
