"""Planes read from the files that microscopes write, and hashes of these files.

Shapes: H height, W width.
"""

import hashlib
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from unidino.core.errors import InputError, LakeError
from unidino.lake import pixels
from unidino.lake.pixels import Plane

# read_image reports what is wrong with a file; tifffile would report it again.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_SMALL_BYTES = 1 << 26  # larger files are read page by page
_DAMAGE = (ValueError, OSError, IndexError, KeyError, TypeError, RuntimeError)


class Files:
    """Files of one field; each is read and hashed once, also if it has several planes."""

    def __init__(self) -> None:
        self._data: dict[str, bytes | None] = {}
        self._hashes: dict[str, str] = {}
        self._planes: dict[tuple[str, int | None], Plane] = {}

    def hash_of(self, paths: Sequence[str], pages: Sequence[int | None]) -> str:
        """SHA-256 (hex) of an image's file, or of its plane in an OME-Zarr plate.

        Of several slices, the hash of their hashes.
        Raises InputError for a file that cannot be read.
        """
        hashes = []
        for path, page in zip(paths, pages, strict=True):
            if os.path.isdir(path):
                content = np.ascontiguousarray(self._zarr_plane(path, page)).data
                hashes.append(hashlib.sha256(content).hexdigest())
            else:
                self._open(path)
                hashes.append(self._hashes[path])
        if len(hashes) == 1:
            return hashes[0]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def read_image(self, paths: Sequence[str], pages: Sequence[int | None]) -> Plane:
        """The maximum (H, W) over slices of uint8 or uint16.

        paths: file of each slice. pages: position of each slice in its file; None if the file has
        only one plane.
        Raises InputError that names the file and what is wrong with it.
        """
        plane = self._read_page(paths[0], pages[0])
        for path, page in zip(paths[1:], pages[1:], strict=True):
            other = self._read_page(path, page)
            if (other.shape, other.dtype) != (plane.shape, plane.dtype):
                raise InputError(
                    f"image '{path}' is {other.dtype} {other.shape}, but the first slice of its"
                    f" stack is {plane.dtype} {plane.shape}"
                )
            plane = np.maximum(plane, other)
        return plane

    def _read_page(self, path: str, page: int | None) -> Plane:
        if os.path.isdir(path):
            return _checked(self._zarr_plane(path, page), path)
        data = self._open(path)
        try:
            if data is not None and path.lower().endswith(".png"):
                plane = imagecodecs.png_decode(data)
            else:
                with tifffile.TiffFile(path if data is None else io.BytesIO(data)) as tiff:
                    if page is not None and page >= len(tiff.pages):
                        raise ValueError(f"it has {len(tiff.pages)} planes, not {page + 1}")
                    plane = tiff.asarray() if page is None else tiff.pages[page].asarray()
        except _DAMAGE as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"image '{path}' is truncated or not a valid image ({os.path.getsize(path)} bytes):"
                f" {reason[0]}"
            ) from error
        return _checked(plane, path)

    def _zarr_plane(self, path: str, page: int | None) -> Plane:
        if (path, page) not in self._planes:
            try:
                self._planes[path, page] = pixels.read_page(Path(path), page or 0)
            except LakeError as error:
                raise InputError(str(error)) from error
        return self._planes[path, page]

    def _open(self, path: str) -> bytes | None:
        """Bytes of a small file, None for a large one; both are hashed."""
        if path not in self._hashes:
            try:
                small = os.path.getsize(path) <= _SMALL_BYTES
                data = Path(path).read_bytes() if small else None
                self._hashes[path] = _file_hash(path, data)
                self._data[path] = data
            except OSError as error:
                raise InputError(f"cannot read image '{path}': {error.strerror}") from error
        return self._data[path]


def _checked(plane: Plane, path: str) -> Plane:
    plane = np.squeeze(plane)
    if plane.size == 0:
        raise InputError(f"image '{path}' is truncated or not a valid image (no pixel)")
    if plane.ndim != 2:
        raise InputError(f"image '{path}' has shape {plane.shape}; expected one plane (H, W)")
    if plane.dtype not in (np.uint8, np.uint16):
        raise InputError(f"image '{path}' is {plane.dtype}; expected uint8 or uint16")
    return plane


def _file_hash(path: str, data: bytes | None) -> str:
    """SHA-256 (hex) of a file. data: its bytes, if they were read already."""
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: str) -> tuple[int, int]:
    """Size (bytes) and time of change (ns) of a file; of a folder, total size and latest time.

    Raises OSError if the path does not exist.
    """
    stat = os.stat(path)
    if not os.path.isdir(path):
        return stat.st_size, stat.st_mtime_ns
    size, latest = 0, 0
    for folder, _, names in os.walk(path):
        for name in names:
            inner = os.stat(os.path.join(folder, name))
            size += inner.st_size
            latest = max(latest, inner.st_mtime_ns)
    return size, latest
