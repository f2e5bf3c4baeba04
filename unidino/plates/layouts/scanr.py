"""ScanR (Olympus, Evident) experiments: file names give well, position, slice, time and channel."""

import re
from pathlib import Path

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.plates.layouts.filenames import walk_images
from unidino.plates.tables import text_table

_NAME = re.compile(
    r"(?:(?P<well>[A-Za-z]{1,2}\d{1,2})--)?W\d+--P(?P<field>\d+)--Z(?P<z>\d+)--T(?P<timepoint>\d+)"
    r"--(?P<channel>.+?)(?:\.ome)?\.tiff?$"
)


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane under an experiment's folder.

    The plate is the folder that contains `data`.
    Raises InputError if no name matches, or if names have only the number of a well: the export
    does not say where on the plate that is.
    """
    files = walk_images(path)
    matches = [(file, match) for file in files if (match := _NAME.match(file.name))]
    if not matches:
        raise InputError(
            f"layout scanr matches none of the {len(files)} images under '{path}'; it reads names"
            " such as B2--W00014--P00001--Z00000--T00000--DAPI.tif"
        )
    for file, match in matches:
        if not match["well"]:
            raise InputError(
                f"'{file}' names its well only by number; export with well names, or read it with"
                " --layout filename --pattern"
            )
    return text_table(
        [
            {"path": str(file.resolve()), "plate": _plate(file)} | match.groupdict()
            for file, match in matches
        ]
    )


def _plate(file: Path) -> str:
    folder = file.resolve().parent
    return folder.parent.name if folder.name.lower() == "data" else folder.name
