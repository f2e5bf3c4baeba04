"""What is wrong with the stored pixels of a field, by its metadata and the sizes of its files.

No plane is decoded. The zarr library reads a chunk that is not there as the fill value, so a plane
that had counts at its ingest must have a chunk. Of several chunks of a plane, one may be
left out by its writer because all its pixels are 0; only reading the plane tells.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from unidino.lake import codec
from unidino.lake.arrays import DAMAGE, FieldArray, find_array
from unidino.lake.stacks import Stack, stack_of

_BLOSC_HEADER = 16  # bytes; the last four are the length of the chunk


@dataclass(frozen=True)
class Expected:
    """What the catalog tells of a field: its size, and the channels that have counts above 0."""

    height_px: int
    width_px: int
    channels: Sequence[int]


@dataclass(frozen=True)
class _Chunks:
    """The chunks of an array.

    shape: of one chunk. compressor: `none`, `blosc`, or another, whose lengths are not known.
    """

    shape: tuple[int, ...]
    compressor: str
    prefix: str
    separators: tuple[str, ...]


def faults(field: str, expected: Expected) -> list[str]:
    """Every fault of the stored pixels of a field.

    field: path of its group, with what is taken of a stack, as `stacks.stack_of` reads it.
    """
    stack = stack_of(field)
    try:
        array = find_array(Path(stack.group))
        return list(_faults(array, stack, expected))
    except DAMAGE as error:
        text = " ".join(str(error).split())
        return [text if text and not isinstance(error, KeyError) else repr(error)]


def _faults(array: FieldArray, stack: Stack, expected: Expected) -> Iterator[str]:
    size = (expected.height_px, expected.width_px)
    if array.shape[-2:] != size:
        yield f"it has {array.shape[-2:]} pixels, not {size}"
        return
    lengths = {"c": 1} | dict(zip(array.axes, array.shape, strict=True))
    places = {"t": stack.timepoint, "c": max(expected.channels, default=0)}
    places |= {} if stack.z == "max" else {"z": int(stack.z)}
    for axis in places.keys() & lengths.keys():
        if places[axis] >= lengths[axis]:
            yield f"axis {axis} has the length {lengths[axis]}, and no place {places[axis]}"
            return
    without: list[int] = []
    if array.is_shard_of_planes:
        absent = codec.absent_channels(array.path / codec.SHARD, array.shape[0])
        without = sorted(set(absent) & set(expected.channels))
    elif chunks := _chunks(array):
        for channel in expected.channels:
            found = [f for f in _files(array, chunks, stack, channel) if f.is_file()]
            without += [] if found else [channel]
            if cut := next((f for f in found if _is_cut(f, array, chunks)), None):
                yield f"chunk '{cut.relative_to(array.path)}' is truncated"
    if without:
        yield f"no pixels are stored of channels {', '.join(map(str, without))}"


def _chunks(array: FieldArray) -> _Chunks | None:
    """The chunks of an array by its metadata; None for chunks of several shapes."""
    if (array.path / "zarr.json").is_file():
        metadata = json.loads((array.path / "zarr.json").read_bytes())
        if metadata["chunk_grid"]["name"] != "regular":
            return None
        shape = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        naming = metadata["chunk_key_encoding"]
        is_default = naming["name"] == "default"
        separator = naming.get("configuration", {}).get("separator", "/" if is_default else ".")
        prefix = f"c{separator}" if is_default else ""
        names = [entry["name"] for entry in metadata["codecs"] if entry["name"] != "transpose"]
        compressor = "none" if names == ["bytes"] else names[-1] if len(names) == 2 else "several"
        return _Chunks(tuple(shape), compressor, prefix, (separator,))
    metadata = json.loads((array.path / ".zarray").read_bytes())
    # Early writers left unsaid how they named chunks.
    separators = (
        (metadata["dimension_separator"],) if "dimension_separator" in metadata else (".", "/")
    )
    compressor = (metadata["compressor"] or {"id": "none"})["id"]
    if metadata.get("filters"):
        compressor = "several"
    return _Chunks(tuple(metadata["chunks"]), compressor, "", separators)


def _files(array: FieldArray, chunks: _Chunks, stack: Stack, channel: int) -> Iterator[Path]:
    """Paths of the chunks of a channel, in each way in which they may be named."""
    chosen: Mapping[str, int] = {"t": stack.timepoint, "c": channel}
    if stack.z != "max":
        chosen = {**chosen, "z": int(stack.z)}
    ranges: list[Any] = [
        [chosen[axis] // length] if axis in chosen else range(-(-size // length))
        for axis, size, length in zip(array.axes, array.shape, chunks.shape, strict=True)
    ]
    for place in product(*ranges):
        for separator in chunks.separators:
            yield array.path / (chunks.prefix + separator.join(map(str, place)))


def _is_cut(file: Path, array: FieldArray, chunks: _Chunks) -> bool:
    """Whether the file of a chunk is shorter than its length, as far as that is known."""
    size = file.stat().st_size
    if chunks.compressor == "none":
        return size < prod(chunks.shape) * np.dtype(array.dtype).itemsize
    if chunks.compressor != "blosc":
        return size == 0
    with file.open("rb") as opened:
        header = opened.read(_BLOSC_HEADER)
    return len(header) < _BLOSC_HEADER or size < int.from_bytes(header[12:], "little")
