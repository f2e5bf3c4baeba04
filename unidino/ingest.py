"""Manifest to plates in the store and rows in the catalog.

A plate is written beside its place, renamed when it is whole, and only then registered, so that
nothing half-written is ever read: after a crash the next run starts the plate anew.
"""

import hashlib
import io
import logging
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pyarrow.compute as pc
import tifffile

from unidino import store
from unidino.catalog import Lake, Run, digest, insert
from unidino.datasets import Manifest, read_manifest
from unidino.errors import InputError
from unidino.progress import progress_bar, say

# What is wrong with a file is said once, by read_image.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_PLATE_KEYS = ("dataset", "source", "batch", "barcode")
_WELL_KEYS = ("perturbation", "compound", "concentration_um", "control_type", "moa", "target",
              "cell_line", "extra")  # fmt: skip
_FIELD_KEYS = ("pixel_size_um", "position_x_um", "position_y_um")
_CHANNEL_KEYS = ("channel", "marker", "excitation_nm", "emission_nm")
_PLATE_TABLES = ("channel", "well", "field", "image")


@dataclass(frozen=True)
class Ingested:
    """What an ingest did, plate by plate."""

    landed: tuple[str, ...]
    skipped: tuple[str, ...]
    num_wells: int
    num_fields: int
    num_images: int


