"""Rows and columns of the wells of an OME-Zarr plate, by their names and by the plate's lists."""

import re
from collections.abc import Mapping
from typing import Any

from unidino.core.wells import row_number, well_name
from unidino.plates.layouts.notes import Notes

_SIZES = {"row": 32, "column": 48}  # of a plate of 1536 wells
_ROW = re.compile(r"A[A-F]|[A-Z]", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)


def names_of_well(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Names of row and column of a well, by its path.

    Raises ValueError if the path is another one.
    """
    parts = str(entry["path"]).split("/")
    if len(parts) != 2 or set(parts) & {"", ".", ".."}:
        raise ValueError(f"the path '{entry['path']}' of a well is not that of a row and column")
    return parts[0], parts[1]


def place_of_well(
    row: str, column: str, entry: Mapping[str, Any], plate: Mapping[str, Any], of: str, notes: Notes
) -> str:
    """Name of a well by the names of its row and column, and by their places in the plate's lists.

    Raises ValueError if they contradict each other.
    """
    if _NUMBER.fullmatch(row) and _ROW.fullmatch(column):
        raise ValueError(f"the well '{row}/{column}' seems to name its column before its row")
    return well_name(
        _position("row", row, entry, plate, of, notes),
        _position("column", column, entry, plate, of, notes),
    )


def _position(
    kind: str, name: str, entry: Mapping[str, Any], plate: Mapping[str, Any], of: str, notes: Notes
) -> int:
    """Number of a row or column, from 1.

    A letter of a row, or a number, says it. Any other name, and numbers from 0, are counted in the
    plate's list. Plates before version 0.4 say no index.
    """
    listed = [str(item["name"]) for item in plate.get(f"{kind}s") or []]
    index = entry.get(f"{kind}Index")
    if index is None:
        index = listed.index(name) if name in listed else None
    elif not isinstance(index, int):
        raise ValueError(f"its {kind}Index is '{index}'")
    said = _said(kind, name)
    there = listed[index] if index is not None and 0 <= index < len(listed) else None
    if there not in (None, name) and (said is None or said != _said(kind, str(there))):
        raise ValueError(
            f"its path says {kind} '{name}', but its {kind}Index {index} says '{there}'"
        )
    if index is not None and listed and there is None and said != index + 1:
        raise ValueError(
            f"its {kind}Index {index} is beyond the {len(listed)} {kind}s of the plate"
        )
    if said is not None and not any(_said(kind, other) == 0 for other in (name, *listed)):
        position = said
    elif index is None or (said is not None and said != index):
        raise ValueError(f"it is not clear which {kind} of a plate '{name}' is")
    else:
        position = index + 1
        notes.add(f"{of}: a {kind} is counted in the plate's list, because of its name", name)
    if not 1 <= position <= _SIZES[kind]:
        raise ValueError(f"no plate has {kind} {position}")
    return position


def _said(kind: str, name: str) -> int | None:
    """Number of a row or column that a name says: its letters, or its number."""
    if _NUMBER.fullmatch(name):
        return int(name)
    if kind == "row" and _ROW.fullmatch(name):
        return row_number(name.upper())
    return None
