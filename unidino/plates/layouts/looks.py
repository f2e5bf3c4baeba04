"""Which layouts a folder looks like, to say so when another one was asked for."""

import re
from itertools import islice
from pathlib import Path

from unidino.core import assets
from unidino.plates.layouts.walk import walk_files

_MOST_FILES = 5000
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
    """A sentence that names other layouts that a folder looks like; empty if there is none."""
    others = possible(path)
    if not others or layout in others:
        return ""
    return f"; it looks like --layout {' or '.join(others)}"


def _has_tables(layout: str, names: set[str]) -> bool:
    """Whether the first table that a published set is read by is there."""
    first = re.search(r"Reads: ([\w.-]+)", assets.sql("datasets", layout))
    assert first, layout
    return bool({first[1], f"{first[1]}.gz"} & names)
