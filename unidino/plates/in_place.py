"""OME-Zarr plates that stay where they are: their folder, the paths and files of their fields."""

from collections.abc import Sequence
from pathlib import Path

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
