"""Stains of structures in and at the nucleus. Each draws a map (S, S) with a pen."""

import numpy as np

from unidino.simulation.cells import Array
from unidino.simulation.crowd import APOPTOTIC, DEBRIS, METAPHASE, PROPHASE
from unidino.simulation.scene import Pen
from unidino.simulation.waves import ridge, single


def stain_nuclei(pen: Pen) -> Array:
    """Chromatin: filled nuclei with a texture, bright spots or dark nucleoli."""
    scene, crowd = pen.scene, pen.scene.crowd
    bright = crowd.bright * np.where(pen.rng.random(len(crowd.bright)) < pen.draw(0, 0.5), 1.5, 1)
    filled = scene.nuclear * scene.by_nucleus(bright)
    dome = pen.draw(0, 0.5)
    filled = filled * (1 - dome * np.minimum(scene.near, 1) ** 2)
    fine, coarse = pen.relief(pen.nucleus_px * pen.draw(0.25, 0.9), pen.draw(0.3, 0.8))
    grain = pen.draw(0, 0.3)
    phase = np.append(crowd.phase, 0)[np.append(crowd.cell, -1)[scene.nucleus]]
    condensed = np.where(phase == PROPHASE, 0.35, np.where(phase >= METAPHASE, 0.05, grain))
    filled = filled * np.maximum(1 + condensed * fine + 0.4 * grain * coarse, 0.1)
    if pen.chance(0.4):  # bright chromocentres
        spots = pen.places(scene.near < 0.85, pen.num * int(pen.rng.integers(3, 25)))
        size = max(pen.nucleus_px * pen.draw(0.06, 0.16), 0.7)
        weight = pen.draw(0.2, 1.2) * pen.rng.lognormal(0, 0.4, len(spots))
        filled = filled + pen.dots(spots, weight, size) * scene.nuclear
    if pen.chance(0.5):
        filled = filled * (1 - pen.draw(0.2, 0.75) * _nucleoli(pen))
    return single(filled)


def stain_foci(pen: Pen) -> Array:
    """Nuclear foci over a faint nucleoplasm, in some cells more than in others."""
    scene, crowd = pen.scene, pen.scene.crowd
    uneven = pen.rng.lognormal(0, pen.draw(0.1, 1.2), crowd.num) * np.where(crowd.responds, 3, 1)
    density = (scene.near < 0.9) * scene.by_cell(uneven)
    foci = pen.places(density, int(pen.num * np.exp(pen.draw(0.7, 4))))
    size = max(pen.nucleus_px * pen.draw(0.04, 0.14), 0.7)
    weight = pen.rng.lognormal(0, pen.draw(0.1, 0.7), len(foci))
    cloud = pen.relief(pen.nucleus_px * 0.5)[0]
    plasm = pen.draw(0.02, 0.5) * scene.nuclear * (1 + 0.2 * cloud)
    return single(pen.dots(foci, weight, size) + plasm)


def stain_nucleoli(pen: Pen) -> Array:
    """Nucleoli, with nucleoplasm and cytoplasm (ribonucleic acid)."""
    scene = pen.scene
    fade = scene.fade(pen.draw(0.1, 1.2))
    rest = pen.draw(0.1, 0.7) * scene.cytoplasm * fade + pen.draw(0.05, 0.5) * scene.nuclear
    return single(rest * pen.grain + _nucleoli(pen))


def stain_envelope(pen: Pen) -> Array:
    """Nuclear rims (lamins, pores), sometimes wrinkled."""
    scene = pen.scene
    width = max(pen.nucleus_px * pen.draw(0.04, 0.14), 0.8)
    rim = ridge(scene.rim_px, width)
    if pen.chance(0.5):
        rim *= np.maximum(1 + pen.draw(0.1, 0.5) * pen.relief(pen.nucleus_px * 0.5)[0], 0)
    filled = pen.draw(0, 0.45) * scene.nuclear
    if pen.chance(0.4):
        fold = ridge(pen.relief(pen.nucleus_px * pen.draw(0.8, 2))[0], 0.12)
        filled = filled + pen.draw(0.1, 0.6) * fold * scene.nuclear
    return single((rim + filled) * scene.by_nucleus(pen.scene.crowd.bright**0.5))


def stain_shuttle(pen: Pen) -> Array:
    """A protein in the cytoplasm of some cells and in the nucleus of others (translocation)."""
    scene, crowd = pen.scene, pen.scene.crowd
    inward = np.clip(pen.rng.normal(pen.draw(0, 1), pen.draw(0.05, 0.4), crowd.num), 0, 1)
    inward = np.where(crowd.responds, 1 - inward, inward)
    moved = scene.by_cell(inward)
    fade = scene.fade(pen.draw(0.2, 1.5))
    inner, outer = scene.nuclear * moved, scene.cytoplasm * fade * (1 - 0.8 * moved)
    return single((inner + outer * pen.body) * pen.grain)


def _nucleoli(pen: Pen) -> Array:
    """A few blobs in each nucleus, 0 to 1; none in dividing and dead cells."""
    scene, crowd = pen.scene, pen.scene.crowd
    awake = (crowd.phase < PROPHASE) | (crowd.phase > DEBRIS)
    awake = awake & (crowd.phase != APOPTOTIC)
    density = (scene.near < 0.7) * scene.by_cell(awake.astype(np.float32))
    spots = pen.places(density, pen.num * int(pen.rng.integers(1, 7)))
    weight = pen.rng.lognormal(0.5, pen.draw(0.2, 0.8), len(spots))
    return pen.discs(spots, weight, max(pen.nucleus_px * pen.draw(0.1, 0.22), 0.8))


NUCLEAR_STAINS = {
    "nuclei": stain_nuclei,
    "foci": stain_foci,
    "nucleoli": stain_nucleoli,
    "envelope": stain_envelope,
    "shuttle": stain_shuttle,
}
