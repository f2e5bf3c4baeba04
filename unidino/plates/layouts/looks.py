"""Which layouts a folder looks like, to say so when another one was asked for."""

import re
from itertools import islice
from pathlib import Path

from unidino.core import assets
from unidino.plates.layouts.walk import walk_files

_MOST_FILES = 5000
_IMAGES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
# A name of a file that only this layout writes.
_SIGNS = {
    "harmony": re.compile(r"(Index\.(idx|ref)\.xml|r\d+c\d+f\d+p\d+-ch\d+.*\.tiff?)", re.I),
    "imagexpress": re.compile(r".*\.htd", re.I),
    "cellvoyager": re.compile(r"MeasurementData\.mlf", re.I),
    "scanr": re.compile(r".*--W\d+--P\d+--Z\d+--T\d+--.*\.tiff?", re.I),
    "ome-tiff": re.compile(r".*\.ome\.tiff?", re.I),
}


def possible(path: Path) -> list[str]:
    """Names of the layouts that a folder looks like, by the names of its files."""
    if not path.is_dir():
        return []
    if path.suffix == ".zarr" or any(path.glob("*.zarr")):
        return ["ome-zarr"]
    names = {file.name for file in islice(walk_files(path), _MOST_FILES)}
    found = [layout for layout, sign in _SIGNS.items() if any(map(sign.fullmatch, names))]
    return found + [layout for layout in assets.names("datasets") if _has_tables(layout, names)]


def hint(path: Path, layout: str) -> str:
    """Words that name other layouts that a folder looks like, or else show the name of an image."""
    others = possible(path)
    if layout in others or layout == "filename":
        return ""
    if others:
        return f"; it looks like --layout {' or '.join(others)}"
    name = example(path)
    if not name:
        return ""
    return (
        f"; no layout is known for names such as '{name}': read them with --layout filename"
        " --pattern"
    )


def example(path: Path) -> str:
    """The name of an image in a folder; empty if there is none."""
    if not path.is_dir():
        return ""
    images = (f.name for f in walk_files(path) if f.suffix.lower() in _IMAGES)
    return next(images, "")


def _has_tables(layout: str, names: set[str]) -> bool:
    """Whether the first table that a published set is read by is there."""
    first = re.search(r"Reads: ([\w.-]+)", assets.sql("datasets", layout))
    assert first, layout
    return bool({first[1], f"{first[1]}.gz"} & names)
