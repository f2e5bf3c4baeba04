"""ScanR (Olympus, Evident) experiments: file names give well, position, slice, time and channel."""

import re
from pathlib import Path

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import Row, from_places, unplaced
from unidino.plates.layouts.filenames import walk_images
from unidino.plates.tables import text_table

_NAME = re.compile(
    r"(?:(?P<well>.+?)--)?W\d+--P(?P<field>\d+)--Z(?P<z>\d+)--T(?P<timepoint>\d+)"
    r"--(?P<channel>.+?)(?:\.ome)?\.tiff?",
    re.IGNORECASE,
)


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane under an experiment's folder.

    The plate is the folder that contains `data`. A name that has only the number of a well has a
    problem in its row: the export does not say where on the plate that is.
    Raises InputError if no name matches.
    """
    files = walk_images(path)
    parts: dict[Path, list[Row]] = {}
    left_out = []
    for file in files:
        match = _NAME.fullmatch(file.name)
        if not match:
            left_out.append(file)
        elif match["well"]:
            row: Row = {"path": str(file.resolve()), "plate": _plate(file)}
            parts.setdefault(file.parent, []).append(row | match.groupdict())
        else:
            problem = (
                f"'{file}' names its well only by number; export with well names, or read it with"
                " --layout filename --pattern"
            )
            parts.setdefault(file.parent, []).append(unplaced(problem))
    if not parts:
        such_as = f" (such as '{files[0].name}')" if files else ""
        raise InputError(
            f"layout scanr matches none of the {len(files)} images under '{path}'{such_as}; it"
            " reads names such as B2--W00014--P00001--Z00000--T00000--DAPI.tif"
        )
    if left_out:
        log.warning(
            f"{len(left_out)} of {len(files)} images are left out: their names do not match, such"
            f" as '{left_out[0]}'"
        )
    return text_table(from_places(parts.items()))


def _plate(file: Path) -> str:
    folder = file.resolve().parent
    return folder.parent.name if folder.name.lower() == "data" else folder.name
