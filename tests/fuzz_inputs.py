"""Random inputs of every kind that a command takes: each is a command line over mutated files.

A function draws one from a generator: it writes files into a folder and returns the words.
"""

import random
from collections.abc import Callable
from pathlib import Path

from fuzz_exports import cellvoyager, file_names, harmony, imagexpress, manifest, ome_tiff
from fuzz_images import images, ome_zarr, zarr_shape
from fuzz_models import training, weights
from fuzz_options import changed_catalog, damaged_lake, options, sql_files
from fuzz_profiles import features, readouts

Make = Callable[[random.Random, Path], list[str]]

# Each kind: its function, and how often it is drawn.
KINDS: dict[str, tuple[Make, int]] = {
    "manifest": (manifest, 4),
    "harmony": (harmony, 4),
    "imagexpress": (imagexpress, 2),
    "cellvoyager": (cellvoyager, 3),
    "ome-tiff": (ome_tiff, 4),
    "ome-zarr": (ome_zarr, 4),
    "zarr-shape": (zarr_shape, 2),
    "file names": (file_names, 2),
    "images": (images, 5),
    "features": (features, 5),
    "weights": (weights, 4),
    "training": (training, 4),
    "options": (options, 6),
    "readouts": (readouts, 2),
    "SQL files": (sql_files, 1),
    "changed catalog": (changed_catalog, 2),
    "damaged lake": (damaged_lake, 2),
}
