"""ImageXpress exports of MetaXpress: one HTD file per plate, planes in TimePoint_n/ZStep_n."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import tifffile

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import Row, from_places, unplaced
from unidino.plates.layouts.filenames import IMAGE_SUFFIXES
from unidino.plates.layouts.htd import Settings, read_settings
from unidino.plates.layouts.ome_files import DAMAGE
from unidino.plates.layouts.walk import walk_files
from unidino.plates.tables import text_table

_ID = r"(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?"
_NAME = re.compile(
    r"(?:(?P<name>.*)_|(?=[A-Z]+\d+_[sw]\d))(?P<well>[A-Z]{1,2}\d{2})(?:_s(?P<field>\d+))?"
    rf"(?:_w(?P<wave>\d+?))?{_ID}\.tiff?",
    re.IGNORECASE,
)
_THUMBNAIL = re.compile(rf".*_thumb{_ID}\.[a-z]+", re.IGNORECASE)
_STEP = re.compile(r"ZStep_(\d+)", re.IGNORECASE)
_TIME = re.compile(r"TimePoint_(\d+)", re.IGNORECASE)
_NUM_OPENED = 8  # planes of a channel that are opened to find its optics


@dataclass(frozen=True)
class _Plane:
    """A file with what its path says.

    home: folder above TimePoint_n and ZStep_n. name: what comes before the well.
    """

    file: Path
    home: Path
    name: str | None
    well: str
    field: str
    wave: str
    z: str | None
    timepoint: str | None


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane under a folder.

    The plate is the folder of the HTD file, because several plates may share the name of the file.
    The HTD file names the channels; the first plane of each channel gives pixel size (um) and
    emission (nm). ZStep_0 is the instrument's projection; it is left out of a channel that has
    slices. Without an HTD file, folders and names say plate, well, field and channel number.
    Raises InputError if there are no planes.
    """
    files = walk_files(path)
    planes = _planes(files)
    plates = _plates([file for file in files if file.suffix.lower() == ".htd"])
    if not plates:
        return text_table(_by_names(path, files, planes))
    owned: dict[Path, list[_Plane]] = {folder: [] for folder in plates}
    lost: list[_Plane] = []
    for plane in planes:
        folder = next((f for f in (plane.home, *plane.home.parents) if f in plates), None)
        (lost if folder is None else owned[folder]).append(plane)
    if lost:
        log.warning(
            f"{len(lost)} images have no HTD file above them and are left out, such as"
            f" '{lost[0].file}'; they are read by their names if their own folder is PATH"
        )
    parts = []
    for folder, found in owned.items():
        parts += _read_folder(folder, plates[folder], found)
    rows = from_places(parts)
    if not rows:
        raise InputError(f"no images beside '{next(iter(plates.values()))[0]}'")
    return text_table(rows)


def _planes(files: Sequence[Path]) -> list[_Plane]:
    """Images whose names are those of planes; others but thumbnails are named in a warning."""
    planes, left_out = [], []
    for file in files:
        if file.suffix.lower() not in IMAGE_SUFFIXES or _THUMBNAIL.fullmatch(file.name):
            continue
        match = _NAME.fullmatch(file.name)
        if not match or "_thumb" in file.name.lower():
            left_out.append(file)
            continue
        home, step = _without(file.parent, _STEP)
        home, time = _without(home, _TIME)
        field, wave = match["field"] or "1", match["wave"] or "1"
        planes.append(_Plane(file, home, match["name"], match["well"], field, wave, step, time))
    if left_out:
        log.warning(
            f"{len(left_out)} images are left out: their names do not match, such as"
            f" '{left_out[0]}'"
        )
    return planes


def _without(folder: Path, step: re.Pattern[str]) -> tuple[Path, str | None]:
    """The folder above, and the number in a folder's name; else the folder itself and None."""
    match = step.fullmatch(folder.name)
    return (folder.parent, match[1]) if match else (folder, None)


def _plates(settings: Sequence[Path]) -> dict[Path, list[Path]]:
    """HTD files by their folders, without the copies in TimePoint_n/ZStep_n of a plate."""
    folders: dict[Path, list[Path]] = {}
    for file in settings:
        folders.setdefault(file.parent, []).append(file)
    plates = {}
    for folder, files in folders.items():
        time, _ = _without(folder, _STEP)
        home, _ = _without(time, _TIME)
        if not any(above in folders for above in {time, home} - {folder}):
            plates[folder] = files
    return plates


