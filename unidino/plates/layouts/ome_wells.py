"""Plate, well and field of each image, by the plates of OME-XML."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unidino.core.errors import InputError
from unidino.core.wells import well_name
from unidino.plates.layouts.notes import Notes
from unidino.plates.manifest import Choice

_ROWS, _COLUMNS = 32, 48  # of a plate of 1536 wells

Place = dict[str, str | None]  # plate, well, field, and size of the plate


class AcquisitionError(InputError):
    """The user must choose an acquisition, or another one."""


@dataclass
class Wells:
    """What the plates of a file say.

    places: by the ID of an image. left_out: IDs of images of acquisitions that were not chosen, and
    of wells with faults. has_plate: whether the file has a plate.
    """

    has_plate: bool
    places: dict[str, Place] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)


def read_wells(root: Any, file: Path, choice: Choice, faults: list[str], notes: Notes) -> Wells:
    """The place of each image in the plates of OME-XML.

    faults: gets a line for each well whose place is not known, and each image in two places.
    Raises InputError if plates cannot be told apart.
    """
    plates = list(root.iterfind("{*}Plate"))
    names = [plate.get("Name") or file.resolve().parent.name for plate in plates]
    if len(set(names)) < len(names):
        raise InputError(
            f"'{file}' has {len(names)} plates in its OME-XML, but only the names"
            f" {', '.join(sorted(set(names)))}; give each a Name of its own"
        )
    wells = Wells(bool(plates))
    listed: Counter[str] = Counter()
    for name, plate in zip(names, plates, strict=True):
        listed.update(_read_plate(wells, name, plate, file, choice, faults, notes))
    for image in (image for image, times in listed.items() if times > 1):
        faults.append(f"'{file}': its plates list the image {image} more than once")
        wells.places.pop(image, None)
        wells.left_out.add(image)
    return wells


def _read_plate(
    wells: Wells, name: str, plate: Any, file: Path, choice: Choice, faults: list[str], notes: Notes
) -> Iterator[str]:
    """Add the images of one plate; yields their IDs."""
    acquisitions = _acquisitions(plate)
    chosen = _chosen(name, acquisitions, choice)
    size = {
        "num_rows": _side(plate, "Rows", _ROWS, f"'{file}': plate '{name}'", faults),
        "num_columns": _side(plate, "Columns", _COLUMNS, f"'{file}': plate '{name}'", faults),
    }
    for well in plate.iterfind("{*}Well"):
        samples = [
            (sample.get("ID"), reference.get("ID") if reference is not None else None)
            for sample in well.iterfind("{*}WellSample")
            for reference in [sample.find("{*}ImageRef")]
        ]
        if any(image is None for _, image in samples):
            notes.add("a field without an image", f"{file}, plate {name}, {well.get('ID')}")
        if chosen is not None:
            wells.left_out |= {
                image for sample, image in samples if image and acquisitions.get(sample) != chosen
            }
            samples = [pair for pair in samples if acquisitions.get(pair[0]) == chosen]
        images = {image: number for number, (_, image) in enumerate(samples, start=1) if image}
        yield from (image for _, image in samples if image)
        try:
            position = well_name(
                _index(well, "Row", _ROWS) + 1, _index(well, "Column", _COLUMNS) + 1
            )
        except ValueError as error:
            faults.append(f"'{file}': the well {well.get('ID')} of plate '{name}' {error}")
            wells.left_out |= set(images)
            continue
        for image, number in images.items():
            place: Place = {"plate": name, "well": position, "field": str(number)}
            wells.places[image] = place | size


def _side(plate: Any, name: str, most: int, of: str, faults: list[str]) -> str | None:
    """How many rows or columns a plate has; None, with a fault, if no plate has so many."""
    text: str | None = plate.get(name)
    if text is None or (re.fullmatch(r"\d{1,4}", text, re.ASCII) and 1 <= int(text) <= most):
        return text
    faults.append(f"{of} has the {name} '{text[:60]}'; expected a number from 1 to {most}")
    return None


def _index(well: Any, name: str, size: int) -> int:
    """Row or column of a well, from 0.

    Raises ValueError that says what is wrong with it.
    """
    text = well.get(name)
    if text is None:
        raise ValueError(f"has no {name}")
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or int(text) >= size:
        raise ValueError(f"has the {name} '{text}'; expected a number from 0 to {size - 1}")
    return int(text)


def _acquisitions(plate: Any) -> dict[str, int]:
    """Number of the acquisition of each WellSample, by the end of its ID or by its position."""
    elements = [
        a for a in plate.iterfind("{*}PlateAcquisition") if a.find("{*}WellSampleRef") is not None
    ]
    ends = [re.search(r"(\d{1,18})$", element.get("ID") or "") for element in elements]
    numbers = [int(end[1]) for end in ends if end]
    if len(set(numbers)) < len(elements):
        numbers = list(range(len(elements)))
    return {
        reference.get("ID"): number
        for number, element in zip(numbers, elements, strict=True)
        for reference in element.iterfind("{*}WellSampleRef")
    }


def _chosen(name: str, acquisitions: dict[str, int], choice: Choice) -> int | None:
    """The acquisition to take of a plate; None if it has only one.

    Raises InputError if the user must choose one, or chose one that is not there.
    """
    there = sorted(set(acquisitions.values()))
    listed = ", ".join(map(str, there))
    if choice.acquisition is None and len(there) > 1:
        raise AcquisitionError(
            f"plate '{name}' has the acquisitions {listed}; choose one with --acquisition"
        )
    if choice.acquisition is not None and there and choice.acquisition not in there:
        raise AcquisitionError(
            f"plate '{name}' has no acquisition {choice.acquisition}; it has {listed}"
        )
    return choice.acquisition if len(there) > 1 else None
