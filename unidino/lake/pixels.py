"""Pixels in and out of OME-Zarr plates.

A plate is an OME-Zarr HCS group, version 0.5 (Zarr 3) or 0.4 (Zarr 2); a field is an image of axes
c, y, x whose chunks are whole planes, Blosc lz4 with bit shuffle: embedding reads planes whole,
training cuts crops from a plane read once, and this codec decodes fastest. In version 0.5 the
planes of a field are one shard, so that a field is one file in one folder: on most disks files and
folders cost more than bytes. Planes are encoded and decoded by numcodecs directly, which is several
times faster than through an array library and byte for byte the same format. All else, version 0.4
and plates that others wrote, is read through the zarr library.

Shapes: C channels, H height, W width.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import google_crc32c
import numcodecs
import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from ome_zarr_models.v04.hcs import HCSAttrs as HCSAttrs04
from ome_zarr_models.v05.hcs import HCSAttrs as HCSAttrs05
from zarr.errors import BaseZarrError

from unidino.core.errors import LakeError

Plane = NDArray[Any]  # of uint8 or uint16, (H, W)

VERSIONS = ("0.5", "0.4")
_CNAME, _CLEVEL = "lz4", 5
_SHARD = "c.0.0.0"  # the one shard of an array
_NO_CHUNK = 2**64 - 1
_COLORS = ("0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF", "00FFFF", "FFFFFF")


@dataclass(frozen=True)
class Display:
    """How a channel of a field is named and shown: intensities start..end in counts."""

    channel: str
    start: float
    end: float


def well_path(well: str) -> str:
    """Path of a well's group inside a plate: `A/01` for A01."""
    return f"{well.rstrip('0123456789')}/{well.lstrip('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}"


def field_path(well: str, field: int) -> str:
    """Path of a field's group inside a plate: `A/01/2` for field 2 of A01."""
    return f"{well_path(well)}/{field}"


def write_plate(
    path: Path,
    name: str,
    fields: Mapping[str, Sequence[int]],
    row_column: Mapping[str, tuple[int, int]],
    version: str = "0.5",
) -> None:
    """Write the groups of a plate and its wells; fields are written by `write_field`.

    fields: well -> its fields. row_column: well -> (row, column), from 1.
    """
    rows = sorted({row_column[well][0] for well in fields})
    columns = sorted({row_column[well][1] for well in fields})
    row_names = {row_column[w][0]: well_path(w).split("/")[0] for w in fields}
    column_names = {row_column[w][1]: well_path(w).split("/")[1] for w in fields}
    plate = {
        "plate": {
            "version": version,
            "name": name,
            "field_count": max(len(numbers) for numbers in fields.values()),
            "rows": [{"name": row_names[row]} for row in rows],
            "columns": [{"name": column_names[column]} for column in columns],
            "wells": [
                {
                    "path": well_path(well),
                    "rowIndex": rows.index(row_column[well][0]),
                    "columnIndex": columns.index(row_column[well][1]),
                }
                for well in sorted(fields, key=lambda w: row_column[w])
            ],
        },
    }
    if version == "0.5":
        HCSAttrs05.model_validate({"version": version} | plate)
    else:
        HCSAttrs04.model_validate(plate)
    _write_group(path, plate, version)
    for row in row_names.values():
        _write_group(path / row, {}, version)
    for well, numbers in fields.items():
        images = [{"path": str(number)} for number in sorted(numbers)]
        _write_group(
            path / well_path(well), {"well": {"version": version, "images": images}}, version
        )


def write_field(
    path: Path,
    planes: Sequence[Plane | None],
    displays: Sequence[Display],
    pixel_size_um: float | None,
    version: str = "0.5",
    pyramid: int = 0,
) -> None:
    """Write one field's group: planes (H, W) of one type and size, in channel order.

    planes: None leaves the channel out; it reads as zeros.
    pyramid: how many levels follow the full resolution, each with half the height and width.
    """
    first = next(plane for plane in planes if plane is not None)
    levels = [list(planes)]
    for _ in range(pyramid):
        levels.append([None if plane is None else _halved(plane) for plane in levels[-1]])
    _write_group(path, _image(path.name, levels, displays, pixel_size_um, first, version), version)
    for level, level_planes in enumerate(levels):
        shape = next(plane.shape for plane in level_planes if plane is not None)
        array = f"{path}/{level}"
        os.mkdir(array)
        metadata = _array_metadata((len(planes), *shape), first.dtype.name, version)
        _write_file(f"{array}/{_array_file(version)}", [metadata])
        encoded = [None if plane is None else _encoded(plane) for plane in level_planes]
        if version == "0.5":
            kept = [chunk for chunk in encoded if chunk is not None]
            _write_file(f"{array}/{_SHARD}", [*kept, _shard_index(encoded)])
        else:
            for index, chunk in enumerate(encoded):
                if chunk is not None:
                    os.makedirs(f"{array}/{index}/0")
                    _write_file(f"{array}/{index}/0/0", [chunk])


