"""A folder of simulated planes for `ingest`: the first ones of an endless stream."""

import csv
import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import tifffile

from unidino.core.files import written_beside
from unidino.core.wells import well_name
from unidino.simulation.planes import Traits, family_of, render_plane

_ROWS, _COLUMNS = 16, 24
_CHUNK = 32  # planes that a process renders at a time


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

    A plate has 384 wells of num_fields fields and one channel, named after its stain. A file that
    has the wanted plane already is kept, so a longer stream continues a shorter one; a file that
    has another plane, or is damaged, is rendered again.
    jobs: processes. progress: called with the number of planes that are done and of all planes.
    """
    from joblib import Parallel, delayed

    places = list(_places(seed, num_planes, num_fields))
    for plate in {place.plate for place in places}:
        (folder / plate).mkdir(parents=True, exist_ok=True)
    traits = [
        _read_traits(folder / place.path, _identity(seed, place.index, size_px)) for place in places
    ]
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


def _identity(seed: int, index: int, size_px: int) -> dict[str, int]:
    """What a plane depends on; its file states this beside its traits."""
    return {"seed": seed, "index": index, "size_px": size_px}


def _write_planes(
    folder: Path, places: list[_Place], seed: int, size_px: int
) -> dict[int, dict[str, Any]]:
    """Render and write planes; their traits by index. A file describes itself, as JSON."""
    described = {}
    for place in places:
        plane = render_plane(seed, place.index, size_px)
        described[place.index] = asdict(plane.traits)
        text = json.dumps(_identity(seed, place.index, size_px) | described[place.index])
        with written_beside(folder / place.path) as path:
            tifffile.imwrite(path, plane.counts, description=text, metadata=None)
    return described


def _read_traits(path: Path, identity: dict[str, int]) -> dict[str, Any] | None:
    """Traits of the plane of a file, None unless the file states that it is the wanted one."""
    try:
        with path.open("rb") as raw, tifffile.TiffFile(raw) as file:
            described = json.loads(file.pages.first.description)
    except (FileNotFoundError, tifffile.TiffFileError, struct.error, ValueError):
        return None
    names = [field.name for field in fields(Traits)]
    if not isinstance(described, dict) or list(described) != [*identity, *names]:
        return None
    if any(described[name] != value for name, value in identity.items()):
        return None
    return {name: described[name] for name in names}


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
