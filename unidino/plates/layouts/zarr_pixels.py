"""What is wrong with the pixels of an image of an OME-Zarr plate, before they are read."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from unidino.lake import arrays
from unidino.lake.arrays import FieldArray
from unidino.lake.chunks import unstored
from unidino.plates.layouts.notes import Notes


def check_resolutions(group: Path, image: Mapping[str, Any], array: FieldArray) -> None:
    """Raise ValueError if the first resolution, which is read, is not the largest.

    image: metadata of the resolutions. array: the first of them.
    """
    for dataset in image["datasets"][1:]:
        try:
            other = arrays.shape_of(group, str(dataset["path"]))
        except arrays.DAMAGE:
            continue  # it is not read
        if len(other) == len(array.shape) and prod(other[-2:]) > prod(array.shape[-2:]):
            height, width = array.shape[-2:]
            raise ValueError(
                f"its first resolution is {height} x {width} px, but '{dataset['path']}' is"
                f" {other[-2]} x {other[-1]} px; the largest must be the first"
            )


def say_unstored(array: FieldArray, group: Path, notes: Notes) -> None:
    """Note what is not stored of an image and so has the fill value, which is often zero.

    Damage is reported when the pixels are read.
    """
    if array.is_shard_of_planes:
        return  # what is not there is an image that is absent
    try:
        found = unstored(array)
    except arrays.DAMAGE:
        return
    fill = "stored, so that all have the fill value"
    if found.is_all:
        notes.add(f"no pixels are {fill}", group)
        return
    for channel in found.channels:
        notes.add(f"no pixels of a channel are {fill}", f"{group}, channel {channel}")
    if found.num_others:
        message = "chunks are not stored, so that their pixels have the fill value"
        notes.add(message, f"{group}, {found.num_others} of {found.num_chunks} chunks")
