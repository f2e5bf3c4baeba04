"""Pixels of fields, written to and read from OME-Zarr plates.

A plate is an OME-Zarr HCS group. A field is an image with the axes c, y, x. In version 0.5 the
planes of a field are one shard, so that a field is one file in one folder: on most disks, creating
files and folders takes longer than writing bytes. Fields of version 0.4, and fields of plates that
other programs wrote, are read with the zarr library.

Shapes: C channels, H height, W width.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.choices import NgffVersion
from unidino.core.errors import LakeError
from unidino.core.limits import MAX_PIXELS, check_pixels
from unidino.lake import arrays, codec, ngff
from unidino.lake.arrays import FieldArray
from unidino.lake.ngff import Display
from unidino.lake.stacks import Stack, stack_of
from unidino.lake.states import FileState, write_file

Plane = NDArray[Any]  # of uint8 or uint16, (H, W)


def write_field(
    path: Path,
    planes: Sequence[Plane | None],
    displays: Sequence[Display],
    pixel_size_um: float | None,
    version: NgffVersion = "0.5",
    pyramid: int = 0,
) -> list[FileState]:
    """States of the files of one field, which are written.

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
    written = ngff.write_group(path, metadata, version)
    for level, level_planes in enumerate(levels):
        shape = next(plane.shape for plane in level_planes if plane is not None)
        array = f"{path}/{level}"
        os.mkdir(array)
        array_metadata = codec.array_metadata((len(planes), *shape), first.dtype.name, version)
        written.append(write_file(f"{array}/{ngff.array_file(version)}", [array_metadata]))
        chunks = [None if plane is None else codec.encoded(plane) for plane in level_planes]
        if version == "0.5":
            kept = [chunk for chunk in chunks if chunk is not None]
            shard = [*kept, codec.shard_index(chunks)]
            written.append(write_file(f"{array}/{codec.SHARD}", shard))
        else:
            for index, chunk in enumerate(chunks):
                if chunk is not None:
                    os.makedirs(f"{array}/{index}/0")
                    written.append(write_file(f"{array}/{index}/0/0", [chunk]))
    return written


def _halved(plane: Plane) -> Plane:
    """Means of 2 x 2 pixels, rounded; an odd last row or column is left out."""
    height, width = (max(side // 2, 1) for side in plane.shape)
    cropped = plane[: 2 * height, : 2 * width].astype(np.uint32)
    down = cropped.shape[0] // height, cropped.shape[1] // width
    sums = cropped.reshape(height, down[0], width, down[1]).sum(axis=(1, 3))
    size = down[0] * down[1]
    return np.asarray((sums + size // 2) // size, dtype=plane.dtype)


def read_plane(field: Path, channel_index: int) -> Plane:
    """One plane (H, W) of a field, at full resolution.

    field: path of its group, with what is taken of a stack, as `stacks.stack_of` reads it.
    Raises LakeError if the group or the chunk is missing or damaged.
    """
    stack = stack_of(str(field))
    if not Path(stack.group).is_dir():
        raise LakeError(f"no image at {stack.group}; was its plate moved? run `unidino check`")
    try:
        array = _open_array(stack.group)
        if array.is_shard_of_planes:
            return _plane_of_shard(array, channel_index)
        planes = arrays.read_by_zarr(array, _index(array, channel_index, stack))
        return np.asarray(planes.max(axis=0)) if planes.ndim == 3 else planes
    except arrays.DAMAGE as error:
        raise LakeError(
            f"cannot read channel {channel_index} of {stack.group}: {_reason(error)}"
        ) from error


def read_page(group: Path, page: int, max_pixels: int = MAX_PIXELS) -> Plane:
    """One plane (H, W) of a field; `page` is its number over all axes except y and x.

    group: path of its group, as it is. max_pixels: that a plane may have.
    Raises LakeError if the group or the chunk is missing, damaged or too large.
    """
    try:
        array = arrays.find_array(group)
        height, width = array.shape[-2:]
        check_pixels(height, width, max_pixels)
        if array.is_shard_of_planes:
            return _plane_of_shard(array, page)
        place = np.unravel_index(page, array.shape[:-2])
        return arrays.read_by_zarr(array, [int(index) for index in place])
    except arrays.DAMAGE as error:
        raise LakeError(f"cannot read plane {page} of {group}: {_reason(error)}") from error


def _plane_of_shard(array: FieldArray, index: int) -> Plane:
    chunk = codec.read_chunk(array.path / codec.SHARD, index, array.shape[0])
    return codec.decoded(chunk, array.shape[1:], np.dtype(array.dtype).newbyteorder("<"))


def _index(array: FieldArray, channel_index: int, stack: Stack) -> list[int | slice]:
    """Where the planes of a channel are, over the axes before y and x."""
    z = slice(None) if stack.z == "max" else int(stack.z)
    places: dict[str, int | slice] = {"t": stack.timepoint, "c": channel_index, "z": z}
    return [places[axis] for axis in array.axes[:-2]]


def _reason(error: Exception) -> str:
    """What an error of a library says, in one line."""
    text = " ".join(str(error).split())
    return text if text and not isinstance(error, KeyError) else repr(error)


_open_array = lru_cache(maxsize=65536)(lambda group: arrays.find_array(Path(group)))
