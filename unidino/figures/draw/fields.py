"""Figure of the microscope images of one field."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unidino.figures.draw.style import MM, WIDTH_MM, new_figure, set_title, styled

_LONGEST_SIDE_PX = 360
_MOST_ACROSS = 5


def field_channels(
    planes: Sequence[NDArray[np.float32]], channels: Sequence[str], *, width_mm: float = WIDTH_MM
) -> Figure:
    """The channels of one field side by side, at most five in a row.

    planes: each (H, W), intensities in [0, 1]; larger ones are averaged to 360 px or less.
    """
    with styled():
        across = min(_MOST_ACROSS, max(3, len(planes)))
        down = -(-len(planes) // across)
        small = [_smaller(plane) for plane in planes]
        tallest = max(p.shape[0] / p.shape[1] for p in small)
        cell = width_mm * MM / across
        figure = new_figure(width_mm, down * (cell * tallest + 0.22))
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(planes) :]:
            axes.set_axis_off()
        for axes, plane, channel in zip(grid, small, channels, strict=False):
            axes.imshow(plane, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            set_title(axes, cell - 0.1, channel)
            axes.set_axis_off()
    return figure


def _smaller(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    factor = -(-max(plane.shape) // _LONGEST_SIDE_PX)
    height, width = (max(1, side // factor) for side in plane.shape)
    if factor == 1 or min(plane.shape) < factor:
        return plane
    cut = plane[: height * factor, : width * factor]
    return np.asarray(cut.reshape(height, factor, width, factor).mean(axis=(1, 3)))
