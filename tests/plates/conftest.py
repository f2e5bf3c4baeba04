"""An empty lake for what is ingested, and manifests of small images that all differ."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile

WriteManifest = Callable[..., Path]


@pytest.fixture
def write_manifest(tmp_path: Path) -> WriteManifest:
    """A function that writes a manifest in a folder, and an image for each row without a path."""
    rng = np.random.default_rng(3)

    def write(*rows: Mapping[str, object], folder: str = "screen") -> Path:
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        complete = []
        for number, row in enumerate(rows):
            filled = {"path": f"{number}.tif", "plate": "p", "well": "A01", "field": 1} | dict(row)
            plane = rng.integers(100, 4000, (16, 16)).astype(np.uint16)
            if not (where / str(filled["path"])).exists():
                (where / str(filled["path"])).parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(where / str(filled["path"]), plane)
            complete.append(filled)
        names = list(dict.fromkeys(name for row in complete for name in row))
        with (where / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(complete)
        return where / "manifest.csv"

    return write
