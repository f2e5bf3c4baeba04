"""OME-Zarr plates that stay where they are: all of their files must be in their own folders.

The lake reads such a plate again at any time, so a link that leads out of it could show any file.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from unidino.core.errors import InputError


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
