"""Files that the simulator wrote, read back."""

import csv
from pathlib import Path

import tifffile


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tiff_pixels(folder: Path) -> dict[str, bytes]:
    """Pixels of every TIFF file of a folder, by its path within."""
    return {
        str(path.relative_to(folder)): tifffile.imread(path).tobytes()
        for path in sorted(folder.rglob("*.tiff"))
    }
