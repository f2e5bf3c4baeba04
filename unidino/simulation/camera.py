"""The microscope and the camera of a plane, drawn anew for each plane.

Shapes: S pixels across a field.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.cells import Array, Random
from unidino.simulation.waves import clouds, disc, gaussian, smoothed


@dataclass(frozen=True)
class Camera:
    """How light becomes counts."""

    blur_px: float  # standard deviation of the point spread
    defocus_px: float  # radius of the disc of an object out of focus
    haze: float  # share of the light that spreads widely
    haze_px: float
    mottle: float  # relative strength of uneven staining
    vignette: float  # share of the light lost in the corners
    tilt: float  # share of the light lost towards one side
    background: float  # of the bright structures
    autofluorescence: float  # relative relief of the background
    photons: float  # of the bright structures
    read_noise: float  # of the bright structures
    full_counts: float  # counts of the bright structures
    offset: float  # counts
    step: int  # smallest difference of counts
    top: int  # largest count

    @classmethod
    def draw(cls, rng: Random, diameter_px: float) -> "Camera":
        """A camera; detail that it can show grows with the magnification."""
        fuzzy = rng.random()
        blur = rng.uniform(0.4, 1.3) + 0.006 * diameter_px * rng.random()
        if fuzzy < 0.1:
            blur = rng.uniform(1.5, 3)
        top, full = rng.choice([4095, 65535], p=[0.3, 0.7]), float(np.exp(rng.uniform(5.5, 9.8)))
        if top == 4095:
            full = float(rng.uniform(300, 3500))
        if rng.random() < 0.03:
            full = float(top * rng.uniform(1.1, 2))
        step = 1
        if rng.random() < 0.08:
            full, top, step = float(rng.uniform(60, 230)), 255, 1
        elif rng.random() < 0.05:
            step = int(2 ** rng.integers(2, 5))
        return cls(
            blur_px=float(blur),
            defocus_px=float(rng.uniform(2, 8) if rng.random() < 0.05 else 0.0),
            haze=float(rng.beta(0.9, 3.5)),
            haze_px=float(rng.uniform(0.1, 0.5) * diameter_px + 3),
            mottle=float(rng.choice([0.0, 0.1, 0.25, 0.5], p=[0.3, 0.35, 0.25, 0.1])),
            vignette=float(rng.uniform(0, 0.35) if rng.random() < 0.6 else 0),
            tilt=float(rng.uniform(0, 0.35) if rng.random() < 0.5 else 0),
            background=float(np.exp(rng.triangular(-5.5, -3, 0.2))),
            autofluorescence=float(rng.choice([0, 0.05, 0.3], p=[0.55, 0.35, 0.1])),
            photons=float(np.exp(rng.normal(7, 1.5))),
            read_noise=float(np.exp(rng.uniform(-8.5, -3.8))),
            full_counts=full,
            offset=float(rng.choice([0, rng.uniform(20, 500)])) if top > 255 else 0.0,
            step=step,
            top=int(top),
        )


def illuminate(signal: Array, camera: Camera, rng: Random) -> Array:
    """Light (S, S) that reaches the camera, in units of the bright structures."""
    size = len(signal)
    if camera.mottle:
        cloud = clouds(rng, size, rng.uniform(0.8, 2))[0]
        signal = signal * np.exp(np.float32(camera.mottle) * cloud)
    sharp = gaussian(size, camera.blur_px)
    if camera.defocus_px:
        sharp = sharp * disc(size, camera.defocus_px)
    if camera.haze > 0.02:
        share = np.float32(camera.haze)
        sharp = (1 - share) * sharp + share * gaussian(size, camera.haze_px)
    light = np.maximum(smoothed(signal, sharp), 0)
    bright = max(float(np.quantile(light[::3, ::3], 0.995)), 1e-3)
    light = light / np.float32(bright)
    ground = np.float32(camera.background)
    if camera.autofluorescence:
        relief = clouds(rng, size, rng.uniform(0.8, 2))[0]
        light = light + ground * np.exp(np.float32(camera.autofluorescence) * relief)
    else:
        light = light + ground
    return np.asarray(light * _lamp(size, camera, rng), np.float32)


def _lamp(size: int, camera: Camera, rng: Random) -> Array:
    """Relative illumination (S, S)."""
    across = np.linspace(-1, 1, size, dtype=np.float32)
    cy, cx, turn = map(float, rng.uniform([-0.5, -0.5, 0], [0.5, 0.5, 2 * np.pi]))
    corner = ((across[:, None] - cy) ** 2 + (across - cx) ** 2) / 3
    side = (math.sin(turn) * across[:, None] + math.cos(turn) * across + 1.5) / 3
    lamp: Array = 1 - camera.vignette * corner - camera.tilt * side
    return np.maximum(lamp, 0.1)


def expose(light: Array, camera: Camera, rng: Random) -> NDArray[np.uint16]:
    """Camera counts (S, S) of the light."""
    photons = np.float32(camera.photons)
    variance = np.maximum(light, 0) / photons + np.float32(camera.read_noise**2)
    light = light + np.sqrt(variance) * rng.standard_normal(light.shape, dtype=np.float32)
    counts = light * np.float32(camera.full_counts / (1 + camera.background)) + camera.offset
    counts = np.rint(counts / camera.step) * camera.step
    return np.clip(counts, 0, camera.top).astype(np.uint16)
