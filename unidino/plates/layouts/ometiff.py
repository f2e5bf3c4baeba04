"""OME-TIFF: planes, channels, sizes and plates by OME-XML."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unidino.core import patterns
from unidino.core.documents import refuse_special
from unidino.core.errors import InputError
from unidino.plates.layouts import filenames
from unidino.plates.layouts.notes import Notes, reason
from unidino.plates.layouts.ome_files import DAMAGE, OmeFiles
from unidino.plates.layouts.ome_planes import Row, num_planes, read_planes
from unidino.plates.layouts.ome_wells import AcquisitionError, Place, Wells, read_wells
from unidino.plates.layouts.walk import walk_files
from unidino.plates.layouts.xml import parse_xml
from unidino.plates.manifest import Choice
from unidino.plates.tables import text_table

_KIND = "OME-XML"
_COMPANION = ".companion.ome"
_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.btf", _COMPANION)
_PLACE = ("plate", "well", "field", "channel_index", "z", "timepoint")


def scan(path: Path, pattern: str | None, choice: Choice, faults: list[str]) -> pa.Table:
    """A row of text columns for each plane that the OME-XML of the files under a folder names.

    `page` counts the planes of a file. Wells come from the OME plate. The well of an image that is
    in no OME plate comes from the path of its file, by a pattern as in the layout `filename`.
    choice: its acquisition. faults: gets a line for each file, well or image that is damaged or
    whose well is not known.
    Raises InputError if nothing can be read, or if the user must choose.
    """
    files = [path] if path.is_file() else walk_files(path)
    files = [file for file in files if file.name.lower().endswith(_SUFFIXES)]
    if not files:
        raise InputError(f"no OME-TIFF under '{path}' (looked for {', '.join(_SUFFIXES)})")
    if pattern:
        filenames.compiled(pattern)
    reader = _Reader(path.resolve(), pattern, choice, faults)
    for file in files:
        reader.read(file)
    return reader.table(files)


class _Reader:
    """Rows of the planes of OME-TIFF files; each plane of a file is taken once."""

    def __init__(self, root: Path, pattern: str | None, choice: Choice, faults: list[str]) -> None:
        self._root = root if root.is_dir() else root.parent
        self._pattern = pattern
        self._choice = choice
        self._faults = faults
        self._notes = Notes()
        self._files = OmeFiles(self._notes)
        self._rows: dict[tuple[str, str], tuple[Row, Path]] = {}
        self._contradicted: set[tuple[str | None, ...]] = set()  # plate, well and field
        self._named: set[Path] = set()  # files that some OME-XML names
        self._listed: dict[tuple[str | None, ...], Path] = {}  # fields of plates
        self._broken: set[tuple[str | None, ...]] = set()  # those with a fault
        self._pages: dict[Path, set[str]] = {}  # that some OME-XML names, by file
        self._sizes: dict[tuple[str | None, ...], tuple[int, Path]] = {}  # planes of fields

    def table(self, files: list[Path]) -> pa.Table:
        """The rows, without fields that two files describe differently.

        files: all that were read; those whose planes no OME-XML names are noted.
        Raises InputError if there is no row.
        """
        for file in files:
            if self._files.is_tiff(file) and file.resolve() not in self._named:
                self._notes.add(f"left out, because no {_KIND} names its planes", file)
        there = {_field(row) for row, _ in self._rows.values()} | self._broken
        for (plate, well, field), file in self._listed.items():
            if (plate, well, field) not in there:
                what = f"{file}, plate {plate} well {well} field {field}"
                self._notes.add(f"a plate lists a field whose image no {_KIND} has", what)
        if not self._faults:
            self._note_rest()
        self._notes.log()
        rows = [row for row, _ in self._rows.values() if _field(row) not in self._contradicted]
        if not rows:
            first = self._faults[0] if self._faults else f"no image in '{files[0]}'"
            raise InputError(first, self._faults if len(self._faults) > 1 else ())
        return text_table(rows)

    def _note_rest(self) -> None:
        """Note pages that no OME-XML names, and planes that it says but that no page is."""
        for path, named in self._pages.items():
            num = self._files.num_pages(path) or 0
            if num > len(named):
                what = f"{path}, {num - len(named)} of {num} pages"
                self._notes.add(f"left out, because no {_KIND} names these pages", what)
        found = Counter(_field(row) for row, _ in self._rows.values())
        for place, (num, file) in self._sizes.items():
            if 0 < found[place] < num:
                message = f"an {_KIND} says more channels, slices or time points than it has planes"
                plate, well, field = place
                what = f"{file}, plate {plate} well {well} field {field}: {found[place]} of {num}"
                self._notes.add(message, what)

    def read(self, file: Path) -> None:
        """Add the rows of one file, or a line to the faults."""
        known = len(self._faults)
        try:
            self._read(file)
        except AcquisitionError:
            raise
        except InputError as error:
            self._fault(str(error))
        if len(self._faults) > known:
            self._named.add(file.resolve())

    def _read(self, file: Path) -> None:
        root = parse_xml(self._text(file), file, _KIND)
        binary_only = root.find("{*}BinaryOnly")
        if binary_only is not None:
            self._read_elsewhere(file, binary_only.get("MetadataFile") or "")
            return
        wells = read_wells(root, file, self._choice, self._faults, self._notes)
        self._listed |= {_field(place): file for place in wells.places.values()}
        images = list(root.iterfind("{*}Image"))
        if not images:
            raise InputError(f"'{file}' has no image in its {_KIND}")
        if len({image.get("ID") for image in images}) < len(images):
            raise InputError(f"'{file}' has two images of the same ID in its {_KIND}")
        for image in images:
            self._read_image(image, wells, file)

    def _read_image(self, image: Any, wells: Wells, file: Path) -> None:
        """Add the rows of an image; images that no plate lists are left out if there is a plate."""
        image_id = image.get("ID")
        named = f"'{file}', image {image_id}"
        place = wells.places.get(image_id)
        is_wanted = place is not None or not wells.has_plate or bool(self._pattern)
        try:
            rows = list(read_planes(image, file, self._files, self._notes))
            for row in rows:
                self._named.add(Path(str(row["path"])))
                self._pages.setdefault(Path(str(row["path"])), set()).add(str(row["page"]))
            if image_id in wells.left_out:
                return
            if is_wanted:
                by_path = [place or self._by_pattern(row["path"] or "") for row in rows]
                for row, where in zip(rows, by_path, strict=True):
                    self._add(row | where, file)
                    self._sizes[_field(row | where)] = num_planes(image), file
        except (InputError, ValueError) as error:
            if place is not None:
                self._broken.add(_field(place))
            if is_wanted:
                self._fault(str(error) if isinstance(error, InputError) else f"{named}: {error}")
        if not is_wanted:
            message = f"left out, because the plate of its {_KIND} does not list it"
            self._notes.add(message, f"{file}, image {image_id}")

    def _fault(self, line: str) -> None:
        """Note a fault, once."""
        if line not in self._faults:
            self._faults.append(line)

    def _text(self, file: Path) -> str | bytes:
        """The OME-XML of a file.

        Raises InputError if the file cannot be read or has none.
        """
        try:
            if file.name.lower().endswith(_COMPANION):
                refuse_special(file)
                return file.read_bytes()
            text = self._files.read_xml(file)
        except DAMAGE as error:
            raise InputError(f"'{file}' is not a valid TIFF: {reason(error)}") from error
        if not text:
            raise InputError(f"'{file}' has no {_KIND}; read it with --layout filename --pattern")
        return text

    def _read_elsewhere(self, file: Path, name: str) -> None:
        """Check that the file is there that describes a file of planes alone; `scan` reads it."""
        described = file.parent / name
        if not name or not described.is_file():
            raise InputError(f"'{file}' is described by '{name}', which is not there")
        if not described.name.lower().endswith(_SUFFIXES):
            raise InputError(
                f"'{file}' is described by '{name}', whose name should end with {_COMPANION}"
            )

    def _add(self, row: Row, file: Path) -> None:
        """Add a row; of two files that say the same of a plane, the first is taken."""
        key = str(row["path"]), str(row["page"])
        old, before = self._rows.setdefault(key, (row, file))
        if any(old.get(name) != row.get(name) for name in _PLACE):
            fields = {_field(old), _field(row)}
            if not fields <= self._contradicted:
                self._faults.append(
                    f"'{file}' says that plane {row['page']} of '{row['path']}' is {_words(row)},"
                    f" '{before}' that it is {_words(old)}"
                )
            self._contradicted |= fields

    def _by_pattern(self, file: str) -> Place:
        """Plate, well and field of an image that is in no OME plate."""
        if not self._pattern:
            raise InputError(
                f"'{file}' is in no plate of its {_KIND}; say with --pattern which part of the path"
                r" is its well, such as '(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<field>\d+)'"
            )
        path = Path(file)
        root = self._root if path.is_relative_to(self._root) else path.parent
        with patterns.in_time("--pattern", self._pattern, 1):
            groups = filenames.match_below(path, filenames.compiled(self._pattern), root)
        if groups is None:
            raise InputError(f"--pattern does not match '{file}'")
        return {name: groups.get(name, "1") for name in ("plate", "well", "field")}


def _field(row: Mapping[str, str | None]) -> tuple[str | None, ...]:
    return row["plate"], row["well"], row["field"]


def _words(row: Row) -> str:
    return ", ".join(f"{name} {row[name]}" for name in _PLACE if row.get(name) is not None)
