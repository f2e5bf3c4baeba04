"""Stains of the membrane and the cytoplasm. Each draws a map (S, S) with a pen."""

import numpy as np

from unidino.simulation.cells import Array
from unidino.simulation.scene import Pen
from unidino.simulation.waves import clouds, ridge, single


def stain_cytoplasm(pen: Pen) -> Array:
    """Diffuse protein, thick near the nucleus, thin at the edge."""
    scene = pen.scene
    near = scene.fade(pen.draw(0.3, 2))
    mixed = pen.draw(0, 1)
    body = mixed * pen.body + (1 - mixed) * scene.inside * near * pen.grain
    return single(body * (1 - pen.draw(-0.6, 0.9) * scene.nuclear))


def stain_membrane(pen: Pen) -> Array:
    """Plasma membrane, with ruffles where a relief is high."""
    scene = pen.scene
    width = pen.width(0.008, 0.04, 0.9)
    ruffle = np.clip(
        1 + pen.draw(0.1, 1.2) * pen.relief(pen.diameter * pen.draw(0.2, 0.8))[0], 0, 3
    )
    line = ridge(scene.edge_px, width) * ruffle * scene.inside
    return single(line + pen.draw(0.03, 0.7) * pen.body)


def stain_junctions(pen: Pen) -> Array:
    """Contacts between neighbours; continuous or beaded lines."""
    scene = pen.scene
    width = pen.width(0.006, 0.03, 0.8)
    line = ridge(scene.edge_px, width) * (scene.second < 1) * scene.inside
    if pen.chance(0.5):
        line *= np.clip(0.6 + pen.draw(0.4, 1.5) * pen.relief(pen.width(0.05, 0.2, 3))[0], 0, 3)
    return single(line + pen.draw(0.02, 0.5) * pen.body)


def stain_granules(pen: Pen) -> Array:
    """A random relief of the cytoplasm: from powder to clumps."""
    scene = pen.scene
    if pen.chance(0.5):
        relief = pen.relief(pen.width(0.03, 0.25, 2.5), pen.draw(0.3, 1.0))[0]
    else:
        relief = clouds(pen.rng, pen.size_px, pen.draw(0.2, 1.2), pen.width(0.02, 0.06, 1.5))[0]
    grain = np.exp(pen.draw(0.2, 1.3) * relief)
    fade = scene.fade(pen.draw(0.0, 1.5))
    return single((scene.cytoplasm * fade + pen.draw(0, 0.6) * scene.nuclear) * grain)


def stain_vesicles(pen: Pen) -> Array:
    """Bright puncta of the cytoplasm: perinuclear, anywhere, polar or at the membrane."""
    scene, crowd = pen.scene, pen.scene.crowd
    uneven = pen.rng.lognormal(0, pen.draw(0.1, 1), crowd.num) * np.where(crowd.responds, 3, 1)
    density = scene.cytoplasm * scene.by_cell(uneven)
    where = pen.rng.integers(4)
    if where == 0:
        density = density * scene.fade(pen.draw(1, 4))
    elif where == 1:
        density = density * np.exp(-scene.edge_px / pen.width(0.02, 0.08))
    elif where == 2:
        density = density * cap(pen, pen.draw(0.2, 0.5))
    puncta = pen.places(density, int(pen.num * np.exp(pen.draw(1.5, 5.3))))
    weight = pen.rng.lognormal(0, pen.draw(0.2, 1), len(puncta))
    dots = pen.dots(puncta, weight, pen.width(0.006, 0.03))
    return single(dots + pen.draw(0.0, 0.4) * scene.cytoplasm * pen.body)


def stain_vacuoles(pen: Pen) -> Array:
    """Hollow vesicles: dark or empty discs with bright rims, or filled droplets."""
    scene = pen.scene
    density = scene.cytoplasm * (scene.edge_px > 0.05 * pen.diameter)
    centres = pen.places(density, int(pen.num * np.exp(pen.draw(1, 4))))
    weight = pen.rng.lognormal(0.8, pen.draw(0.4, 1.6), len(centres))
    width = pen.width(0.015, 0.06, 1.0)
    hole = pen.discs(centres, weight, width)
    rim = np.clip(pen.dots(centres, 3 * weight, width), 0, 1) - hole
    filled, bright = pen.rng.choice([0.0, 0.0, 1.0]), pen.draw(0.2, 1.5)
    body = scene.cytoplasm * pen.draw(0.1, 0.7) * pen.body
    return single(body * (1 - 0.9 * hole) + scene.inside * (bright * rim + filled * hole))


def stain_golgi(pen: Pen) -> Array:
    """A cap of ribbons at one side of the nucleus; compact or scattered."""
    scene = pen.scene
    ribbon = ridge(pen.relief(pen.width(0.06, 0.16, 3), 0.6)[0], pen.draw(0.3, 0.7))
    place = cap(pen, pen.draw(0.1, 0.4)) * scene.fade(pen.draw(1, 4))
    return single(place * ribbon * scene.cytoplasm * 2 + pen.draw(0.02, 0.4) * pen.body)


def cap(pen: Pen, width: float) -> Array:
    """A cap (S, S) around a pole of each cell, 0 to 1. width: in cell radii."""
    scene, crowd = pen.scene, pen.scene.crowd
    pole = pen.rng.uniform(0, 2 * np.pi, crowd.num)
    far = pen.draw(0.25, 0.7) * crowd.bodies.radius
    dy = scene.y - scene.by_cell(crowd.bodies.centre[:, 0] + far * np.sin(pole))
    dx = scene.x - scene.by_cell(crowd.bodies.centre[:, 1] + far * np.cos(pole))
    spread = scene.by_cell(crowd.bodies.radius) * np.float32(width) + np.float32(1e-3)
    place: Array = np.exp(-(dy * dy + dx * dx) / (2 * spread * spread)) * scene.inside
    return place


CELL_STAINS = {
    "cytoplasm": stain_cytoplasm,
    "membrane": stain_membrane,
    "junctions": stain_junctions,
    "granules": stain_granules,
    "vesicles": stain_vesicles,
    "vacuoles": stain_vacuoles,
    "golgi": stain_golgi,
}
