"""Opera Phenix and Operetta exports: by their Index.idx.xml, or by file names if it is missing."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.wells import well_name
from unidino.plates.layouts import filenames
from unidino.plates.layouts.xml import read_xml
from unidino.plates.tables import text_table

_INDEX_NAMES = ("Index.idx.xml", "Index.ref.xml", "Index.xml")
_NUMBERS = {
    "pixel_size_um": ("ImageResolutionX", 1e6),
    "position_x_um": ("PositionX", 1e6),
    "position_y_um": ("PositionY", 1e6),
    "excitation_nm": ("MainExcitationWavelength", 1.0),
    "emission_nm": ("MainEmissionWavelength", 1.0),
}


def scan(path: Path) -> pa.Table:
    """A row of text columns for each image under a folder.

    An index gives channel names, wavelengths (nm), pixel size and stage position (um); file names
    do not. Raises InputError if an index is damaged or there is no image.
    """
    indexes = [index for name in _INDEX_NAMES for index in sorted(path.rglob(name))]
    if not indexes:
        return filenames.scan(path, "harmony", None)
    rows = [row for index in indexes for row in _read_index(index)]
    if not rows:
        raise InputError(f"'{indexes[0]}' lists no image")
    return text_table(rows)


def _read_index(index: Path) -> list[dict[str, str | None]]:
    root = read_xml(index, "Harmony index")
    plate = root.findtext("{*}Plates/{*}Plate/{*}PlateID") or index.parent.parent.name
    size = {
        "num_rows": root.findtext("{*}Plates/{*}Plate/{*}PlateRows"),
        "num_columns": root.findtext("{*}Plates/{*}Plate/{*}PlateColumns"),
    }
    return [_row(image, plate, index) | size for image in root.iterfind("{*}Images/{*}Image")]


def _row(image: Any, plate: str, index: Path) -> dict[str, str | None]:
    """One image of an index in the manifest's columns.

    Raises InputError that names the element that is missing.
    """

    def text(name: str) -> str:
        value = image.findtext(f"{{*}}{name}")
        if not value:
            raise InputError(f"'{index}' has an image without {name}")
        return str(value)

    row: dict[str, str | None] = {
        "path": str((index.parent / text("URL")).resolve()),
        "plate": plate,
        "well": well_name(int(text("Row")), int(text("Col"))),
        "field": text("FieldID"),
        "channel_index": text("ChannelID"),
        "channel": image.findtext("{*}ChannelName"),
        "z": image.findtext("{*}PlaneID"),
        "timepoint": image.findtext("{*}TimepointID"),
    }
    for column, (name, factor) in _NUMBERS.items():
        value = image.findtext(f"{{*}}{name}")
        row[column] = repr(float(value) * factor) if value else None
    return row
