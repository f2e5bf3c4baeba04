"""OME-Zarr plates of versions 0.1 to 0.5, written by any program."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.lake import arrays
from unidino.lake.ngff import group_metadata
from unidino.plates.layouts.notes import Notes, reason
from unidino.plates.layouts.pixel_size import pixel_size_um
from unidino.plates.layouts.well_images import WellImage, fields_of_plate
from unidino.plates.layouts.zarr_pixels import check_resolutions, say_unstored
from unidino.plates.layouts.zarr_wells import names_of_well, place_of_well
from unidino.plates.manifest import Choice
from unidino.plates.plate_names import old_and_new
from unidino.plates.tables import text_table

_NUMBER = re.compile(r"\d{1,4}", re.ASCII)


def scan(path: Path, choice: Choice, faults: list[str]) -> pa.Table:
    """A row of text columns for each plane of the OME-Zarr plates at or under a folder.

    `path` is the folder of the field's group; `page` counts its planes over the axes t, c and z in
    the order of the image. choice: its acquisition and image_name. faults: gets a line for each
    plate, well or image that is missing or damaged.
    Raises InputError if nothing can be read, or if the user must choose.
    """
    if not path.is_dir():
        raise InputError(f"layout ome-zarr reads a folder; '{path}' is a file")
    notes = Notes()
    plates = _plates(path, faults, notes)
    if not plates and not faults:
        raise InputError(f"no OME-Zarr plate at '{path}' or in it")
    renamed = {Path(old).name for old, _ in old_and_new(choice.plate_names)}
    keeping = Counter(name for name, plate in plates if Path(plate).name not in renamed)
    rows: list[dict[str, str | None]] = []
    for name, plate in plates:
        if keeping[name] > 1 and Path(plate).name not in renamed:
            faults.append(
                f"'{plate}' is not the only plate named '{name}'; name it by --plate-names"
                f" {Path(plate).name}=NEW"
            )
        else:
            rows += _read_plate(name, plate, choice, faults, notes)
    notes.log()
    if not rows:
        first = faults[0] if faults else f"OME-Zarr plate '{plates[0][1]}' has no image"
        raise InputError(first, faults if len(faults) > 1 else ())
    return text_table(rows)


def _plates(path: Path, faults: list[str], notes: Notes) -> list[tuple[str, Path]]:
    """Name and folder of the plates that a folder is, wraps or holds."""
    found = _plates_of_group(path, faults)
    if found is None:
        found = []
        for child in sorted(path.iterdir()):
            if child.is_dir() and not child.name.startswith("."):
                known = len(faults)
                inner = _plates_of_group(child, faults)
                found += inner or []
                if not inner and child.suffix == ".zarr" and len(faults) == known:
                    notes.add("left out, because it is no OME-Zarr plate", child)
    return found


def _plates_of_group(folder: Path, faults: list[str]) -> list[tuple[str, Path]] | None:
    """Name and folder of the plate that a Zarr group is, or of those that it wraps.

    A converter may wrap what it writes in groups named 0, 1, ...; a plate is then named by the
    group around it. None if the folder is no Zarr group.
    """
    name = re.sub(r"(\.ome)?\.zarr$", "", folder.resolve().name)
    is_plate = _is_plate(folder, faults)
    if is_plate is None:
        return None
    if is_plate:
        return [(name, folder)]
    series = [child for child in sorted(folder.iterdir()) if _NUMBER.fullmatch(child.name)]
    inner = [child for child in series if child.is_dir() and _is_plate(child, faults)]
    if len(inner) == 1:
        return [(name, inner[0])]
    return [(f"{name}_{plate.name}", plate) for plate in inner]


def _is_plate(folder: Path, faults: list[str]) -> bool | None:
    """Whether a Zarr group is a plate; None if the folder is no Zarr group."""
    try:
        return "plate" in group_metadata(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        faults.append(_fault(folder, error))
        return False


def _fault(where: Path, error: Exception) -> str:
    said = reason(error) if where.exists() else "it is listed, but not there"
    return f"'{where}' is not a valid part of an OME-Zarr plate: {said}"


def _read_plate(
    name: str, plate: Path, choice: Choice, faults: list[str], notes: Notes
) -> Iterator[dict[str, str | None]]:
    """Rows of the planes of every image of a plate that is a field."""
    try:
        metadata = group_metadata(plate)["plate"]
        wells = list(metadata["wells"])
        acquisitions = {
            int(entry["id"]): str(entry.get("name") or "")
            for entry in metadata.get("acquisitions") or []
        }
    except arrays.DAMAGE as error:
        faults.append(_fault(plate, error))
        return
    images = _images(name, plate, metadata, wells, faults, notes)
    for image, field in fields_of_plate(name, images, acquisitions, choice, faults, notes):
        place: dict[str, str | None] = {
            "path": str(image.group),
            "plate": name,
            "well": image.well,
            "field": str(field),
        }
        try:
            yield from [place | plane for plane in _planes(image.group, notes)]
        except arrays.DAMAGE as error:
            faults.append(_fault(image.group, error))


def _images(
    name: str,
    plate: Path,
    metadata: Mapping[str, Any],
    wells: list[Any],
    faults: list[str],
    notes: Notes,
) -> list[WellImage]:
    """Every image that the wells of a plate list."""
    by_well: dict[str, list[list[WellImage]]] = {}
    for number, entry in enumerate(wells):
        where = plate
        try:
            row, column = names_of_well(entry)
            where = plate / row / column
            well = place_of_well(row, column, entry, metadata, f"plate '{name}'", notes)
            listed = group_metadata(where)["well"]["images"]
            images = [_image(well, plate.resolve() / row / column, image) for image in listed]
        except arrays.DAMAGE as error:
            said = "" if where != plate else f" (number {number} of its wells)"
            faults.append(_fault(where, error) + said)
            continue
        if not images:
            notes.add(f"plate '{name}': wells without an image", where)
        by_well.setdefault(well, []).append(images)
    for well, twice in by_well.items():
        if len(twice) > 1:
            faults.append(f"'{plate}' lists the well {well} {len(twice)} times")
    return [image for found in by_well.values() if len(found) == 1 for image in found[0]]


def _image(well: str, folder: Path, entry: Mapping[str, Any]) -> WellImage:
    name = str(entry["path"])
    if "/" in name or name in ("", ".", ".."):
        raise ValueError(f"the path '{name}' of an image is not the name of a folder in its well")
    acquisition = entry.get("acquisition")
    return WellImage(well, folder / name, name, None if acquisition is None else int(acquisition))


def _planes(group: Path, notes: Notes) -> Iterator[dict[str, str | None]]:
    """Channel, slice, time point and pixel size (um) of every plane of a field."""
    array = arrays.find_array(group)
    metadata = group_metadata(group)
    check_resolutions(group, metadata["multiscales"][0], array)
    sizes = dict(zip(array.axes, array.shape, strict=True))
    say_unstored(array, group, notes)
    labels = _labels(metadata, sizes.get("c", 1), group, notes)
    size = _pixel_size_um(metadata["multiscales"][0], array.axes, group, notes)
    for page in range(prod(array.shape[:-2])):
        rest, place = page, {}
        for axis in reversed(array.axes[:-2]):
            rest, place[axis] = divmod(rest, sizes[axis])
        index = place.get("c", 0)
        yield {
            "page": str(page),
            "channel": labels[index] if index < len(labels) else None,
            "channel_index": str(index),
            "z": str(place["z"]) if sizes.get("z", 1) > 1 else None,
            "timepoint": str(place["t"]) if sizes.get("t", 1) > 1 else None,
            "pixel_size_um": size,
        }


def _labels(
    metadata: Mapping[str, Any], num_channels: int, group: Path, notes: Notes
) -> list[str | None]:
    """Names of the channels by the metadata `omero`; None for a name that is blank."""
    channels = (metadata.get("omero") or {}).get("channels") or []
    labels = [None if c.get("label") is None else str(c["label"]) for c in channels]
    if labels and len(labels) != num_channels:
        notes.add(f"{len(labels)} names for {num_channels} channels are taken in order", group)
    return [label if label and label.strip() else None for label in labels]


def _pixel_size_um(
    image: Mapping[str, Any], axes: tuple[str, ...], group: Path, notes: Notes
) -> str | None:
    """Pixel size: the scale of the full resolution times that of all resolutions."""
    scales = [
        transformation.get("scale")
        for part in (image["datasets"][0], image)
        for transformation in part.get("coordinateTransformations") or []
        if transformation["type"] == "scale"
    ]
    if not scales:
        return None
    if any(not isinstance(scale, list) or len(scale) != len(axes) for scale in scales):
        notes.add(f"scales that are no list of {len(axes)} numbers are left out", group)
        return None
    height, width = (prod(float(scale[axis]) for scale in scales) for axis in (-2, -1))
    last = (image.get("axes") or (None, None))[-2:]
    units = [axis.get("unit") if isinstance(axis, Mapping) else None for axis in last]
    if units == [None, None] and width == height == 1:
        return None  # of an image whose scale nobody knew
    return pixel_size_um((width, units[1]), (height, units[0]), notes, str(group))
