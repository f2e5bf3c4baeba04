"""Images whose metadata are in their paths."""

import re
from pathlib import Path

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.wells import well_name
from unidino.plates.tables import text_table

_IMAGE_SUFFIXES = {".tif", ".tiff", ".png"}

# Opera Phenix and Operetta export one plane per file. The plate is the folder of the files, or the
# folder above it if that is `Images`.
_HARMONY = (
    r"(?P<plate>[^/]+)/(?:Images/)?r(?P<well_row>\d+)c(?P<well_column>\d+)f(?P<field>\d+)"
    r"p(?P<z>\d+)-ch(?P<channel_index>\d+)sk(?P<timepoint>\d+)fk\d+fl\d+\.tiff?$"
)
_GROUPS = (
    "plate",
    "well",
    "well_row",
    "well_column",
    "field",
    "channel",
    "channel_index",
    "z",
    "timepoint",
    "batch",
    "source",
    "dataset",
)


def scan(path: Path, layout: str, pattern: str | None) -> pa.Table:
    """A row of text columns for each image under a folder whose path the pattern matches.

    layout: `harmony`, whose pattern is known, or `filename`. pattern: of --pattern.
    Raises InputError if the pattern is wrong or matches no path.
    """
    expression = re.compile(_HARMONY) if layout == "harmony" else compiled(pattern)
    files = walk_images(path.resolve())
    rows, left_out = [], []
    for file in files:
        if groups := match_path(file, expression):
            if "channel" not in groups and "channel_index" not in groups:
                groups["channel"] = "intensity"
            place: dict[str, str | None] = {"path": str(file), "plate": path.resolve().name}
            rows.append(place | groups)
        else:
            left_out.append(file)
    if not rows:
        raise InputError(
            f"layout {layout} matches none of the {len(files)} images under '{path}'"
            + ("" if files else f" (looked for {', '.join(sorted(_IMAGE_SUFFIXES))})")
        )
    if left_out:
        log.warning(
            f"{len(left_out)} of {len(files)} images are left out: their names do not match, such"
            f" as '{left_out[0]}'"
        )
    return text_table(rows)


def walk_images(path: Path) -> list[Path]:
    """Image files under a folder, in order of name.

    Raises InputError if the path is not a folder.
    """
    if not path.is_dir():
        raise InputError(f"this layout reads a folder; '{path}' is a file")
    return sorted(f for f in path.rglob("*") if f.suffix.lower() in _IMAGE_SUFFIXES)


def match_path(file: Path, expression: re.Pattern[str]) -> dict[str, str | None] | None:
    """Values of a pattern's groups in a path, with the well's name and `field`; None if no match.

    file: absolute path. The field is 1 if the pattern has no such group.
    """
    match = expression.search(file.as_posix())
    if not match:
        return None
    groups: dict[str, str | None] = match.groupdict()
    row, column = groups.pop("well_row", None), groups.pop("well_column", None)
    if "well" not in groups and row and column:
        groups["well"] = well_name(int(row), int(column))
    groups.setdefault("field", "1")
    return groups


def compiled(pattern: str | None) -> re.Pattern[str]:
    """The regular expression of `--pattern`.

    Raises InputError if it is not valid, has unknown groups, or cannot name a well.
    """
    if not pattern:
        raise InputError(
            "this layout needs --pattern, a regular expression with named groups such as"
            r" '(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)'"
        )
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--pattern '{pattern}' is not a regular expression: {error}") from error
    groups = set(expression.groupindex)
    if unknown := groups - set(_GROUPS):
        raise InputError(
            f"--pattern names the group '{min(unknown)}'; choose from {', '.join(_GROUPS)}"
        )
    if "well" not in groups and not {"well_row", "well_column"} <= groups:
        raise InputError("--pattern needs the group 'well', or 'well_row' and 'well_column'")
    return expression
