"""The plates of a manifest with the state of their files, and the files that are missing."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.files import digest, file_sha256
from unidino.plates import illumination
from unidino.plates.conversion import parse
from unidino.plates.convert import Form, by_field
from unidino.plates.images import file_state
from unidino.plates.in_place import check_inside, plate_in_place
from unidino.plates.manifest import Manifest, Row


class Plate(NamedTuple):
    """A plate of the manifest.

    images: its rows of the manifest. digest: hash of what they say and of the form. fingerprint:
    hash of the digest and of the sizes and times of its files.
    """

    name: str
    images: pa.Table
    digest: str
    fingerprint: str

    @property
    def rows(self) -> list[Row]:
        rows: list[Row] = self.images.to_pylist()
        return rows


def plates_with_files(
    manifest: Manifest, form: Form, *, allow_incomplete: bool
) -> tuple[list[Plate], list[str]]:
    """Plates with the fields whose files are there, and a line for each file that is missing.

    Raises InputError for missing files, unless incomplete plates are allowed and some field has all
    its files; and for a plate in several folders that is to stay in place.
    """
    plates, missing = [], []
    for name, images in split_by_plate(manifest.images).items():
        states, lines, lost = _states(name, images)
        missing += lines
        if lost:
            keys = zip(images["well"].to_pylist(), images["field"].to_pylist(), strict=True)
            images = images.filter(pa.array([key not in lost for key in keys]))
        if form.in_place:
            _check_one_folder(name, images)
        kept = _fields(images) if lost else None
        said = digest(manifest.digests[name], kept, _described(form, name, images))
        if images.num_rows:
            plates.append(Plate(name, images, said, digest(said, sorted(states.items()))))
    if missing and not (allow_incomplete and plates):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"{missing[0]}{more}; mend the paths, pass --images FOLDER, or --allow-incomplete to"
            " land the fields that are whole",
            missing if more else (),
        )
    return plates, missing


def _check_one_folder(plate: str, images: pa.Table) -> None:
    """Raise InputError if the images of a plate that stays in place are not in one folder."""
    paths = [row for row in images.select(["paths"]).to_pylist() if row["paths"]]
    folders = sorted({str(plate_in_place([row])) for row in paths})
    if len(folders) > 1:
        raise InputError(
            f"--in-place: plate '{plate}' is in {len(folders)} folders, '{folders[0]}' and"
            f" '{folders[1]}'; name one by --plate-names '{folders[1]}={plate}_2'"
        )
    if paths:
        groups = dict.fromkeys(path for row in paths for path in row["paths"])
        check_inside(plate, plate_in_place(paths), groups)


def _states(
    plate: str, images: pa.Table
) -> tuple[dict[str, tuple[int, int]], list[str], set[tuple[str, int]]]:
    """State of each file, a line for each missing file, and the fields that need missing files."""
    states: dict[str, tuple[int, int]] = {}
    missing: list[str] = []
    lost: set[tuple[str, int]] = set()
    columns = (images[name].to_pylist() for name in ("well", "field", "channel", "paths"))
    for well, field, channel, paths in zip(*columns, strict=True):
        for path in paths:
            if path not in states:
                try:
                    states[path] = file_state(path)
                except OSError:
                    lost.add((well, field))
                    missing.append(
                        f"no image file '{path}' (plate {plate}, well {well}, channel {channel})"
                    )
    return states, missing, lost


def _described(form: Form, plate: str, images: pa.Table) -> Row:
    """The form of a plate, with hashes of the files of its illumination functions.

    A conversion is only named if there is one, so that the digest of a plate without one is the
    same in lakes of every version. How many pixels are allowed is no part of it.
    """
    described: Row = asdict(form)
    del described["max_pixels"]
    if form.convert is None:
        del described["convert"]
    else:
        described["convert"] = str(parse(form.convert))
    if form.illumination and form.illumination != illumination.ESTIMATE:
        rows = zip(images["channel"].to_pylist(), images["paths"].to_pylist(), strict=True)
        channels = sorted({channel for channel, paths in rows if paths})
        files = [illumination.find(Path(form.illumination), plate, c) for c in channels]
        described["illumination"] = [file_sha256(file) for file in files]
    return described


def _fields(images: pa.Table) -> list[tuple[str, int]]:
    return list(by_field(images.select(["well", "field"]).to_pylist()))


def split_by_plate(images: pa.Table) -> dict[str, pa.Table]:
    """Rows of each plate of a table that is ordered by plate."""
    plates = images["plate"].combine_chunks().dictionary_encode()
    codes = plates.indices.to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))
    return {
        plates.dictionary[codes[start]].as_py(): images.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }


def num_wells_fields_images(images: pa.Table) -> tuple[int, int, int]:
    """How many wells, fields and images a table of images has."""
    wells, fields = (
        images.group_by(key).aggregate([]).num_rows
        for key in (["plate", "well"], ["plate", "well", "field"])
    )
    return wells, fields, images.num_rows
