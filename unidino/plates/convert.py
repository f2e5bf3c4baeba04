"""Files of a plate to OME-Zarr: planes are read, corrected, measured and written."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from unidino.core import assets, stopping
from unidino.core.choices import NgffVersion
from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS, Room
from unidino.lake import ngff, pixels
from unidino.lake.ngff import Display
from unidino.lake.pixels import Plane
from unidino.lake.states import FileState
from unidino.plates import illumination
from unidino.plates.conversion import Conversion, parse
from unidino.plates.illumination import Function
from unidino.plates.images import Files
from unidino.plates.in_place import path_in_place, plate_in_place, states_in_place
from unidino.plates.manifest import Row
from unidino.plates.picture import Note, summaries
from unidino.plates.quality import PlaneStatistics, plane_statistics

_KINDS_SHOWN = 4
_COPIES = 3  # of a field in memory: its planes, their chunks, and what a measurement needs
_UNMEASURED = dict.fromkeys(("dtype", "p0_1", "p99_9", "mean", "saturation", "focus"), None)


@dataclass(frozen=True)
class Form:
    """How plates are stored.

    ngff: version of OME-Zarr. pyramid: levels after full resolution, each with half the height and
    width. illumination: folder of illumination functions, `estimate`, or `harmony` for those of the
    index of a Harmony export; None leaves pixels as they are. in_place: register OME-Zarr plates
    where they lie. convert: rules by which images that are no plane of uint8 or uint16 become one,
    as `exact` or `luminance,linear:0:1` (see `conversion`); None leaves such images out as damaged.
    max_pixels: that a plane may have; larger ones are left out as damaged, before they are read.
    """

    ngff: NgffVersion = "0.5"
    pyramid: int = 0
    illumination: str | None = None
    in_place: bool = False
    convert: str | None = None
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Converted:
    """A plate that was written.

    measured: a row per image, in the schema of `schemas/measured.arrow.json`.
    hashes: hash of the files of each image, in the order of the rows; None if they were not read.
    problems: a line for each image that is damaged, or was left out with its field.
    notes: a line for each thing to say of images that landed.
    files: states of the files that were written, with paths in the plate; of a plate that stays in
    place, those of its fields, without hashes.
    """

    measured: pa.Table
    hashes: list[str | None]
    problems: list[str]
    notes: list[str]
    files: list[FileState]


@dataclass(frozen=True)
class _Field:
    measured: list[Row]
    hashes: list[str | None]
    problems: list[str]
    notes: list[Note]
    files: list[FileState]


def by_field(rows: Sequence[Row]) -> dict[tuple[str, int], list[Row]]:
    """Rows of each (well, field), in channel order."""
    fields: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        fields.setdefault((row["well"], row["field"]), []).append(row)
    return fields


def convert(
    folder: Path,
    name: str,
    rows: Sequence[Row],
    form: Form,
    *,
    functions: dict[int, Function],
    z: str,
    jobs: int,
    advance: Callable[[int], None],
) -> Converted:
    """The plate, written into a new folder, or only measured if it stays in place.

    functions: illumination by channel index. z: slice to take of stacks that stay in place. jobs:
    threads. advance: called with the number of fields that are done.
    A field without a readable image is left out.
    Raises InputError if no field is left.
    """

    conversion = parse(form.convert)
    room = Room()

    def convert_field(field_rows: list[Row]) -> _Field:
        with ExitStack() as held:
            return _convert_field(
                folder, field_rows, form, conversion, functions, z, _taking(held, room)
            )

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(convert_field, group) for group in by_field(rows).values()]
        try:
            for future in as_completed(futures):
                future.result()
                advance(1)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    fields = [future.result() for future in futures]
    problems = [problem for field in fields for problem in field.problems]
    measured = [row for field in fields for row in field.measured]
    if not measured:
        raise InputError(problems[0], problems)
    files = [state for field in fields for state in field.files]
    if not form.in_place:
        numbers: dict[str, list[int]] = {}
        for well, number in by_field(measured):
            numbers.setdefault(well, []).append(number)
        files += ngff.write_plate(folder, name, numbers, form.ngff)
    return Converted(
        pa.Table.from_pylist(measured, schema=assets.arrow_schema("measured")),
        [content for field in fields for content in field.hashes],
        problems,
        [*summaries(note for field in fields for note in field.notes), *_unlike_fields(measured)],
        _below(plate_in_place(rows) if form.in_place else folder, files),
    )


def _below(folder: Path, files: Sequence[FileState]) -> list[FileState]:
    """The states of files of a folder, each once, with paths that start there."""
    return list({state.path: state.below(folder) for state in files}.values())


def _taking(held: ExitStack, room: Room) -> Callable[[Plane, int], None]:
    """A function that waits until there is room in memory for a number of planes like one."""

    def take(plane: Plane, num: int) -> None:
        num_bytes = _COPIES * num * plane.nbytes
        held.enter_context(room.taken(num_bytes, f"a field of {num} planes of {plane.shape} px"))

    return take


def _convert_field(
    folder: Path,
    rows: list[Row],
    form: Form,
    conversion: Conversion,
    functions: dict[int, Function],
    z: str,
    take_room: Callable[[Plane, int], None],
) -> _Field:
    """Read, correct, measure and write the planes of one field.

    take_room: is told a plane and the number of planes as soon as the first is read.
    """
    files = Files(conversion, form.max_pixels)
    planes: list[Plane | None] = []
    hashes: list[str | None] = []
    reasons: list[str | None] = []
    for row in rows:
        stopping.check()
        plane, content, reason = None, None, None
        try:
            if row["paths"]:
                content = files.hash_of(row["paths"], row["pages"])
                plane = files.read_image(row["paths"], row["pages"])
                if all(other is None for other in planes):
                    take_room(plane, len(rows))
            if plane is not None and row["channel_index"] in functions:
                plane = illumination.corrected(plane, functions[row["channel_index"]])
        except InputError as error:
            plane, reason = None, str(error)
        planes.append(plane)
        hashes.append(content)
        reasons.append(reason)
    _drop_unlike_planes(rows, planes, reasons)
    problems = [
        f"plate {row['plate']} well {row['well']} field {row['field']} channel {row['channel']}:"
        f" {reason}"
        for row, reason in zip(rows, reasons, strict=True)
        if reason
    ]
    shapes = [plane.shape for plane in planes if plane is not None]
    if not shapes:
        return _Field([], hashes, problems, files.notes, [])
    statistics = [None if plane is None else plane_statistics(plane) for plane in planes]
    well, number = rows[0]["well"], rows[0]["field"]
    path = path_in_place(rows, z) if form.in_place else ngff.field_path(well, number)
    if form.in_place:
        written = states_in_place(rows)
    else:
        displays = [_display(row, known) for row, known in zip(rows, statistics, strict=True)]
        written = pixels.write_field(
            folder / path, planes, displays, rows[0]["pixel_size_um"], form.ngff, form.pyramid
        )
    measured = []
    images = zip(rows, planes, statistics, hashes, reasons, strict=True)
    for row, plane, known, content, reason in images:
        values = _UNMEASURED | {"qc": "damaged" if row["paths"] else "absent"}
        if plane is not None and known is not None:
            values = asdict(known) | {"dtype": plane.dtype.name, "qc": known.qc}
        measured.append(
            {
                "plate": row["plate"],
                "well": well,
                "field": number,
                "channel_index": row["channel_index"],
                "path": path,
                "height_px": shapes[0][0],
                "width_px": shapes[0][1],
                "problem": reason,
                "origin_hash": content,
            }
            | values
        )
    return _Field(measured, hashes, problems, files.notes, written)


def _drop_unlike_planes(
    rows: list[Row], planes: list[Plane | None], reasons: list[str | None]
) -> None:
    """Replace planes that differ in size or type from most planes of their field by a reason."""
    kinds = Counter((p.shape, p.dtype.name) for p in planes if p is not None)
    if len(kinds) > 1:
        shape, dtype = kinds.most_common(1)[0][0]
        for i, plane in enumerate(planes):
            if plane is not None and (plane.shape, plane.dtype.name) != (shape, dtype):
                reasons[i] = (
                    f"image '{rows[i]['paths'][0]}' is {plane.dtype} {plane.shape}, but the others"
                    f" of its field are {dtype} {shape}"
                )
                planes[i] = None


def _unlike_fields(measured: Sequence[Row]) -> list[str]:
    """A line that says which types and sizes the fields of a plate have, if they are not alike."""
    fields: dict[tuple[str, int, int], list[Row]] = {}
    for group in by_field(measured).values():
        row = next(row for row in group if row["dtype"])
        fields.setdefault((row["dtype"], row["height_px"], row["width_px"]), []).append(row)
    if len(fields) < 2:
        return []
    kinds = sorted(fields.items(), key=lambda item: -len(item[1]))
    listed = [
        f"{len(rows)} of {dtype}, {height} x {width} px (such as well {rows[0]['well']} field"
        f" {rows[0]['field']})"
        for (dtype, height, width), rows in kinds[:_KINDS_SHOWN]
    ]
    if len(kinds) > _KINDS_SHOWN:
        listed.append(f"{len(kinds) - _KINDS_SHOWN} more kinds")
    return [f"its fields differ in type or size: {'; '.join(listed)}"]


def _display(row: Row, known: PlaneStatistics | None) -> Display:
    start, end = (known.p0_1, known.p99_9) if known else (0.0, 1.0)
    return Display(row["channel"], start, end)


def default_jobs() -> int:
    """One thread per core."""
    return os.cpu_count() or 1
