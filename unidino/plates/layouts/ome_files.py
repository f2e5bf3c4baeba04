"""TIFF files that OME-XML names: found by name, or by UUID if they were renamed."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tifffile

from unidino.core.documents import refuse_special
from unidino.core.errors import InputError
from unidino.plates.layouts.notes import Notes

_UUID = re.compile(r"<(?:\w+:)?OME\b[^>]*?\bUUID\s*=\s*[\"']([^\"']+)")
_SUFFIXES = (".tif", ".tiff", ".btf")
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    struct.error,
    tifffile.TiffFileError,
)


class Page(NamedTuple):
    """Size (px) and type of the pixels of a page of a TIFF."""

    height: int
    width: int
    dtype: str


@dataclass(frozen=True)
class _Tiff:
    """uuid: of its OME-XML. num_pages: None if the file is missing or no TIFF. pages: of each."""

    uuid: str | None
    num_pages: int | None
    pages: tuple[Page | None, ...] = ()


class OmeFiles:
    """The TIFF files of a set; each is opened once for its UUID and number of pages."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known: dict[Path, _Tiff] = {}
        self._found: dict[tuple[Path, str, str | None], Path] = {}
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def read_xml(self, path: Path) -> str | None:
        """The OME-XML of a TIFF; None if it has none.

        Raises one of DAMAGE if the file is no TIFF, InputError if it is no ordinary file.
        """
        refuse_special(path)
        with tifffile.TiffFile(path) as tiff:
            text: str | None = tiff.ome_metadata
            uuid = _UUID.search(text) if text else None
            pages = tuple(_page(tiff, number) for number in range(len(tiff.pages)))
            self._known[path.resolve()] = _Tiff(uuid[1] if uuid else None, len(pages), pages)
            return text

    def num_pages(self, path: Path) -> int | None:
        """Number of planes of a file; None if it is missing or no TIFF."""
        return self._of(path).num_pages

    def page(self, path: Path, number: int) -> Page | None:
        """A page of a file; None if it is not there, damaged, or has colours."""
        pages = self._of(path).pages
        return pages[number] if number < len(pages) else None

    def is_tiff(self, path: Path) -> bool:
        """Whether a file is a TIFF."""
        return self.num_pages(path) is not None

    def named(self, name: str, uuid: str | None, file: Path) -> Path:
        """The file that the OME-XML of `file` names.

        A file with another UUID is not the one that is meant, if the folder has one with this UUID.
        A file that is found neither by name nor by UUID keeps its name.
        """
        key = file.parent, name, uuid
        if key not in self._found:
            self._found[key] = self._find(name, uuid, file)
        return self._found[key]

    def of_uuid(self, uuid: str | None, file: Path) -> Path | None:
        """The file of a UUID, `file` itself if there is no other; None if it is not there.

        A TIFF that says no UUID of its own is taken to be the one that its OME-XML is about.
        """
        known = self._of(file)
        if known.num_pages is not None and (uuid is None or known.uuid in (None, uuid)):
            return file.resolve()
        found = self._by_uuid(file.parent.resolve()).get(uuid or "", [])
        return found[0] if len(found) == 1 else None

    def _find(self, name: str, uuid: str | None, file: Path) -> Path:
        path = (file.parent / name).resolve()
        known = self._of(path)
        if path.exists() and (uuid is None or known.uuid in (None, uuid)):
            return path
        found: list[Path] = []
        if uuid is not None:
            alike = self._by_uuid(file.parent.resolve()).get(uuid, [])
            own = [other for other in alike if other == file.resolve()]
            found = alike if path.exists() else own or alike
        if len(found) == 1:
            self._notes.add(f"found by its UUID, because '{name}' is another file", found[0])
            return found[0]
        fault = "has another UUID" if path.exists() else "is not there; was it renamed?"
        self._notes.add(f"names the file '{name}', which {fault}", file)
        return path

    def _of(self, path: Path) -> _Tiff:
        if path not in self._known:
            path = path.resolve()
        if path not in self._known:
            try:
                self.read_xml(path)
            except (*DAMAGE, InputError):
                self._known[path] = _Tiff(None, None)
        return self._known[path]

    def _by_uuid(self, folder: Path) -> dict[str, list[Path]]:
        """TIFF files of a folder by their UUID."""
        if folder not in self._folders:
            found: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir()):
                if path.name.lower().endswith(_SUFFIXES) and (uuid := self._of(path).uuid):
                    found.setdefault(uuid, []).append(path.resolve())
            self._folders[folder] = found
        return self._folders[folder]


def _page(tiff: tifffile.TiffFile, number: int) -> Page | None:
    """A page of an open file; None if it is damaged, which is reported when it is read."""
    try:
        page = tiff.pages[number]
        if page.samplesperpixel > 1:
            return None
        return Page(page.imagelength, page.imagewidth, str(page.dtype))
    except DAMAGE:
        return None
