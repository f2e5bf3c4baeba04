"""Small imaging screens whose truth is known, to test the whole flow of data.

Each channel is drawn from the geometry of the cells and from a random stream of this channel alone,
so a mechanism that is planted in one channel changes no bit of the others. Batches differ in focus,
noise, light and staining; centring each plate does not undo that.

Shapes: C channels, S pixels across a field.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from unidino.core.errors import choose
from unidino.core.wells import well_place
from unidino.simulation.cells import Cells
from unidino.simulation.optics import batch_optics, expose, well_optics
from unidino.simulation.screens import Screen, Treatment, stream
from unidino.simulation.stains import STAINS, Brush, side_effect

_PLATEMAP = ("plate", "well", "compound", "concentration_um", "control_type", "moa")
_DMSO = ("DMSO", "0", "negcon", "")


def render_field(
    screen: Screen,
    plate: str,
    well: str,
    field: int,
    treatment: Treatment,
    *,
    seed: int = 0,
    size_px: int = 256,
) -> NDArray[np.uint16]:
    """Planes (C, S, S) of one field in camera counts.

    Only the planted channel depends on the treatment.
    """
    crowd = stream(seed, screen, "crowd", plate, well).uniform(14.5, 18)
    rng = stream(seed, screen, "cells", plate, well, field)
    num = max(2, round((crowd + rng.uniform(-1, 1)) * (size_px / 256) ** 2))
    cells = Cells.draw(rng, num, size_px)
    planted = treatment.compound and screen.mechanisms[treatment.compound.moa]
    planes = []
    for channel in screen.channels:
        optics = well_optics(screen, plate, well, channel, seed)
        shown = treatment if channel == planted else Treatment()
        signal_rng = stream(seed, screen, "signal", plate, well, field, channel)
        brush = Brush(cells, shown, optics.dye_spread, signal_rng)
        signal = side_effect(brush, STAINS[channel](brush))
        camera_rng = stream(seed, screen, "camera", plate, well, field, channel)
        planes.append(expose(signal, optics, camera_rng))
    return np.stack(planes)


def image_name(well: str, field: int, channel_index: int) -> str:
    """File name as an Opera Phenix writes it; field and channel count from 1."""
    row, column = well_place(well)
    return f"r{row:02d}c{column:02d}f{field:02d}p01-ch{channel_index}sk1fk1fl1.tiff"


def simulate_screen(
    folder: Path,
    screen: Screen,
    *,
    seed: int = 0,
    jobs: int = 2,
    num_fields: int = 2,
    size_px: int = 256,
    plates: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """The number of TIFF planes that were written, beside platemap.csv, plates.csv and truth.json.

    jobs: threads. size_px: side of a field, at least 64. plates: names of some of the screen's
    plates; the tables then list only these. progress: called in the caller's thread with the number
    of fields that are done and of all fields.
    The pixels depend only on the seed, not on jobs or plates.
    Raises UnidinoError for an unknown plate, or if a plate has fewer wells than treatments.
    """
    known = list(screen.plates)
    chosen = known if plates is None else [choose("plate", p, known) for p in plates]
    layouts = {plate: screen.layout(plate, seed) for plate in chosen}
    for plate in chosen:
        (folder / plate / "Images").mkdir(parents=True, exist_ok=True)

    def write_field(plate: str, well: str, field: int) -> None:
        treatment = layouts[plate][well]
        planes = render_field(screen, plate, well, field, treatment, seed=seed, size_px=size_px)
        for index, plane in enumerate(planes, start=1):
            tifffile.imwrite(folder / plate / "Images" / image_name(well, field, index), plane)

    keys = [
        (plate, well, field)
        for plate in chosen
        for well in layouts[plate]
        for field in range(1, num_fields + 1)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(write_field, *key) for key in keys]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(done, len(keys))
    _write_tables(folder, screen, layouts, seed)
    return len(keys) * len(screen.channels)


def _write_tables(
    folder: Path, screen: Screen, layouts: Mapping[str, Mapping[str, Treatment]], seed: int
) -> None:
    """Write platemap.csv, plates.csv and truth.json."""
    wells: list[tuple[object, ...]] = []
    for plate, layout in layouts.items():
        for well, treatment in layout.items():
            compound, dose = treatment.compound, f"{treatment.concentration_um:g}"
            what = (compound.name, dose, "trt", compound.moa) if compound else _DMSO
            wells.append((plate, well, *what))
    _write_csv(folder / "platemap.csv", _PLATEMAP, wells)
    plates = [(plate, screen.plates[plate], screen.source) for plate in layouts]
    _write_csv(folder / "plates.csv", ("plate", "batch", "source"), plates)
    optics = {
        batch: {channel: asdict(value) for channel, value in by_channel.items()}
        for batch, by_channel in batch_optics(screen, seed).items()
    }
    truth = {"screen": screen.name, "mechanisms": dict(screen.mechanisms), "batch_optics": optics}
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
