"""OME-Zarr plates that stay where they are: their folder, the paths and files of their fields.

All of their files must be in that folder: the lake reads such a plate again at any time, so a link
that leads out of it could show any file.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from unidino.core.errors import InputError
from unidino.lake import ngff
from unidino.lake.stacks import stack_path
from unidino.lake.states import FileState, files_below, state_of, unread_state_of
from unidino.plates.manifest import Row


def path_in_place(rows: Sequence[Row], z: str) -> str:
    """Path of a field's group in the plate that stays in place, with the time point and slice."""
    row = next(row for row in rows if row["paths"])
    group = Path(row["paths"][0]).relative_to(plate_in_place(rows)).as_posix()
    return stack_path(group, row["timepoint"], None if row["z"] is None else z)


def plate_in_place(rows: Sequence[Row]) -> Path:
    """Folder of the OME-Zarr plate of images, whose fields are the groups row/column/field."""
    return next(Path(row["paths"][0]).parents[2] for row in rows if row["paths"])


def states_in_place(rows: Sequence[Row]) -> list[FileState]:
    """States of the files of a field that stays where it is, and of the metadata of its well.

    Metadata have hashes; pixels, which may be large, have none.
    """
    groups = sorted({path for row in rows for path in row["paths"]})
    above = [parent / name for parent in Path(groups[0]).parents[:3] for name in ngff.METADATA]
    files = [str(path) for path in above if path.is_file()]
    files += [file for group in groups for file in files_below(group)]
    return [
        state_of(Path(file), file) if Path(file).name in ngff.METADATA else unread_state_of(file)
        for file in files
    ]


def check_inside(plate: str, folder: Path, groups: Iterable[str]) -> None:
    """Raise InputError if an image of a plate, or a file of it, is outside the plate's folder.

    groups: folders of the images, which are compared after all symbolic links.
    """
    root = folder.resolve()
    for group in groups:
        outside = _first_outside(root, Path(group))
        if outside is not None:
            raise InputError(
                f"--in-place: plate '{plate}' names a file outside of its folder: '{outside}' is"
                f" '{outside.resolve()}'; ingest it without --in-place, which copies the pixels"
            )


def _first_outside(root: Path, group: Path) -> Path | None:
    if not group.resolve().is_relative_to(root):
        return group
    for place, folders, files in os.walk(group):
        for path in (Path(place) / name for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                return path
    return None
