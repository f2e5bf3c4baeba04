"""ImageXpress exports of MetaXpress: one HTD file per plate, planes in TimePoint_n/ZStep_n."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import tifffile

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import Row, from_places, unplaced
from unidino.plates.layouts.htd import Settings, read_settings
from unidino.plates.layouts.imagexpress_names import STEP, TIME, Plane, planes_of, without
from unidino.plates.layouts.ome_files import DAMAGE
from unidino.plates.layouts.pixel_size import square
from unidino.plates.layouts.walk import walk_files
from unidino.plates.tables import text_table

_NUM_OPENED = 8  # planes of a channel that are opened to find its optics


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane under a folder.

    The plate is the folder of the HTD file, because several plates may share the name of the file.
    The HTD file names the channels; the first plane of each channel gives pixel size (um) and
    emission (nm). ZStep_0 is the instrument's projection; it is left out of a channel that has
    slices. Without an HTD file, folders and names say plate, well, field and channel number.
    Raises InputError if there are no planes.
    """
    files = walk_files(path)
    planes = planes_of(files)
    plates = _plates([file for file in files if file.suffix.lower() == ".htd"])
    if not plates:
        return text_table(_by_names(path, files, planes))
    owned: dict[Path, list[Plane]] = {folder: [] for folder in plates}
    lost: list[Plane] = []
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


def _plates(settings: Sequence[Path]) -> dict[Path, list[Path]]:
    """HTD files by their folders, without the copies in TimePoint_n/ZStep_n of a plate."""
    folders: dict[Path, list[Path]] = {}
    for file in settings:
        folders.setdefault(file.parent, []).append(file)
    plates = {}
    for folder, files in folders.items():
        time, _ = without(folder, STEP)
        home, _ = without(time, TIME)
        if not any(above in folders for above in {time, home} - {folder}):
            plates[folder] = files
    return plates


def _by_names(path: Path, files: Sequence[Path], planes: Sequence[Plane]) -> list[Row]:
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
    homes: dict[Path, list[Plane]] = {}
    for plane in planes:
        homes.setdefault(plane.home, []).append(plane)
    parts = []
    for home, found in homes.items():
        parts.append((home, _read_plate(home.resolve().name, {}, found)))
    return from_places(parts)


def _read_folder(
    folder: Path, files: Sequence[Path], planes: Sequence[Plane]
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
    groups: dict[Path | None, list[Plane]] = {}
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


def _say_names(plate: str, planes: Sequence[Plane]) -> None:
    """Say if the planes of a plate begin with several names, which may be of several plates.

    Raises InputError if two of them in a folder have a well.
    """
    wells: dict[tuple[Path, str], dict[str, Plane]] = {}
    for plane in planes:
        wells.setdefault((plane.home, plane.well.upper()), {}).setdefault(
            (plane.name or "").lower(), plane
        )
    for (home, well), found in wells.items():
        if len(found) > 1:
            first, second = list(found.values())[:2]
            raise InputError(
                f"'{home}' has images of two names, '{first.file.name}' and '{second.file.name}',"
                f" and both have the well {well}; put each measurement into a folder of its own"
            )
    names = {name: plane for found in wells.values() for name, plane in found.items()}
    if len(names) > 1:
        first, second = list(names.values())[:2]
        log.warning(
            f"plate {plate} is put together from images of {len(names)} names, such as"
            f" '{first.file.name}' and '{second.file.name}', which share no well"
        )


def _read_plate(plate: str, settings: Settings, planes: Sequence[Plane]) -> list[Row]:
    """Rows of the planes of a plate."""
    _say_names(plate, planes)
    waves: dict[str, list[Plane]] = {}
    for plane in planes:
        waves.setdefault(plane.wave, []).append(plane)
    sliced = {plane.image for plane in planes if plane.z != "0"}
    deep = {wave for _, _, wave, _ in sliced}
    projections = [plane for plane in planes if plane.z == "0" and plane.wave in deep]
    alone = [plane for plane in projections if plane.image not in sliced]
    if len(projections) > len(alone):
        log.warning(
            f"plate {plate}: {len(projections) - len(alone)} projections of the instrument"
            " (ZStep_0) are left out; their slices are projected instead"
        )
    if alone:
        log.warning(
            f"plate {plate}: {len(alone)} projections of the instrument (ZStep_0) have no slices"
            f" and are kept beside the slices of other fields, such as '{alone[0].file}'"
        )
    optics = {wave: _optics([plane.file for plane in found]) for wave, found in waves.items()}
    rows = []
    for plane in planes:
        if plane.z == "0" and plane.image in sliced:
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
    width, height = (about.get(f"spatial-calibration-{axis}") for axis in "xy")
    size = str(width) if width and about.get("spatial-calibration-units") == "um" else None
    return {
        "pixel_size_um": square(size, height and str(height), str(files[0])),
        "emission_nm": str(about["wavelength"]) if about.get("wavelength") else None,
    }
