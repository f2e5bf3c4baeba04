"""The picture of one plane of a TIFF file.

Shapes: H height, W width, S samples of a pixel.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage

from unidino.core.limits import MAX_PIXELS
from unidino.plates.described import promises
from unidino.plates.pages import num_behind, only_page
from unidino.plates.picture import Picture, check_size, native, of_palette, of_samples

_LOSSY = {6: "JPEG", 7: "JPEG", 33007: "JPEG", 34892: "JPEG"}
# Compressions that can be used with and without loss.
_PERHAPS_LOSSY = {
    22610: "JPEG XR",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34927: "WebP",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_ALPHA = (1, 2)  # of the tag ExtraSamples
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6


def read_tiff(
    path: str, data: bytes | None, page: int | None, max_pixels: int = MAX_PIXELS
) -> Picture:
    """The picture of one page. page: its position in the file, None if the file has one plane.

    data: bytes of the file, None to read them page by page. max_pixels: that a plane may have.
    Raises InputError if it is not certain which plane is meant (see `pages`), or if the plane is
    too large; ValueError if the file is damaged.
    """
    with TiffFile(path if data is None else io.BytesIO(data)) as tiff:
        if page is None:
            chosen, notes = only_page(tiff, path)
            return _picture(tiff, chosen, 0, path, notes, max_pixels)
        num = len(tiff.pages)
        if page < num:
            return _picture(tiff, tiff.pages[page], 0, path, [], max_pixels)
        first = tiff.pages.first
        if num > 1 or page >= (num := num_behind(tiff, first, list(promises(tiff, path)))):
            raise ValueError(no_such_page(num, page))
        return _picture(tiff, first, page, path, [], max_pixels)


def no_such_page(num: int, page: int) -> str:
    """What to say of a page beyond the pages of a file."""
    return f"it has {num} planes, which are its pages 0 to {num - 1}, and no page {page}"


def _picture(
    tiff: TiffFile, page: TiffPage, number: int, path: str, notes: list[str], max_pixels: int
) -> Picture:
    """The picture of a page, or of a plane that follows it in its data."""
    check_size(
        path,
        page.imagelength,
        page.imagewidth,
        page.nbytes / max(page.imagelength * page.imagewidth, 1),
        max_pixels,
    )
    compression = int(page.compression)
    lossy = _LOSSY.get(compression)
    if lossy and page.bitspersample == 16:  # JPEG of 16 bits is without loss
        lossy = None
    if compression in _PERHAPS_LOSSY:
        notes = [*notes, f"{_PERHAPS_LOSSY[compression]} may have changed the intensities"]
    if tiff.is_imagej and (described := tiff.imagej_metadata):
        c0, c1 = described.get("c0", 0), described.get("c1", 1)
        if (c0, c1) != (0, 1):
            notes = [
                *notes,
                f"ImageJ calibrates the values ({c0} + {c1} x value): they are as stored",
            ]
    values = _values(tiff, page, number)
    samples = int(page.samplesperpixel)
    photometric = int(page.photometric)
    about: dict[str, Any] = {"lossy": lossy, "notes": tuple(notes)}
    if values.ndim != 2 + (samples > 1):
        return Picture(values, "several planes in a page", **about)
    if samples == 1:
        if photometric == _PALETTE and page.colormap is not None:
            return of_palette(values, page.colormap.T, 16, **about)
        if photometric != _BLACK_IS_ZERO and 262 in page.tags:
            kind = getattr(page.photometric, "name", str(photometric))
            about["notes"] += (f"the photometric interpretation is {kind}: values are as stored",)
        return Picture(values, **about)
    extra = [int(meaning) in _ALPHA for meaning in page.extrasamples]
    if photometric == _RGB or (photometric == _YCBCR and lossy):
        kept = 3 + sum(extra[:1])
        if samples > kept:
            about["notes"] += ("samples beside red, green and blue are left out",)
        return of_samples(values[..., :kept], **about)
    if samples == 2 and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and extra == [True]:
        return of_samples(values, **about)
    return Picture(values, f"{samples} samples a pixel that are no colours", **about)


def _values(tiff: TiffFile, page: TiffPage, number: int) -> NDArray[Any]:
    """Values (H, W) or (H, W, S) of a page in native byte order.

    Raises ValueError if parts of it are missing from the file.
    """
    if number:
        dtype = np.dtype(page.dtype).newbyteorder(tiff.byteorder)
        tiff.filehandle.seek(page.dataoffsets[0] + number * page.nbytes)
        values = tiff.filehandle.read_array(dtype, page.nbytes // dtype.itemsize)
        values = values.reshape(page.shape)
    else:
        if not page.is_contiguous:
            _check_parts(tiff, page)
        values = page.asarray()
    values = native(values)
    return np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values


def _check_parts(tiff: TiffFile, page: TiffPage) -> None:
    """Raise ValueError if a strip or tile is missing; some decoders would fill it with zeros."""
    num_parts = 1
    for n in page.chunked:
        num_parts *= n
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:num_parts]
    if len(parts) < num_parts or not all(offset and count for offset, count in parts):
        raise ValueError(f"some of its {num_parts} strips or tiles are missing")
    if page.compression != 1 and max(a + b for a, b in parts) > tiff.filehandle.size:
        raise ValueError("its last strips or tiles are missing")
