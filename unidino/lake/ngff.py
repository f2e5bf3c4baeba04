"""OME-Zarr (NGFF) groups of plates, wells and fields: their paths and metadata.

Versions 0.5 (Zarr 3) and 0.4 (Zarr 2). Sources: https://ngff.openmicroscopy.org/0.5 and /0.4.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from unidino.core.choices import NgffVersion
from unidino.core.documents import parse_json
from unidino.core.wells import row_letters, well_place
from unidino.lake.states import FileState, write_file

VERSIONS: tuple[NgffVersion, ...] = get_args(NgffVersion)
# Colours of the channels in viewers, in order: blue, green, red, yellow, magenta, cyan, white.
_COLOURS = ("0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF", "00FFFF", "FFFFFF")
# Colours of stains, by a part of their names: as most viewers and papers show them.
_STAINS = {
    "dna": "0000FF",
    "dapi": "0000FF",
    "hoechst": "0000FF",
    "nucle": "0000FF",
    "gfp": "00FF00",
    "fitc": "00FF00",
    "488": "00FF00",
    "tubulin": "00FF00",
    "er": "00FF00",
    "agp": "FFFF00",
    "actin": "FF0000",
    "phalloidin": "FF0000",
    "texas red": "FF0000",
    "mito": "FF0000",
    "rna": "FF00FF",
    "cy5": "FF00FF",
    "647": "FF00FF",
    "bright": "FFFFFF",
    "phase": "FFFFFF",
}

# Names of the files of metadata of groups and arrays.
METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")

_FIRST_AXES = ("t", "c", "z", "y", "x")


@dataclass(frozen=True)
class Display:
    """Display of a channel in viewers: its name, and the counts shown as black and as white."""

    channel: str
    start: float
    end: float


def channel_colours(channels: Sequence[str]) -> list[str]:
    """A colour of each channel for viewers, as RRGGBB: that of its stain, if its name tells it.

    Others, and a second stain of one colour, take the next colour that is free.

    >>> channel_colours(["Tubulin", "DNA", "something"])
    ['00FF00', '0000FF', 'FF0000']
    """
    chosen: list[str | None] = []
    for channel in channels:
        stain = _stain(channel)
        chosen.append(None if stain in chosen else stain)
    free = [colour for colour in _COLOURS if colour not in chosen]
    rest = iter(free)
    return [
        colour or next(rest, None) or _COLOURS[index % len(_COLOURS)]
        for index, colour in enumerate(chosen)
    ]


def _stain(channel: str) -> str | None:
    name = channel.lower()
    for part, colour in _STAINS.items():
        # Short names, such as ER, are whole words.
        if name == part or (len(part) > 2 and part in name) or part in name.split():
            return colour
    return None


def well_path(well: str) -> str:
    """Path of a well's group in a plate: `A/01` for A01."""
    row, column = well_place(well)
    return f"{row_letters(row)}/{column:02d}"


def field_path(well: str, field: int) -> str:
    """Path of a field's group in a plate: `A/01/2` for field 2 of A01."""
    return f"{well_path(well)}/{field}"


def array_file(version: NgffVersion) -> str:
    """File name of an array's metadata."""
    return "zarr.json" if version == "0.5" else ".zarray"


def version_of(group: Path) -> NgffVersion:
    """Version of NGFF of the group of a field."""
    return "0.5" if (group / "zarr.json").is_file() else "0.4"


def write_plate(
    path: Path, name: str, fields: Mapping[str, Sequence[int]], version: NgffVersion = "0.5"
) -> list[FileState]:
    """States of the files of the groups of a plate and of its wells, which are written.

    `write_field` writes the groups of the fields.
    fields: by well, the numbers of its fields.
    """
    plate = _plate_metadata(name, fields, version)
    _validate(plate, version)
    written = write_group(path, plate, version)
    for row in plate["plate"]["rows"]:
        written += write_group(path / row["name"], {}, version)
    for well, numbers in fields.items():
        images = [{"path": str(number)} for number in sorted(numbers)]
        written += write_group(
            path / well_path(well), {"well": {"version": version, "images": images}}, version
        )
    return written


def _plate_metadata(
    name: str, fields: Mapping[str, Sequence[int]], version: NgffVersion
) -> dict[str, Any]:
    places = {well: well_place(well) for well in fields}
    rows = sorted({row for row, _ in places.values()})
    columns = sorted({column for _, column in places.values()})
    return {
        "plate": {
            "version": version,
            "name": name,
            "field_count": max(len(numbers) for numbers in fields.values()),
            "rows": [{"name": row_letters(row)} for row in rows],
            "columns": [{"name": f"{column:02d}"} for column in columns],
            "wells": [
                {
                    "path": well_path(well),
                    "rowIndex": rows.index(places[well][0]),
                    "columnIndex": columns.index(places[well][1]),
                }
                for well in sorted(fields, key=places.__getitem__)
            ],
        },
    }