def ingest(
    lake: Lake,
    path: Path,
    layout: str,
    *,
    dataset: str | None = None,
    metadata: Sequence[Path] = (),
    platemap: Path | None = None,
    pattern: str | None = None,
    channel_names: Sequence[str] = (),
    images: Path | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Ingested:
    """Plates written and registered from the images under a path, and those that were there.

    Options are those of `read_manifest`; jobs: threads (default: one a core).
    Raises InputError if the manifest is wrong (nothing is written), if images cannot be read (their
    plate is not landed, the others are), or if a plate is there with other content.
    """
    manifest = read_manifest(
        path, layout, dataset=dataset, metadata=metadata, platemap=platemap, pattern=pattern,
        channel_names=channel_names, images=images,
    )  # fmt: skip
    for note in manifest.notes:
        say(note)
    plates = _by_plate(manifest)
    run = Run("ingest", {"path": path, "layout": layout, "dataset": dataset})
    landed, skipped, errors, counts = [], [], [], [0, 0, 0]
    todo = []
    for plate, rows in plates.items():
        if _is_in_lake(lake, plate, rows, overwrite=overwrite):
            skipped.append(plate)
        else:
            todo.append(plate)
    num_fields = sum(len(_fields(plates[plate])) for plate in todo)
    with progress_bar("ingest", num_fields, "fields") as advance:
        for plate in todo:
            rows = plates[plate]
            try:
                records = _write_plate(lake, plate, rows, jobs or os.cpu_count() or 1, advance)
            except InputError as error:
                errors.append(f"plate {plate}: {error}")
                continue
            _land(lake, run, plate, records)
            landed.append(plate)
            for i, table in enumerate(("well", "field", "image")):
                counts[i] += len(records[table])
    if errors:
        rest = f" (and {len(errors) - 1} more plates failed)" if len(errors) > 1 else ""
        kept = f", {len(landed)} others were" if landed else ""
        raise InputError(
            f"{errors[0]}{rest}; mend its files and run again (the plate was not landed{kept})"
        )
    return Ingested(tuple(landed), tuple(skipped), *counts)


def _by_plate(manifest: Manifest) -> dict[str, list[dict[str, Any]]]:
    """Rows of each plate, ordered by well position, field and channel."""
    table = manifest.images.sort_by(
        [(k, "ascending") for k in ("plate", "well_row", "well_column", "field", "channel_index")]
    )
    return {
        plate: table.filter(pc.equal(table["plate"], plate)).to_pylist()
        for plate in pc.unique(table["plate"]).to_pylist()
    }


def _fields(rows: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Rows of each (well, field), in channel order."""
    fields: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        fields.setdefault((row["well"], row["field"]), []).append(row)
    return fields


def _described(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the manifest says, apart from where a row stood in its file."""
    return [{k: v for k, v in row.items() if k != "line"} for row in rows]


def _fingerprint(rows: list[dict[str, Any]]) -> str:
    """Hash of the manifest with sizes and times of the files.

    Raises InputError for a missing file.
    """
    stats = []
    for row in rows:
        try:
            stat = os.stat(row["path"])
        except OSError as error:
            raise InputError(
                f"no image file '{row['path']}' (plate {row['plate']}, well {row['well']}, channel"
                f" {row['channel']}); mend the path or pass --images FOLDER"
            ) from error
        stats.append((stat.st_size, stat.st_mtime_ns))
    return digest(_described(rows), stats)


def _content_hash(rows: list[dict[str, Any]], hashes: list[str]) -> str:
    """Hash of the manifest, but for where the files lie, with the hashes of the files."""
    described = [{k: v for k, v in row.items() if k != "path"} for row in _described(rows)]
    return digest(described, hashes)


def _file_hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _is_in_lake(lake: Lake, plate: str, rows: list[dict[str, Any]], *, overwrite: bool) -> bool:
    """Whether the plate is registered with this content.

    Raises InputError if it is there with other content and is not to be overwritten.
    """
    fingerprint = _fingerprint(rows)
    found = lake.look_up(
        "select fingerprint, content_hash from plate where plate_id = $plate", {"plate": plate}
    )
    if found.is_empty():
        return False
    if found["fingerprint"][0] == fingerprint:
        return True
    hashes = [_file_hash(Path(row["path"]).read_bytes()) for row in rows]
    if _content_hash(rows, hashes) == found["content_hash"][0]:
        return True
    if overwrite:
        return False
    raise InputError(
        f"plate '{plate}' is in the lake with other images or metadata;"
        " pass --overwrite to replace it, or rename the plate"
    )


def read_image(path: str) -> tuple[store.Plane, str]:
    """One plane (H, W) of uint8 or uint16 from a TIFF or PNG file, and the file's hash.

    Raises InputError that names the file and what is wrong with it.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image '{path}': {error.strerror}") from error
    try:
        if path.lower().endswith(".png"):
            plane = imagecodecs.png_decode(data)
        else:
            plane = tifffile.imread(io.BytesIO(data))
    except (ValueError, OSError, IndexError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"image '{path}' is truncated or no valid image ({len(data)} bytes): {reason[0]}"
        ) from error
    plane = np.squeeze(plane)
    if plane.size == 0:
        raise InputError(f"image '{path}' is truncated or no valid image ({len(data)} bytes)")
    if plane.ndim != 2:
        raise InputError(f"image '{path}' has shape {plane.shape}; expected one plane (H, W)")
    if plane.dtype not in (np.uint8, np.uint16):
        raise InputError(f"image '{path}' is {plane.dtype}; expected uint8 or uint16")
    return plane, _file_hash(data)


def _write_plate(
    lake: Lake, plate: str, rows: list[dict[str, Any]], jobs: int, advance: Any
) -> dict[str, list[dict[str, Any]]]:
    """Write a plate whole and return the rows of its tables.

    Raises InputError for the first image that cannot be read; then nothing is left.
    """
    final = lake.path / "plates" / f"{plate}.zarr"
    temporary = final.with_name(f".{plate}.zarr.{os.getpid()}.tmp")
    fields = _fields(rows)
    numbers: dict[str, list[int]] = {}
    for well, field in fields:
        numbers.setdefault(well, []).append(field)
    positions = {row["well"]: (row["well_row"], row["well_column"]) for row in rows}
    final.parent.mkdir(exist_ok=True)
    try:
        store.write_plate(temporary, plate, numbers, positions)
        with ThreadPoolExecutor(jobs) as pool:
            futures: list[Future[list[dict[str, Any]]]] = [
                pool.submit(_write_field, temporary, field_rows) for field_rows in fields.values()
            ]
            try:
                for future in as_completed(futures):
                    future.result()
                    advance(1)
            except InputError:
                pool.shutdown(cancel_futures=True)
                raise
        images = [image for future in futures for image in future.result()]
        if final.exists():
            discarded = final.with_name(f".{plate}.zarr.{os.getpid()}.old.tmp")
            final.rename(discarded)
            shutil.rmtree(discarded)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _records(plate, rows, images)


def _write_field(plate_path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read, measure and write the planes of one field; return their rows of `image`."""
    read = [read_image(row["path"]) for row in rows]
    planes = [plane for plane, _ in read]
    for row, plane in zip(rows, planes, strict=True):
        if plane.shape != planes[0].shape or plane.dtype != planes[0].dtype:
            raise InputError(
                f"image '{row['path']}' is {plane.dtype} {plane.shape}, but the first channel of"
                f" its field is {planes[0].dtype} {planes[0].shape}"
            )
    statistics = [store.plane_statistics(plane) for plane in planes]
    well, field = rows[0]["well"], rows[0]["field"]
    store.write_field(
        plate_path / store.field_path(well, field),
        planes, [row["channel"] for row in rows], statistics, rows[0]["pixel_size_um"],
    )  # fmt: skip
    return [
        {
            "plate": row["plate"], "well": well, "field": field,
            "channel_index": row["channel_index"], "channel": row["channel"],
            "dtype": plane.dtype.name, "height_px": plane.shape[0], "width_px": plane.shape[1],
            "qc": figures.qc, "origin": row["path"], "origin_hash": file_hash,
        } | asdict(figures)
        for row, (plane, file_hash), figures in zip(rows, read, statistics, strict=True)
    ]  # fmt: skip


def _records(
    plate: str, rows: list[dict[str, Any]], images: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the catalog's tables for one plate."""
    first = rows[0]
    num_rows, num_columns = _plate_format(rows)
    wells = {row["well"]: row for row in rows}
    channels = {row["channel_index"]: row for row in rows}
    sizes = {(i["well"], i["field"]): (i.pop("height_px"), i.pop("width_px")) for i in images}
    return {
        "plate": [
            {k: first[k] for k in _PLATE_KEYS} | {
                "plate_id": plate, "num_rows": num_rows, "num_columns": num_columns,
                "uri": f"plates/{plate}.zarr",
                "fingerprint": _fingerprint(rows),
                "content_hash": _content_hash(rows, [i["origin_hash"] for i in images]),
            }
        ],
        "channel": [
            {"plate": plate, "channel_index": i} | {k: channels[i][k] for k in _CHANNEL_KEYS}
            for i in sorted(channels)
        ],
        "well": [
            {"plate": plate, "well": well, "well_row": row["well_row"],
             "well_column": row["well_column"]} | {k: row[k] for k in _WELL_KEYS}
            for well, row in wells.items()
        ],
        "field": [
            {"plate": plate, "well": well, "field": field,
             "path": store.field_path(well, field), "height_px": sizes[well, field][0],
             "width_px": sizes[well, field][1]} | {k: channel_rows[0][k] for k in _FIELD_KEYS}
            for (well, field), channel_rows in _fields(rows).items()
        ],
        "image": images,
    }  # fmt: skip


def _plate_format(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Rows and columns of the smallest standard plate that has these wells."""
    formats = ((2, 3), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
    last_row = max(row["well_row"] for row in rows)
    last_column = max(row["well_column"] for row in rows)
    return next(f for f in formats if f[0] >= last_row and f[1] >= last_column)


def _land(lake: Lake, run: Run, plate: str, records: dict[str, list[dict[str, Any]]]) -> None:
    """Register a plate in one transaction, in place of what was registered under its name."""
    records["plate"][0]["run_id"] = run.run_id
    with lake.write() as con:
        run.record(con)
        con.execute("delete from part where plate = $plate", {"plate": plate})
        for table in _PLATE_TABLES:
            con.execute(f"delete from {table} where plate = $plate", {"plate": plate})
            insert(con, table, records[table])
        insert(con, "plate", records["plate"], replace=True)
