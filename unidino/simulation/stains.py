"""Stains: each draws one channel of the cells, with the mechanisms that change it.

Shapes: N cells of a field, M points of a cell, T steps of a strand, S pixels across a field.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.cells import (
    PATCH_HALF_PX,
    Array,
    Cells,
    Random,
    filtered,
    gaussian,
    texture,
)
from unidino.simulation.screens import Treatment


class Brush:
    """Draws one channel of the cells of a field; every drawing is an array (S, S).

    dye_spread: factor of every width and wavelength.
    """

    def __init__(self, cells: Cells, treatment: Treatment, dye_spread: float, rng: Random) -> None:
        num = len(cells.centre)
        self.cells, self.treatment, self.dye_spread, self.rng = cells, treatment, dye_spread, rng
        self.stain = np.exp(rng.normal(0, 0.2, (num, 1))).astype(np.float32)
        response = treatment.strength * rng.uniform(0.6, 1.4, (num, 1))
        self.response = np.clip(response, 0, 1).astype(np.float32)

    def shows(self, moa: str) -> Array:
        """Response (N, 1) of the cells, 0 to 1, if they are treated by this mechanism; else 0."""
        compound = self.treatment.compound
        return self.response * np.float32(compound is not None and compound.moa == moa)

    def uniform(self, low: float, high: float, num: int) -> Array:
        """Random numbers (N, num) between low and high."""
        return self.rng.uniform(low, high, (len(self.cells.centre), num)).astype(np.float32)

    def texture(self, wavelength_px: float) -> Array:
        """A random relief of one wavelength, with mean 0 and standard deviation 1."""
        return texture(self.rng, self.cells.size_px, wavelength_px * self.dye_spread)

    def fill(self, values: Array, weight: Array | float = 1.0) -> Array:
        """Patches (N, P, P) of the cells, each multiplied by the weight (N, 1) of its cell."""
        values = values * (self.stain * weight)[:, :, None]
        return self._sum(self.cells.pixel, values)

    def points(self, depth: Array, angle: Array, weight: Array | float, width_px: float) -> Array:
        """Gaussian points (N, M). weight: their peak. width_px: their standard deviation."""
        return self._dots(*self.cells.locate(depth, angle), self.stain * weight, width_px)

    def headings(self, first: Array, num_steps: int, bend: float) -> Array:
        """Turns (N, M, T), radian per step, of strands that start at heading `first` (N, M)."""
        turn = self.rng.normal(0, bend, (*first.shape, num_steps)).astype(np.float32)
        turn[:, :, 0] = first
        return turn

    def strands(
        self,
        start: tuple[Array, Array],
        turn: Array,
        weight: Array | float,
        width_px: float = 0.9,
    ) -> Array:
        """Curved strands of one px per step; they end at the membrane and fade over the nucleus.

        start: depth and angle (N, M) of their first points.
        turn: (N, M, T) radian, heading of the first step, then turns.
        """
        y, x = self.cells.locate(*start)
        heading = np.cumsum(turn, axis=2)
        y = y[:, :, None] + np.cumsum(np.sin(heading), axis=2)
        x = x[:, :, None] + np.cumsum(np.cos(heading), axis=2)
        limit = PATCH_HALF_PX
        patch_y = np.clip(np.rint(y), -limit, limit).astype(np.intp) + limit
        patch_x = np.clip(np.rint(x), -limit, limit).astype(np.intp) + limit
        cell = np.arange(len(y))[:, None, None]
        depth = self.cells.depth[cell, patch_y, patch_x]
        visible = np.where(depth < 1, 0.3, 1) * (depth < 1.97) * (self.stain * weight)[:, :, None]
        return self._dots(y, x, visible, width_px)

    def _dots(self, y: Array, x: Array, weight: Array, width_px: float) -> Array:
        size = self.cells.size_px
        centre = self.cells.centre.reshape(-1, 2, *(1,) * (y.ndim - 1))
        rows = (np.rint(y).astype(np.intp) + centre[:, 0]) % size
        columns = (np.rint(x).astype(np.intp) + centre[:, 1]) % size
        dots = self._sum(rows * size + columns, np.broadcast_to(weight, y.shape))
        transfer = gaussian(size, width_px * self.dye_spread)
        return filtered(dots, transfer) * np.float32(2 * np.pi * width_px**2)

    def _sum(self, pixel: NDArray[np.intp], values: Array) -> Array:
        size = self.cells.size_px
        total = np.bincount(pixel.ravel(), values.ravel(), size * size)
        return total.astype(np.float32).reshape(size, size)


def _step(edge: float, depth: Array, softness: float = 0.06) -> Array:
    """1 inside this depth, 0 outside, with a short ramp between."""
    inside: Array = np.clip((edge - depth) / softness + 0.5, 0, 1)
    return inside


def _band(middle: float, depth: Array, width: Array | float) -> Array:
    """A Gaussian ring around this depth."""
    ring: Array = np.exp(-(((depth - middle) / width) ** 2))
    return ring


def _discs(brush: Brush, depth: Array, angle: Array, weight: Array | float, px: float) -> Array:
    """Discs of this radius (px): saturated Gaussian points."""
    discs: Array = np.clip(brush.points(depth, angle, 6.0 * weight, px / 1.9), 0, 1)
    return discs


def stain_dna(brush: Brush) -> Array:
    """Nuclei; chromatin condenses into bright foci or nuclei break into fragments."""
    condensed, broken = brush.shows("topoisomerase inhibitor"), brush.shows("apoptosis inducer")
    nucleus = _step(1, brush.cells.depth, 0.1)
    whole = brush.fill(nucleus, (1 - broken) * (1 - 0.55 * condensed))
    whole = whole * (1 + 0.22 * brush.texture(6) + 0.12 * brush.texture(12))
    foci = brush.uniform(0, 0.85, 9), brush.uniform(0, 2 * np.pi, 9)
    pieces = brush.uniform(0.4, 1.5, 7), brush.uniform(0, 2 * np.pi, 7)
    return (
        whole
        + brush.points(*foci, 0.15 + 1.3 * condensed, 1.4)
        + 1.2 * _discs(brush, *pieces, broken, 3.6)
    )


def stain_rna(brush: Brush) -> Array:
    """Nucleoli and cytoplasm; nucleoli swell and merge."""
    swollen, depth = brush.shows("rna polymerase inhibitor"), brush.cells.depth
    cytoplasm = brush.fill(_step(2, depth) * np.exp(-0.6 * np.maximum(depth - 1, 0)), 0.5)
    cytoplasm = cytoplasm * (1 + 0.18 * brush.texture(5))
    small = brush.uniform(0, 0.75, 5), brush.uniform(0, 2 * np.pi, 5)
    large = brush.uniform(0.2, 0.5, 2), brush.uniform(0, 2 * np.pi, 2)
    return (
        cytoplasm
        + brush.points(*small, 0.8 * (1 - swollen), 1.3)
        + 1.0 * _discs(brush, *large, swollen, 4.2)
    )


def stain_er(brush: Brush) -> Array:
    """Reticulum around the nucleus; vacuoles open in it."""
    stressed, depth = brush.shows("er stress inducer"), brush.cells.depth
    sheet = _step(2, depth) * (1 - 0.8 * _step(1, depth)) * np.exp(-1.3 * np.maximum(depth - 1, 0))
    net = np.exp(-((brush.texture(8) / 0.6) ** 2))
    reticulum = brush.fill(sheet) * (0.25 + net)
    holes = brush.uniform(1.15, 1.75, 8), brush.uniform(0, 2 * np.pi, 8)
    hole = _discs(brush, *holes, stressed, 5.5)
    rim = _discs(brush, *holes, stressed, 8.0) - hole
    vacuoles: Array = reticulum * (1 - 0.9 * hole) + 1.2 * rim
    return vacuoles


def stain_agp(brush: Brush) -> Array:
    """Cortical actin, membrane and Golgi; the Golgi scatters into puncta."""
    dispersed, depth = brush.shows("golgi disruptor"), brush.cells.depth
    cell = brush.fill(0.35 * _step(2, depth) + 0.6 * _band(1.93, depth, 0.07))
    spread = 0.35 + 2.6 * dispersed
    angle = brush.cells.pole + brush.rng.normal(0, 1, (len(spread), 26)).astype(np.float32) * spread
    golgi = 1.08 + brush.uniform(0, 0.25, 26) * (1 + 2.4 * dispersed)
    return cell * (1 + 0.2 * brush.texture(7)) + brush.points(golgi, angle, 0.8, 1.3)


def stain_mito(brush: Brush) -> Array:
    """Short curved strands; they swell into balls or clump on one side of the nucleus."""
    swollen, clumped = brush.shows("mitochondrial uncoupler"), brush.shows("kinesin inhibitor")
    depth = 1.08 + brush.uniform(0, 0.75, 40) * (1 - 0.75 * clumped)
    turn = brush.uniform(-np.pi, np.pi, 40) * (1 - 0.7 * clumped)
    heading = brush.headings(brush.uniform(0, 2 * np.pi, 40), 14, 0.3)
    strands = brush.strands((depth, brush.cells.pole + turn), heading, 0.3 * (1 - swollen))
    balls = brush.uniform(1.1, 1.9, 13), brush.uniform(0, 2 * np.pi, 13)
    haze = brush.fill(_step(2, brush.cells.depth) * (brush.cells.depth > 1), 0.08)
    return haze + strands + 0.9 * _discs(brush, *balls, swollen, 3.6)


def stain_actin(brush: Brush) -> Array:
    """Parallel fibres and cortex; fibres fall into puncta, or a thick ring replaces them."""
    lost, ringed = brush.shows("actin disruptor"), brush.shows("rho activator")
    depth = brush.cells.depth
    cortex = brush.fill(_band(1.93, depth, 0.06), 0.6 * (1 - lost) * (1 - ringed))
    ring = brush.fill(_band(1.8, depth, 0.16), 1.2 * ringed)
    along = brush.cells.pole + brush.rng.normal(0, 0.12, (len(lost), 26)).astype(np.float32)
    start = brush.uniform(0.3, 1.9, 26), brush.uniform(0, 2 * np.pi, 26)
    fibres = brush.strands(
        start, brush.headings(along, 34, 0.02), 0.3 * (1 - lost) * (1 - 0.8 * ringed)
    )
    puncta = brush.uniform(1.05, 1.9, 16), brush.uniform(0, 2 * np.pi, 16)
    haze = brush.fill(_step(2, depth), 0.15 + 0.35 * lost)
    return haze + cortex + ring + fibres + brush.points(*puncta, 1.5 * lost, 3.0)


def stain_tubulin(brush: Brush) -> Array:
    """Filaments from the centrosome; they bundle around the nucleus or dissolve into a haze."""
    bundled, dissolved = (
        brush.shows("microtubule stabilizer"),
        brush.shows("microtubule destabilizer"),
    )
    cells = brush.cells
    origin = 1.1 + brush.uniform(0, 0.05, 44), cells.pole + brush.uniform(-0.3, 0.3, 44)
    heading = brush.headings(brush.uniform(0, 2 * np.pi, 44), 52, 0.06)
    radial = brush.strands(origin, heading, 0.3 * (1 - bundled) * (1 - dissolved))
    angle = brush.uniform(0, 2 * np.pi, 14)
    around = brush.headings(angle + np.pi / 2, 34, 0.03)
    around[:, :, 1:] += 0.8 / cells.nucleus.radius_px[:, None, None]
    coils = brush.strands((brush.uniform(1.1, 1.35, 14), angle), around, 0.35 * bundled, 1.3)
    haze = brush.fill(
        _step(2, cells.depth) * (1 - 0.5 * _step(1, cells.depth)), 0.08 + 0.6 * dissolved
    )
    return radial + coils + haze * (1 + 0.1 * brush.texture(10))


STAINS: dict[str, Callable[[Brush], Array]] = {
    "DNA": stain_dna,
    "RNA": stain_rna,
    "ER": stain_er,
    "AGP": stain_agp,
    "Mito": stain_mito,
    "Actin": stain_actin,
    "Tubulin": stain_tubulin,
}


def side_effect(brush: Brush, signal: Array) -> Array:
    """The signal with the side effect of its compound: puncta, or uneven staining."""
    compound, strength = brush.treatment.compound, brush.treatment.strength
    if compound is None:
        return signal
    if compound.side_effect == "speckle":
        dots = brush.uniform(1.1, 1.9, 12), brush.uniform(0, 2 * np.pi, 12)
        return signal + brush.points(*dots, 0.3 * strength, 1.0)
    mottle: Array = np.maximum(1 + 0.25 * strength * brush.texture(16), 0)
    return signal * mottle