def _validate(plate: Mapping[str, Any], version: NgffVersion) -> None:
    """Raise ValueError if the metadata of a plate violate the specification."""
    if version == "0.5":
        from ome_zarr_models.v05.hcs import HCSAttrs as HCSAttrs05

        HCSAttrs05.model_validate({"version": version} | dict(plate))
    else:
        from ome_zarr_models.v04.hcs import HCSAttrs as HCSAttrs04

        HCSAttrs04.model_validate(plate)


def image_metadata(
    name: str,
    num_levels: int,
    displays: Sequence[Display],
    pixel_size_um: float | None,
    maximum: int,
    version: NgffVersion,
) -> dict[str, Any]:
    """The metadata of a field: axes, sizes, channel names and display windows.

    num_levels: number of resolutions; each has half the height and width of the one before.
    maximum: largest value of the pixel type.
    """
    unit = {"unit": "micrometer"} if pixel_size_um else {}
    versioned = {"version": version} if version == "0.4" else {}
    return {
        "multiscales": [
            versioned
            | {
                "name": name,
                "axes": [
                    {"name": "c", "type": "channel"},
                    {"name": "y", "type": "space"} | unit,
                    {"name": "x", "type": "space"} | unit,
                ],
                "datasets": [
                    {
                        "path": str(level),
                        "coordinateTransformations": [
                            {
                                "type": "scale",
                                "scale": [1.0] + [(pixel_size_um or 1.0) * 2.0**level] * 2,
                            }
                        ],
                    }
                    for level in range(num_levels)
                ],
            }
        ],
        "omero": versioned
        | {
            "channels": [
                {
                    "label": display.channel,
                    "color": colour,
                    "active": True,
                    "window": {
                        "min": 0,
                        "max": maximum,
                        "start": display.start,
                        "end": display.end,
                    },
                }
                for display, colour in zip(
                    displays, channel_colours([d.channel for d in displays]), strict=True
                )
            ]
        },
    }


def write_group(path: Path, ome: Mapping[str, Any], version: NgffVersion) -> list[FileState]:
    """States of the files of a Zarr group with these OME metadata; a missing folder is created."""
    path.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        attributes = {"ome": {"version": version} | dict(ome)} if ome else {}
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        return [_write_json(path / "zarr.json", group)]
    written = [_write_json(path / ".zgroup", {"zarr_format": 2})]
    return [*written, _write_json(path / ".zattrs", ome)] if ome else written


def group_metadata(group: Path) -> dict[str, Any]:
    """The OME metadata of a Zarr group of version 0.1 to 0.5; empty if it has none.

    Raises OSError if there is no group, ValueError if its metadata are not a JSON object.
    """
    if (group / "zarr.json").is_file():
        attributes = _read_object(group / "zarr.json").get("attributes") or {}
        metadata = attributes.get("ome") or {} if isinstance(attributes, dict) else attributes
    elif (group / ".zattrs").is_file():
        metadata = _read_object(group / ".zattrs")
    else:
        (group / ".zgroup").read_bytes()
        metadata = {}
    if not isinstance(metadata, dict):
        raise ValueError(f"the metadata in '{group}' are not a JSON object")
    return metadata


def _read_object(path: Path) -> dict[str, Any]:
    document = parse_json(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError(f"'{path.name}' is not a JSON object")
    return document


def axis_names(image: Mapping[str, Any], num_axes: int) -> tuple[str, ...]:
    """Names of the axes of an image, by an entry of its `multiscales`.

    num_axes: of its array. Versions 0.1 and 0.2 name no axes; theirs are t, c, z, y, x.
    Raises ValueError if y and x are not the last axes, or if another is none of t, c and z.
    """
    axes = image.get("axes")
    names: tuple[str, ...] = ()
    if axes is not None:
        names = tuple(axis["name"] if isinstance(axis, Mapping) else str(axis) for axis in axes)
    elif num_axes == len(_FIRST_AXES):
        names = _FIRST_AXES
    leading = names[:-2]
    if names[-2:] != ("y", "x") or set(leading) - set("tcz") or len(set(names)) < len(names):
        raise ValueError(
            f"its axes are {', '.join(map(str, names)) or 'not named'}; expected some of t, c, z,"
            " and then y, x"
        )
    return names


def _write_json(path: Path, document: Mapping[str, Any]) -> FileState:
    return write_file(str(path), [json.dumps(document).encode()])