def _encoded(plane: Plane) -> bytes:
    data = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<"))
    encoded: bytes = blosc.compress(data, _CNAME.encode(), _CLEVEL, blosc.BITSHUFFLE, 0)
    return encoded


def _shard_index(chunks: Sequence[bytes | None]) -> bytes:
    """Offset and length of each chunk of a shard, and their checksum: the end of its file.

    Source: Zarr 3, codec sharding_indexed.
    """
    index = np.full((len(chunks), 2), _NO_CHUNK, dtype="<u8")
    offset = 0
    for i, chunk in enumerate(chunks):
        if chunk is not None:
            index[i] = offset, len(chunk)
            offset += len(chunk)
    return index.tobytes() + _checksum(index.tobytes())


def _checksum(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "little")


def _read_shard(array: "_Array", channel_index: int) -> bytes:
    """The encoded plane of a channel.

    Raises ValueError if the shard is damaged, IndexError if it has no such plane.
    """
    num_bytes = 16 * array.shape[0]
    with (array.path / _SHARD).open("rb", buffering=0) as file:
        size = file.seek(-num_bytes - 4, os.SEEK_END) + num_bytes + 4
        stored = file.read(num_bytes + 4)
        if _checksum(stored[:-4]) != stored[-4:]:
            raise ValueError("the index of its shard is damaged")
        offset, length = (
            int(v) for v in np.frombuffer(stored[:-4], "<u8").reshape(-1, 2)[channel_index]
        )
        if offset == _NO_CHUNK:
            raise IndexError("it has no pixels")
        if offset + length > size:
            raise ValueError("its shard is truncated")
        file.seek(offset)
        return file.read(length)


def _image(
    name: str,
    levels: Sequence[Sequence[Plane | None]],
    displays: Sequence[Display],
    pixel_size_um: float | None,
    plane: Plane,
    version: str,
) -> dict[str, Any]:
    """The OME metadata of a field: axes, sizes, channel names and display windows."""
    unit = {"unit": "micrometer"} if pixel_size_um else {}
    maximum = int(np.iinfo(plane.dtype).max)
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
                    for level in range(len(levels))
                ],
            }
        ],
        "omero": versioned
        | {
            "channels": [
                {
                    "label": display.channel,
                    "color": _COLORS[index % len(_COLORS)],
                    "active": True,
                    "window": {
                        "min": 0,
                        "max": maximum,
                        "start": display.start,
                        "end": display.end,
                    },
                }
                for index, display in enumerate(displays)
            ]
        },
    }


