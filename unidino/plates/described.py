"""How many planes the descriptions inside a TIFF file promise.

ImageJ, MetaMorph and tifffile can store a stack as a single page whose description counts the
planes, and programs that cut or copy a file leave its description as it was.
"""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import tifffile
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

_UIC2 = 33629  # tag of MetaMorph with an entry for each plane


class Promise(NamedTuple):
    """What a description says of the file that it is in.

    source: name of the description. num_planes: how many planes it says the file holds.
    sizes: (H, W) in px that it says planes of the file have; empty if it says nothing.
    in_one_page: the planes may follow each other behind the only page.
    """

    source: str
    num_planes: int
    sizes: frozenset[tuple[int, int]] = frozenset()
    in_one_page: bool = False


def promises(tiff: tifffile.TiffFile, path: str) -> Iterator[Promise]:
    """What each description in the first page of a file says. path: of the file."""
    first = tiff.pages.first
    if tiff.is_imagej and (about := tiff.imagej_metadata):
        yield Promise("ImageJ description", _num_of_imagej(about, first), in_one_page=True)
    if (tag := first.tags.get(_UIC2)) is not None:
        yield Promise("MetaMorph tag", int(tag.count), in_one_page=True)
    if text := first.shaped_description:
        num = _num_of_shape(text, first)
        if num is not None:
            yield Promise("description by tifffile", num, in_one_page=True)
    if text := tiff.ome_metadata:
        promise = _promise_of_ome(text, os.path.basename(path))
        if promise is not None:
            yield promise


def _num_of_imagej(about: dict[str, Any], page: tifffile.TiffPage) -> int:
    """Number of images; channels that are samples of a pixel are one image."""
    counts = [about.get(key, 1) for key in ("channels", "slices", "frames", "images")]
    channels, slices, frames, images = (n if isinstance(n, int) else 1 for n in counts)
    if page.samplesperpixel > 1 and channels == page.samplesperpixel:
        return slices * frames
    return max(channels * slices * frames, images)


def _num_of_shape(text: str, page: tifffile.TiffPage) -> int | None:
    """Number of pages of the shape in tifffile's description, None if it does not say."""
    try:
        shape = json.loads(text)["shape"]
        size = 1
        for side in shape:
            size *= int(side)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    page_size = 1
    for side in page.shape:
        page_size *= side
    return size // page_size if page_size and size % page_size == 0 else None


def _promise_of_ome(text: str, name: str) -> Promise | None:
    """What OME-XML says of the file of this name; None if it is not valid XML.

    Planes that it says are in other files are not counted.
    """
    try:
        root = ElementTree.fromstring(text)
        own = root.get("UUID")
        num_planes, sizes = 0, set()
        for pixels in root.iterfind("{*}Image/{*}Pixels"):
            num = _num_here(pixels, own, name)
            num_planes += num
            if num:
                sizes.add((int(pixels.get("SizeY", 0)), int(pixels.get("SizeX", 0))))
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError):
        return None
    return Promise("OME-XML", num_planes, frozenset(sizes)) if num_planes else None


def _num_here(pixels: Any, own: str | None, name: str) -> int:
    """Number of planes of an image that are in the file of this identity and name."""
    if pixels.find("{*}MetadataOnly") is not None:
        return 0
    channel = pixels.find("{*}Channel")
    samples = int(channel.get("SamplesPerPixel", 1)) if channel is not None else 1
    total = 1
    for axis in "CZT":
        total *= int(pixels.get(f"Size{axis}", 1))
    total //= max(samples, 1)
    elements = list(pixels.iterfind("{*}TiffData"))
    if not elements:
        return total
    num = 0
    for element in elements:
        uuid = element.find("{*}UUID")
        count = element.get("PlaneCount") or element.get("NumPlanes")
        if uuid is None:
            num += int(count) if count else 1 if element.get("IFD") is not None else total
        elif (own and uuid.text == own) or uuid.get("FileName", "").lower() == name.lower():
            num += int(count) if count else 1
    return num
