"""The page of a TIFF file that is its image: every other page is accounted for.

Shapes: H height, W width.
"""

import struct
from typing import Any

from tifffile import TiffFile, TiffPage

from unidino.core.errors import InputError
from unidino.plates.described import Promise, promises

_REDUCED = 1  # bit of the tag NewSubfileType


def only_page(tiff: TiffFile, path: str) -> tuple[TiffPage, list[str]]:
    """The page that is the image of a file with one plane, and what to say of it.

    A smaller copy of the image beside it is left out and said.
    Raises InputError if the file has several planes, or not those that it describes.
    """
    pages: list[Any] = list(tiff.pages)
    image, *others = pages if len(pages) == 1 else _without_overviews(pages)
    promised = list(promises(tiff, path))
    if len(pages) == 1 and (num := num_behind(tiff, image, promised)) > 1:
        raise _several(path, f"has shape {(num, *image.shape)}", num)
    if others:
        shapes = {page.shape for page in (image, *others)}
        has = (
            f"has shape {(1 + len(others), *image.shape)}"
            if len(shapes) == 1
            else f"has pages of shape {' and '.join(map(str, sorted(shapes)))}"
        )
        raise _several(path, has, len(pages))
    for promise in promised:
        if promise.num_planes > 1:
            raise _broken(path, "holds 1 plane", promise.source, f"names {promise.num_planes}")
        if promise.sizes and (image.imagelength, image.imagewidth) not in promise.sizes:
            height, width = min(promise.sizes)
            size = f"is {image.imagelength} x {image.imagewidth} px"
            raise _broken(path, size, promise.source, f"says {height} x {width}")
    _check_subimages(tiff, image, path)
    notes = [
        f"a page of {page.imagelength} x {page.imagewidth} px beside the image of"
        f" {image.imagelength} x {image.imagewidth} px is left out as an overview"
        for page in pages
        if page is not image
    ]
    if len(pages) == 1 and int(image.subfiletype) & _REDUCED:
        notes.append("the only page is marked as a reduced copy of an image that is not there")
    if not _ends_well(tiff, pages[-1]):
        notes.append("the list of pages is broken at its end: there may have been more")
    return image, notes


def _without_overviews(pages: list[Any]) -> list[Any]:
    """Pages but those that are marked as reduced, or clearly are, beside a larger one."""
    marked = [page for page in pages if int(page.subfiletype) & _REDUCED]
    full = [page for page in pages if not int(page.subfiletype) & _REDUCED]
    if not full:
        full, marked = marked, []
    largest = max(full, key=lambda page: page.imagelength * page.imagewidth)
    others = [page for page in full if page is not largest and not _is_overview(page, largest)]
    return [largest, *others, *(page for page in marked if not _is_smaller(page, largest))]


def _is_smaller(page: TiffPage, image: TiffPage) -> bool:
    sides = (page.imagelength, page.imagewidth), (image.imagelength, image.imagewidth)
    return sides[0] != sides[1] and all(a <= b for a, b in zip(*sides, strict=True))


def _is_overview(page: TiffPage, image: TiffPage) -> bool:
    """Whether a page has at most half the sides of the image, in the same ratio up to a pixel."""
    height, width = image.imagelength, image.imagewidth
    is_half = 2 * page.imagelength <= height + 1 and 2 * page.imagewidth <= width + 1
    ratio = abs(page.imagelength * width - page.imagewidth * height)
    return bool(is_half and ratio <= max(height, width))


def num_behind(tiff: TiffFile, page: TiffPage, promised: list[Promise]) -> int:
    """Number of planes that follow each other in the data of the only page of a file.

    promised: of its descriptions.
    """
    for promise in promised:
        end = page.dataoffsets[0] + promise.num_planes * page.nbytes if page.dataoffsets else 0
        if promise.in_one_page and page.is_final and end <= tiff.filehandle.size:
            return max(promise.num_planes, 1)
    return 1


def _check_subimages(tiff: TiffFile, image: TiffPage, path: str) -> None:
    """Raise InputError if a sub-image of a page is not smaller than the page, as in a pyramid."""
    for number, offset in enumerate(image.subifds or ()):
        if offset == 0:
            continue
        tiff.filehandle.seek(offset)
        page = TiffPage(tiff, (image.index, number))
        if not _is_smaller(page, image):
            raise InputError(
                f"image '{path}' has a page of {image.imagelength} x {image.imagewidth} px that"
                f" holds an image of {page.imagelength} x {page.imagewidth} px; expected one plane"
                " (H, W): write the plane as a file of its own"
            )


def _ends_well(tiff: TiffFile, last: TiffPage) -> bool:
    """Whether no page should follow the last one that is there."""
    form = tiff.tiff
    handle = tiff.filehandle
    try:
        handle.seek(last.offset)
        (num_tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
        handle.seek(last.offset + form.tagnosize + num_tags * form.tagsize)
        (following,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    except struct.error:
        return False
    return bool(following == 0 or form.is_ndpi)


def _several(path: str, has: str, num: int) -> InputError:
    return InputError(
        f"image '{path}' {has}; expected one plane (H, W): which plane is which channel, slice or"
        f" time point is not known; list each in a manifest, with the column page (0 to {num - 1})"
    )


def _broken(path: str, has: str, source: str, says: str) -> InputError:
    return InputError(
        f"image '{path}' {has}, but its {source} {says}; expected one plane (H, W) as described:"
        " mend the file, or list the plane in a manifest, with the column page (0)"
    )
