"""Planes of the images of OME-XML: their files, pages, channels, slices, time points and sizes."""

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from unidino.core.limits import check_planes
from unidino.plates.layouts.notes import Notes
from unidino.plates.layouts.ome_files import OmeFiles
from unidino.plates.layouts.pixel_size import in_micrometres, pixel_size_um

Row = dict[str, str | None]

_TYPES = {name: (name,) for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")} | {
    "float": ("float32",),
    "double": ("float64",),
    "bit": ("bool", "uint8"),
}


def read_planes(image: Any, file: Path, files: OmeFiles, notes: Notes) -> Iterator[Row]:
    """Every plane of an image: its file, page, channel, slice, time point and sizes.

    Raises ValueError that says what is wrong with the image.
    """
    pixels = image.find("{*}Pixels")
    if pixels is None:
        raise ValueError("it has no pixels in the OME-XML")
    channels = list(pixels.iterfind("{*}Channel"))
    for channel in channels:
        if _whole(channel, "SamplesPerPixel", 1) != 1:
            raise ValueError("it is a colour image (SamplesPerPixel); expected a plane a channel")
    shape = {axis: _whole(pixels, f"Size{axis}", 1) for axis in "CZT"}
    if prod(shape.values()) == 0:
        raise ValueError("it has no planes")
    check_planes(shape["C"], prod(shape.values()))
    size = _pixel_size_um(pixels, notes, f"{file}, image {image.get('ID')}")
    for source, page, place in _pages(pixels, shape, file, files):
        _check_page(pixels, source, page, files, notes)
        channel = channels[place["C"]] if place["C"] < len(channels) else None
        yield {
            "path": str(source),
            "page": str(page),
            "channel": None if channel is None else _name(channel),
            "channel_index": str(place["C"]),
            "excitation_nm": _wavelength_nm(channel, "ExcitationWavelength"),
            "emission_nm": _wavelength_nm(channel, "EmissionWavelength"),
            "z": str(place["Z"]) if shape["Z"] > 1 else None,
            "timepoint": str(place["T"]) if shape["T"] > 1 else None,
            "pixel_size_um": size,
        }


def num_planes(image: Any) -> int:
    """How many planes an image has by its sizes; 0 if it does not say.

    Raises ValueError if a size is no whole number.
    """
    pixels = image.find("{*}Pixels")
    return 0 if pixels is None else prod(_whole(pixels, f"Size{axis}", 1) for axis in "CZT")


def _check_page(pixels: Any, source: Path, number: int, files: OmeFiles, notes: Notes) -> None:
    """Raise ValueError if a page has another size than the OME-XML says; note another type."""
    page = files.page(source, number)
    if page is None:
        return
    said = _whole(pixels, "SizeY", page.height), _whole(pixels, "SizeX", page.width)
    if said != (page.height, page.width):
        raise ValueError(
            f"plane {number} of '{source}' is {page.height} x {page.width} px, but its OME-XML says"
            f" {said[0]} x {said[1]}"
        )
    name = pixels.get("Type")
    if name in _TYPES and page.dtype not in _TYPES[name]:
        message = f"pixels of {page.dtype} that the OME-XML calls {name} are taken as stored"
        notes.add(message, source)


def _name(channel: Any) -> str | None:
    names = (channel.get("Name"), channel.get("Fluor"))
    return next((name for name in names if name and name.strip()), None)


def _wavelength_nm(channel: Any, name: str) -> str | None:
    """Wavelength of a channel; the unit is nanometre if the OME-XML names none."""
    text: str | None = None if channel is None else channel.get(name)
    unit = "nm" if channel is None else channel.get(f"{name}Unit", "nm")
    if text is None or unit == "nm":
        return text
    length = in_micrometres(float(text), unit)
    return None if length is None else repr(1e3 * length)


def _pages(
    pixels: Any, shape: dict[str, int], file: Path, files: OmeFiles
) -> Iterator[tuple[Path, int, dict[str, int]]]:
    """File, page and place (C, Z, T) of every plane, by the TiffData elements."""
    order = (pixels.get("DimensionOrder") or "XYCZT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise ValueError(f"its DimensionOrder is '{pixels.get('DimensionOrder')}'")
    num_planes = prod(shape.values())
    elements = list(pixels.iterfind("{*}TiffData")) or [None]
    for element in elements:
        first = {axis: _whole(element, f"First{axis}", 0) for axis in "CZT"}
        for axis, index in first.items():
            if index >= shape[axis]:
                raise ValueError(
                    f"a TiffData has First{axis} {index}, but Size{axis} is {shape[axis]}"
                )
        source = _source(element, pixels, file, files)
        start = first[order[0]] + shape[order[0]] * (
            first[order[1]] + shape[order[1]] * first[order[2]]
        )
        page = _whole(element, "IFD", 0)
        there = files.num_pages(source)
        if element is not None and element.get("PlaneCount"):
            num = _whole(element, "PlaneCount", 1)
        elif element is not None and element.get("IFD") is not None:
            num = 1
        else:
            num = num_planes - start
            if there is not None and len(elements) > 1:  # other elements have the other planes
                num = min(num, max(there - page, 1))
        if start + num > num_planes:
            raise ValueError(f"a TiffData has {num} planes, but {num_planes - start} are left")
        if there is not None and page + num > there:
            raise ValueError(
                f"plane {there} (from 0) of '{source}' is not there; it has {there} of the"
                f" {page + num} that its OME-XML names"
            )
        for offset in range(num):
            place, rest = {}, start + offset
            for axis in order:
                rest, place[axis] = divmod(rest, shape[axis])
            yield source, page + offset, place


def _source(element: Any, pixels: Any, file: Path, files: OmeFiles) -> Path:
    """The file with the planes of a TiffData element; that of the OME-XML if it names none."""
    uuid = element.find("{*}UUID") if element is not None else None
    text = (uuid.text or "").strip() or None if uuid is not None else None
    name = uuid.get("FileName") if uuid is not None else None
    if name:
        return files.named(name, text, file)
    source = files.of_uuid(text, file)
    if source is None or pixels.find("{*}MetadataOnly") is not None:
        raise ValueError("no TiffData names a file that is there")
    return source


def _whole(element: Any, name: str, default: int) -> int:
    """A count of an element. Raises ValueError if it is no whole number."""
    text = element.get(name) if element is not None else None
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise ValueError(f"its {name} is '{text}'; expected a whole number")
    return int(text)


def _pixel_size_um(pixels: Any, notes: Notes, place: str) -> str | None:
    """Pixel size; the unit is micrometre if the OME-XML names none."""
    width, height = (pixels.get(f"PhysicalSize{axis}") for axis in "XY")
    if not width:
        return None
    unit = pixels.get("PhysicalSizeXUnit", "µm")
    if not height:
        return pixel_size_um((float(width), unit), (float(width), unit), notes, place)
    sides = (float(width), unit), (float(height), pixels.get("PhysicalSizeYUnit", "µm"))
    return pixel_size_um(*sides, notes, place)
