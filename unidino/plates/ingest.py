"""Manifest to plates in the store and rows in the catalog.

A plate is written beside its place, renamed when it is whole, and only then registered, so that
nothing half-written is ever read: after a crash the next run starts the plate anew. A plate that
replaces another takes a second name, and the old one goes when the new one is registered.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.files import digest, file_sha256, written_beside
from unidino.core.log import log, progress_bar
from unidino.core.sql import keep_small
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.plates import illumination
from unidino.plates.convert import (
    Converted,
    Form,
    Row,
    by_field,
    convert,
    default_jobs,
    illumination_functions,
    plate_in_place,
)
from unidino.plates.illumination import Function
from unidino.plates.images import Files, file_state
from unidino.plates.layouts.read import read_manifest
from unidino.plates.manifest import Choice, Manifest

_TABLES = ("channel", "well", "field", "image")


class Ingested(NamedTuple):
    """What an ingest did, plate by plate.

    problems: a line for each image that was left out or registered as damaged.
    """

    landed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    num_wells: int = 0
    num_fields: int = 0
    num_images: int = 0
    problems: tuple[str, ...] = ()


class _Plate(NamedTuple):
    """A plate of the manifest.

    images: its rows of the manifest. digest: of what they say. fingerprint: of that and the size
    and time of its files.
    """

    name: str
    images: pa.Table
    digest: str
    fingerprint: str

    @property
    def rows(self) -> list[Row]:
        rows: list[Row] = self.images.to_pylist()
        return rows


def ingest(
    lake: Lake,
    path: Path,
    layout: str,
    *,
    dataset: str | None = None,
    metadata: Sequence[Path] = (),
    platemap: Path | None = None,
    pattern: str | None = None,
    images: Path | None = None,
    choice: Choice | None = None,
    form: Form | None = None,
    allow_incomplete: bool = False,
    metadata_only: bool = False,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Ingested:
    """Plates written and registered from the images under a path, and those that were there.

    Options are those of `read_manifest`; metadata_only: register the images without their pixels;
    jobs: threads (default: one a core).
    An image that cannot be used is registered as damaged and named in `problems`.
    Raises InputError if the manifest is wrong or a file is missing (nothing is written), if a plate
    has no image that can be used or is there with other content (the other plates land).
    """
    choice, form = choice or Choice(), form or Form()
    choose("OME-Zarr version", form.ngff, pixels.VERSIONS)
    if form.in_place:
        if layout != "ome-zarr":
            raise InputError("--in-place registers OME-Zarr plates: it needs --layout ome-zarr")
        if form.illumination or form.pyramid:
            raise InputError("--in-place leaves plates as they are: no --illumination, --pyramid")
        choice = replace(choice, keep_index=True)
    manifest = read_manifest(
        path,
        layout,
        dataset=dataset,
        metadata=metadata,
        platemap=platemap,
        pattern=pattern,
        images=images,
        choice=choice,
        allow_incomplete=allow_incomplete,
    )
    for note in manifest.notes:
        log.warning(note)
    arguments = {
        "path": path,
        "layout": layout,
        "dataset": dataset,
        "z": choice.z,
        "timepoint": choice.timepoint,
    }
    run = Run("ingest", arguments | asdict(form))
    if metadata_only:
        return _register_absent(lake, run, manifest, overwrite=overwrite)
    plates, left_out = _plates_with_files(manifest, form, allow_incomplete=allow_incomplete)
    done = _Done([*manifest.problems, *left_out])
    num_fields = sum(len(by_field(plate.rows)) for plate in plates)
    with progress_bar("ingest", num_fields, "fields") as advance:
        for plate in plates:
            try:
                with lake.lock(f"plate {plate.name}"):
                    landing = _Landing(lake, run, plate, form, choice.z, jobs or default_jobs())
                    done.add(plate, landing.land(advance, overwrite=overwrite))
            except InputError as error:
                done.fail(plate, error)
    return done.result()


class _Done:
    """Tally of an ingest."""

    def __init__(self, problems: list[str]) -> None:
        self._landed: list[str] = []
        self._skipped: list[str] = []
        self._errors: list[str] = []
        self._problems = problems
        self._counts = np.zeros(3, dtype=int)

    def add(self, plate: _Plate, converted: Converted | None) -> None:
        """Count a plate that landed, or, with None, one that was there."""
        if converted is None:
            self._skipped.append(plate.name)
        else:
            self._landed.append(plate.name)
            self._problems += converted.problems
            self._counts += _counts(converted.measured)

    def fail(self, plate: _Plate, error: InputError) -> None:
        """Note a plate that did not land."""
        self._errors.append(f"plate {plate.name}: {error}")
        self._problems += error.details

    def result(self) -> Ingested:
        """What was done; raises InputError if a plate did not land."""
        if self._errors:
            more = len(self._errors) - 1
            raise InputError(
                self._errors[0]
                + (f" (and {more} more plates failed)" if more else "")
                + f"; mend it and run again ({len(self._landed)} other plates landed)",
                [*self._problems, *self._errors] if more or self._problems else (),
            )
        num_wells, num_fields, num_images = (int(count) for count in self._counts)
        return Ingested(
            tuple(self._landed),
            tuple(self._skipped),
            num_wells,
            num_fields,
            num_images,
            tuple(self._problems),
        )


def _counts(images: pa.Table) -> list[int]:
    """Numbers of wells, fields and images in a table of images."""
    keys = (["plate", "well"], ["plate", "well", "field"])
    return [*(images.group_by(k).aggregate([]).num_rows for k in keys), images.num_rows]


def _split(images: pa.Table) -> dict[str, pa.Table]:
    """Rows of each plate of a table that is ordered by plate."""
    plates = images["plate"].combine_chunks().dictionary_encode()
    codes = plates.indices.to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))
    return {
        plates.dictionary[codes[start]].as_py(): images.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }


def _plates_with_files(
    manifest: Manifest, form: Form, *, allow_incomplete: bool
) -> tuple[list[_Plate], list[str]]:
    """Plates with the fields whose files are there, and a line for each file that is missing.

    Raises InputError for missing files, unless incomplete plates are allowed and a field is whole.
    """
    plates, missing = [], []
    for name, images in _split(manifest.images).items():
        states: dict[str, tuple[int, int]] = {}
        absent: list[Row] = []
        columns = (images[k].to_pylist() for k in ("well", "field", "channel", "paths"))
        for well, field, channel, paths in zip(*columns, strict=True):
            for path in paths:
                if path not in states:
                    try:
                        states[path] = file_state(path)
                    except OSError:
                        absent.append({"well": well, "field": field})
                        missing.append(
                            f"no image file '{path}' (plate {name}, well {well}, channel {channel})"
                        )
        if absent:
            lost = {(row["well"], row["field"]) for row in absent}
            keys = zip(images["well"].to_pylist(), images["field"].to_pylist(), strict=True)
            images = images.filter(pa.array([key not in lost for key in keys]))
        said = digest(
            manifest.digests[name], _keys(images) if absent else None, _form_of(form, name, images)
        )
        if images.num_rows:
            plates.append(_Plate(name, images, said, digest(said, sorted(states.items()))))
    if missing and not (allow_incomplete and plates):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"{missing[0]}{more}; mend the paths, pass --images FOLDER, or --allow-incomplete to"
            " land the fields that are whole",
            missing if more else (),
        )
    return plates, missing


def _form_of(form: Form, plate: str, images: pa.Table) -> Row:
    """The form of a plate, its illumination functions by what is in their files."""
    described: Row = asdict(form)
    if form.illumination and form.illumination != illumination.ESTIMATE:
        channels = sorted(set(images["channel"].to_pylist()))
        files = [illumination.find(Path(form.illumination), plate, c) for c in channels]
        described["illumination"] = [file_sha256(file) for file in files]
    return described


def _keys(images: pa.Table) -> list[tuple[str, int]]:
    return list(by_field(images.select(["well", "field"]).to_pylist()))


class _Landing:
    """One plate on its way into the lake; its lock is held."""

    def __init__(self, lake: Lake, run: Run, plate: _Plate, form: Form, z: str, jobs: int) -> None:
        self._lake = lake
        self._run = run
        self._plate = plate
        self._form = form
        self._z = z
        self._jobs = jobs
        folder = lake.path / "plates"
        self._temporary = folder / f".{plate.name}.zarr.tmp"
        # A plate that replaces the one under its first name takes the second, and the other way.
        self._places = (folder / f"{plate.name}.zarr", folder / f"{plate.name}~.zarr")

    def land(self, advance: Callable[[int], None], *, overwrite: bool) -> Converted | None:
        """What was written and registered, or None if the plate is there with this content.

        Raises InputError if it is there with other content and is not to be overwritten.
        """
        found = self._lake.look_up(
            "select uri, fingerprint, content_hash from plate where plate_id = $plate",
            {"plate": self._plate.name},
        ).to_dicts()
        old = self._lake.resolve(found[0]["uri"]) if found and found[0]["uri"] else None
        self._sweep(old)
        rows = self._plate.rows
        if old and self._is_same(rows, found[0]):
            advance(len(by_field(rows)))
            return None
        if old and not overwrite:
            raise InputError(
                f"plate '{self._plate.name}' is in the lake with other images or metadata;"
                " pass --overwrite to replace it, or rename the plate"
            )
        functions = illumination_functions(
            self._form.illumination, self._plate.name, rows, self._jobs
        )
        converted = self._write(rows, functions, advance, old)
        self._sweep(self._lake.resolve(self._uri))
        return converted

    def _is_same(self, rows: list[Row], found: dict[str, str]) -> bool:
        if found["fingerprint"] == self._plate.fingerprint:
            return True
        try:
            hashes = [
                files.hash_of(row["paths"], row["pages"])
                for group in by_field(rows).values()
                for files in [Files()]
                for row in group
            ]
        except InputError:
            return False
        return digest(self._plate.digest, hashes) == found["content_hash"]

    def _write(
        self,
        rows: list[Row],
        functions: dict[int, Function],
        advance: Callable[[int], None],
        old: Path | None,
    ) -> Converted:
        """Write the plate beside its place, rename it, register it."""
        self._temporary.parent.mkdir(exist_ok=True)
        try:
            converted = convert(
                self._temporary,
                self._plate.name,
                rows,
                self._form,
                functions,
                self._z,
                self._jobs,
                advance,
            )
            if self._form.in_place:
                self._uri = str(plate_in_place(rows[0]))
            else:
                place = next(p for p in self._places if p != old)
                self._temporary.rename(place)
                self._uri = f"plates/{place.name}"
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)
        landed = {
            "plate": self._plate.name,
            "uri": self._uri,
            "fingerprint": self._plate.fingerprint,
            "content_hash": digest(self._plate.digest, converted.hashes),
        }
        register(
            self._lake,
            self._run,
            self._plate.images,
            converted.measured,
            [landed],
            [self._save_function(index, function) for index, function in functions.items()],
        )
        return converted

    def _save_function(self, channel_index: int, function: Function) -> Row:
        """Keep an illumination function in the lake; return where."""
        uri = f"illumination/{self._plate.name}/{channel_index}.npy"
        with written_beside(self._lake.resolve(uri)) as path, path.open("wb") as file:
            np.save(file, function, allow_pickle=False)
        return {"plate": self._plate.name, "channel_index": channel_index, "uri": uri}

    def _sweep(self, registered: Path | None) -> None:
        """Remove what a run that was cut off left of this plate."""
        for place in (self._temporary, *self._places):
            if place != registered and place.exists():
                shutil.rmtree(place)


_ILLUMINATED = pa.schema(
    [("plate", pa.string()), ("channel_index", pa.int32()), ("uri", pa.string())]
)


def register(
    lake: Lake,
    run: Run,
    manifest: pa.Table,
    measured: pa.Table | None,
    landed: list[Row],
    illuminated: Sequence[Row] = (),
) -> None:
    """Register plates in one transaction, in place of what was registered under their names.

    manifest: rows of their images. measured: in the schema of `schemas/measured.arrow.json`; None
    for images whose pixels are not here. landed: plate, uri, fingerprint, content_hash of each.
    """
    rows = [row | {"run_id": run.run_id} for row in landed]
    with lake.write() as con:
        keep_small(con)
        run.record(con)
        con.register("manifest", manifest)
        con.register("landed", pa.Table.from_pylist(rows))
        con.register("illuminated", pa.Table.from_pylist(list(illuminated), schema=_ILLUMINATED))
        if measured is None:
            con.execute(f"create temp view measured as {assets.sql('register', 'absent')}")
        else:
            con.register("measured", measured)
        con.execute("delete from part where plate in (select plate from landed)")
        for table in _TABLES:
            con.execute(f"delete from {table} where plate in (select plate from landed)")
            con.execute(f"insert into {table} by name {assets.sql('register', table)}")
        con.execute(f"insert or replace into plate by name {assets.sql('register', 'plate')}")


def _register_absent(lake: Lake, run: Run, manifest: Manifest, *, overwrite: bool) -> Ingested:
    """Register plates without their pixels, all in one transaction.

    Raises InputError if one is there with its pixels, or with other metadata and is not to be
    overwritten.
    """
    known = {
        name: (uri, content_hash)
        for name, uri, content_hash in lake.look_up(
            "select plate_id, uri, content_hash from plate"
        ).iter_rows()
    }
    landed, skipped, parts = [], [], []
    for name, images in _split(manifest.images).items():
        content_hash = digest("absent", manifest.digests[name])
        uri, old_hash = known.get(name, (None, None))
        if uri is not None:
            raise InputError(
                f"plate '{name}' has its pixels in the lake; --metadata-only keeps none"
            )
        if old_hash == content_hash:
            skipped.append(name)
            continue
        if old_hash is not None and not overwrite:
            raise InputError(
                f"plate '{name}' is in the lake with other metadata; pass --overwrite to replace it"
            )
        parts.append(images)
        landed.append(
            {"plate": name, "uri": None, "fingerprint": content_hash, "content_hash": content_hash}
        )
    if not landed:
        return Ingested(skipped=tuple(skipped), problems=manifest.problems)
    images = pa.concat_tables(parts)
    register(lake, run, images, None, landed)
    num_wells, num_fields, num_images = _counts(images)
    return Ingested(
        tuple(str(row["plate"]) for row in landed),
        tuple(skipped),
        num_wells,
        num_fields,
        num_images,
        manifest.problems,
    )
