"""An endless stream of single-channel fluorescence fields, no two of one kind.

A plane has one stain, one habit of its cells, one mixture of phenotypes and one camera, all drawn
from the seed and the index of the plane alone. Its cells differ as cells of one well do, so two
crops of a plane resemble each other more than crops of two planes.

Shapes: S pixels across a field.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unidino.core.files import written_beside
from unidino.core.wells import well_name
from unidino.simulation.artefacts import ARTEFACTS
from unidino.simulation.camera import Camera, expose, illuminate
from unidino.simulation.cell_stains import CELL_STAINS
from unidino.simulation.cells import Array, Random
from unidino.simulation.crowd import HABITS, INTERPHASE, draw_crowd
from unidino.simulation.fibre_stains import FIBRE_STAINS
from unidino.simulation.nuclear_stains import NUCLEAR_STAINS
from unidino.simulation.scene import Pen, Scene
from unidino.simulation.waves import gaussian, smoothed

FAMILIES = {**NUCLEAR_STAINS, **CELL_STAINS, **FIBRE_STAINS}
_ROWS, _COLUMNS = 16, 24
_CHUNK = 32  # planes that a process renders at a time


@dataclass(frozen=True)
class Traits:
    """What a plane shows.

    family: its stain. others: stains that are mixed in. occupied: share of the field that cells
    cover. unlike: share of cells that are not in interphase or that respond. photons: of bright
    structures. background: light without cells, relative to bright structures.
    """

    family: str
    others: str
    habit: str
    num_cells: int
    diameter_px: float
    occupied: float
    unlike: float
    blur_px: float
    photons: float
    background: float
    artefact: str
    blank: bool


@dataclass(frozen=True)
class Plane:
    """Camera counts (S, S), uint16, and what they show."""

    counts: NDArray[np.uint16]
    traits: Traits


def family_of(seed: int, index: int) -> str:
    """The stain of a plane, which is the name of its channel."""
    names = list(FAMILIES)
    return names[int(_random(seed, index, 0).integers(len(names)))]


def render_plane(seed: int, index: int, size_px: int = 256) -> Plane:
    """The plane of this index of the stream of this seed.

    >>> render_plane(0, 7).counts.shape
    (256, 256)
    """
    rng = _random(seed, index, 1)
    family = family_of(seed, index)
    names = list(HABITS)
    habit = names[rng.choice(len(names), p=[h.share for h in HABITS.values()])]
    diameter = float(np.exp(rng.triangular(np.log(12), np.log(65), np.log(220))))
    blank = bool(rng.random() < 0.02)
    occupied = float(
        rng.choice([rng.uniform(0.1, 0.5), rng.uniform(0.5, 1.0), 1.0], p=[0.25, 0.35, 0.4])
    )
    crowd = draw_crowd(rng, size_px, HABITS[habit], diameter, 0.0 if blank else occupied)
    scene = Scene(crowd, size_px, rng)
    pen = Pen(scene, rng)
    others = [str(name) for name in rng.choice(list(FAMILIES), rng.choice(3, p=[0.5, 0.35, 0.15]))]
    signal = _stained(pen, family, others)
    camera = Camera.draw(rng, diameter)
    light = illuminate(signal, camera, rng)
    artefacts = list(ARTEFACTS)
    artefact = artefacts[rng.choice(len(artefacts), p=[share for _, share in ARTEFACTS.values()])]
    light = ARTEFACTS[artefact][0](light, rng)
    unlike = (crowd.phase != INTERPHASE) | crowd.responds
    traits = Traits(
        family=family,
        others=" ".join(others),
        habit=habit,
        num_cells=crowd.num,
        diameter_px=round(diameter, 1),
        occupied=round(scene.coverage, 3),
        unlike=round(float(unlike.mean()), 3) if crowd.num else 0.0,
        blur_px=round(camera.blur_px + camera.defocus_px, 2),
        photons=round(camera.photons, 1),
        background=round(camera.background, 3),
        artefact=artefact,
        blank=blank,
    )
    return Plane(expose(light, camera, rng), traits)


def _random(seed: int, index: int, part: int) -> Random:
    return np.random.default_rng((seed, index, part))


def _stained(pen: Pen, family: str, others: list[str]) -> Array:
    """The light of the stains of all cells, without optics; bright structures are about 1."""
    rng, crowd = pen.rng, pen.scene.crowd
    signal = _even(FAMILIES[family](pen))
    for name in others:
        faint = rng.choice([rng.uniform(0.03, 0.2), rng.uniform(0.2, 0.8)])
        signal = signal + np.float32(faint) * _even(FAMILIES[name](pen))
    spread = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.7), 1.3], p=[0.6, 0.34, 0.06])
    level = np.exp(spread * rng.standard_normal(crowd.num)).astype(np.float32)
    level *= np.where(crowd.responds, np.exp(rng.normal(0, 0.5)), 1)
    level *= np.where(crowd.phase == INTERPHASE, 1, np.exp(rng.normal(0.3, 0.4)))
    ground = np.float32(rng.choice([0.0, 0.3, 1.0]) if family != "matrix" else 1.0)
    signal = signal * np.append(level, ground).astype(np.float32)[pen.scene.cell]
    if pen.chance(0.15):  # another layer of the sample, out of focus
        shift = tuple(int(s) for s in rng.integers(0, pen.size_px, 2))
        layer = np.roll(signal.T, shift, (0, 1))
        wide = gaussian(pen.size_px, pen.width(0.05, 0.3, 2))
        signal = signal + np.float32(rng.uniform(0.2, 0.9)) * np.maximum(smoothed(layer, wide), 0)
    return signal


def _even(signal: Array) -> Array:
    """The signal, divided by its bright structures."""
    bright = float(np.quantile(signal[::2, ::2], 0.99))
    return signal / np.float32(max(bright, 0.05))


@dataclass(frozen=True)
class _Place:
    """Where a plane of the stream is kept."""

    index: int
    family: str
    plate: str
    well: str
    field: int

    @property
    def path(self) -> str:
        return f"{self.plate}/{self.well}_f{self.field}.tiff"


def simulate_stream(
    folder: Path,
    num_planes: int,
    *,
    seed: int = 0,
    size_px: int = 256,
    num_fields: int = 4,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """The number of planes that were rendered, beside manifest.csv and traits.csv.

    A plate has 384 wells of num_fields fields and one channel, named after its stain. Planes that
    the folder has already in this size are kept, so a longer stream continues a shorter one.
    jobs: processes. progress: called with the number of planes that are done and of all planes.
    """
    from joblib import Parallel, delayed

    places = list(_places(seed, num_planes, num_fields))
    for plate in {place.plate for place in places}:
        (folder / plate).mkdir(parents=True, exist_ok=True)
    traits = [_read_traits(folder / place.path, size_px) for place in places]
    missing = [place for place, known in zip(places, traits, strict=True) if known is None]
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    calls = (delayed(_write_planes)(folder, chunk, seed, size_px) for chunk in chunks)
    done = num_planes - len(missing)
    for described in Parallel(n_jobs=jobs, return_as="generator")(calls):
        done += len(described)
        for index, rendered in described.items():
            traits[index] = rendered
        if progress is not None:
            progress(done, num_planes)
    _write_tables(folder, places, traits)
    return len(missing)


def _places(seed: int, num_planes: int, num_fields: int) -> Iterator[_Place]:
    """Places of the first planes; each stain fills its plates in the order of the planes."""
    count: Counter[str] = Counter()
    for index in range(num_planes):
        family = family_of(seed, index)
        well, field = divmod(count[family], num_fields)
        plate, well = divmod(well, _ROWS * _COLUMNS)
        row, column = divmod(well, _COLUMNS)
        count[family] += 1
        name = f"stream{seed}_{family}_{plate + 1:03d}"
        yield _Place(index, family, name, well_name(row + 1, column + 1), field + 1)


def _write_planes(
    folder: Path, places: list[_Place], seed: int, size_px: int
) -> dict[int, dict[str, Any]]:
    """Render and write planes; their traits by index. A file keeps its traits as a description."""
    described = {}
    for place in places:
        plane = render_plane(seed, place.index, size_px)
        described[place.index] = asdict(plane.traits)
        text = json.dumps(described[place.index])
        with written_beside(folder / place.path) as path:
            tifffile.imwrite(path, plane.counts, description=text, metadata=None)
    return described


def _read_traits(path: Path, size_px: int) -> dict[str, Any] | None:
    """Traits of a plane that is there in this size, else None."""
    if not path.exists():
        return None
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return json.loads(page.description) if page.shape == (size_px, size_px) else None


def _write_tables(
    folder: Path, places: list[_Place], traits: Sequence[dict[str, Any] | None]
) -> None:
    """Write manifest.csv, one row a plane for `ingest`, and traits.csv, what each plane shows."""
    images = [
        (p.path, "stream", p.plate, _ROWS, _COLUMNS, p.well, p.field, p.family) for p in places
    ]
    header = ("path", "source", "plate", "num_rows", "num_columns", "well", "field", "channel")
    _write_csv(folder / "manifest.csv", header, images)
    names = [field.name for field in fields(Traits)]
    shown = [
        (p.index, p.path, *(known[name] for name in names))
        for p, known in zip(places, traits, strict=True)
        if known is not None
    ]
    _write_csv(folder / "traits.csv", ("index", "path", *names), shown)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
