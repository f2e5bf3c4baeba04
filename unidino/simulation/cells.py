"""Geometry of the cells of a field, which all channels share, and filters over a field.

Shapes: N cells of a field, K waves of an outline, M points of a cell, P pixels across the patch
around a cell, S pixels across a field. A field is a torus: its opposite sides are neighbours, for
cells and for filters. `depth` is a position in a cell: 0 at the centre of the nucleus, 1 at the
nuclear envelope, 2 at the plasma membrane.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # float32; numpy's stubs do not say so of a transform
Random = np.random.Generator

PATCH_HALF_PX = 44  # holds the largest body


@dataclass(frozen=True)
class Outline:
    """N closed curves around centres: each has a mean radius and K waves around it."""

    radius_px: Array  # (N,)
    waves: Array  # (N, K), relative
    phases: Array  # (N, K), radian

    @classmethod
    def draw(cls, rng: Random, num: int, low: float, high: float, waves: list[float]) -> "Outline":
        """N outlines with a mean radius of low to high px, and with waves of about these sizes."""
        size = (num, len(waves))
        return cls(
            rng.uniform(low, high, num).astype(np.float32),
            (np.asarray(waves) * rng.uniform(0.5, 1.2, size)).astype(np.float32),
            rng.uniform(0, 2 * np.pi, size).astype(np.float32),
        )

    def at(self, angle: Array) -> Array:
        """Radius in px at angles (N, ...)."""
        shape = (-1, *(1,) * (angle.ndim - 1))
        ripple = np.ones_like(angle)
        for k in range(self.waves.shape[1]):
            ripple += self.waves[:, k].reshape(shape) * np.cos(
                (k + 1) * angle + self.phases[:, k].reshape(shape)
            )
        return ripple * self.radius_px.reshape(shape)


@dataclass(frozen=True)
class Cells:
    """Geometry of the cells of a field, which all channels share."""

    size_px: int
    centre: NDArray[np.intp]  # (N, 2) y, x
    nucleus: Outline
    body: Outline
    pole: Array  # (N, 1) radian, direction of the centrosome and the Golgi
    pixel: NDArray[np.intp]  # (N, P, P) index into the flattened field
    depth: Array  # (N, P, P)

    @classmethod
    def draw(cls, rng: Random, num: int, size_px: int) -> "Cells":
        """Up to `num` cells whose nuclei do not touch, on a field of size_px (at least 64)."""
        centre = np.empty((0, 2), np.intp)
        for candidate in rng.integers(0, size_px, (20 * num, 2)):
            gap = np.abs(centre - candidate)
            if (np.hypot(*np.minimum(gap, size_px - gap).T) > 30).all():
                centre = np.vstack([centre, candidate])
            if len(centre) == num:
                break
        num = len(centre)
        nucleus = Outline.draw(rng, num, 9, 12, [0, 0.14, 0.03])
        body = Outline.draw(rng, num, 25, 30, [0.1, 0.15, 0.06, 0.05, 0.04])
        pole = rng.uniform(0, 2 * np.pi, (num, 1)).astype(np.float32)
        step = np.arange(-PATCH_HALF_PX, PATCH_HALF_PX + 1)
        rows = (centre[:, :1] + step)[:, :, None] % size_px
        columns = (centre[:, 1:] + step)[:, None, :] % size_px
        radius, angle = polar_patch()
        angles = np.broadcast_to(angle, (num, *angle.shape))
        inner, outer = nucleus.at(angles), body.at(angles)
        depth = np.where(radius < inner, radius / inner, 1 + (radius - inner) / (outer - inner))
        return cls(size_px, centre, nucleus, body, pole, rows * size_px + columns, depth)

    def locate(self, depth: Array, angle: Array) -> tuple[Array, Array]:
        """Offsets y, x (px) of points (N, M) from the centre of their cell."""
        inner, outer = self.nucleus.at(angle), self.body.at(angle)
        radius = np.minimum(depth, 1) * inner + np.maximum(depth - 1, 0) * (outer - inner)
        return radius * np.sin(angle), radius * np.cos(angle)


@lru_cache
def polar_patch() -> tuple[Array, Array]:
    """Radius (px) and angle (radian) of every pixel of a patch, (P, P) each."""
    y, x = np.mgrid[-PATCH_HALF_PX : PATCH_HALF_PX + 1, -PATCH_HALF_PX : PATCH_HALF_PX + 1]
    return np.hypot(y, x).astype(np.float32), np.arctan2(y, x).astype(np.float32)


@lru_cache
def _frequency(size_px: int) -> Array:
    """Spatial frequency (cycles per px) of the transform of a field."""
    y, x = np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None, :]
    frequency: Array = np.hypot(y, x).astype(np.float32)
    return frequency


def gaussian(size_px: int, width_px: float) -> Array:
    """Transfer function of a Gaussian. width_px: its standard deviation."""
    transfer: Array = np.exp(-2 * (np.pi * width_px * _frequency(size_px)) ** 2)
    return transfer


def filtered(image: Array, transfer: Array) -> Array:
    """The image (S, S) with its frequencies weighted by a transfer function."""
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, image.shape)


def texture(rng: Random, size_px: int, wavelength_px: float) -> Array:
    """A random relief (S, S) of one wavelength, with mean 0 and standard deviation 1."""
    frequency = _frequency(size_px)
    waves = rng.standard_normal((*frequency.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    waves *= np.exp(-(((frequency * wavelength_px - 1) / 0.35) ** 2))
    relief: Array = np.fft.irfft2(waves, (size_px, size_px))
    relief /= relief.std()
    return relief
