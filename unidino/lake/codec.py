"""Planes as bytes: one Blosc chunk per plane, and one shard with the chunks of a field.

A chunk is a whole plane, compressed by Blosc lz4 with bit shuffle. Embedding reads whole planes,
training cuts several crops from a plane that it reads once, and this codec decodes fastest.
numcodecs encodes and decodes the chunks directly; this gives the same bytes as the zarr library and
is several times faster.

Shapes: C channels, H height, W width.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray

from unidino.core.choices import NgffVersion
from unidino.lake.ngff import array_file

SHARD = "c.0.0.0"  # file name of the only shard of an array
_CNAME, _CLEVEL = "lz4", 5
_NO_CHUNK = 2**64 - 1
_CHECKSUM_BYTES = 4


def encoded(plane: NDArray[Any]) -> bytes:
    """The chunk that encodes a plane (H, W)."""
    data = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<"))
    chunk: bytes = blosc.compress(data, _CNAME.encode(), _CLEVEL, blosc.BITSHUFFLE, 0)
    return chunk


def decoded(chunk: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The plane (H, W) that a chunk encodes.

    Raises ValueError if the chunk is damaged.
    """
    num_bytes, num_stored = (int.from_bytes(chunk[at : at + 4], "little") for at in (4, 12))
    if num_bytes != prod(shape) * dtype.itemsize or num_stored != len(chunk):
        raise ValueError("its chunk is damaged")
    return np.frombuffer(blosc.decompress(chunk), dtype=dtype).reshape(shape)


def shard_index(chunks: Sequence[bytes | None]) -> bytes:
    """The last bytes of a shard: offset and length of each of C chunks, and a checksum.

    Source: Zarr 3, codec sharding_indexed.
    """
    index = np.full((len(chunks), 2), _NO_CHUNK, dtype="<u8")
    offset = 0
    for i, chunk in enumerate(chunks):
        if chunk is not None:
            index[i] = offset, len(chunk)
            offset += len(chunk)
    return index.tobytes() + _checksum(index.tobytes())


def read_chunk(shard: Path, channel_index: int, num_channels: int) -> bytes:
    """The chunk of a channel, from a shard.

    Raises ValueError if the shard is damaged, IndexError if it has no chunk of the channel.
    """
    with shard.open("rb", buffering=0) as file:
        index, size = _read_index(file, num_channels)
        offset, length = (int(value) for value in index[channel_index])
        if offset == _NO_CHUNK:
            raise IndexError("it has no pixels")
        if offset + length > size:
            raise ValueError("its shard is truncated")
        file.seek(offset)
        return file.read(length)


def absent_channels(shard: Path, num_channels: int) -> list[int]:
    """Indices of the channels of which a shard has no chunk.

    Raises ValueError if the shard is damaged, by its index and its size.
    """
    with shard.open("rb", buffering=0) as file:
        index, size = _read_index(file, num_channels)
    places = index.tolist()
    if any(offset + length > size for offset, length in places if offset != _NO_CHUNK):
        raise ValueError("its shard is truncated")
    return [channel for channel, (offset, _) in enumerate(places) if offset == _NO_CHUNK]


def _read_index(file: FileIO, num_channels: int) -> tuple[NDArray[np.uint64], int]:
    """Offset and length (C, 2) of the chunks of a shard, and the size of the file."""
    num_bytes = 16 * num_channels + _CHECKSUM_BYTES
    size = file.seek(-num_bytes, os.SEEK_END) + num_bytes
    stored = file.read(num_bytes)
    index = stored[:-_CHECKSUM_BYTES]
    if _checksum(index) != stored[-_CHECKSUM_BYTES:]:
        raise ValueError("the index of its shard is damaged")
    return np.frombuffer(index, "<u8").reshape(-1, 2), size


def _checksum(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CHECKSUM_BYTES, "little")


@lru_cache(maxsize=256)
def array_metadata(shape: tuple[int, ...], dtype: str, version: NgffVersion) -> bytes:
    """The metadata of an array (C, H, W) whose chunks are planes, as the zarr library writes it."""
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
    stored: bytes = memory._store_dict[array_file(version)].to_bytes()
    return stored


def same_chunks(metadata: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether two arrays of Zarr 3 have the same chunks, codecs and chunk names."""
    keys = ("chunk_grid", "chunk_key_encoding", "codecs")
    return all(metadata[key] == expected[key] for key in keys)
