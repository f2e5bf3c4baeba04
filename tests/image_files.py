"""Image files of many forms, and how they are read."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from unidino.core.errors import InputError
from unidino.plates.conversion import parse
from unidino.plates.images import Files

GREY = np.random.default_rng(0).integers(0, 4000, (48, 40)).astype(np.uint16)
STACK = [GREY, GREY + 1, GREY + 2]
GREY8 = (GREY // 16).astype(np.uint8)
RGB = np.stack([GREY8, GREY8 // 2, GREY8 // 3], axis=-1)
OPAQUE = np.full_like(GREY8, 255)
GREEN = np.zeros((3, 256), np.uint16)
GREEN[1] = np.arange(256) * 257

Write = Callable[[Path], object]


def read_image(
    path: Path, page: int | None = None, convert: str | None = None
) -> tuple[np.ndarray, list[str]]:
    """The plane of a file and what is said of it."""
    files = Files(parse(convert))
    plane = files.read_image([str(path)], [page])
    assert plane.dtype.isnative
    return plane, [note.text for note in files.notes]


def refused(path: Path, page: int | None = None, convert: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path, page, convert)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def tif(values: np.ndarray, **options: Any) -> Write:
    return lambda path: tifffile.imwrite(path, values, **options)


def paged(*pages: np.ndarray, first: str | None = None, marked: tuple[int, ...] = ()) -> Write:
    """Writes pages one by one. first: description of the first. marked: numbers of reduced ones."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as tiff:
            for number, page in enumerate(pages):
                tiff.write(
                    page,
                    photometric="rgb" if page.ndim == 3 else "minisblack",
                    description=first if number == 0 else None,
                    subfiletype=1 if number in marked else 0,
                    metadata=None,
                )

    return write


def ome_xml(num_channels: int, data: str = "<TiffData/>", side: str = "", uuid: str = "") -> str:
    height, width = GREY.shape
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        f'{uuid}><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16"'
        f' SizeX="{side or width}" SizeY="{side or height}" SizeC="{num_channels}" SizeZ="1"'
        f' SizeT="1">{data}</Pixels></Image></OME>'
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_bytes(width: int, height: int, bits: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def palette_image(values: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    return image
