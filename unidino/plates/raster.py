"""Pictures of PNG, BMP and JPEG files, and what a file is by its first bytes.

Shapes: H height, W width.
"""

import io
import os
import struct
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS
from unidino.plates.picture import Picture, check_size, of_palette, of_samples

Image.MAX_IMAGE_PIXELS = None  # `check_size` says how many there may be
_PNG_PALETTE = 3
_PNG_SAMPLES = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}
_BYTES = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"<", "an HTML or XML page"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "HDF5"),
    (b"ZISRAWFILE", "CZI"),
    (b"%PDF", "PDF"),
)
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP"}


def kind_of(path: str, head: bytes) -> str:
    """What an image file is: TIFF, PNG, JPEG or BMP, by its suffix; other suffixes are TIFF.

    head: its first bytes.
    Raises ValueError if they are those of another kind of file.
    """
    expected = _SUFFIXES.get(os.path.splitext(path)[1].lower(), "TIFF")
    if not head:
        raise ValueError("it is empty")
    found = next((kind for start, kind in _BYTES if head.lstrip().startswith(start)), expected)
    if found != expected:
        suffix = next((s for s, kind in _SUFFIXES.items() if kind == found), ".tif")
        is_image = found in ("TIFF", *_SUFFIXES.values())
        raise ValueError(
            f"its content is {found}, not {expected}" + (f"; rename it to {suffix}" * is_image)
        )
    return expected


def read_png(path: str, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture of a PNG file.

    Raises InputError if it is too large or an animation; ValueError or RuntimeError if damaged.
    """
    if len(data) < 26:
        raise ValueError("it ends within its header")
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    check_size(path, height, width, _PNG_SAMPLES.get(kind, 1) * max(bits // 8, 1), max_pixels)
    start = data.find(b"acTL", 0, data.find(b"IDAT"))
    if start > 0:
        (num,) = struct.unpack(">I", data[start + 4 : start + 8])
        if num > 1:
            raise InputError(
                f"image '{path}' has shape {(num, height, width)}, an animation; expected one plane"
                " (H, W): write each plane as a file of its own"
            )
    if kind == _PNG_PALETTE:
        return _read_pillow(path, data, "PNG", max_pixels)
    notes = (f"values of {bits} bits are scaled to 0 to 255",) if bits < 8 else ()
    return of_samples(imagecodecs.png_decode(data), notes=notes)


def read_bmp(path: str, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture of a BMP file. Raises OSError if it is damaged."""
    return _read_pillow(path, data, "BMP", max_pixels)


def read_jpeg(path: str, data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture of a JPEG file. Raises OSError if it is damaged."""
    return _read_pillow(path, data, "JPEG", max_pixels, lossy="JPEG")


def _read_pillow(path: str, data: bytes, kind: str, max_pixels: int, **about: Any) -> Picture:
    """The picture of a file that Pillow reads."""
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        check_size(path, image.height, image.width, len(image.getbands()), max_pixels)
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
            if "transparency" in image.info:
                about["alpha"] = np.asarray(image.convert("RGBA"))[..., 3]
            return of_palette(np.asarray(image), palette, 8, **about)
        if image.mode not in ("1", "L", "I;16", "RGB", "RGBA"):
            return Picture(np.asarray(image), f"colours of mode {image.mode}", **about)
        return of_samples(np.asarray(image), **about)
