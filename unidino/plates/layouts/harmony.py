"""Opera Phenix and Operetta exports: by their index, or by file names if the index is lost.

The index lies beside the images, or above the folder `Images`. An export may have two indexes, such
as one of the raw and one of the flat-field corrected images: they list the same wells, so one is
taken.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import Row, from_places, unplaced, well_of_name
from unidino.plates.layouts.filenames import IMAGE_SUFFIXES
from unidino.plates.layouts.harmony_index import Index, is_images, plate_of_folder
from unidino.plates.layouts.walk import walk_files
from unidino.plates.tables import text_table

_NAMES = ("Index.idx.xml", "Index.ref.xml", "Index.xml")  # the first one is taken
_IMAGE = re.compile(
    r"r(?P<row>\d+)c(?P<column>\d+)f(?P<field>\d+)p(?P<z>\d+)-ch(?P<channel_index>\d+)"
    r"(?:sk(?P<timepoint>\d+)fk\d+fl\d+|t(?P<timepoint_7>\d+))\.tiff?",
    re.IGNORECASE,
)


def scan(path: Path) -> pa.Table:
    """A row of text columns for each image under a folder, or of an index file.

    An index gives channel names, wavelengths (nm), pixel size and stage position (um); file names
    do not. An index or an image that is damaged has its problem in a row.
    Raises InputError if there is no image.
    """
    if path.is_file():
        return text_table(_read([path]))
    files = walk_files(path)
    indexes = []
    for export, found in _exports(files).items():
        indexes.append(found[0])
        if found[1:]:
            others = ", ".join(f"'{index.relative_to(export)}'" for index in found[1:])
            log.warning(
                f"'{export}' has {len(found)} indexes: '{found[0].relative_to(export)}' is taken,"
                f" {others} is left out; to take another index, pass it as PATH"
            )
    if not indexes:
        return text_table(_by_names(path, files))
    rows = _read(indexes)
    _warn_of_unlisted(path, files, rows)
    return text_table(rows)


def chosen_indexes(path: Path) -> list[Path]:
    """The indexes that are read of a folder, or of an index file."""
    if path.is_file():
        return [path]
    return [found[0] for found in _exports(walk_files(path)).values()]


def _exports(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """The indexes of each export among files, by its folder; that which is read is the first.

    It is the first of `_NAMES`. Of two of the same name it is that beside the images.
    """
    ranks = {name: rank for rank, name in enumerate(_NAMES)}
    found = [file for file in files if file.name in ranks]
    if not found:
        ranks = {name.lower(): rank for name, rank in ranks.items()}
        found = [file for file in files if file.name.lower() in ranks]
    by_export: dict[Path, list[tuple[int, bool, Path]]] = {}
    for file in found:
        beside = is_images(file.parent)
        rank = ranks.get(file.name, ranks.get(file.name.lower(), len(ranks)))
        export = file.parent.parent if beside else file.parent
        by_export.setdefault(export, []).append((rank, not beside, file))
    return {
        export: [file for _, _, file in sorted(indexes)] for export, indexes in by_export.items()
    }


def _read(indexes: Sequence[Path]) -> list[Row]:
    """Rows of all indexes."""
    parts: list[tuple[Path, list[Row]]] = []
    for index in indexes:
        try:
            rows = Index.read(index).rows()
        except InputError as error:
            rows = [unplaced(str(error))]
        if not rows:
            log.warning(f"'{index}' lists no image")
        parts.append((index, rows))
    if not any(rows for _, rows in parts):
        raise InputError(f"'{indexes[0]}' lists no image")
    return from_places(parts)


def _by_names(path: Path, files: Sequence[Path]) -> list[Row]:
    """Rows of an export without an index."""
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    parts: dict[Path, list[Row]] = {}
    left_out = []
    for file in images:
        if match := _IMAGE.fullmatch(file.name):
            parts.setdefault(file.parent, []).append(_named(file, match))
        else:
            left_out.append(file)
    if not parts:
        such_as = f" (such as '{images[0].name}')" if images else ""
        raise InputError(
            f"layout harmony matches none of the {len(images)} images under '{path}'{such_as}, and"
            f" there is no {_NAMES[0]}; it reads names such as r01c01f01p01-ch1sk1fk1fl1.tiff and"
            " r01c01f01p01-ch1t01.tiff"
        )
    if left_out:
        log.warning(
            f"{len(left_out)} of {len(images)} images are left out: their names do not match, such"
            f" as '{left_out[0]}'"
        )
    folder = path.resolve()
    above = [f for name in _NAMES if is_images(folder) and (f := folder.parent / name).is_file()]
    hint = f"; the index '{above[0]}' lies above: pass it as PATH to have them" if above else ""
    log.info(
        f"no index under '{path}': {len(images) - len(left_out)} images are read by their names,"
        f" which say nothing of channel names and pixel size{hint}"
    )
    return from_places(parts.items())


def _named(file: Path, match: re.Match[str]) -> Row:
    row: Row = {
        "path": str(file.resolve()),
        "plate": plate_of_folder(file.parent),
        "field": match["field"],
        "channel_index": match["channel_index"],
        "z": match["z"],
        "timepoint": match["timepoint"] or match["timepoint_7"],
    }
    return row | well_of_name(file, match["row"], match["column"])


def _warn_of_unlisted(path: Path, files: Sequence[Path], rows: Sequence[Row]) -> None:
    """Warn of images that have the name of a plane and that no index lists."""
    listed = {row["path"] for row in rows}
    images = [file for file in files if _IMAGE.fullmatch(file.name)]
    folders = {folder: folder.resolve() for folder in {file.parent for file in images}}
    unlisted = [
        file
        for file in images
        if str(folders[file.parent] / file.name) not in listed and str(file.resolve()) not in listed
    ]
    if unlisted:
        log.warning(
            f"{len(unlisted)} images under '{path}' are left out: no index that is read lists them,"
            f" such as '{unlisted[0]}'; an export without index is read by its names if its own"
            " folder is PATH"
        )
