"""Names of the images that MetaXpress exports: well, site, wave, slice and time point."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unidino.core.log import log
from unidino.plates.layouts.filenames import IMAGE_SUFFIXES

_ID = r"(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?"
# The site and the wave are looked for first, because _s10 and _w10 could be wells of 1536.
_NAMES = [
    re.compile(
        r"(?:(?P<name>.*)_|(?=[A-Z]+\d+_[sw]\d))(?P<well>[A-Z]{1,2}\d{2})"
        rf"{site}{wave}{_ID}\.tiff?",
        re.IGNORECASE,
    )
    for site, wave in (
        (r"_s(?P<field>\d+)", r"_w(?P<wave>\d+?)"),
        (r"_s(?P<field>\d+)", r"(?P<wave>)"),
        (r"(?P<field>)", r"_w(?P<wave>\d+?)"),
        (r"(?P<field>)", r"(?P<wave>)"),
    )
]
_THUMBNAIL = re.compile(rf".*_thumb{_ID}\.[a-z]+", re.IGNORECASE)
STEP = re.compile(r"ZStep_(\d+)", re.IGNORECASE)
TIME = re.compile(r"TimePoint_(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Plane:
    """A file with what its path says.

    home: folder above TimePoint_n and ZStep_n. name: what comes before the well.
    """

    file: Path
    home: Path
    name: str | None
    well: str
    field: str
    wave: str
    z: str | None
    timepoint: str | None

    @property
    def image(self) -> tuple[str, str, str, str | None]:
        """What is the same for the slices of a stack and their projection."""
        return self.well.upper(), self.field, self.wave, self.timepoint


def planes_of(files: Sequence[Path]) -> list[Plane]:
    """Images whose names are those of planes; others but thumbnails are named in a warning."""
    planes: list[Plane] = []
    left_out: list[Path] = []
    unclear: list[tuple[Path, str]] = []
    for file in files:
        if file.suffix.lower() not in IMAGE_SUFFIXES or _THUMBNAIL.fullmatch(file.name):
            continue
        match, is_clear = _matched(file.name)
        if not match or "_thumb" in file.name.lower():
            left_out.append(file)
            continue
        if not is_clear:
            unclear.append((file, match["well"]))
        home, step = without(file.parent, STEP)
        home, time = without(home, TIME)
        field, wave = match["field"] or "1", match["wave"] or "1"
        planes.append(Plane(file, home, match["name"], match["well"], field, wave, step, time))
    if left_out:
        log.warning(
            f"{len(left_out)} images are left out: their names do not match, such as"
            f" '{left_out[0]}'"
        )
    if unclear:
        file, well = unclear[0]
        log.warning(
            f"{len(unclear)} images may be of two wells by their names, such as '{file}', which is"
            f" read as well {well}: write site and wave as _s and _w"
        )
    return planes


def _matched(name: str) -> tuple[re.Match[str] | None, bool]:
    """What the name of a plane says, and whether it can be read in one way only.

    _S10_w1 is a well of row S, _s10_w1 is a site: the program writes _s and _w.
    """
    found = [match for form in _NAMES if (match := form.fullmatch(name))]
    if not found:
        return None, True
    other = next((m for m in found if m["well"] != found[0]["well"]), None)
    if other is None or other["well"].islower():
        return found[0], True
    if "_w" in name[other.end("well") :]:
        return other, True
    return found[0], False


def without(folder: Path, step: re.Pattern[str]) -> tuple[Path, str | None]:
    """The folder above, and the number in a folder's name; else the folder itself and None."""
    match = step.fullmatch(folder.name)
    return (folder.parent, match[1]) if match else (folder, None)
