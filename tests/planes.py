"""Planes with known values: written, and read back from a lake."""

from pathlib import Path

import numpy as np
import tifffile

from unidino.lake import pixels
from unidino.lake.lake import Lake


def plane_of(value: int, size: int = 32) -> np.ndarray:
    """A plane (size, size) of uint16 that differs for each value."""
    return (np.arange(size * size, dtype=np.uint16) % 97 + value).reshape(size, size)


def write_plane(path: Path, value: int) -> None:
    """Write the plane of a value as TIFF, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, plane_of(value))


def stored_plane(lake: Lake, where: str) -> np.ndarray:
    """The plane in the lake of the first image that meets a condition on `located_image`."""
    uri, index = lake.query(f"select uri, channel_index from located_image where {where}").row(0)
    return pixels.read_plane(lake.resolve(uri), index)
