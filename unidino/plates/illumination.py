"""Illumination functions: how much light each pixel of a plate's channel got, to divide by.

Shapes: H height, W width.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.lake.pixels import Plane

Function = NDArray[np.float32]  # (H, W), unitless, about 1 where there is least light

ESTIMATE = "estimate"
NUM_SAMPLED = 200  # fields that an estimate averages
_SMOOTHING = 0.1  # standard deviation of the smoothing, share of the shorter side
_ROBUST_MINIMUM = 0.02


def load(folder: Path, plate: str, channel: str) -> Function:
    """The function (H, W) of a plate's channel, from a .npy file in a folder.

    Names are tried in the order of `names`; the first is that of the Cell Painting Gallery.
    Raises InputError if there is none, or it is not a positive 2-D array.
    """
    path = find(folder, plate, channel)
    try:
        function = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"'{path}' is no .npy array: {error}") from error
    if function.ndim != 2 or not (np.isfinite(function).all() and (function > 0).all()):
        raise InputError(f"'{path}' is no illumination function: expected (H, W), all positive")
    return np.asarray(function, dtype=np.float32)


def find(folder: Path, plate: str, channel: str) -> Path:
    """The file of the function of a plate's channel.

    Raises InputError if there is none.
    """
    for name in names(plate, channel):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"no illumination function of plate {plate}, channel {channel} in '{folder}'; looked for"
        f" {', '.join(names(plate, channel))}"
    )


def names(plate: str, channel: str) -> list[str]:
    """File names under which the function of a plate's channel may lie in a folder."""
    return [
        f"{plate}/{plate}_Illum{channel}.npy",
        f"{plate}_Illum{channel}.npy",
        f"{plate}/{channel}.npy",
        f"{channel}.npy",
    ]


def estimate(planes: Iterable[Plane]) -> Function:
    """The function (H, W) of a channel from planes of many of its fields.

    The mean of the planes, smoothed, over its own robust minimum, and at least 1.
    Source: Singh et al. 2014, doi 10.1111/jmi.12178.
    """
    total: NDArray[np.float64] | None = None
    num = 0
    for plane in planes:
        total = plane.astype(np.float64) if total is None else total + plane
        num += 1
    from scipy import ndimage

    if total is None:
        raise InputError("no plane to estimate the illumination from")
    sigma = _SMOOTHING * min(total.shape)
    smooth = ndimage.gaussian_filter(total / num, sigma, mode="nearest")
    least = np.quantile(smooth, _ROBUST_MINIMUM)
    if least <= 0:
        return np.ones(smooth.shape, dtype=np.float32)
    return np.asarray(np.maximum(smooth / least, 1), dtype=np.float32)


def corrected(plane: Plane, function: Function) -> Plane:
    """The plane (H, W) divided by the function, rounded, of the plane's own type.

    Raises InputError if their sizes differ.
    """
    if plane.shape != function.shape:
        raise InputError(
            f"the illumination function is {function.shape}, but the image is {plane.shape}"
        )
    maximum = np.iinfo(plane.dtype).max
    return np.clip(np.rint(plane / function), 0, maximum).astype(plane.dtype)
