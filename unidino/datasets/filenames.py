"""Images whose metadata are in their file names."""

import re
from pathlib import Path

import pyarrow as pa

from unidino.errors import InputError

_IMAGE_SUFFIXES = {".tif", ".tiff", ".png"}

# Opera Phenix and Operetta export one plane a file; the plate is the folder, or the one above
# `Images`.
_HARMONY = (
    r"(?P<plate>[^/]+)/(?:Images/)?r(?P<well_row>\d+)c(?P<well_column>\d+)f(?P<field>\d+)"
    r"p(?P<z>\d+)-ch(?P<channel_index>\d+)sk(?P<timepoint>\d+)fk\d+fl\d+\.tiff?$"
)
_GROUPS = (
    "plate", "well", "well_row", "well_column", "field", "channel", "channel_index", "z",
    "timepoint", "batch", "source", "dataset",
)  # fmt: skip


def scan(path: Path, layout: str, pattern: str | None) -> pa.Table:
    """A row of text columns for each image under a folder whose path the pattern matches.

    Raises InputError if the pattern is wrong or matches nothing.
    """
    expression = re.compile(_HARMONY) if layout == "harmony" else _compiled(pattern)
    if not path.is_dir():
        raise InputError(f"layout {layout} reads a folder; '{path}' is a file")
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in _IMAGE_SUFFIXES)
    rows = []
    for file in files:
        absolute = file.resolve().as_posix()
        if match := expression.search(absolute):
            groups = match.groupdict()
            if "plate" not in groups:
                groups["plate"] = path.resolve().name
            if "well" not in groups:
                groups["well"] = well_name(int(groups["well_row"]), int(groups["well_column"]))
            if "field" not in groups:
                groups["field"] = "1"
            if "channel" not in groups and "channel_index" not in groups:
                groups["channel"] = "intensity"
            kept = {k: v for k, v in groups.items() if k not in ("well_row", "well_column")}
            rows.append({"path": absolute} | kept)
    if not rows:
        raise InputError(
            f"layout {layout} matches none of the {len(files)} images under '{path}'"
            + ("" if files else f" (looked for {', '.join(sorted(_IMAGE_SUFFIXES))})")
        )
    return pa.Table.from_pylist(rows)


def well_name(row: int, column: int) -> str:
    """Name of a well from its row and column, both from 1: 1, 2 is A02; 27, 1 is AA01."""
    letters = chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)
    return f"{letters}{column:02d}"


def _compiled(pattern: str | None) -> re.Pattern[str]:
    if not pattern:
        raise InputError(
            "layout filename needs --pattern, a regular expression with named groups such as"
            r" '(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)'"
        )
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--pattern '{pattern}' is no regular expression: {error}") from error
    groups = set(expression.groupindex)
    if unknown := groups - set(_GROUPS):
        raise InputError(
            f"--pattern names the group '{min(unknown)}'; choose from {', '.join(_GROUPS)}"
        )
    if "well" not in groups and not {"well_row", "well_column"} <= groups:
        raise InputError("--pattern needs the group 'well', or 'well_row' and 'well_column'")
    return expression
