"""Which images of the wells of an OME-Zarr plate are fields, and their numbers.

All images of a well lie side by side: fields of view, the acquisitions of a plate that was imaged
more than once, and processed copies such as `0_illum_corr`. The specification tells acquisitions
apart, and nothing else; so a field is an image whose name is a plain number, unless the user
chooses others by name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from unidino.core.errors import InputError
from unidino.plates.layouts.notes import Notes
from unidino.plates.manifest import Choice

_SHOWN = 5
_LAST_NUMBER = re.compile(r"(.*?)(\d{1,9})(\D*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class WellImage:
    """An image that a well lists. group: its folder. name: of the folder."""

    well: str
    group: Path
    name: str
    acquisition: int | None


def fields_of_plate(
    plate: str,
    images: Sequence[WellImage],
    acquisition_names: Mapping[int, str],
    choice: Choice,
    faults: list[str],
    notes: Notes,
) -> list[tuple[WellImage, int]]:
    """The images to take, each with the number of its field.

    faults: gets a line for every two images of a well that have the same number.
    Raises InputError if the user must choose by --acquisition or --image-name.
    """
    named = _of_name(plate, images, choice, notes)
    taken = _of_acquisition(plate, named, acquisition_names, choice, notes)
    by_field: dict[tuple[str, int], list[WellImage]] = {}
    for image, number in _numbered(plate, taken, notes):
        by_field.setdefault((image.well, number), []).append(image)
    for same in (found for found in by_field.values() if len(found) > 1):
        faults.append(
            f"the images {', '.join(repr(str(image.group)) for image in same)} have the same number"
        )
    return [(found[0], number) for (_, number), found in by_field.items() if len(found) == 1]


def _of_name(
    plate: str, images: Sequence[WellImage], choice: Choice, notes: Notes
) -> list[WellImage]:
    """Images that --image-name names; by default those named by plain numbers, or all if none is.

    Raises InputError if there is no such image.
    """
    if choice.image_name is not None:
        pattern = choice.image_name.replace("[", "[[]")  # `*` and `?` alone stand for others
        taken = [image for image in images if fnmatchcase(image.name, pattern)]
        if not taken and images:
            raise InputError(
                f"plate '{plate}' has no image named '{choice.image_name}' (--image-name); its"
                f" images are named {_listed(images)}"
            )
        return taken
    plain = [image for image in images if _is_plain_number(image.name)]
    if plain:
        for image in images:
            if not _is_plain_number(image.name):
                notes.add(
                    f"plate '{plate}': images whose names are no plain numbers are left out"
                    " (choose them by --image-name)",
                    image.group,
                )
    return plain or list(images)


def _of_acquisition(
    plate: str,
    images: Sequence[WellImage],
    names: Mapping[int, str],
    choice: Choice,
    notes: Notes,
) -> list[WellImage]:
    """Images of the chosen acquisition; all images of a plate that has only one.

    Raises InputError if the user must choose one, or chose one that is not there.
    """
    there = sorted({image.acquisition for image in images if image.acquisition is not None})
    listed = ", ".join(f"{n} ({names[n]})" if names.get(n) else str(n) for n in there)
    if choice.acquisition is None and len(there) > 1:
        raise InputError(
            f"plate '{plate}' has the acquisitions {listed}; choose one with --acquisition"
        )
    if choice.acquisition is not None and there and choice.acquisition not in there:
        raise InputError(
            f"plate '{plate}' has no acquisition {choice.acquisition}; it has {listed}"
        )
    if len(there) < 2:
        return list(images)
    for image in images:
        if image.acquisition is None:
            notes.add(f"plate '{plate}': images of no acquisition are left out", image.group)
    return [image for image in images if image.acquisition == choice.acquisition]


def _numbered(plate: str, images: Sequence[WellImage], notes: Notes) -> list[tuple[WellImage, int]]:
    """Each image with its number: the last one of its name, else its position in the well.

    Raises InputError if the names have numbers, but do not differ by them alone.
    """
    parts = [_LAST_NUMBER.fullmatch(image.name) for image in images]
    if all(parts):
        around = {
            (image.well, part[1], part[3])
            for image, part in zip(images, parts, strict=True)
            if part
        }
        wells = {image.well for image in images}
        if len(around) == len(wells) and len({after for *_, after in around}) <= 1:
            return [
                (image, int(part[2])) for image, part in zip(images, parts, strict=True) if part
            ]
    num_images: dict[str, int] = {}
    numbered = []
    for image in images:
        number = num_images.setdefault(image.well, 0)
        num_images[image.well] += 1
        numbered.append((image, number))
    if max(num_images.values(), default=0) > 1:
        if any(parts):
            raise InputError(
                f"plate '{plate}': it is not clear which of the images named {_listed(images)} are"
                " fields; choose them with --image-name, such as --image-name"
                f" '{_example(images)}'"
            )
        notes.add(
            f"plate '{plate}': images named {_listed(images)} are numbered by their order", plate
        )
    return numbered


def _is_plain_number(name: str) -> bool:
    return bool(re.fullmatch(r"\d{1,9}", name, re.ASCII))


def _example(images: Sequence[WellImage]) -> str:
    """A pattern for the images that are named like the last: `*_reg` for `0_reg`."""
    return re.sub(r"\d+", "*", images[-1].name)


def _listed(images: Sequence[WellImage]) -> str:
    names = list(dict.fromkeys(image.name for image in images))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