def _halved(plane: Plane) -> Plane:
    """Means of 2 x 2 pixels, rounded; an odd last row or column is left out."""
    height, width = (max(side // 2, 1) for side in plane.shape)
    cropped = plane[: 2 * height, : 2 * width].astype(np.uint32)
    down = cropped.shape[0] // height, cropped.shape[1] // width
    sums = cropped.reshape(height, down[0], width, down[1]).sum(axis=(1, 3))
    size = down[0] * down[1]
    return np.asarray((sums + size // 2) // size, dtype=plane.dtype)


def read_plane(field: Path, channel_index: int) -> Plane:
    """One plane (H, W) of a field's group, at full resolution.

    field: path of the group; `#t=2&z=max` at its end chooses the time point and the slice (or the
    maximum over slices) of an image with those axes.
    Raises LakeError if the group or the chunk is missing or damaged.
    """
    group, _, choice = str(field).partition("#")
    if not Path(group).is_dir():
        raise LakeError(f"no image at {group}; was its plate moved? run `unidino check`")
    try:
        array = _open_array(group)
        if array.is_shard_of_planes:
            flat = np.frombuffer(
                blosc.decompress(_read_shard(array, channel_index)), dtype=array.dtype
            )
            return flat.reshape(array.shape[1:])
        return _chosen_plane(array, channel_index, choice)
    except (OSError, KeyError, ValueError, RuntimeError, IndexError, BaseZarrError) as error:
        raise LakeError(f"cannot read channel {channel_index} of {field}: {error}") from error


def read_page(field: Path, page: int) -> Plane:
    """One plane (H, W) of a field's group by its number over the axes t, c and z, in their order.

    Raises LakeError if the group or the chunk is missing or damaged.
    """
    try:
        array = _open_array(str(field))
        if array.is_shard_of_planes:
            return read_plane(field, page)
        opened = zarr.open_array(str(array.path), mode="r")
        return np.asarray(opened[np.unravel_index(page, array.shape[:-2])])
    except (OSError, KeyError, ValueError, RuntimeError, IndexError, BaseZarrError) as error:
        raise LakeError(f"cannot read plane {page} of {field}: {error}") from error


@dataclass(frozen=True)
class _Array:
    """Full resolution of a field; is_shard_of_planes: one shard, a chunk a plane, by Blosc."""

    path: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_shard_of_planes: bool


def _chosen_plane(array: _Array, channel_index: int, choice: str) -> Plane:
    """A plane read through the zarr library, its time point and slice chosen."""
    chosen = {key: values[0] for key, values in parse_qs(choice).items()}
    opened = zarr.open_array(str(array.path), mode="r")
    index: list[Any] = []
    for axis in array.axes[:-2]:
        if axis == "c":
            index.append(channel_index)
        elif axis == "z" and chosen.get("z", "max") == "max":
            index.append(slice(None))
        else:
            index.append(int(chosen.get(axis, 0)))
    plane = np.asarray(opened[tuple(index)])
    return np.asarray(plane.max(axis=0)) if plane.ndim == 3 else plane


@lru_cache(maxsize=65536)
def _open_array(field: str) -> _Array:
    """Where the full resolution of a field lies, and whether it is a shard of planes."""
    group = Path(field)
    version = "0.5" if (group / "zarr.json").is_file() else "0.4"
    image = group_metadata(group)["multiscales"][0]
    path = group / image["datasets"][0]["path"]
    metadata = json.loads((path / _array_file(version)).read_bytes())
    shape = tuple(metadata["shape"])
    axes = tuple(axis["name"] for axis in image["axes"])
    dtype = metadata["data_type" if version == "0.5" else "dtype"]
    is_ours = False
    if version == "0.5" and axes == ("c", "y", "x"):
        ours = json.loads(_array_metadata(shape, dtype, version))
        same = ("chunk_grid", "chunk_key_encoding", "codecs")
        is_ours = all(metadata[key] == ours[key] for key in same)
    return _Array(path, axes, shape, np.dtype(dtype).newbyteorder("<"), is_ours)


def group_metadata(group: Path) -> dict[str, Any]:
    """The OME metadata of a Zarr group, of either version; empty if it has none.

    Raises OSError if there is no group, ValueError if its metadata are no JSON.
    """
    metadata: dict[str, Any] = {}
    if (group / "zarr.json").is_file():
        attributes = json.loads((group / "zarr.json").read_bytes()).get("attributes") or {}
        metadata = attributes.get("ome") or {}
    elif (group / ".zattrs").is_file():
        metadata = json.loads((group / ".zattrs").read_bytes())
    else:
        (group / ".zgroup").read_bytes()
    return metadata


def _array_file(version: str) -> str:
    return "zarr.json" if version == "0.5" else ".zarray"


@lru_cache(maxsize=256)
def _array_metadata(shape: tuple[int, ...], dtype: str, version: str) -> bytes:
    """The metadata of an array whose chunks are planes, as the zarr library writes it."""
    memory = zarr.storage.MemoryStore()
    if version == "0.5":
        compressor: Any = zarr.codecs.BloscCodec(cname=_CNAME, clevel=_CLEVEL, shuffle="bitshuffle")
        form: dict[str, Any] = {
            "shards": shape,
            "dimension_names": ("c", "y", "x"),
            "chunk_key_encoding": {"name": "default", "separator": "."},
        }
    else:
        compressor = numcodecs.Blosc(cname=_CNAME, clevel=_CLEVEL, shuffle=blosc.BITSHUFFLE)
        form = {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}}
    zarr.create_array(
        memory,
        shape=shape,
        chunks=(1, *shape[1:]),
        dtype=dtype,
        compressors=compressor,
        fill_value=0,
        **form,
    )
    stored: bytes = memory._store_dict[_array_file(version)].to_bytes()
    return stored


def _write_group(path: Path, ome: Mapping[str, Any], version: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        attributes = {"ome": {"version": version} | dict(ome)} if ome else {}
        _write_json(
            path / "zarr.json",
            {"zarr_format": 3, "node_type": "group", "attributes": attributes},
        )
    else:
        _write_json(path / ".zgroup", {"zarr_format": 2})
        if ome:
            _write_json(path / ".zattrs", ome)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    _write_file(str(path), [json.dumps(document).encode()])


def _write_file(path: str, parts: Sequence[bytes]) -> None:
    with open(path, "wb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) :]
