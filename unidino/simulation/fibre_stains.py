"""Stains of filaments and networks. Each draws a map (S, S) with a pen."""

import numpy as np

from unidino.simulation.cells import Array
from unidino.simulation.scene import Pen
from unidino.simulation.waves import ridge, single


def stain_fibres(pen: Pen) -> Array:
    """Parallel fibres along the cells (actin), with a cortex."""
    scene = pen.scene
    start = pen.places(scene.inside, _num(pen, 12, 80))
    heading = pen.axes(start) + pen.draw(0.03, 0.35) * pen.rng.standard_normal(len(start))
    heading = heading + np.pi * pen.rng.integers(0, 2, len(start))
    weight = pen.rng.lognormal(0, 0.4, len(start))
    length = pen.width(0.3, 1.3, 8)
    drawn = pen.strands(
        start, heading, length, pen.draw(0, 0.03), pen.width(0.002, 0.01), weight=weight
    )
    cortex = ridge(scene.edge_px, pen.width(0.01, 0.03, 0.9)) * scene.inside
    return single(drawn + pen.draw(0, 1) * cortex + pen.draw(0.05, 0.9) * pen.body)


def stain_filaments(pen: Pen) -> Array:
    """Filaments that radiate from beside the nucleus (tubulin), or curl around it."""
    scene, crowd = pen.scene, pen.scene.crowd
    origin = scene.cytoplasm * np.exp(-pen.draw(2, 12) * np.abs(scene.near - 1))
    start = pen.places(origin, _num(pen, 40, 150))
    row, column = np.divmod(start, pen.size_px)
    middle = np.append(crowd.bodies.centre, [[0, 0]], axis=0)[scene.cell.ravel()[start]]
    outward = np.arctan2(row - middle[:, 0], column - middle[:, 1])
    if pen.chance(0.25):
        outward = outward + 0.5 * np.pi
    heading = outward + pen.draw(0.2, 1.0) * pen.rng.standard_normal(len(start))
    drawn = pen.strands(
        start,
        heading,
        pen.width(0.45, 1.2, 10),
        pen.draw(0.01, 0.09),
        pen.width(0.002, 0.008),
        drift=pen.draw(0, 1.5) / pen.diameter,
    )
    return single(drawn + pen.draw(0.1, 1.2) * pen.body * scene.cytoplasm)


def stain_meshwork(pen: Pen) -> Array:
    """A net of randomly oriented filaments (keratin, vimentin)."""
    scene = pen.scene
    dense = scene.cytoplasm * scene.fade(pen.draw(0, 1.5))
    start = pen.places(dense, _num(pen, 40, 200))
    heading = pen.rng.uniform(0, 2 * np.pi, len(start))
    length = pen.width(0.1, 0.5, 6)
    curl = 3 * pen.draw(0, 1) / pen.diameter
    drawn = pen.strands(
        start, heading, length, pen.draw(0.02, 0.15), pen.width(0.002, 0.01), drift=curl
    )
    return single(drawn + pen.draw(0.05, 0.9) * dense * pen.body)


def stain_mitochondria(pen: Pen) -> Array:
    """Short curved threads, from a network around the nucleus to fragments."""
    scene, crowd = pen.scene, pen.scene.crowd
    uneven = np.where(crowd.responds, pen.draw(0.3, 2), 1) * pen.rng.lognormal(0, 0.3, crowd.num)
    dense = scene.cytoplasm * scene.fade(pen.draw(0.3, 3))
    dense = dense * (scene.edge_px > 0.04 * pen.diameter) * scene.by_cell(uneven)
    start = pen.places(dense, _num(pen, 40, 240))
    heading = pen.rng.uniform(0, 2 * np.pi, len(start))
    length = pen.width(0.02, 0.35, 2)
    drawn = pen.strands(
        start,
        heading,
        length,
        pen.draw(0.05, 0.5),
        pen.width(0.004, 0.014),
        weight=pen.rng.lognormal(0, 0.4, len(start)),
    )
    return single(drawn + pen.draw(0.02, 0.5) * dense * pen.body)


