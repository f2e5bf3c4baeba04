"""Which chunks of the array of a field are stored; what is not stored has the fill value.

Writers leave out chunks that are all fill value, and copies that were cut short lack chunks too.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.lake.arrays import FieldArray

_NO_CHUNK = 2**64 - 1  # offset in the index of a shard
_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Unstored:
    """What is not stored of an array.

    is_all: nothing is stored. channels: of which no chunk is stored. num_others: number of missing
    chunks of other channels, of num_chunks in all.
    """

    is_all: bool
    channels: list[int]
    num_others: int
    num_chunks: int


def unstored(array: FieldArray) -> Unstored:
    """What is not stored of an array; chunks within a shard count on their own.

    Raises one of `arrays.DAMAGE` if the metadata or the index of a shard is damaged.
    """
    missing, chunk = _missing(array)
    channels: list[int] = []
    num_others = int(missing.sum())
    if "c" in array.axes:
        axis = array.axes.index("c")
        by_channel = np.moveaxis(missing, axis, 0).reshape(missing.shape[axis], -1)
        gone: NDArray[np.bool_] = np.all(by_channel, axis=1)
        num_others -= int(by_channel[gone].size)
        channels = [c for c in range(array.shape[axis]) if gone[c // chunk[axis]]]
    return Unstored(bool(missing.all()), channels, num_others, missing.size)


def _missing(array: FieldArray) -> tuple[NDArray[np.bool_], list[int]]:
    """Whether each chunk is missing, over the grid of chunks, and the shape of a chunk."""
    v2 = array.path / ".zarray"
    metadata = json.loads((v2 if v2.exists() else array.path / "zarr.json").read_bytes())
    if v2.exists():
        chunk = [int(n) for n in metadata["chunks"]]
        return ~_stored(array, chunk), chunk
    outer = [int(n) for n in metadata["chunk_grid"]["configuration"]["chunk_shape"]]
    missing = ~_stored(array, outer)
    first = metadata["codecs"][0]
    if first["name"] != "sharding_indexed":
        return missing, outer
    inner = [int(n) for n in first["configuration"]["chunk_shape"]]
    return _within_shards(array, missing, outer, inner, first["configuration"]), inner


def _stored(array: FieldArray, chunk: list[int]) -> NDArray[np.bool_]:
    """Whether there is a file for each chunk. chunk: shape of one."""
    stored = np.zeros([-(-n // c) for n, c in zip(array.shape, chunk, strict=True)], np.bool_)
    for place in _files(array.path):
        if len(place) == stored.ndim and all(map(int.__lt__, place, stored.shape)):
            stored[place] = True
    return stored


def _files(path: Path) -> dict[tuple[int, ...], Path]:
    """The files of chunks by their places in the grid, for names such as 0.0, 0/0, c/0/0, c.0.0."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            parts = file.relative_to(path).as_posix().replace("/", ".").split(".")
            parts = parts[1:] if parts[0] == "c" else parts
            if all(part.isdecimal() for part in parts):
                found[tuple(map(int, parts))] = file
    return found


def _within_shards(
    array: FieldArray,
    missing: NDArray[np.bool_],
    outer: list[int],
    inner: list[int],
    about: Mapping[str, Any],
) -> NDArray[np.bool_]:
    """Whether each chunk within shards is missing.

    missing: which shards are. outer, inner: shape of a shard and of a chunk in it. about: settings
    of the shards.
    """
    per_shard = [o // i for o, i in zip(outer, inner, strict=True)]
    num = prod(per_shard)
    size = 16 * num + _CHECKSUM_BYTES * any(
        codec["name"] == "crc32c" for codec in about.get("index_codecs", ())
    )
    from_start = about.get("index_location") == "start"
    grid = np.repeat(missing, per_shard[0], axis=0)
    for axis, count in enumerate(per_shard[1:], start=1):
        grid = np.repeat(grid, count, axis=axis)
    for place, file in _files(array.path).items():
        if len(place) != missing.ndim or any(map(int.__ge__, place, missing.shape)):
            continue
        with file.open("rb") as shard:
            shard.seek(*((0,) if from_start else (-size, os.SEEK_END)))
            index = np.frombuffer(shard.read(size)[: 16 * num], "<u8").reshape(*per_shard, 2)
        where = tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, per_shard, strict=True))
        grid[where] = index[..., 0] == _NO_CHUNK
    return grid[tuple(slice(-(-n // c)) for n, c in zip(array.shape, inner, strict=True))]
