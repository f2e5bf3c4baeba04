"""Single-channel fluorescence fields: 20 stains in cells of 6 habits, all else drawn at random.

A plane has one stain, often with faint others, one habit of its cells, one mixture of phenotypes
and one camera, all drawn from the seed and the index of the plane alone. Its cells differ as cells
of one well do, so two crops of a plane resemble each other more than crops of two planes.

Shapes: S pixels across a field.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.artefacts import ARTEFACTS
from unidino.simulation.camera import Camera, expose, illuminate
from unidino.simulation.cell_stains import CELL_STAINS
from unidino.simulation.cells import Array, Random
from unidino.simulation.crowd import HABITS, INTERPHASE, draw_crowd
from unidino.simulation.fibre_stains import FIBRE_STAINS
from unidino.simulation.nuclear_stains import NUCLEAR_STAINS
from unidino.simulation.scene import Pen, Scene
from unidino.simulation.waves import gaussian, smoothed

FAMILIES = {**NUCLEAR_STAINS, **CELL_STAINS, **FIBRE_STAINS}


@dataclass(frozen=True)
class Traits:
    """What a plane shows.

    family: its stain. others: stains that are mixed in. occupied: share of the field that cells
    cover. unlike: share of cells that are not in interphase or that respond. photons: of bright
    structures. background: light without cells, relative to bright structures.
    """

    family: str
    others: str
    habit: str
    num_cells: int
    diameter_px: float
    occupied: float
    unlike: float
    blur_px: float
    photons: float
    background: float
    artefact: str
    blank: bool


@dataclass(frozen=True)
class Plane:
    """Camera counts (S, S), uint16, and what they show."""

    counts: NDArray[np.uint16]
    traits: Traits


def family_of(seed: int, index: int) -> str:
    """The stain of a plane, which is the name of its channel."""
    names = list(FAMILIES)
    return names[int(_random(seed, index, 0).integers(len(names)))]


def render_plane(seed: int, index: int, size_px: int = 256) -> Plane:
    """The plane of this index of the stream of this seed.

    >>> render_plane(0, 7).counts.shape
    (256, 256)
    """
    rng = _random(seed, index, 1)
    family = family_of(seed, index)
    names = list(HABITS)
    habit = names[rng.choice(len(names), p=[h.share for h in HABITS.values()])]
    diameter = float(np.exp(rng.triangular(np.log(12), np.log(65), np.log(220))))
    blank = bool(rng.random() < 0.02)
    occupied = float(
        rng.choice([rng.uniform(0.1, 0.5), rng.uniform(0.5, 1.0), 1.0], p=[0.25, 0.35, 0.4])
    )
    crowd = draw_crowd(rng, size_px, HABITS[habit], diameter, 0.0 if blank else occupied)
    scene = Scene(crowd, size_px, rng)
    pen = Pen(scene, rng)
    others = [str(name) for name in rng.choice(list(FAMILIES), rng.choice(3, p=[0.5, 0.35, 0.15]))]
    signal = _stained(pen, family, others)
    camera = Camera.draw(rng, diameter)
    light = illuminate(signal, camera, rng)
    artefacts = list(ARTEFACTS)
    artefact = artefacts[rng.choice(len(artefacts), p=[share for _, share in ARTEFACTS.values()])]
    light = ARTEFACTS[artefact][0](light, rng)
    unlike = (crowd.phase != INTERPHASE) | crowd.responds
    traits = Traits(
        family=family,
        others=" ".join(others),
        habit=habit,
        num_cells=crowd.num,
        diameter_px=round(diameter, 1),
        occupied=round(scene.coverage, 3),
        unlike=round(float(unlike.mean()), 3) if crowd.num else 0.0,
        blur_px=round(camera.blur_px + camera.defocus_px, 2),
        photons=round(camera.photons, 1),
        background=round(camera.background, 3),
        artefact=artefact,
        blank=blank,
    )
    return Plane(expose(light, camera, rng), traits)


def _random(seed: int, index: int, part: int) -> Random:
    return np.random.default_rng((seed, index, part))


def _stained(pen: Pen, family: str, others: list[str]) -> Array:
    """The light of the stains of all cells, without optics; bright structures are about 1."""
    rng, crowd = pen.rng, pen.scene.crowd
    signal = _even(FAMILIES[family](pen))
    for name in others:
        faint = rng.choice([rng.uniform(0.03, 0.2), rng.uniform(0.2, 0.8)])
        signal = signal + np.float32(faint) * _even(FAMILIES[name](pen))
    spread = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.7), 1.3], p=[0.6, 0.34, 0.06])
    level = np.exp(spread * rng.standard_normal(crowd.num)).astype(np.float32)
    level *= np.where(crowd.responds, np.exp(rng.normal(0, 0.5)), 1)
    level *= np.where(crowd.phase == INTERPHASE, 1, np.exp(rng.normal(0.3, 0.4)))
    ground = np.float32(rng.choice([0.0, 0.3, 1.0]) if family != "matrix" else 1.0)
    signal = signal * np.append(level, ground).astype(np.float32)[pen.scene.cell]
    if pen.chance(0.15):  # another layer of the sample, out of focus
        shift = tuple(int(s) for s in rng.integers(0, pen.size_px, 2))
        layer = np.roll(signal.T, shift, (0, 1))
        wide = gaussian(pen.size_px, pen.width(0.05, 0.3, 2))
        signal = signal + np.float32(rng.uniform(0.2, 0.9)) * np.maximum(smoothed(layer, wide), 0)
    return signal


def _even(signal: Array) -> Array:
    """The signal, divided by its bright structures."""
    bright = float(np.quantile(signal[::2, ::2], 0.99))
    return signal / np.float32(max(bright, 0.05))
