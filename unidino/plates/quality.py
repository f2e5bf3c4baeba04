"""Statistics of one plane, measured when it is read: brightness, saturation, focus, flag."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.lake.pixels import Plane

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class PlaneStatistics:
    """Statistics of one plane; intensities are in counts.

    p0_1, p99_9: percentiles. saturation: share of pixels at the maximum of the type. focus:
    variance of the Laplacian over the variance of the plane, unitless.
    """

    p0_1: float
    p99_9: float
    mean: float
    saturation: float
    focus: float

    @property
    def qc(self) -> Literal["ok", "blank", "saturated"]:
        """`blank` if both percentiles are equal, `saturated` if over 1 % are at the maximum."""
        if self.p0_1 == self.p99_9:
            return "blank"
        return "saturated" if self.saturation > 0.01 else "ok"


def plane_statistics(plane: Plane) -> PlaneStatistics:
    """Percentiles (linear between ranks), mean, saturation and focus of a plane (H, W).

    Every step releases Python's global lock, so that threads measure planes in parallel. Squares
    are summed over a row in float32 and over rows in float64; the relative error is below 1e-6.
    """
    maximum = np.iinfo(plane.dtype).max
    low, high = pc.quantile(pa.array(plane.ravel()), [0.001, 0.999]).to_pylist()
    mean = float(plane.sum(dtype=np.uint64)) / plane.size
    variance = _variance(plane, mean)
    return PlaneStatistics(
        p0_1=low,
        p99_9=high,
        mean=mean,
        saturation=np.count_nonzero(plane == maximum) / plane.size,
        focus=_laplacian_variance(plane) / variance if high > low and variance > 0 else 0.0,
    )


def _variance(plane: Plane, mean: float) -> float:
    """Variance of a plane (H, W), summed over bands of rows that fit in the processor's cache."""
    squares = 0.0
    for top in range(0, plane.shape[0], _ROWS_AT_ONCE):
        centred = plane[top : top + _ROWS_AT_ONCE].astype(np.float32)
        centred -= np.float32(mean)
        squares += _sum_of_squares(centred)
    return squares / plane.size


def _laplacian_variance(plane: Plane) -> float:
    """Variance of the four-neighbour Laplacian over the inner pixels of a plane (H, W).

    It is summed over bands of rows that fit in the processor's cache.
    """
    height, width = plane.shape
    if height < 3 or width < 3:
        return 0.0
    total = squares = 0.0
    for top in range(0, height - 2, _ROWS_AT_ONCE):
        band = plane[top : top + _ROWS_AT_ONCE + 2].astype(np.float32)
        laplacian = band[1:-1, 1:-1] * np.float32(-4)
        for neighbour in (band[:-2, 1:-1], band[2:, 1:-1], band[1:-1, :-2], band[1:-1, 2:]):
            laplacian += neighbour
        total += float(laplacian.sum(axis=1).sum(dtype=np.float64))
        squares += _sum_of_squares(laplacian)
    count = (height - 2) * (width - 2)
    return float(squares / count - (total / count) ** 2)


def _sum_of_squares(values: NDArray[np.float32]) -> float:
    return float(np.einsum("ij,ij->i", values, values).sum(dtype=np.float64))
