"""OME-TIFF: planes, channels, sizes and plates by OME-XML."""

from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import pyarrow as pa
import tifffile

from unidino.core.errors import InputError
from unidino.core.wells import well_name
from unidino.plates.layouts import filenames
from unidino.plates.layouts.xml import parse_xml, read_xml
from unidino.plates.tables import text_table

_KIND = "OME-XML"
_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.btf", ".companion.ome")
_MICROMETRE = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}


def scan(path: Path, pattern: str | None) -> pa.Table:
    """A row of text columns for each plane that the OME-XML of the files under a folder names.

    `page` counts the planes of a file. Wells come from the OME plate. The well of an image that is
    in no OME plate comes from the path of its file, by a pattern as in the layout `filename`.
    Raises InputError if there is no OME-TIFF, or if the well of an image is not known.
    """
    files = sorted(f for f in path.rglob("*") if f.name.lower().endswith(_SUFFIXES))
    if not files:
        raise InputError(f"no OME-TIFF under '{path}' (looked for {', '.join(_SUFFIXES)})")
    rows: dict[tuple[str, str], dict[str, str | None]] = {}
    for file in files:
        for row in _read_file(file, pattern):
            rows.setdefault((str(row["path"]), str(row["page"])), row)
    return text_table(list(rows.values()))


def _read_file(file: Path, pattern: str | None) -> Iterator[dict[str, str | None]]:
    if file.name.endswith(".companion.ome"):
        root = read_xml(file, _KIND)
    else:
        try:
            with tifffile.TiffFile(file) as tiff:
                text = tiff.ome_metadata
        except (OSError, ValueError, tifffile.TiffFileError) as error:
            raise InputError(f"'{file}' is not a valid TIFF: {error}") from error
        if not text:
            raise InputError(f"'{file}' has no {_KIND}; read it with --layout filename --pattern")
        root = parse_xml(text, file, _KIND)
    wells = _wells(root, file)
    for image in root.iterfind("{*}Image"):
        where = wells.get(image.get("ID"))
        for row in _planes(image, file):
            place = where or _by_pattern(Path(str(row["path"])), pattern)
            yield row | place


def _wells(root: Any, file: Path) -> dict[str, dict[str, str | None]]:
    """Plate, well and field of each image of the OME plates."""
    found: dict[str, dict[str, str | None]] = {}
    for plate in root.iterfind("{*}Plate"):
        name = plate.get("Name") or file.resolve().parent.name
        for well in plate.iterfind("{*}Well"):
            position = well_name(int(well.get("Row")) + 1, int(well.get("Column")) + 1)
            for number, sample in enumerate(well.iterfind("{*}WellSample"), start=1):
                reference = sample.find("{*}ImageRef")
                if reference is not None:
                    found[reference.get("ID")] = {
                        "plate": name,
                        "well": position,
                        "field": str(number),
                        "num_rows": plate.get("Rows"),
                        "num_columns": plate.get("Columns"),
                    }
    return found


def _by_pattern(file: Path, pattern: str | None) -> dict[str, str | None]:
    """Plate, well and field of an image that is in no OME plate."""
    if not pattern:
        raise InputError(
            f"'{file}' is in no plate of its {_KIND}; say with --pattern which part of the path"
            r" is its well, such as '(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<field>\d+)'"
        )
    groups = filenames.match_path(file, filenames.compiled(pattern))
    if groups is None:
        raise InputError(f"--pattern does not match '{file}'")
    return {name: groups.get(name, "1") for name in ("plate", "well", "field")}


def _planes(image: Any, file: Path) -> Iterator[dict[str, str | None]]:
    """Every plane of an image: its file, page, channel, slice, time point and sizes."""
    pixels = image.find("{*}Pixels")
    if pixels is None:
        raise InputError(f"'{file}' has an image without pixels in its {_KIND}")
    channels = list(pixels.iterfind("{*}Channel"))
    shape = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in "CZT"}
    factor = _MICROMETRE.get(pixels.get("PhysicalSizeXUnit", "µm"))
    size = pixels.get("PhysicalSizeX")
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in "CZT"]
    for source, page, place in _pages(pixels, shape, order, file):
        channel = channels[place["C"]] if place["C"] < len(channels) else None
        yield {
            "path": str(source),
            "page": str(page),
            "channel": None if channel is None else channel.get("Name") or channel.get("Fluor"),
            "channel_index": str(place["C"]),
            "excitation_nm": None if channel is None else channel.get("ExcitationWavelength"),
            "emission_nm": None if channel is None else channel.get("EmissionWavelength"),
            "z": str(place["Z"]) if shape["Z"] > 1 else None,
            "timepoint": str(place["T"]) if shape["T"] > 1 else None,
            "pixel_size_um": repr(float(size) * factor) if size and factor else None,
        }


def _pages(
    pixels: Any, shape: dict[str, int], order: list[str], file: Path
) -> Iterator[tuple[Path, int, dict[str, int]]]:
    """File, page and place (C, Z, T) of every plane, by the TiffData elements."""
    places = [
        dict(zip(reversed(order), indices, strict=True))
        for indices in product(*(range(shape[axis]) for axis in reversed(order)))
    ]
    elements = list(pixels.iterfind("{*}TiffData")) or [None]
    for element in elements:
        first = {
            axis: int(element.get(f"First{axis}", "0")) if element is not None else 0
            for axis in "CZT"
        }
        page = int(element.get("IFD", "0")) if element is not None else 0
        uuid = element.find("{*}UUID") if element is not None else None
        named = uuid.get("FileName") if uuid is not None else None
        source = (file.parent / named if named else file).resolve()
        count = element.get("PlaneCount") if element is not None else None
        alone = element is not None and element.get("IFD") is not None
        start = places.index(first)
        num = int(count) if count else 1 if alone else len(places) - start
        for offset, place in enumerate(islice(places, start, start + num)):
            yield source, page + offset, place
