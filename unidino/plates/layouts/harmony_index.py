"""The index of an Opera Phenix or Operetta export: its images and what it says of their channels.

Harmony up to 5 writes names, wavelengths and sizes of channels into each image. Harmony 6 and 7
write them once, into entries of `Maps` by channel. The entry of a channel may be split over several
maps.
"""

from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from unidino.core.errors import InputError
from unidino.plates.layouts.entries import (
    MICROMETRES,
    NANOMETRES,
    NUM_COLUMNS,
    NUM_ROWS,
    Entry,
    Row,
    unplaced,
)
from unidino.plates.layouts.notes import Notes
from unidino.plates.layouts.pixel_size import pixel_size_um
from unidino.plates.layouts.xml import read_xml

_LENGTHS = {
    "pixel_size_um": ("ImageResolutionX", "m", MICROMETRES),
    "position_x_um": ("PositionX", "m", MICROMETRES),
    "position_y_um": ("PositionY", "m", MICROMETRES),
    "excitation_nm": ("MainExcitationWavelength", "nm", NANOMETRES),
    "emission_nm": ("MainEmissionWavelength", "nm", NANOMETRES),
}
_HEIGHT = "ImageResolutionY"
_FLATFIELD = "FlatfieldProfile"
_OF_CHANNEL = (
    "ChannelName",
    "ImageResolutionX",
    _HEIGHT,
    "MainExcitationWavelength",
    "MainEmissionWavelength",
    _FLATFIELD,
)

_Texts = dict[str, str]  # by names of elements without namespaces


@dataclass(frozen=True)
class _Channel:
    """Values of a channel and their units; of a value that differs from map to map, both."""

    values: _Texts = field(default_factory=dict)
    units: _Texts = field(default_factory=dict)
    clashes: _Texts = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """An index file and the root of its XML."""

    file: Path
    root: Any

    @classmethod
    def read(cls, file: Path) -> "Index":
        """The index in a file.

        Raises InputError if it is no XML.
        """
        return cls(file, read_xml(file, "Harmony index"))

    def rows(self) -> list[Row]:
        """A row of text columns for each image, in the manifest's columns; none if it has no image.

        An image that cannot be read has its problem in the row.
        Raises InputError if the index has several plates.
        """
        images = [_content(image) for image in self.root.iterfind("{*}Images/{*}Image")]
        if not images:
            return []
        channels = self._channels()
        plate, problem = self._plate()
        folder = self._folder([values["URL"] for values, _ in images if "URL" in values])
        rows = []
        notes = Notes()
        for values, units in images:
            shared = channels.get(values.get("ChannelID", ""), _Channel())
            entry = Entry(f"'{self.file}' has an image", shared.values | values)
            for name in shared.clashes.keys() - values.keys() - {_FLATFIELD}:
                entry.complain(f"whose channel has two values of {name}: {shared.clashes[name]}")
            rows.append(_row(entry, shared.units | units, plate, folder, notes, str(self.file)))
        notes.log()
        return rows + ([unplaced(problem)] if problem else [])

    def profiles(self) -> dict[str, str]:
        """Text of the flat-field profile of each channel that has one, by ChannelID.

        Raises InputError if a channel has two that differ.
        """
        channels = self._channels()
        for channel, about in channels.items():
            if _FLATFIELD in about.clashes:
                raise InputError(f"'{self.file}' has two {_FLATFIELD} of channel {channel}")
        return {c: a.values[_FLATFIELD] for c, a in channels.items() if _FLATFIELD in a.values}

    def _channels(self) -> dict[str, _Channel]:
        """What the entries of all maps say of each channel, by ChannelID."""
        channels: dict[str, _Channel] = {}
        for entry in self.root.iterfind("{*}Maps/{*}Map/{*}Entry"):
            known = channels.setdefault((entry.get("ChannelID") or "").strip(), _Channel())
            values, units = _content(entry)
            for name in _OF_CHANNEL:
                if name in values and known.values.setdefault(name, values[name]) != values[name]:
                    known.clashes[name] = f"'{known.values[name]}' and '{values[name]}'"
            for name, unit in units.items():
                if known.units.setdefault(name, unit) != unit and name in _OF_CHANNEL:
                    known.clashes[name] = f"the units {known.units[name]} and {unit}"
        return channels

    def _plate(self) -> tuple[Row, str | None]:
        """Name and size of the plate, and what is wrong with its size."""
        plates = [_content(plate)[0] for plate in self.root.iterfind("{*}Plates/{*}Plate")]
        names = list(dict.fromkeys(values["PlateID"] for values in plates if "PlateID" in values))
        if len(names) > 1:
            raise InputError(
                f"'{self.file}' has the plates {', '.join(names)}, and does not say which of them"
                " an image belongs to"
            )
        entry = Entry(f"'{self.file}' has a plate", plates[0] if plates else {})
        plate: Row = {
            "plate": names[0] if names else plate_of_folder(self.file.parent),
            "num_rows": entry.side("PlateRows", NUM_ROWS),
            "num_columns": entry.side("PlateColumns", NUM_COLUMNS),
        }
        return plate, entry.problem(plate)

    def _folder(self, urls: list[str]) -> Path:
        """Folder that URLs start from: that of the index, `Images` beside it, or that above it."""
        parent = self.file.resolve().parent
        beside = [f for f in sorted(parent.iterdir()) if is_images(f) and f.is_dir()]
        above = [parent.parent] if is_images(parent) else []
        for url in urls:
            for folder in (parent, *beside, *above):
                if _file(folder, url).exists():
                    return folder
        return parent


