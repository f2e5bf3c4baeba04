"""Maps of a crowd over the pixels of a field, and the pen that draws structures on them.

Shapes: S pixels across a field, N cells, M nuclei, K points, T steps of a strand.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.cells import Array, Random
from unidino.simulation.crowd import Blobs, Crowd, Integers
from unidino.simulation.waves import bumps, clouds, gaussian, single, smoothed

_FAR = 3.0  # nuclear radii up to which a pixel knows its nearest nucleus
_MOST_POINTS = 60_000  # of the strands of one drawing


class Scene:
    """Maps (S, S) of the cells of a field.

    cell: index of the cell that covers a pixel, N where there is none. depth: 0 at the centre of
    the cell to 1 at its outline. second: depth in the next cell that covers the pixel, 1 if none.
    nucleus: index of the nearest nucleus, M where all are far. near: distance from its centre in
    its radii, beyond 2 with the depth in the cell added.
    """

    def __init__(self, crowd: Crowd, size_px: int, rng: Random) -> None:
        self.crowd, self.size_px = crowd, size_px
        self.hollow = np.float32(rng.uniform(0.45, 1))
        y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
        bend = bumps(rng, size_px, crowd.diameter_px * rng.uniform(0.4, 1.2))
        amount = np.float32(crowd.diameter_px * rng.choice([0.01, 0.025, 0.05]))
        soft = np.float32(0.4) * amount  # nuclei are stiffer than cells
        self.y, self.x = y + amount * bend[0], x + amount * bend[1]
        self.cell, self.depth, self.second = self._lay(crowd.bodies, 1.0, self.y, self.x)
        self.nucleus, near, _ = self._lay(
            crowd.nuclei, _FAR, y + soft * bend[0], x + soft * bend[1]
        )
        self.near = near + 2 * self.depth * np.maximum(near - (_FAR - 1), 0)  # grows on when far

    def _lay(self, blobs: Blobs, limit: float, y: Array, x: Array) -> tuple[Integers, Array, Array]:
        """For each pixel at y, x the nearest blob, and the distances of the nearest two, in radii.

        limit: distance where blobs end. The coordinates (S, S) may be bent.
        """
        size = self.size_px
        label = np.full((size, size), len(blobs.centre), np.int32)
        first = np.full((size, size), limit, np.float32)
        second = first.copy()
        num_angles = blobs.table.shape[1]
        turn = np.float32(num_angles / (2 * np.pi))
        reach = limit * blobs.table.max(axis=1, initial=0) + 0.06 * self.crowd.diameter_px
        low = np.clip(np.floor(blobs.centre - reach[:, None]), 0, size).astype(int)
        high = np.clip(np.ceil(blobs.centre + reach[:, None]) + 1, 0, size).astype(int)
        for i in np.flatnonzero((high > low).all(axis=1)):
            part = slice(low[i, 0], high[i, 0]), slice(low[i, 1], high[i, 1])
            dy, dx = y[part] - blobs.centre[i, 0], x[part] - blobs.centre[i, 1]
            angle = (np.arctan2(dy, dx) * turn).astype(np.int32) & (num_angles - 1)
            distance = np.sqrt(dy * dy + dx * dx) / blobs.table[i][angle]
            one, two = first[part], second[part]
            closer = distance < one
            np.minimum(two, np.maximum(one, distance), out=two)
            np.copyto(one, distance, where=closer)
            np.copyto(label[part], i, where=closer)
        return label, first, second

    def by_cell(self, values: Array) -> Array:
        """A map of a value (N,) of the cells; 0 outside them."""
        mapped: Array = np.append(values, 0).astype(np.float32)[self.cell]
        return mapped

    def by_nucleus(self, values: Array) -> Array:
        """A map of a value (M,) of the nuclei; 0 far from them."""
        mapped: Array = np.append(values, 0).astype(np.float32)[self.nucleus]
        return mapped

    def fade(self, rate: float) -> Array:
        """1 in nuclei, and outside less with the distance from them. rate: per nuclear radius."""
        falling: Array = np.exp(-rate * np.maximum(self.near - 1, 0))
        return falling

    @cached_property
    def inside(self) -> Array:
        """1 in cells, 0 outside, with a ramp of one px."""
        return single(np.clip((1 - self.depth) * self.by_cell(self.crowd.bodies.radius), 0, 1))

    @cached_property
    def edge_px(self) -> Array:
        """Distance (px, about) from the outline of the cell or from its neighbour."""
        gap = np.where(self.second < 1, 0.5 * (self.second - self.depth), 1 - self.depth)
        return single(gap * self.by_cell(self.crowd.bodies.radius))

    @cached_property
    def rim_px(self) -> Array:
        """Distance (px, about) into the nearest nucleus; negative outside, and far from all."""
        radius = np.append(self.crowd.nuclei.radius, 1000).astype(np.float32)
        return single((1 - self.near) * radius[self.nucleus])

    @cached_property
    def nuclear(self) -> Array:
        """1 in nuclei, 0 outside, with a short ramp."""
        return single(np.clip(self.rim_px * 0.7 + 0.5, 0, 1) * (self.near < _FAR))

    @cached_property
    def cytoplasm(self) -> Array:
        """1 in cells beside nuclei, less over nuclei, 0 elsewhere."""
        return self.inside * (1 - self.hollow * self.nuclear)

    @cached_property
    def coverage(self) -> float:
        """Share of the pixels that cells cover."""
        return float((self.cell < self.crowd.num).mean())


class Pen:
    """Draws on a scene. Every drawing is an array (S, S)."""

    def __init__(self, scene: Scene, rng: Random) -> None:
        self.scene, self.rng = scene, rng
        crowd = scene.crowd
        self.size_px, self.diameter = scene.size_px, crowd.diameter_px
        radius = crowd.nuclei.radius
        self.nucleus_px = float(np.median(radius)) if len(radius) else 0.25 * self.diameter
        self.num = max(round(crowd.num * self.visible), 1)

    @cached_property
    def visible(self) -> float:
        """Share of the cells whose centre is in the field."""
        centre = self.scene.crowd.bodies.centre
        inside = ((centre > 0) & (centre < self.size_px)).all(axis=1)
        return float(np.mean(inside)) if len(centre) else 0.0

    def draw(self, low: float, high: float) -> float:
        """A random number between low and high."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return bool(self.rng.random() < share)

    def width(self, low: float, high: float, least: float = 0.7) -> float:
        """A width in px of low to high cell diameters, at least `least`."""
        return max(self.draw(low, high) * self.diameter, least)

    def relief(self, wavelength_px: float, width: float = 0.4) -> tuple[Array, Array]:
        """Two random reliefs around one wavelength, mean 0, standard deviation 1."""
        return bumps(self.rng, self.size_px, wavelength_px, width)

    @cached_property
    def grain(self) -> Array:
        """A relief around 1 that all diffuse stains of the plane share."""
        relief = clouds(self.rng, self.size_px, self.draw(0.5, 1.6))[0]
        return single(np.maximum(1 + np.float32(self.draw(0.02, 0.25)) * relief, 0.1))

    @cached_property
    def body(self) -> Array:
        """Diffuse stain, 0 to about 1: as thick as the cells, which lie over their neighbours."""
        scene = self.scene
        top, under = 1 - scene.depth, 1 - scene.second
        if self.chance(0.4):  # domes instead of cones
            top, under = 1 - scene.depth**2, 1 - scene.second**2
        flat = np.float32(self.draw(0, 1))
        thick = flat * np.sqrt(np.maximum(top, 0)) + (1 - flat) * top
        thick = thick + np.float32(self.draw(0, 0.7)) * np.maximum(under, 0)
        return single(thick * scene.inside * self.grain)

    def places(self, density: NDArray[Any], num: int) -> Integers:
        """Pixels (K,) of the flattened field, drawn from a density; none if it is 0."""
        total = np.cumsum(density.ravel(), dtype=np.float64)
        if total[-1] <= 0:
            return np.zeros(0, int)
        found = np.searchsorted(total, self.rng.random(num) * total[-1])
        return np.asarray(np.minimum(found, len(total) - 1))

    def dots(self, pixel: Integers, weight: Array | float, width_px: float) -> Array:
        """Gaussian dots at pixels. weight: their peak. width_px: their standard deviation."""
        return self._splat(pixel, np.broadcast_to(weight, pixel.shape), width_px)

    def discs(self, pixel: Integers, weight: Array | float, width_px: float) -> Array:
        """Saturated dots: discs whose radius grows with their weight."""
        round_: Array = np.clip(self.dots(pixel, weight, width_px), 0, 1)
        return round_

    def _splat(self, pixel: Integers, weight: Array, width_px: float) -> Array:
        total = np.bincount(pixel, weight, self.size_px**2).astype(np.float32)
        spread = smoothed(
            total.reshape(self.size_px, -1), gaussian(self.size_px, width_px)
        ) * np.float32(2 * np.pi * width_px**2)
        return single(np.maximum(spread, 0))

    def strands(
        self,
        start: Integers,
        heading: Array,
        length_px: float,
        bend: float,
        width_px: float,
        *,
        weight: Array | float = 1.0,
        confined: bool = True,
        drift: float = 0.0,
    ) -> Array:
        """Curved strands from pixels `start` (K,), of one px a step.

        heading: (K,) radian. bend: radian per step, at random. drift: radian per step, the same for
        all steps of a strand. confined: strands end where their cell ends.
        """
        size = self.size_px
        steps = max(int(length_px), 2)
        weight = np.broadcast_to(np.asarray(weight, np.float32), start.shape)
        num = min(len(start), _MOST_POINTS // steps)
        start, heading = start[:num], heading[:num].astype(np.float32)
        turn = self.rng.standard_normal((num, steps), dtype=np.float32) * np.float32(bend)
        turn += np.float32(drift) * self.rng.standard_normal((num, 1), dtype=np.float32)
        turn[:, 0] = heading
        heading = np.cumsum(turn, axis=1)
        row, column = np.divmod(start, size)
        jitter = self.rng.random((2, num, 1), dtype=np.float32)
        y = np.cumsum(np.sin(heading), axis=1) + row[:, None] + jitter[0]
        x = np.cumsum(np.cos(heading), axis=1) + column[:, None] + jitter[1]
        iy, ix = y.astype(np.int32), x.astype(np.int32)
        seen = (iy >= 0) & (iy < size) & (ix >= 0) & (ix < size)
        pixel = np.where(seen, iy * size + ix, 0)
        if confined:
            cell = self.scene.cell.ravel()
            seen &= cell[pixel] == cell[start][:, None]
        stop = self.rng.uniform(0.3, 1, (num, 1)) * steps
        seen &= np.arange(steps) < stop
        strength = weight[:num, None] * seen
        return self._splat(pixel[seen], strength[seen], width_px) / np.float32(
            np.sqrt(2 * np.pi) * width_px
        )

    def axes(self, pixel: Integers) -> Array:
        """Direction (K,) of the long axis of the cell at each pixel."""
        axis: NDArray[np.float32] = np.append(self.scene.crowd.axis, 0)
        return axis[self.scene.cell.ravel()[pixel]]
