"""OME-Zarr plates of versions 0.4 and 0.5, written by any program."""

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pyarrow as pa
import zarr
from zarr.errors import BaseZarrError

from unidino.core.errors import InputError
from unidino.lake.ngff import group_metadata
from unidino.plates.tables import text_table


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane of the OME-Zarr plates at or under a folder.

    `path` is the folder of the field's group; `page` counts its planes over the axes t, c and z in
    the order of the image. Raises InputError if there is no plate, or if one is damaged.
    """
    plates = [path] if _is_plate(path) else sorted(p for p in path.iterdir() if _is_plate(p))
    if not plates:
        raise InputError(f"no OME-Zarr plate at '{path}' or in it")
    rows = [row for plate in plates for row in _read_plate(plate)]
    if not rows:
        raise InputError(f"OME-Zarr plate '{plates[0]}' has no image")
    return text_table(rows)


def _is_plate(path: Path) -> bool:
    try:
        return path.is_dir() and "plate" in group_metadata(path)
    except (OSError, ValueError):
        return False


def _read_plate(plate: Path) -> Iterator[dict[str, str | None]]:
    name = re.sub(r"(\.ome)?\.zarr$", "", plate.resolve().name)
    where = plate  # named if it is damaged
    try:
        for well in group_metadata(plate)["plate"]["wells"]:
            where = plate / well["path"]
            row, column = well["path"].split("/")
            images = group_metadata(where)["well"]["images"]
            for number, image in enumerate(images):
                where = plate / well["path"] / image["path"]
                digits = re.search(r"(\d+)$", image["path"])
                place = {
                    "path": str(where.resolve()),
                    "plate": name,
                    "well": row + column,
                    "field": digits[1] if digits else str(number),
                }
                for plane in _planes(where):
                    yield place | plane
    except (OSError, KeyError, IndexError, TypeError, ValueError, BaseZarrError) as error:
        raise InputError(
            f"'{where}' is not a valid part of an OME-Zarr plate: {error!r}"
        ) from error


def _planes(field: Path) -> Iterator[dict[str, str | None]]:
    """Channel, slice, time point and pixel size (um) of every plane of a field."""
    metadata = group_metadata(field)
    image = metadata["multiscales"][0]
    axes = [axis["name"] for axis in image["axes"]]
    shape = zarr.open_array(str(field / image["datasets"][0]["path"]), mode="r").shape
    sizes = dict(zip(axes, shape, strict=True))
    labels = [c.get("label") for c in metadata.get("omero", {}).get("channels", [])]
    leading = axes[:-2]
    for page in range(prod(shape[:-2])):
        rest, place = page, {}
        for axis in reversed(leading):
            rest, place[axis] = divmod(rest, sizes[axis])
        index = place.get("c", 0)
        yield {
            "page": str(page),
            "channel": labels[index] if index < len(labels) else None,
            "channel_index": str(index),
            "z": str(place["z"]) if sizes.get("z", 1) > 1 else None,
            "timepoint": str(place["t"]) if sizes.get("t", 1) > 1 else None,
            "pixel_size_um": _pixel_size_um(image),
        }


def _pixel_size_um(image: dict[str, Any]) -> str | None:
    axis = image["axes"][-1]
    if axis.get("unit") != "micrometer":
        return None
    for transformation in image["datasets"][0].get("coordinateTransformations", []):
        if transformation["type"] == "scale":
            return repr(float(transformation["scale"][-1]))
    return None
