"""Pixels of one image as its file stores them, before they become a plane.

Shapes: H height, W width, S samples of a pixel, N colours of a palette.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS

MAX_BYTES = 2**31 - 17  # of a plane: the longest chunk that Blosc encodes


class Note(NamedTuple):
    """What a user is told of an image that lands.

    text: the same for all images that it is true of. path: file of the image. share: of its pixels
    that it is true of.
    """

    text: str
    path: str
    share: float = 1.0


def summaries(notes: Iterable[Note]) -> list[str]:
    """A line for each text of notes, with the number of images and the one with most pixels."""
    by_text: dict[str, list[Note]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note)
    lines = []
    for text, same in by_text.items():
        most = max(same, key=lambda note: note.share)
        share = f" ({most.share:.2%} of its pixels)" if most.share < 1 else ""
        num = len({note.path for note in same})
        images = "image" if num == 1 else f"{num} images, such as"
        lines.append(f"{images} '{most.path}'{share}: {text}")
    return lines


@dataclass(frozen=True)
class Picture:
    """Pixels as a file stores them.

    values: (H, W), or (H, W, 3) if they are colours. meaning: what a value is; a word other than
    `intensity`, `colour` and `palette` is what no conversion understands. palette: colours (N, 3)
    that the values number. alpha: (H, W), 0 where transparent. lossy: name of a compression that
    has changed the values. notes: what there is to say.
    """

    values: NDArray[Any]
    meaning: str = "intensity"
    palette: NDArray[Any] | None = None
    alpha: NDArray[Any] | None = None
    lossy: str | None = None
    notes: tuple[str, ...] = ()


def native(values: NDArray[Any]) -> NDArray[Any]:
    """The values in the byte order of this machine."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def of_samples(values: NDArray[Any], **about: Any) -> Picture:
    """The picture of values (H, W) or (H, W, S): grey, grey and alpha, colours, colours and alpha.

    about: other fields of the picture.
    """
    match values.shape:
        case (_, _):
            return Picture(values, **about)
        case (_, _, 2):
            return Picture(values[..., 0], alpha=values[..., 1], **about)
        case (_, _, 3):
            return Picture(values, "colour", **about)
        case (_, _, 4):
            return Picture(values[..., :3], "colour", alpha=values[..., 3], **about)
    return Picture(values, f"{values.shape[-1]} samples a pixel that are no colours", **about)


def of_palette(numbers: NDArray[Any], palette: NDArray[Any], bits: int, **about: Any) -> Picture:
    """The picture of numbers (H, W) of colours (N, 3) with so many bits.

    Numbers of a palette that is the ramp from black to white, a step a number, are intensities.
    """
    ramp = np.arange(len(palette)) * (2**bits - 1) // max(len(palette) - 1, 1)
    shifted = np.arange(len(palette)) << max(bits - (len(palette) - 1).bit_length(), 0)
    if any((palette == steps[:, None]).all() for steps in (ramp, shifted)):
        return Picture(numbers, **about)
    if numbers.dtype == np.bool_:
        numbers = numbers.astype(np.uint8)
    return Picture(numbers, "palette", palette=palette, **about)


def check_size(
    path: str, height: int, width: int, bytes_per_pixel: float, max_pixels: int = MAX_PIXELS
) -> None:
    """Raise InputError if a plane is larger than what a lake can hold, before it is decoded.

    max_pixels: that a plane may have, as the user allows.
    """
    if height * width > max_pixels:
        raise InputError(
            f"image '{path}' is {height} x {width} px; a plane can have up to {max_pixels} pixels"
            " (--max-pixels)"
        )
    if height * width * bytes_per_pixel > MAX_BYTES:
        gigabytes = height * width * bytes_per_pixel / 2**30
        raise InputError(
            f"image '{path}' is {height} x {width} px, {gigabytes:.1f} GiB; a plane can have up to"
            " 2 GiB: cut it into fields"
        )
