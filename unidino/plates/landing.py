"""One plate into the lake: written beside its place, renamed when it is whole, then registered.

Nothing that is half-written is ever read: after a crash the next run starts the plate anew. A plate
that replaces another takes a second name; the old one is removed once the new one is registered.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unidino.core import stopping
from unidino.core.errors import InputError
from unidino.core.files import digest, flush, flush_one
from unidino.core.log import log
from unidino.lake.checked_plates import first_fault
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.lake.states import FileState, state_of
from unidino.plates.conversion import parse
from unidino.plates.convert import Converted, Form, by_field, convert
from unidino.plates.illumination import Function, functions_of_plate
from unidino.plates.images import Files
from unidino.plates.in_place import plate_in_place
from unidino.plates.inputs import Plate
from unidino.plates.manifest import Row
from unidino.plates.register import register
from unidino.plates.twins import say_twins


class Landing:
    """One plate on its way into the lake; the caller holds the plate's lock."""

    def __init__(self, lake: Lake, run: Run, plate: Plate, form: Form, z: str, jobs: int) -> None:
        self._lake = lake
        self._run = run
        self._plate = plate
        self._form = form
        self._z = z
        self._jobs = jobs
        folder = lake.place_of("plates")
        self._temporary = folder / f".{plate.name}.zarr.tmp"
        # A plate that replaces one under its first name takes the second name, and the reverse.
        # The third is the second name of older versions.
        self._places = tuple(folder / f"{plate.name}{end}.zarr" for end in ("", "~2", "~"))

    def land(self, advance: Callable[[int], None], *, overwrite: bool) -> Converted | None:
        """What was written and registered, or None if the plate is there with this content.

        advance: called with the number of fields that are done.
        Raises InputError if the plate is there with other content and is not to be overwritten.
        """
        found = self._lake.look_up(
            "select uri, fingerprint, content_hash from plate where plate_id = $plate",
            {"plate": self._plate.name},
        ).to_dicts()
        old = self._lake.place_of(found[0]["uri"]) if found and found[0]["uri"] else None
        self._remove_all_but(old)
        rows = self._plate.rows
        is_same = bool(old) and self._is_same(rows, found[0])
        if is_same:
            fault = first_fault(self._lake, self._plate.name)
            if fault is None:
                advance(len(by_field(rows)))
                return None
            log.warning(f"plate {self._plate.name} is damaged and lands again: {fault}")
        if old and not (overwrite or is_same):
            raise InputError(
                f"plate '{self._plate.name}' is in the lake with other images or metadata;"
                " pass --overwrite to replace it, or rename the plate"
            )
        functions = functions_of_plate(
            self._form.illumination,
            self._plate.name,
            rows,
            self._jobs,
            parse(self._form.convert),
            self._form.max_pixels,
        )
        converted, uri = self._write(rows, functions, advance, old)
        self._register(converted, uri, functions)
        say_twins(self._plate.name, rows, converted.hashes, converted.measured)
        self._remove_all_but(self._lake.place_of(uri))
        return converted

    def _is_same(self, rows: list[Row], found: dict[str, str]) -> bool:
        """Whether the files say what the registered plate was made of, whatever their times."""
        if found["fingerprint"] == self._plate.fingerprint:
            return True
        hashes: list[str | None] = []
        try:
            for field_rows in by_field(rows).values():
                files = Files(max_pixels=self._form.max_pixels)
                hashes += [
                    files.hash_of(row["paths"], row["pages"]) if row["paths"] else None
                    for row in field_rows
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
    ) -> tuple[Converted, str]:
        """Write the plate beside its place and rename it; returns its uri too."""
        self._temporary.parent.mkdir(parents=True, exist_ok=True)
        stopping.remove_at_end(self._temporary)
        try:
            converted = convert(
                self._temporary,
                self._plate.name,
                rows,
                self._form,
                functions=functions,
                z=self._z,
                jobs=self._jobs,
                advance=advance,
            )
            if self._form.in_place:
                return converted, str(plate_in_place(rows))
            place = next(p for p in self._places if p != old)
            flush(self._temporary)
            self._temporary.rename(place)
            flush_one(place.parent)
            flush_one(place.parent.parent)
            self._lake.kept(f"plates/{place.name}")
            return converted, f"plates/{place.name}"
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _register(self, converted: Converted, uri: str, functions: dict[int, Function]) -> None:
        landed = {
            "plate": self._plate.name,
            "uri": uri,
            "fingerprint": self._plate.fingerprint,
            "content_hash": digest(self._plate.digest, converted.hashes),
        }
        saved = {
            index: self._save_function(Path(uri).stem, index, function)
            for index, function in functions.items()
        }
        register(
            self._lake,
            self._run,
            self._plate.images,
            converted.measured,
            [landed],
            {self._plate.name: converted.files},
            [
                {"plate": self._plate.name, "channel_index": index, "uri": state.path}
                for index, state in saved.items()
            ],
            list(saved.values()),
        )

    def _save_function(self, folder: str, channel_index: int, function: Function) -> FileState:
        """State of an illumination function that is saved beside those of the plate before."""
        uri = f"illumination/{folder}/{channel_index}.npy"
        with self._lake.writing(uri) as path, path.open("wb") as file:
            np.save(file, function, allow_pickle=False)
        return state_of(self._lake.place_of(uri), uri)

    def _remove_all_but(self, registered: Path | None) -> None:
        """Remove what this plate has on disk besides the registered folder and its functions."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        for place in self._places:
            if place != registered:
                self._lake.remove_folder(f"plates/{place.name}")
                self._lake.remove_folder(f"illumination/{place.stem}")