def _by_names(path: Path, files: Sequence[Path], planes: Sequence[_Plane]) -> list[Row]:
    """Rows of planes without an HTD file; the plate is the folder above TimePoint_n."""
    if not planes:
        other = next((f for f in files if f.suffix.lower() == ".jdce"), None)
        hint = (
            f" ('{other}' is of another program of the maker, which is not read)" if other else ""
        )
        raise InputError(
            f"no HTD file under '{path}', and no name such as Plate_B02_s1_w1.TIF; layout"
            f" imagexpress reads a MetaXpress export{hint}"
        )
    log.info(
        f"no HTD file under '{path}': {len(planes)} images are read by their names, which say"
        " nothing of channel names"
    )
    homes: dict[Path, list[_Plane]] = {}
    for plane in planes:
        homes.setdefault(plane.home, []).append(plane)
    parts = []
    for home, found in homes.items():
        parts.append((home, _read_plate(home.resolve().name, {}, found)))
    return from_places(parts)


def _read_folder(
    folder: Path, files: Sequence[Path], planes: Sequence[_Plane]
) -> list[tuple[Path, list[Row]]]:
    """Rows of the plates whose HTD files are in a folder, each with its place.

    Of several HTD files each has the planes that begin with its name.
    Raises InputError if it is not known which HTD file a plane belongs to.
    """
    settings: dict[Path, Settings] = {}
    parts: list[tuple[Path, list[Row]]] = []
    for file in files:
        try:
            settings[file] = read_settings(file)
        except InputError as error:
            settings[file] = {}
            parts.append((folder, [unplaced(str(error))]))
    by_name = {file.stem.lower(): file for file in files}
    groups: dict[Path | None, list[_Plane]] = {}
    for plane in planes:
        groups.setdefault(by_name.get((plane.name or "").lower()), []).append(plane)
    plate = folder.resolve().name
    if len(files) == 1 or not groups:
        return [*parts, (folder, _read_plate(plate, settings[files[0]], planes))]
    if None in groups:
        if all(settings[file] == settings[files[0]] for file in files):
            return [*parts, (folder, _read_plate(plate, settings[files[0]], planes))]
        raise InputError(
            f"'{folder}' has the HTD files {', '.join(file.name for file in files)}, and"
            f" '{groups[None][0].file.name}' begins with the name of none; put each measurement"
            " into a folder of its own"
        )
    if len(groups) > 1:
        log.warning(f"'{folder}' has {len(groups)} HTD files: each is a plate, named by its file")
    for file in files:
        if file in groups:
            name = plate if len(groups) == 1 else file.stem
            parts.append((file, _read_plate(name, settings[file], groups[file])))
    return parts


def _read_plate(plate: str, settings: Settings, planes: Sequence[_Plane]) -> list[Row]:
    """Rows of the planes of a plate."""
    waves: dict[str, list[_Plane]] = {}
    for plane in planes:
        waves.setdefault(plane.wave, []).append(plane)
    sliced = {wave for wave, found in waves.items() if {plane.z for plane in found} - {"0"}}
    projections = [plane for plane in planes if plane.z == "0" and plane.wave in sliced]
    if projections:
        log.warning(
            f"plate {plate}: {len(projections)} projections of the instrument (ZStep_0) are left"
            " out; their slices are projected instead"
        )
    optics = {wave: _optics([plane.file for plane in found]) for wave, found in waves.items()}
    rows = []
    for plane in planes:
        if plane.z == "0" and plane.wave in sliced:
            continue
        row: Row = {
            "path": str(plane.file.resolve()),
            "plate": plate,
            "num_rows": settings.get("YWells"),
            "num_columns": settings.get("XWells"),
            "well": plane.well,
            "field": plane.field,
            "channel": settings.get(f"WaveName{plane.wave}") or None,
            "channel_index": plane.wave,
            "z": plane.z,
            "timepoint": plane.timepoint,
        }
        rows.append(row | optics[plane.wave])
    return rows


def _optics(files: Sequence[Path]) -> Row:
    """Pixel size (um) and emission (nm) that MetaMorph wrote into a plane; None if it did not.

    files: planes of a channel; the first that can be opened is asked. A file that cannot be opened
    is reported later, when its pixels are read.
    """
    about = {}
    for file in files[:_NUM_OPENED]:
        try:
            refuse_special(file)
            with tifffile.TiffFile(file) as tiff:
                about = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
            break
        except (*DAMAGE, InputError):
            continue
    calibrated = about.get("spatial-calibration-units") == "um" and about.get(
        "spatial-calibration-x"
    )
    return {
        "pixel_size_um": str(about["spatial-calibration-x"]) if calibrated else None,
        "emission_nm": str(about["wavelength"]) if about.get("wavelength") else None,
    }
