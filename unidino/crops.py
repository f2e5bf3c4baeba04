"""The pieces of a field that a network embeds.

Shapes: C channels, H and W sides of a field, N crops, S side of a crop.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from unidino.samples import padded
from unidino.store import Plane


def starts(length_px: int, size_px: int, stride_px: int, *, cover: bool = False) -> list[int]:
    """Where crops begin along a side that is not shorter than a crop.

    cover: one more crop ends at the far edge, if the others do not reach it.
    """
    places = list(range(0, length_px - size_px + 1, stride_px))
    if cover and places[-1] + size_px < length_px:
        places.append(length_px - size_px)
    return places


def corners(
    shape: tuple[int, ...], size_px: int, stride_px: int, *, cover: bool = False
) -> NDArray[np.int32]:
    """Top and left (N, 2) of the crops of a field of shape (..., H, W), row by row.

    A field shorter than a crop is taken as mirrored to the crop's size.
    """
    rows, columns = (
        starts(max(side, size_px), size_px, stride_px, cover=cover) for side in shape[-2:]
    )
    return np.array([(top, left) for top in rows for left in columns], dtype=np.int32)


def crops_of(
    planes: Plane, size_px: int, stride_px: int, *, cover: bool = False
) -> NDArray[np.generic]:
    """Crops (N, C, S, S) of planes (C, H, W), row by row.

    What the grid does not reach is left out, unless cover adds crops at the far edges. Planes
    shorter than a crop are mirrored at their far edges to its size.
    Source: Morelli et al. 2025, section 2.2.2.
    """
    whole = padded(planes, size_px)
    places = corners(whole.shape, size_px, stride_px, cover=cover)
    crops = np.empty((len(places), len(planes), size_px, size_px), planes.dtype)
    for crop, (top, left) in zip(crops, places, strict=True):
        crop[:] = whole[:, top : top + size_px, left : left + size_px]
    return crops


def resized_shape(height_px: int, width_px: int, short_side_px: int) -> tuple[int, int]:
    """Height and width of a field whose shorter side is resized to this length, in px."""
    factor = short_side_px / min(height_px, width_px)
    height, width = (max(short_side_px, round(side * factor)) for side in (height_px, width_px))
    return height, width


def resized(planes: Plane, short_side_px: int) -> NDArray[np.float32]:
    """Planes (C, H, W) whose shorter side has this length, bilinear and without aliasing; counts.

    Source: Morelli et al. 2025, section 2.2.2, for very large fields.
    """
    height, width = planes.shape[-2:]
    size = resized_shape(height, width, short_side_px)
    counts = torch.from_numpy(planes.astype(np.float32)).unsqueeze(0)
    smaller = F.interpolate(counts, size=size, mode="bilinear", antialias=True)
    return smaller.squeeze(0).numpy()