def is_images(folder: Path) -> bool:
    """Whether a folder has the name that Harmony gives to the folder of the images."""
    return folder.name.lower() == "images"


def plate_of_folder(folder: Path) -> str:
    """Name of the plate whose images lie in a folder."""
    folder = folder.resolve()
    return folder.parent.name if is_images(folder) else folder.name


def _row(entry: Entry, units: _Texts, plate: Row, folder: Path, notes: Notes, place: str) -> Row:
    """The row of one image in the manifest's columns. units: of its elements.

    notes: of pixels that are not square, whose size is left out.
    """
    row = plate | {
        "well": entry.well("Row", "Col"),
        "field": entry.whole("FieldID", needed=True),
        "channel_index": entry.whole("ChannelID", needed=True),
        "channel": entry.text("ChannelName"),
        "z": entry.whole("PlaneID"),
        "timepoint": entry.whole("TimepointID"),
    }
    for column, (name, unit, factors) in _LENGTHS.items():
        row[column] = entry.length(name, units.get(name, unit), factors)
    height = entry.length(_HEIGHT, units.get(_HEIGHT, "m"), MICROMETRES)
    width = row["pixel_size_um"]
    if width and height:
        sides = (float(width), "um"), (float(height), "um")
        row["pixel_size_um"] = width if pixel_size_um(*sides, notes, place) else None
    url = entry.text("URL")
    if url is None:
        entry.complain("without URL: the plane was not taken, or not exported")
    elif "://" in url:
        entry.complain(
            f"with the URL '{url}', which is no file of the export: export the images too"
        )
    row["path"] = str(_file(folder, url).resolve()) if url and "://" not in url else None
    return entry.row(row)


def _content(element: Any) -> tuple[_Texts, _Texts]:
    """Texts and units of the elements within an element, without those that are empty."""
    values, units = {}, {}
    for child in element:
        name = child.tag.rpartition("}")[2]
        if text := (child.text or "").strip():
            values[name] = text
            if unit := child.get("Unit"):
                units[name] = unit
    return values, units


def _file(folder: Path, url: str) -> Path:
    """The file of a URL, which may be written as Windows writes paths."""
    return folder / (PureWindowsPath(url).as_posix() if "\\" in url else url)
