"""Figures of one plane, measured once when it is read: how bright, how sharp, fit for use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.store import Plane

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class PlaneStatistics:
    """Figures of one plane, intensities in counts.

    saturation: share of pixels at the maximum of the type.
    focus: variance of the Laplacian over the variance of the plane, unitless.
    """

    p0_1: float
    p99_9: float
    mean: float
    saturation: float
    focus: float

    @property
    def qc(self) -> str:
        """`blank` if both percentiles are equal, `saturated` if over 1 % are at the maximum."""
        if self.p0_1 == self.p99_9:
            return "blank"
        return "saturated" if self.saturation > 0.01 else "ok"


def plane_statistics(plane: Plane) -> PlaneStatistics:
    """Percentiles (linear between ranks), mean, saturation and focus of a plane (H, W).

    All but the focus come from one histogram; the Laplacian is summed over bands of rows that stay
    in the processor's cache.
    """
    histogram = np.bincount(plane.ravel(), minlength=np.iinfo(plane.dtype).max + 1)
    levels = np.arange(histogram.size, dtype=np.float64)
    mean = float(histogram @ levels) / plane.size
    variance = float(histogram @ (levels - mean) ** 2) / plane.size
    low, high = _percentiles(histogram, (0.001, 0.999))
    return PlaneStatistics(
        p0_1=low,
        p99_9=high,
        mean=mean,
        saturation=float(histogram[-1] / plane.size),
        focus=_laplacian_variance(plane) / variance if variance > 0 else 0.0,
    )


def _laplacian_variance(plane: Plane) -> float:
    """Variance of the four-neighbour Laplacian over the inner pixels of a plane (H, W)."""
    height, width = plane.shape
    count = (height - 2) * (width - 2)
    if height < 3 or width < 3:
        return 0.0
    total = total_of_squares = 0.0
    for top in range(0, height - 2, _ROWS_AT_ONCE):
        band = plane[top : top + _ROWS_AT_ONCE + 2].astype(np.int32)
        laplacian = band[1:-1, 1:-1] * -4
        for neighbour in (band[:-2, 1:-1], band[2:, 1:-1], band[1:-1, :-2], band[1:-1, 2:]):
            laplacian += neighbour
        values = laplacian.ravel().astype(np.float64)
        total += float(values.sum())
        total_of_squares += float(values @ values)
    return float(total_of_squares / count - (total / count) ** 2)


def _percentiles(histogram: NDArray[np.int64], shares: tuple[float, ...]) -> list[float]:
    """Percentiles of integers given their histogram, equal to numpy's linear interpolation."""
    cumulative = np.cumsum(histogram)
    results = []
    for share in shares:
        rank = share * (cumulative[-1] - 1)
        below = int(np.floor(rank))
        low, high = np.searchsorted(
            cumulative, [below, min(below + 1, cumulative[-1] - 1)], "right"
        )
        results.append(float(low + (high - low) * (rank - below)))
    return results