def stain_reticulum(pen: Pen) -> Array:
    """Sheets and tubes that thin out from the nucleus, with its envelope."""
    scene = pen.scene
    first, second = pen.relief(pen.width(0.04, 0.14, 3), pen.draw(0.4, 0.9))
    tube = ridge(first, pen.draw(0.25, 0.6))
    tube = np.maximum(tube, pen.draw(0, 0.9) * ridge(second, 0.3))
    fade = scene.fade(pen.draw(0.3, 1.8))
    rim = ridge(scene.rim_px, max(0.1 * pen.nucleus_px, 0.9)) * scene.inside
    net = scene.cytoplasm * fade * (pen.draw(0.1, 0.8) + tube)
    return single(net + pen.draw(0, 0.7) * rim + pen.draw(0, 0.2) * scene.nuclear)


def stain_processes(pen: Pen) -> Array:
    """Cell bodies and thin processes that leave them (neurites), with beads."""
    scene = pen.scene
    start = pen.places(scene.inside, _num(pen, 2, 9))
    heading = pen.rng.uniform(0, 2 * np.pi, len(start))
    length = max(pen.diameter * pen.draw(1, 5), 40)
    width = pen.width(0.01, 0.04, 0.8)
    bend = pen.draw(0.02, 0.09)
    drawn = pen.strands(start, heading, length, bend, width, confined=False)
    if pen.chance(0.5):
        drawn = drawn * np.clip(1 + 0.8 * pen.relief(5 * width + 3)[0], 0.2, 4)
    return single(drawn * pen.draw(0.5, 1.5) + pen.body * (1 - pen.draw(0, 0.8) * scene.nuclear))


def stain_centrosomes(pen: Pen) -> Array:
    """One or two bright centres a cell with a short aster (centrosomes, midbodies, cilia)."""
    scene = pen.scene
    near = scene.cytoplasm * scene.fade(6)
    centres = pen.places(near, round(pen.num * pen.draw(0.8, 2.5)))
    dots = pen.dots(centres, pen.draw(1, 3), pen.width(0.012, 0.03, 0.8))
    start = np.repeat(centres, pen.rng.integers(1, 12))
    heading = pen.rng.uniform(0, 2 * np.pi, len(start))
    aster = pen.strands(start, heading, pen.width(0.05, 0.25, 3), 0.05, pen.width(0.006, 0.012))
    return single(dots + aster + pen.draw(0.03, 0.5) * pen.body)


def stain_matrix(pen: Pen) -> Array:
    """Wavy fibres around and over the cells (collagen, fibronectin), which share a direction."""
    scene = pen.scene
    dense = np.exp(pen.draw(0.2, 1.2) * pen.relief(pen.width(0.5, 2, 20))[0])
    dense = dense * np.where(scene.depth < 1, pen.draw(0.1, 1.5), 1)
    start = pen.places(dense, int(pen.draw(100, 700)))
    spread = pen.rng.choice([0.15, 0.5, 3.0])
    heading = pen.draw(0, 2 * np.pi) + spread * pen.rng.standard_normal(len(start))
    length, width = pen.width(0.5, 3, 25), pen.draw(0.7, 1.6)
    bend = pen.draw(0.01, 0.12)
    drawn = pen.strands(start, heading, length, bend, width, confined=False)
    return single(drawn * pen.grain + pen.draw(0, 0.4) * pen.body)


def _num(pen: Pen, low: float, high: float) -> int:
    """Number of strands in the field: low to high in each visible cell."""
    return int(pen.num * pen.draw(low, high)) + 1


FIBRE_STAINS = {
    "fibres": stain_fibres,
    "filaments": stain_filaments,
    "meshwork": stain_meshwork,
    "mitochondria": stain_mitochondria,
    "reticulum": stain_reticulum,
    "processes": stain_processes,
    "centrosomes": stain_centrosomes,
    "matrix": stain_matrix,
}
