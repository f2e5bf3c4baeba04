"""Keys of a table that are nearly those of the images: what may be wrong with them."""

import re
from collections.abc import Sequence

from unidino.plates.odd_names import SHORTENED

_MIN_PART = 4  # letters of a name that may be a part of another one


def near_hint(
    keys: Sequence[str],
    unmatched: Sequence[Sequence[object]],
    unused: Sequence[Sequence[object]],
) -> str:
    """What may be wrong with the keys of unused rows, in words; empty if nothing is near.

    keys: names of the columns. unmatched: keys of images without a row. unused: keys of rows
    without images.
    """
    for place, key in enumerate(keys):
        there = {str(row[place]) for row in unmatched if row[place] is not None}
        given = {str(row[place]) for row in unused if row[place] is not None} - there
        bare = {_bare(name): name for name in sorted(there)}
        for value in sorted(given):
            if SHORTENED.fullmatch(value):
                return (
                    f"; {key} '{value}' is a number whose last digits a spreadsheet left out: save"
                    f" the column {key} of the table as text"
                )
            near = bare.get(_bare(value)) or _whole_of(_bare(value), bare)
            if near is not None:
                return f"; {key} '{value}' is nearly '{near}' of the images: spell both alike"
    return ""


def _whole_of(part: str, bare: dict[str, str]) -> str | None:
    """The name that has a part at its beginning or end."""
    if len(part) < _MIN_PART:
        return None
    found = (name for key, name in bare.items() if key.startswith(part) or key.endswith(part))
    return next(found, None)


def _bare(name: str) -> str:
    bare = re.sub(r"[\s_-]+", "_", name.strip().casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"(?<=\d)\.0+$", "", bare))
