"""The array of a field at full resolution: where it is, its axes, and planes read from it by zarr.

Arrays of OME-Zarr 0.1 to 0.5, written by any program, in any chunks and byte order.

Shapes: H height, W width.
"""

import json
import lzma
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import BaseZarrError
from zarr.storage import LocalStore, StorePath

from unidino.core.documents import parse_json
from unidino.core.limits import MAX_CHUNKS, check_bytes, check_planes
from unidino.lake import codec, ngff

# What damaged metadata and chunks make the libraries raise.
DAMAGE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    BaseZarrError,
)


@dataclass(frozen=True)
class FieldArray:
    """The array of a field at full resolution.

    axes: a name for each, y and x last. is_shard_of_planes: it is stored as `pixels.write_field`
    stores fields of version 0.5.
    """

    path: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    is_shard_of_planes: bool


def find_array(group: Path) -> FieldArray:
    """The array of the group of a field.

    Raises one of DAMAGE if its metadata are missing, damaged or contradict each other, or if it
    declares more than a field may have.
    """
    version = ngff.version_of(group)
    image = ngff.group_metadata(group)["multiscales"][0]
    path, *_ = [group / _inside(level["path"]) for level in image["datasets"]]
    metadata = parse_json((path / ngff.array_file(version)).read_bytes())
    shape = tuple(int(length) for length in metadata["shape"])
    axes = ngff.axis_names(image, len(shape))
    if len(axes) != len(shape) or min(shape) < 1:
        raise ValueError(f"its array has the shape {shape}, its axes are {', '.join(axes)}")
    check_planes(dict(zip(axes, shape, strict=True)).get("c", 1), prod(shape[:-2]))
    _check_chunk(metadata)
    dtype = metadata["data_type" if version == "0.5" else "dtype"]
    is_shard_of_planes = False
    if version == "0.5" and axes == ("c", "y", "x"):
        expected = json.loads(codec.array_metadata(shape, dtype, version))
        is_shard_of_planes = codec.same_chunks(metadata, expected)
    return FieldArray(path, axes, shape, str(dtype), is_shard_of_planes)


def shape_of(group: Path, name: str) -> tuple[int, ...]:
    """The shape of the array of this name in the group of a field.

    Raises one of DAMAGE if its metadata are missing or damaged.
    """
    file = group / name / ngff.array_file(ngff.version_of(group))
    return tuple(int(length) for length in parse_json(file.read_bytes())["shape"])


def _check_chunk(metadata: Mapping[str, Any]) -> None:
    """Raise ValueError if a chunk, which is decoded as a whole, would not fit in memory."""
    chunk = metadata.get("chunks")
    if chunk is None:
        chunk = metadata["chunk_grid"].get("configuration", {}).get("chunk_shape", ())
        for step in metadata.get("codecs", ()):
            if step["name"] == "sharding_indexed":
                chunk = step["configuration"]["chunk_shape"]
    lengths = [int(length) for length in chunk]
    check_bytes(lengths, 2, "a chunk")
    if lengths and min(lengths) < 1:
        raise ValueError(f"its chunks have the shape {tuple(lengths)}")
    sides = zip(metadata["shape"][-2:], lengths[-2:], strict=False)
    num_chunks = prod(-(-int(side) // length) for side, length in sides)
    if num_chunks > MAX_CHUNKS:
        raise ValueError(f"it declares {num_chunks} chunks a plane; expected up to {MAX_CHUNKS}")


def _inside(name: str) -> str:
    """The path of an array in its group. Raises ValueError if it leads out of the group."""
    if name.startswith("/") or {"", ".", ".."} & set(name.rstrip("/").split("/")):
        raise ValueError(f"the path '{name}' of an array leads out of its group")
    return name


def read_by_zarr(array: FieldArray, index: Sequence[int | slice]) -> NDArray[Any]:
    """The planes at an index over the axes before y and x, in the byte order of this machine."""
    found = np.asarray(_opened(array.path)[tuple(index)])
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _opened(path: Path) -> zarr.Array[Any]:
    """The array as the zarr library opens it; the path is no URL, whatever characters it has."""
    store = StorePath(LocalStore(path, read_only=True))
    v2 = path / ".zarray"
    if not (path / "zarr.json").exists() and v2.exists():
        metadata = parse_json(v2.read_bytes())
        if "dimension_separator" not in metadata and _has_nested_chunks(path):
            metadata["dimension_separator"] = "/"
            return zarr.Array(zarr.AsyncArray.from_dict(store, metadata))
    return zarr.open_array(store, mode="r")


def _has_nested_chunks(path: Path) -> bool:
    """Whether the chunks of an array are files in folders, as early writers left unsaid."""
    return any(re.fullmatch(r"\d+", entry.name) and entry.is_dir() for entry in path.iterdir())
