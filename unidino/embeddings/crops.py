"""Crops of fields: on a grid to embed, at random places to train on.

Shapes: C channels, H and W sides of a field, N crops, S side of a crop.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unidino.lake import pixels
from unidino.lake.pixels import Plane

_CELL_TRIES = 20
_CELL_SHARE = 0.01  # of a crop's pixels that must be above the plane's threshold


def read_planes(field: Path, indices: Iterable[int]) -> Plane:
    """Planes (C, H, W) of a field's channels, by their indices.

    Raises LakeError if a plane cannot be read.
    """
    return np.stack([pixels.read_plane(field, int(index)) for index in indices])


def starts(length_px: int, size_px: int, stride_px: int, *, cover: bool = False) -> list[int]:
    """First pixels of the crops along a side that is not shorter than a crop.

    cover: adds a crop that ends at the far edge, if the others do not reach it.
    """
    places = list(range(0, length_px - size_px + 1, stride_px))
    if cover and places[-1] + size_px < length_px:
        places.append(length_px - size_px)
    return places


def corners(
    shape: tuple[int, ...], size_px: int, stride_px: int, *, cover: bool = False
) -> NDArray[np.int32]:
    """Top and left (N, 2) of the crops of a field of shape (..., H, W), row by row.

    A side shorter than a crop counts as long as a crop: see `padded`.
    """
    rows, columns = (
        starts(max(side, size_px), size_px, stride_px, cover=cover) for side in shape[-2:]
    )
    return np.array([(top, left) for top in rows for left in columns], dtype=np.int32)


def crops_of(
    planes: Plane, size_px: int, stride_px: int, *, cover: bool = False
) -> NDArray[np.generic]:
    """Crops (N, C, S, S) of planes (C, H, W), row by row.

    Pixels that the grid does not reach are left out, unless cover adds crops at the far edges.
    Planes shorter than a crop are mirrored at their far edges to its size.
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
    """Planes (C, H, W) resized to this length of their shorter side, in counts.

    The interpolation is bilinear with antialiasing.
    Source: Morelli et al. 2025, section 2.2.2, for very large fields.
    """
    import torch
    from torch.nn import functional as F

    height, width = planes.shape[-2:]
    size = resized_shape(height, width, short_side_px)
    counts = torch.from_numpy(planes.astype(np.float32)).unsqueeze(0)
    smaller = F.interpolate(counts, size=size, mode="bilinear", antialias=True)
    return smaller.squeeze(0).numpy()


def padded(planes: Plane, size_px: int) -> Plane:
    """Planes (..., H, W), mirrored at their far edges so that no side is shorter than size_px."""
    short = [0] * (planes.ndim - 2) + [max(0, size_px - side) for side in planes.shape[-2:]]
    return np.pad(planes, [(0, s) for s in short], mode="symmetric") if any(short) else planes


def random_crops(
    planes: Plane, num: int, size_px: int, rng: np.random.Generator, *, threshold: float = -1
) -> Plane:
    """Crops (num, C, size_px, size_px) at random places of planes (C, H, W), native resolution.

    threshold: 1 % of a crop's pixels of the first channel must exceed these counts; if 20 tries
    find no such crop, the last one is taken. A negative threshold accepts any crop.
    """
    planes = padded(planes, size_px)
    crops = []
    for _ in range(num):
        for _ in range(_CELL_TRIES):
            top = rng.integers(0, planes.shape[-2] - size_px + 1)
            left = rng.integers(0, planes.shape[-1] - size_px + 1)
            crop = planes[:, top : top + size_px, left : left + size_px]
            if threshold < 0 or np.count_nonzero(crop[0] > threshold) >= _CELL_SHARE * size_px**2:
                break
        crops.append(crop)
    return np.stack(crops)


def otsu(plane: Plane) -> float:
    """The threshold in counts that separates a plane (H, W) best into dark and bright.

    Source: Otsu 1979, doi 10.1109/TSMC.1979.4310076, as scikit-image computes it, on every fourth
    row and column.
    """
    from skimage.filters import threshold_otsu

    threshold: float = threshold_otsu(plane[::4, ::4])
    return float(threshold)
