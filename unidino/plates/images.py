"""Planes read from the files that microscopes write, and hashes of these files.

Shapes: H height, W width.
"""

import hashlib
import logging
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError, LakeError
from unidino.core.limits import MAX_PIXELS
from unidino.lake import pixels
from unidino.lake.pixels import Plane
from unidino.plates.conversion import AS_STORED, Conversion
from unidino.plates.picture import Note, Picture, native
from unidino.plates.planes import plane_of
from unidino.plates.raster import kind_of, read_bmp, read_jpeg, read_png
from unidino.plates.tiff import read_tiff

# read_image reports what is wrong with a file; tifffile would report it again.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_SMALL_BYTES = 1 << 26  # larger files are read page by page
_HEAD_BYTES = 64
_READERS = {"PNG": read_png, "BMP": read_bmp, "JPEG": read_jpeg}
_DAMAGE = (
    ValueError,
    OSError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    struct.error,
    Image.DecompressionBombError,
)


class Files:
    """Files of one field; each is read and hashed once, also if it has several planes.

    notes: what to say of the images that were read. max_pixels: that a plane may have.
    """

    def __init__(self, conversion: Conversion = AS_STORED, max_pixels: int = MAX_PIXELS) -> None:
        self.notes: list[Note] = []
        self._conversion = conversion
        self._max_pixels = max_pixels
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
            picture = Picture(native(np.squeeze(self._zarr_plane(path, page))))
        else:
            picture = self._picture(path, page)
        plane, notes = plane_of(picture, path, self._conversion)
        self.notes += notes
        return plane

    def _picture(self, path: str, page: int | None) -> Picture:
        """The picture of a file, or of its page."""
        data = self._open(path)
        try:
            kind = kind_of(path, _head(path) if data is None else data[:_HEAD_BYTES])
            if kind == "TIFF":
                return read_tiff(path, data, page, self._max_pixels)
            if page:
                raise ValueError(f"it has 1 plane, which is its page 0, and no page {page}")
            content = Path(path).read_bytes() if data is None else data
            return _READERS[kind](path, content, self._max_pixels)
        except _DAMAGE as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"image '{path}' is truncated or not a valid image ({os.path.getsize(path)} bytes):"
                f" {reason[0]}"
            ) from error
        except MemoryError as error:
            raise InputError(f"image '{path}' does not fit in memory: {error}") from error

    def _zarr_plane(self, path: str, page: int | None) -> Plane:
        if (path, page) not in self._planes:
            try:
                self._planes[path, page] = pixels.read_page(Path(path), page or 0, self._max_pixels)
            except LakeError as error:
                raise InputError(str(error)) from error
        return self._planes[path, page]

    def _open(self, path: str) -> bytes | None:
        """Bytes of a small file, None for a large one; both are hashed."""
        if path not in self._hashes:
            try:
                refuse_special(path)
                small = os.path.getsize(path) <= _SMALL_BYTES
                data = Path(path).read_bytes() if small else None
                self._hashes[path] = _file_hash(path, data)
                self._data[path] = data
            except OSError as error:
                raise InputError(f"cannot read image '{path}': {error.strerror}") from error
        return self._data[path]


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD_BYTES)


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
