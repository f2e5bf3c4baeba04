"""What spoils a plane: dust, lint, precipitates, stripes, hot pixels. Each changes light (S, S)."""

import numpy as np

from unidino.simulation.cells import Array, Random
from unidino.simulation.waves import gaussian, single, smoothed


def add_nothing(light: Array, rng: Random) -> Array:
    """The light unchanged."""
    return light


def add_hot_pixels(light: Array, rng: Random) -> Array:
    """Single pixels far brighter than the image."""
    hot = rng.integers(0, light.size, rng.integers(3, 80))
    result = light.copy()
    result.ravel()[hot] = light.max() * rng.uniform(0.8, 3, len(hot))
    return result


def add_dust(light: Array, rng: Random) -> Array:
    """Dim discs: dust on a lens, out of focus."""
    size = len(light)
    y, x = np.ogrid[:size, :size]
    shade = np.ones_like(light)
    for _ in range(rng.integers(1, 5)):
        cy, cx, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(4, 40)
        ring = np.hypot(y - cy, x - cx).astype(np.float32) / radius
        shade -= rng.uniform(0.05, 0.4) * np.exp(-(ring**4)).astype(np.float32)
    return single(light * np.maximum(shade, 0.1))


def add_lint(light: Array, rng: Random) -> Array:
    """One to three bright curved threads across the field."""
    size = len(light)
    marks = np.zeros_like(light)
    for _ in range(rng.integers(1, 4)):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.03, 2 * size))
        y = rng.uniform(0, size) + np.cumsum(np.sin(heading))
        x = rng.uniform(0, size) + np.cumsum(np.cos(heading))
        seen = (y >= 0) & (y < size) & (x >= 0) & (x < size)
        seen &= np.arange(2 * size) < rng.uniform(0.2, 2) * size
        marks[y[seen].astype(int), x[seen].astype(int)] += 1
    width = rng.uniform(0.8, 3)
    thread = smoothed(marks, gaussian(size, width)) * np.float32(2.5 * width)
    return single(light + np.float32(rng.uniform(0.3, 2.5)) * np.maximum(thread, 0))


def add_precipitate(light: Array, rng: Random) -> Array:
    """Very bright specks and lumps."""
    size = len(light)
    result = light
    for width in (rng.uniform(0.6, 1.2), rng.uniform(1.5, 5)):
        marks = np.zeros_like(light)
        place = rng.integers(0, size, (2, rng.integers(1, 15)))
        marks[place[0], place[1]] = rng.lognormal(0, 0.7, place.shape[1])
        peak = np.float32(2 * np.pi * width**2 * rng.uniform(0.8, 4))
        result = result + np.maximum(smoothed(marks, gaussian(size, width)), 0) * peak
    return result


def add_stripes(light: Array, rng: Random) -> Array:
    """Rows or columns with a gain of their own."""
    size = len(light)
    gain = 1 + rng.uniform(0.004, 0.04) * rng.standard_normal(size).astype(np.float32)
    return single(light * (gain[:, None] if rng.random() < 0.5 else gain))


def add_bubble(light: Array, rng: Random) -> Array:
    """A bright ring, or the shade of a large one."""
    size = len(light)
    y, x = np.ogrid[:size, :size]
    radius = rng.uniform(15, 150)
    far = np.hypot(y - rng.uniform(0, size), x - rng.uniform(0, size)).astype(np.float32) - radius
    ring = np.exp(-((far / rng.uniform(1.5, 8)) ** 2))
    inner = np.where(far < 0, np.float32(rng.uniform(0.5, 1)), 1)
    return single(light * inner + np.float32(rng.uniform(0.1, 0.8)) * ring)


ARTEFACTS = {
    "none": (add_nothing, 0.80),
    "hot pixels": (add_hot_pixels, 0.03),
    "dust": (add_dust, 0.04),
    "lint": (add_lint, 0.03),
    "precipitate": (add_precipitate, 0.05),
    "stripes": (add_stripes, 0.03),
    "bubble": (add_bubble, 0.02),
}
