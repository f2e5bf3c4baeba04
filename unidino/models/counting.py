"""Numbers of nuclei in planes: the segmentation of `cellprofiler`, on planes that are made smaller.

Shapes: H rows, W columns of a plane in pixels.
"""

import numpy as np
from numpy.typing import NDArray

from unidino.models.cellprofiler import Image, nuclear_diameter, segment_nuclei

_LEAST_DIAMETER_PX = 14  # of a nucleus in the smaller plane; numbers then change by a few per cent
_COARSE = 2


def count_nuclei(plane: Image) -> int:
    """The number of nuclei in a plane (H, W) of uint8 or uint16; those cut by its border count.

    The plane is averaged over squares of pixels as long as the usual nucleus keeps a diameter of
    14 px, which makes the segmentation about five times as fast.
    """
    coarse = _reduced(plane, _COARSE)
    diameter = nuclear_diameter(coarse) * _COARSE
    factor = max(1, int(diameter / _LEAST_DIAMETER_PX))
    smaller = coarse if factor == _COARSE else _reduced(plane, factor)
    nuclei, _ = segment_nuclei(smaller)
    return int(nuclei.max(initial=0))


def _reduced(plane: Image, factor: int) -> NDArray[np.float32]:
    """Means over squares of `factor` by `factor` pixels; what is left over at the ends is cut."""
    height, width = (max(1, side // factor) for side in plane.shape)
    factor = min(factor, *plane.shape)
    cut = plane[: height * factor, : width * factor].astype(np.float32)
    means: NDArray[np.float32] = cut.reshape(height, factor, width, factor).mean(axis=(1, 3))
    return means
