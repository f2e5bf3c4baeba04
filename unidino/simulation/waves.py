"""Random reliefs and filters of a field, in single precision.

Shapes: S pixels across a field, N places. A field is a torus for filters.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft
from scipy.special import j1

from unidino.simulation.cells import Array, Random


def single(values: ArrayLike) -> Array:
    """The values in single precision."""
    return np.asarray(values, np.float32)


@lru_cache(maxsize=8)
def frequency(size_px: int) -> Array:
    """Spatial frequency (cycles per px) of the real transform of a field."""
    y, x = np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None, :]
    whole: Array = np.hypot(y, x).astype(np.float32)
    return whole


@lru_cache(maxsize=8)
def _whole_frequency(size_px: int) -> Array:
    """Spatial frequency of the complex transform of a field."""
    y = np.fft.fftfreq(size_px)
    whole: Array = np.hypot(y[:, None], y[None, :]).astype(np.float32)
    return whole


def gaussian(size_px: int, width_px: float) -> Array:
    """Transfer function of a Gaussian of this standard deviation."""
    transfer: Array = np.exp(np.float32(-2 * (np.pi * width_px) ** 2) * frequency(size_px) ** 2)
    return transfer


def disc(size_px: int, radius_px: float) -> Array:
    """Transfer function of a disc, the point spread of a lens far from focus."""
    at = np.float32(2 * np.pi * radius_px) * frequency(size_px) + np.float32(1e-4)
    transfer: Array = 2 * j1(at) / at
    return transfer


def smoothed(image: Array, transfer: Array) -> Array:
    """The image (S, S) with its frequencies weighted by a transfer function."""
    result: Array = fft.irfft2(fft.rfft2(image) * transfer, image.shape, overwrite_x=True)
    return result


@lru_cache(maxsize=8)
def _log_frequency(size_px: int) -> Array:
    """Logarithm of the spatial frequency of the complex transform of a field."""
    return single(np.log(np.maximum(_whole_frequency(size_px), 1 / size_px)))


def _pair(rng: Random, weight: Array) -> tuple[Array, Array]:
    """Two independent reliefs with this spectrum, mean 0 and standard deviation about 1."""
    weight[0, 0] = 0
    waves = rng.standard_normal((*weight.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    waves *= weight
    field = fft.ifft2(waves, overwrite_x=True)
    scale = np.float32(weight.size / (np.linalg.norm(weight) + 1e-9))
    return field.real * scale, field.imag * scale


def bumps(
    rng: Random, size_px: int, wavelength_px: float, width: float = 0.4
) -> tuple[Array, Array]:
    """Two reliefs around one wavelength. width: relative width of the band of frequencies."""
    at = _whole_frequency(size_px) * np.float32(min(max(wavelength_px, 2.0), 0.8 * size_px))
    return _pair(rng, np.exp(-(((at - 1) / np.float32(width)) ** 2)))


def clouds(rng: Random, size_px: int, steep: float, shortest_px: float = 2) -> tuple[Array, Array]:
    """Two reliefs whose amplitude falls as frequency to the power of -steep."""
    at = _whole_frequency(size_px) * np.float32(shortest_px)
    return _pair(rng, np.exp(np.float32(-steep) * _log_frequency(size_px) - at * at))


def ridge(relief: Array, width: float) -> Array:
    """1 where a relief or a distance is 0, less on both sides. width: where it is 1/e."""
    line: Array = np.exp(-((relief / width) ** 2))
    return line


def relief_at(rng: Random, places: Array, wavelength_px: float) -> Array:
    """A smooth random relief at places (N, 2): a sum of eight plane waves."""
    around = rng.uniform(0, 2 * np.pi, 8)
    number = 2 * np.pi / wavelength_px * rng.uniform(0.5, 1.5, 8)
    waves = number * np.stack([np.sin(around), np.cos(around)])
    total: Array = np.cos(places @ waves + rng.uniform(0, 2 * np.pi, 8)).sum(axis=1) / 2
    return total
