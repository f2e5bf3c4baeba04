"""Illumination functions of a plate's channels: planes are divided by them to even the light.

Shapes: H height, W width.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unidino.core import stopping
from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS
from unidino.core.text import cell
from unidino.lake.pixels import Plane
from unidino.plates.conversion import AS_STORED, Conversion
from unidino.plates.images import Files
from unidino.plates.manifest import Row

Function = NDArray[np.float32]  # (H, W), unitless, about 1 where the light is least

ESTIMATE = "estimate"
HARMONY = "harmony"  # of the index of a Harmony export; a folder of this name comes first
_NUM_SAMPLED = 200  # fields that an estimate averages
_SMOOTHING = 0.1  # standard deviation of the smoothing, share of the shorter side
_ROBUST_MINIMUM = 0.02  # quantile


def functions_of_plate(
    source: str | None,
    plate: str,
    rows: Sequence[Row],
    jobs: int,
    conversion: Conversion = AS_STORED,
    max_pixels: int = MAX_PIXELS,
) -> dict[int, Function]:
    """The illumination function of each channel index of a plate, loaded or estimated.

    source: folder of functions, or `estimate`; None for no functions. jobs: threads. conversion,
    max_pixels: of the images that an estimate averages.
    Raises InputError if a function is missing or not valid.
    """
    if source is None:
        return {}
    channels: dict[int, list[Row]] = {}
    for row in filter(itemgetter("paths"), rows):
        channels.setdefault(row["channel_index"], []).append(row)
    if source != ESTIMATE:
        folder = Path(source)
        return {
            index: load(folder, plate, group[0]["channel"]) for index, group in channels.items()
        }
    with ThreadPoolExecutor(jobs) as pool:
        estimates = pool.map(
            lambda group: estimate(_sampled(group, conversion, max_pixels)), channels.values()
        )
        return dict(zip(channels, estimates, strict=True))


def _sampled(rows: list[Row], conversion: Conversion, max_pixels: int) -> Iterator[Plane]:
    """Planes of evenly spaced fields of one channel; unreadable ones are reported by `convert`."""
    step = max(1, len(rows) // _NUM_SAMPLED)
    for row in rows[::step][:_NUM_SAMPLED]:
        stopping.check()
        try:
            yield Files(conversion, max_pixels).read_image(row["paths"], row["pages"])
        except InputError:
            continue


def load(folder: Path, plate: str, channel: str) -> Function:
    """The function (H, W) of a plate's channel, from a .npy file in a folder.

    The names in `names` are tried in order; the first is that of the Cell Painting Gallery.
    Raises InputError if there is no such file, or if it is not a positive 2-D array.
    """
    path = find(folder, plate, channel)
    try:
        function = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"'{path}' is not a .npy array: {error}") from error
    if function.ndim != 2 or not (np.isfinite(function).all() and (function > 0).all()):
        raise InputError(f"'{path}' is not an illumination function: expected (H, W), all positive")
    return np.asarray(function, dtype=np.float32)


def find(folder: Path, plate: str, channel: str) -> Path:
    """The file of the function of a plate's channel in a folder.

    Raises InputError if there is no such file.
    """
    for name in names(plate, channel):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"no illumination function of plate {plate}, channel {channel} in '{folder}'; looked for"
        f" {', '.join(names(plate, channel))}"
    )


def names(plate: str, channel: str) -> list[str]:
    """File names that the function of a plate's channel may have in a folder.

    Raises InputError for a channel whose name would lead out of the folder.
    """
    if channel.startswith("/") or ".." in channel.split("/") or "\0" in channel:
        raise InputError(
            f"the channel '{cell(channel)}' cannot have a file of its name; give it another name by"
            " --channel-names"
        )
    return [
        f"{plate}/{plate}_Illum{channel}.npy",
        f"{plate}_Illum{channel}.npy",
        f"{plate}/{channel}.npy",
        f"{channel}.npy",
    ]


def estimate(planes: Iterable[Plane]) -> Function:
    """The function (H, W) of a channel, estimated from planes of many of its fields.

    It is the smoothed mean of the planes divided by the robust minimum of that mean, and at least
    1. Of planes of several sizes, those of the most frequent one count.
    Source: Singh et al. 2014, doi 10.1111/jmi.12178.
    """
    from scipy import ndimage

    totals: dict[tuple[int, ...], NDArray[np.float64]] = {}
    nums: Counter[tuple[int, ...]] = Counter()
    for plane in planes:
        totals[plane.shape] = plane + totals.get(plane.shape, np.float64(0))
        nums[plane.shape] += 1
    if not nums:
        raise InputError("no plane to estimate the illumination from")
    [(shape, num)] = nums.most_common(1)
    total = totals[shape]
    sigma = _SMOOTHING * min(total.shape)
    smooth = ndimage.gaussian_filter(total / num, sigma, mode="nearest")
    least = np.quantile(smooth, _ROBUST_MINIMUM)
    if least <= 0:
        return np.ones(smooth.shape, dtype=np.float32)
    return np.asarray(np.maximum(smooth / least, 1), dtype=np.float32)


def corrected(plane: Plane, function: Function) -> Plane:
    """The plane (H, W) divided by the function, rounded, in the type of the plane.

    Raises InputError if their sizes differ.
    """
    if plane.shape != function.shape:
        raise InputError(
            f"the illumination function is {function.shape}, but the image is {plane.shape}"
        )
    maximum = np.iinfo(plane.dtype).max
    return np.clip(np.rint(plane / function), 0, maximum).astype(plane.dtype)
