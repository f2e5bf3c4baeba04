"""Pixels of fields, written to and read from OME-Zarr plates.

A plate is an OME-Zarr HCS group. A field is an image with the axes c, y, x. In version 0.5 the
planes of a field are one shard, so that a field is one file in one folder: on most disks, creating
files and folders takes longer than writing bytes. Fields of version 0.4, and fields of plates that
other programs wrote, are read with the zarr library.

Shapes: C channels, H height, W width.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError

from unidino.core.choices import NgffVersion
from unidino.core.errors import LakeError
from unidino.lake import codec, ngff
from unidino.lake.ngff import Display

Plane = NDArray[Any]  # of uint8 or uint16, (H, W)

_DAMAGE = (OSError, KeyError, ValueError, RuntimeError, IndexError, BaseZarrError)


def write_field(
    path: Path,
    planes: Sequence[Plane | None],
    displays: Sequence[Display],
    pixel_size_um: float | None,
    version: NgffVersion = "0.5",
    pyramid: int = 0,
) -> None:
    """Write the group of one field.

    planes: (H, W) each, of one type and size, in channel order; None for a missing plane, which is
    read as zeros. pyramid: number of levels after the full resolution, each with half the height
    and width of the one before.
    """
    first = next(plane for plane in planes if plane is not None)
    levels = [list(planes)]
    for _ in range(pyramid):
        levels.append([None if plane is None else _halved(plane) for plane in levels[-1]])
    maximum = int(np.iinfo(first.dtype).max)
    metadata = ngff.image_metadata(
        path.name, len(levels), displays, pixel_size_um, maximum, version
    )
    ngff.write_group(path, metadata, version)
    for level, level_planes in enumerate(levels):
        shape = next(plane.shape for plane in level_planes if plane is not None)
        array = f"{path}/{level}"
        os.mkdir(array)
        array_metadata = codec.array_metadata((len(planes), *shape), first.dtype.name, version)
        _write_file(f"{array}/{ngff.array_file(version)}", [array_metadata])
        chunks = [None if plane is None else codec.encoded(plane) for plane in level_planes]
        if version == "0.5":
            kept = [chunk for chunk in chunks if chunk is not None]
            _write_file(f"{array}/{codec.SHARD}", [*kept, codec.shard_index(chunks)])
        else:
            for index, chunk in enumerate(chunks):
                if chunk is not None:
                    os.makedirs(f"{array}/{index}/0")
                    _write_file(f"{array}/{index}/0/0", [chunk])


def _halved(plane: Plane) -> Plane:
    """Means of 2 x 2 pixels, rounded; an odd last row or column is left out."""
    height, width = (max(side // 2, 1) for side in plane.shape)
    cropped = plane[: 2 * height, : 2 * width].astype(np.uint32)
    down = cropped.shape[0] // height, cropped.shape[1] // width
    sums = cropped.reshape(height, down[0], width, down[1]).sum(axis=(1, 3))
    size = down[0] * down[1]
    return np.asarray((sums + size // 2) // size, dtype=plane.dtype)


def _write_file(path: str, parts: Sequence[bytes]) -> None:
    """Write parts one after another without a copy; an unbuffered write may be incomplete."""
    with open(path, "wb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) :]


def read_plane(field: Path, channel_index: int) -> Plane:
    """One plane (H, W) of a field, at full resolution.

    field: path of its group. `#t=2&z=max` at its end selects the time point and the slice, or the
    maximum over slices, of an image with the axes t and z.
    Raises LakeError if the group or the chunk is missing or damaged.
    """
    group, _, choice = str(field).partition("#")
    if not Path(group).is_dir():
        raise LakeError(f"no image at {group}; was its plate moved? run `unidino check`")
    try:
        array = _open_array(group)
        if array.is_shard_of_planes:
            chunk = codec.read_chunk(array.path / codec.SHARD, channel_index, array.shape[0])
            return codec.decoded(chunk, array.shape[1:], array.dtype)
        return _chosen_plane(array, channel_index, choice)
    except _DAMAGE as error:
        raise LakeError(f"cannot read channel {channel_index} of {field}: {error}") from error


def read_page(field: Path, page: int) -> Plane:
    """One plane (H, W) of a field; `page` is its number over all axes except y and x.

    Raises LakeError if the group or the chunk is missing or damaged.
    """
    try:
        array = _open_array(str(field))
        if array.is_shard_of_planes:
            return read_plane(field, page)
        opened = zarr.open_array(str(array.path), mode="r")
        return np.asarray(opened[np.unravel_index(page, array.shape[:-2])])
    except _DAMAGE as error:
        raise LakeError(f"cannot read plane {page} of {field}: {error}") from error


@dataclass(frozen=True)
class _Array:
    """A field at full resolution.

    is_shard_of_planes: the field is stored as `write_field` stores fields of version 0.5.
    """

    path: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_shard_of_planes: bool


def _chosen_plane(array: _Array, channel_index: int, choice: str) -> Plane:
    """A plane (H, W) of the chosen time point and slice, read with the zarr library."""
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
    """The array of a field at full resolution."""
    group = Path(field)
    version = ngff.version_of(group)
    image = ngff.group_metadata(group)["multiscales"][0]
    path = group / image["datasets"][0]["path"]
    metadata = json.loads((path / ngff.array_file(version)).read_bytes())
    shape = tuple(metadata["shape"])
    axes = tuple(axis["name"] for axis in image["axes"])
    dtype = metadata["data_type" if version == "0.5" else "dtype"]
    is_shard_of_planes = False
    if version == "0.5" and axes == ("c", "y", "x"):
        expected = json.loads(codec.array_metadata(shape, dtype, version))
        is_shard_of_planes = codec.same_chunks(metadata, expected)
    return _Array(path, axes, shape, np.dtype(dtype).newbyteorder("<"), is_shard_of_planes)
