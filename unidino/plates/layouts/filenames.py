"""Images whose metadata are in their paths."""

import re
from pathlib import Path

import pyarrow as pa

from unidino.core import patterns
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import Row, well_of_name
from unidino.plates.layouts.looks import example
from unidino.plates.layouts.walk import walk_files
from unidino.plates.tables import text_table

IMAGE_SUFFIXES = {".tif", ".tiff", ".png"}
_LOSSY_SUFFIXES = {".jpg", ".jpeg", ".bmp"}  # often previews of the images
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
_ABOVE = {"plate", "batch", "source", "dataset"}  # groups that may lie in the name of the folder


def scan(path: Path, pattern: str | None) -> pa.Table:
    """A row of text columns for each image under a folder whose path the pattern matches.

    pattern: of --pattern. The plate is the folder if the pattern has no such group. JPEG and BMP
    files are read if no other image matches; beside others they are previews.
    Raises InputError if the pattern is wrong or matches no path.
    """
    try:
        expression = compiled(pattern)
    except InputError as error:
        name = "" if pattern else example(path)
        raise InputError(f"{error}" + f"; a name here is '{name}'" * bool(name)) from error
    root = path.resolve()
    files = walk_images(root, IMAGE_SUFFIXES | _LOSSY_SUFFIXES)
    with patterns.in_time("--pattern", expression.pattern, len(files)):
        matched = _matched(files, expression, root)
    if not matched:
        raise InputError(
            f"layout filename matches none of the {len(files)} images under '{path}'"
            + (
                f"; the pattern is searched in paths such as '{_from(root, files[0])}'"
                if files
                else f" (looked for {', '.join(sorted(IMAGE_SUFFIXES | _LOSSY_SUFFIXES))})"
            )
        )
    images = {f: row for f, row in matched.items() if f.suffix.lower() in IMAGE_SUFFIXES}
    if images:
        previews = [file for file in matched if file not in images]
        if previews:
            log.warning(
                f"{len(previews)} JPEG or BMP files are left out beside TIFF or PNG images, such as"
                f" '{previews[0]}'"
            )
        matched = images
        files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    left_out = [file for file in files if file not in matched]
    if left_out:
        log.warning(
            f"{len(left_out)} of {len(files)} images are left out: their names do not match, such"
            f" as '{left_out[0]}'"
        )
    rows: list[Row] = []
    for file, groups in matched.items():
        if "channel" not in groups and "channel_index" not in groups:
            groups["channel"] = "intensity"
        place: Row = {"path": str(file), "plate": root.name}
        rows.append(place | groups)
    return text_table(rows)


def walk_images(path: Path, suffixes: set[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Image files under a folder, in order of name.

    Raises InputError if the path is not a folder.
    """
    return [file for file in walk_files(path) if file.suffix.lower() in suffixes]


def match_below(
    file: Path, expression: re.Pattern[str], root: Path, *, others_below: bool = True
) -> Row | None:
    """Values of a pattern's groups in a path from the folder `root` on; None if it does not match.

    others_below: the name of the folder itself may give the groups of `_ABOVE` only.
    """
    below = file.relative_to(root).as_posix()
    starts = [f"{root.name}/", f"/{root.name}/", ""]
    if expression.pattern.startswith(("^", r"\A")):
        starts = ["", *starts[:2]]
    others = set(expression.groupindex) - _ABOVE
    for start in starts:
        match = expression.search(start + below)
        if match and not (
            others_below and any(0 <= match.start(group) < len(start) for group in others)
        ):
            return _groups(file, match)
    return None


def _matched(files: list[Path], expression: re.Pattern[str], root: Path) -> dict[Path, Row]:
    """Values of a pattern's groups in the path of each file that matches, from the folder on.

    The folder's own name may give a well only if no path has it below.
    """
    found: dict[Path, Row] = {}
    for others_below in (True, False):
        for file in files:
            if groups := match_below(file, expression, root, others_below=others_below):
                found[file] = groups
        if found:
            break
    return found


def _groups(file: Path, match: re.Match[str]) -> Row:
    """Values of the groups, with the well's name; `field` is 1 if the pattern lacks it."""
    groups: Row = match.groupdict()
    row, column = groups.pop("well_row", None), groups.pop("well_column", None)
    if "well" not in groups:
        groups |= well_of_name(file, row, column)
    groups.setdefault("field", "1")
    return groups


def _from(root: Path, file: Path) -> str:
    return f"{root.name}/{file.relative_to(root).as_posix()}"


def compiled(pattern: str | None) -> re.Pattern[str]:
    """The regular expression of `--pattern`.

    Raises InputError if it is not valid, has unknown groups, or cannot name a well.
    """
    if not pattern:
        raise InputError(
            "this layout needs --pattern, a regular expression with named groups such as"
            r" '(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)'"
        )
    expression = patterns.compiled("--pattern", pattern)
    groups = set(expression.groupindex)
    if unknown := groups - set(_GROUPS):
        raise InputError(
            f"--pattern names the group '{min(unknown)}'; choose from {', '.join(_GROUPS)}"
        )
    if "well" not in groups and not {"well_row", "well_column"} <= groups:
        raise InputError("--pattern needs the group 'well', or 'well_row' and 'well_column'")
    return expression
