"""Channels of a field on top of one another, each in the colour of its stain.

Shapes: H height, W width.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.explorer.images import windowed

COLOURS = {
    "blue": (60, 110, 255),
    "green": (0, 220, 80),
    "red": (255, 50, 40),
    "yellow": (255, 215, 0),
    "magenta": (255, 60, 220),
    "cyan": (0, 215, 255),
    "orange": (255, 140, 0),
    "white": (255, 255, 255),
}
OFF = "off"
# Words in the names of channels and markers, and the colour in which they are usually shown.
_STAINS = (
    ("blue", r"dna|dapi|hoechst|nucle|ch0?1$"),
    ("red", r"mito|tmrm|tom20"),
    ("yellow", r"agp|golgi|wga|membrane"),
    ("green", r"tubulin|gfp|fitc|^er$|er\b|conca|488"),
    ("magenta", r"rna|syto|nucleol"),
    ("orange", r"actin|phalloidin|rhodamine|tritc"),
)
_BY_PLACE = ("blue", "green", "red", "yellow", "magenta", "cyan", "orange", "white")


def stain_colours(channels: Sequence[str]) -> dict[str, str]:
    """A colour for each channel: that of its stain if its name tells, else one that is free."""
    found: dict[str, str] = {}
    for channel in channels:
        for colour, pattern in _STAINS:
            if re.search(pattern, channel.lower()) and colour not in found.values():
                found[channel] = colour
                break
    free = [colour for colour in _BY_PLACE if colour not in found.values()]
    for number, channel in enumerate(c for c in channels if c not in found):
        found[channel] = free[number] if number < len(free) else _BY_PLACE[number % 8]
    return {channel: found[channel] for channel in channels}


def blended(
    planes: Sequence[NDArray[np.float32]],
    windows: Sequence[tuple[float, float]],
    colours: Sequence[str],
) -> NDArray[np.uint8]:
    """Planes (H, W) as one picture (H, W, 3): the sum of their grey levels times their colours.

    windows: counts shown as black and as the full colour. colours: names in COLOURS.
    Raises InputError for another colour, or planes of different sizes.
    """
    for colour in colours:
        if colour not in COLOURS:
            raise InputError(f"colour '{colour}' is unknown; choose one of {', '.join(COLOURS)}")
    if len({plane.shape for plane in planes}) != 1:
        raise InputError("the channels have different sizes and cannot be shown together")
    total = np.zeros((*planes[0].shape, 3), dtype=np.float32)
    for plane, (low, high), colour in zip(planes, windows, colours, strict=True):
        grey = windowed(plane, low, high).astype(np.float32) / 255
        total += grey[:, :, None] * np.array(COLOURS[colour], dtype=np.float32)
    return np.asarray(np.clip(total + 0.5, 0, 255), dtype=np.uint8)


def bar_um(width_um: float) -> float:
    """A round length for a scale bar, about a fifth of the width of an image, micrometres."""
    power = 10 ** np.floor(np.log10(width_um / 5))
    return float(max(step for step in (1, 2, 5) if step * power <= width_um / 5) * power)
