"""ImageXpress exports of MetaXpress: one HTD file per plate, planes in TimePoint_n/ZStep_n."""

import csv
import re
from pathlib import Path

import pyarrow as pa
import tifffile

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.filenames import walk_images
from unidino.plates.tables import text_table

_NAME = re.compile(
    r"(?:TimePoint_(?P<timepoint>\d+)/)?(?:ZStep_(?P<z>\d+)/)?"
    r"[^/]*_(?P<well>[A-Z]{1,2}\d{2})(?:_s(?P<field>\d+))?(?:_w(?P<wave>\d+?))?"
    r"(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?\.tiff?$",
    re.IGNORECASE,
)


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane under a folder with HTD files.

    The plate is the folder of the HTD file, because several plates may share the name of the file.
    The HTD file names the channels; the first plane of each channel gives pixel size (um) and
    emission (nm). ZStep_0 is the instrument's projection; it is left out if there are slices.
    Raises InputError if there is no HTD file, or if one has no planes.
    """
    found = sorted(f for f in path.rglob("*") if f.suffix.lower() == ".htd")
    if not found:
        raise InputError(
            f"no HTD file under '{path}'; layout imagexpress reads a MetaXpress export"
        )
    folders = {f.parent for f in found}
    plates = sorted(f for f in folders if not any(parent in folders for parent in f.parents))
    rows = [row for folder in plates for row in _read_plate(folder)]
    if not rows:
        raise InputError(f"no images beside '{found[0]}'")
    return text_table(rows)


def _read_plate(folder: Path) -> list[dict[str, str | None]]:
    settings = _settings(min(f for f in folder.iterdir() if f.suffix.lower() == ".htd"))
    matched = [
        (file, match)
        for file in walk_images(folder)
        if "_thumb" not in file.name
        and (match := _NAME.search(file.relative_to(folder).as_posix()))
    ]
    slices = {match["z"] for _, match in matched}
    if "0" in slices and len(slices) > 1:
        kept = [(file, match) for file, match in matched if match["z"] != "0"]
        log.warning(
            f"plate {folder.name}: {len(matched) - len(kept)} projections of the instrument"
            " (ZStep_0) are left out; their slices are projected instead"
        )
        matched = kept
    optics: dict[str, dict[str, str | None]] = {}
    rows = []
    for file, match in matched:
        wave = match["wave"] or "1"
        if wave not in optics:
            optics[wave] = _optics(file)
        rows.append(
            {
                "path": str(file.resolve()),
                "plate": folder.resolve().name,
                "num_rows": settings.get("YWells"),
                "num_columns": settings.get("XWells"),
                "well": match["well"],
                "field": match["field"] or "1",
                "channel": settings.get(f"WaveName{wave}"),
                "channel_index": wave,
                "z": match["z"],
                "timepoint": match["timepoint"],
            }
            | optics[wave]
        )
    return rows


def _settings(htd: Path) -> dict[str, str]:
    """First value of each setting of an HTD file, such as `"WaveName1", "DAPI"`."""
    with htd.open(encoding="latin-1", newline="") as file:
        settings = {row[0]: row[1] for row in csv.reader(file, skipinitialspace=True) if row[1:]}
    if "HTSInfoFile" not in settings:
        raise InputError(f"'{htd}' is not an HTD file of MetaXpress")
    return settings


def _optics(file: Path) -> dict[str, str | None]:
    """Pixel size (um) and emission (nm) that MetaMorph wrote into a plane; None if it did not.

    A file that cannot be opened is reported later, when its pixels are read.
    """
    try:
        with tifffile.TiffFile(file) as tiff:
            plane = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
    except (OSError, ValueError, tifffile.TiffFileError):
        plane = {}
    calibrated = plane.get("spatial-calibration-units") == "um"
    return {
        "pixel_size_um": str(plane["spatial-calibration-x"]) if calibrated else None,
        "emission_nm": str(plane["wavelength"]) if plane.get("wavelength") else None,
    }
