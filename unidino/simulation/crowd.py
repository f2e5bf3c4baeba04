"""Who is in a field: the places, shapes, nuclei and phases of its cells, drawn anew for each plane.

Shapes: N cells, M nuclei, A angles of an outline. Lengths are in px, angles in radian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.cells import Array, Random
from unidino.simulation.waves import relief_at

Integers = NDArray[np.integer]

INTERPHASE, PROPHASE, METAPHASE, ANAPHASE, TELOPHASE, APOPTOTIC, DEBRIS, GIANT = range(8)
#                             inter  pro  meta  ana  telo apopt debris giant
_BODY_SIZE = np.array([1.00, 0.85, 0.78, 0.80, 0.85, 0.60, 0.28, 1.75])
_NUCLEUS_SIZE = np.array([1.0, 1.05, 0.75, 0.52, 0.55, 0.28, 0.35, 1.45])
_NUCLEUS_ASPECT = np.array([1.0, 1.0, 3.0, 2.2, 1.5, 1.0, 1.0, 1.0])
_APART = np.array([0.0, 0.0, 0.0, 0.32, 0.62, 0.0, 0.0, 0.0])  # of two nuclei, in body radii
_BRIGHT = np.array([1.0, 1.3, 1.9, 2.0, 1.7, 2.2, 1.8, 0.9])


@dataclass(frozen=True)
class Habit:
    """Ranges of the shape of the cells of a plane.

    aspect: length over width. corner: exponent of the superellipse, 2 for an ellipse, less for
    pointed ends. rough: relative waves of the outline. spikes: number of protrusions. spacing:
    distance of neighbours in cell diameters. nucleus: its diameter in cell diameters.
    """

    aspect: tuple[float, float]
    corner: tuple[float, float]
    rough: tuple[float, float]
    spikes: tuple[int, int]
    spacing: tuple[float, float]
    nucleus: tuple[float, float]
    share: float  # of all planes


HABITS = {
    "round": Habit((1.0, 1.15), (1.9, 2.3), (0.03, 0.14), (0, 0), (0.9, 1.7), (0.5, 0.85), 0.12),
    "spread": Habit((1.0, 1.7), (1.7, 2.4), (0.08, 0.2), (0, 2), (0.75, 1.3), (0.3, 0.52), 0.28),
    "spindle": Habit((2.0, 5.0), (1.1, 1.7), (0.04, 0.12), (0, 1), (0.6, 1.1), (0.28, 0.5), 0.16),
    "sheet": Habit((1.0, 1.4), (1.9, 3), (0.05, 0.22), (0, 1), (0.6, 0.82), (0.4, 0.65), 0.2),
    "lamella": Habit((1.0, 2.2), (1.3, 2.2), (0.2, 0.4), (1, 4), (0.7, 1.2), (0.25, 0.45), 0.17),
    "stellate": Habit((1.0, 1.8), (1.4, 2), (0.08, 0.2), (3, 7), (0.8, 1.6), (0.35, 0.6), 0.07),
}


@dataclass(frozen=True)
class Blobs:
    """Closed curves: the radius at A angles around a centre."""

    centre: Array  # (N, 2) y, x
    table: Array  # (N, A)

    @property
    def radius(self) -> Array:
        """Mean radius (N,)."""
        mean: Array = self.table.mean(axis=1)
        return mean


@dataclass(frozen=True)
class Crowd:
    """The cells of a field."""

    diameter_px: float
    bodies: Blobs
    axis: Array  # (N,) direction of the long axis
    phase: Integers  # (N,)
    responds: NDArray[np.bool_]  # (N,) cells that differ from the others of their plane
    nuclei: Blobs
    cell: Integers  # (M,) the cell of a nucleus
    bright: Array  # (M,) stain of chromatin, relative to interphase

    @property
    def num(self) -> int:
        """Number of cells, with those outside the field that reach into it."""
        return len(self.phase)


def draw_crowd(
    rng: Random, size_px: int, habit: Habit, diameter_px: float, occupied: float
) -> Crowd:
    """The cells in and around a field. occupied: share of the places that hold a cell, 0 to 1."""
    aspect = rng.uniform(*habit.aspect)
    gap = diameter_px * rng.uniform(*habit.spacing)
    centre = _places(rng, size_px, gap, diameter_px, occupied)
    num = len(centre)
    phase = _phases(rng, num)
    responds = rng.random(num) < rng.choice([0, 0, rng.uniform(0.1, 0.6)])
    axis = rng.uniform(0, 2 * np.pi) + rng.choice([0.15, 0.5, 3.0]) * rng.standard_normal(num)
    if rng.random() < 0.5 and num:  # neighbours align
        axis = axis + 1.5 * relief_at(rng, centre, 4 * diameter_px)
    spread = rng.uniform(0.08, 0.4)
    size = np.exp(spread * rng.standard_normal(num)) * _BODY_SIZE[phase]
    size *= np.where(responds, np.exp(rng.normal(0, 0.25)), 1)
    radius = 0.5 * diameter_px * size
    solid = (phase == INTERPHASE) | (phase == GIANT)
    rough = np.where(solid, rng.uniform(*habit.rough), 0.04) * rng.uniform(0.6, 1.4, num)
    rough = np.where(phase == APOPTOTIC, 0.15, rough)
    stretch = np.exp(np.log(aspect) * rng.uniform(0.6, 1.25, num))
    stretch = np.where(solid, stretch, np.where(phase == TELOPHASE, 1.6, 1.05))
    spikes = rng.integers(habit.spikes[0], habit.spikes[1] + 1, num) * solid
    corner = rng.uniform(*habit.corner)
    num_angles = 512 if diameter_px > 50 else 128
    table = outline(
        rng, radius, stretch, axis, corner, rough, spikes, num_angles, rng.uniform(0.6, 1.4)
    )
    return Crowd(
        diameter_px,
        Blobs(centre, table),
        axis.astype(np.float32),
        phase,
        responds,
        *_nuclei(rng, centre, table, axis, phase, 0.5 * diameter_px * rng.uniform(*habit.nucleus)),
    )


def outline(
    rng: Random,
    radius: Array,
    aspect: Array,
    axis: Array,
    corner: float,
    rough: Array,
    spikes: Integers,
    num_angles: int,
    steep: float,
) -> Array:
    """Radii (N, A) of superellipses with waves and spikes; most arguments are by cell (N,).

    corner: exponent of the superellipse. steep: how fast waves shrink with their number around.
    """
    num = len(radius)
    angle = np.linspace(0, 2 * np.pi, num_angles, endpoint=False, dtype=np.float32)
    along = angle - axis.astype(np.float32)[:, None]
    stretch = np.sqrt(aspect).astype(np.float32)[:, None]
    ends = np.abs(np.cos(along) / stretch) ** corner + np.abs(np.sin(along) * stretch) ** corner
    wave = np.zeros((num, num_angles), np.float32)
    for k in range(1, 8):
        size = rough * rng.uniform(0.2, 1.2, num) / k**steep
        phase = rng.uniform(0, 2 * np.pi, num)
        wave += size.astype(np.float32)[:, None] * np.cos(
            k * angle + phase.astype(np.float32)[:, None]
        )
    for k in range(int(spikes.max(initial=0))):
        length = rng.uniform(0.4, 1.6, num) * (spikes > k)
        sharp = rng.uniform(15, 60)
        turn = np.cos(angle - rng.uniform(0, 2 * np.pi, num).astype(np.float32)[:, None])
        wave += length.astype(np.float32)[:, None] * np.exp(sharp * (turn - 1))
    table: Array = radius.astype(np.float32)[:, None] * ends ** (-1 / corner) * np.exp(wave)
    return table.astype(np.float32)


def _places(rng: Random, size_px: int, gap: float, diameter_px: float, occupied: float) -> Array:
    """Centres (N, 2): a jittered lattice, thinned at random or into colonies."""
    reach = 0.5 * size_px + 0.8 * diameter_px
    half = int(np.ceil(1.5 * reach / gap)) + 1
    row, column = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
    y, x = gap * 0.866 * row, gap * (column + 0.5 * (row % 2))
    jitter = gap * rng.uniform(0.08, 0.35)
    turn = rng.uniform(0, np.pi)
    offset = rng.uniform(0, gap, 2)
    lattice = np.stack(
        [y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)], axis=1
    )
    lattice = lattice + offset + jitter * rng.standard_normal(lattice.shape)
    centre = lattice[(np.abs(lattice) < reach).all(axis=1)] + 0.5 * size_px
    score = rng.random(len(centre))
    if rng.random() < 0.55 and len(centre):  # colonies
        score = relief_at(rng, centre, gap * rng.uniform(3, 8)) + 0.4 * score
    if len(centre):  # one place in the field is always taken, if any is
        score[np.argmin(np.abs(centre - rng.uniform(0.2, 0.8, 2) * size_px).sum(axis=1))] = -9
    kept = np.argsort(score)[: int(np.ceil(occupied * len(centre)))]
    return np.asarray(centre[kept], np.float32)


def _phases(rng: Random, num: int) -> Integers:
    """Phases (N,): mostly interphase; in a few planes many cells divide or die."""
    divide = rng.choice([0, rng.uniform(0, 0.1), rng.uniform(0.2, 0.6)], p=[0.3, 0.64, 0.06])
    die = rng.choice([0, rng.uniform(0, 0.08), rng.uniform(0.15, 0.5)], p=[0.4, 0.54, 0.06])
    debris = rng.choice([0, rng.uniform(0, 0.1)], p=[0.7, 0.3])
    giant = rng.choice([0, rng.uniform(0, 0.05), rng.uniform(0.1, 0.4)], p=[0.6, 0.36, 0.04])
    stages = rng.dirichlet([1.0, 1.2, 0.7, 0.8])
    share = np.array([0, *(divide * stages), die, debris, giant])
    share *= min(1, 0.95 / max(share.sum(), 1e-9))
    share[0] = 1 - share.sum()
    return rng.choice(8, num, p=share)


def _nuclei(
    rng: Random, centre: Array, table: Array, axis: Array, phase: Integers, radius_px: float
) -> tuple[Blobs, Integers, Array]:
    """Nuclei of the cells, the cell of each, and its brightness."""
    num = len(phase)
    several = rng.choice([0, rng.uniform(0, 0.15), rng.uniform(0.3, 0.9)], p=[0.6, 0.34, 0.06])
    count = np.ones(num, int) + (rng.random(num) < several) * rng.integers(1, 4, num)
    count = np.where((phase >= PROPHASE) & (phase <= METAPHASE), 1, count)
    count = np.where((phase == ANAPHASE) | (phase == TELOPHASE), 2, count)
    count = np.where(phase == APOPTOTIC, rng.integers(3, 8, num), count)
    count = np.where(phase == DEBRIS, rng.integers(0, 2, num), count)
    cell = np.repeat(np.arange(num), count)
    order = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    of, body = phase[cell], table.mean(axis=1)[cell]
    size = np.exp(rng.uniform(0.04, 0.22) * rng.standard_normal(len(cell))) * _NUCLEUS_SIZE[of]
    size /= np.where((of == INTERPHASE) | (of == GIANT), count[cell] ** 0.4, 1)
    radius = np.minimum(radius_px * size, 0.85 * body)
    pair = (of == ANAPHASE) | (of == TELOPHASE)
    around = rng.uniform(0, 2 * np.pi, len(cell))
    crowded = np.where(of == APOPTOTIC, 0.6, np.where(count[cell] > 1, 0.3, rng.uniform(0, 0.18)))
    far = np.where(pair, _APART[of], crowded * np.sqrt(rng.random(len(cell)))) * body
    along = np.where(pair, axis[cell] + np.pi * order, around)
    place = centre[cell] + (far * np.stack([np.sin(along), np.cos(along)])).T
    aspect = np.exp(rng.uniform(0.0, 0.45) * rng.uniform(0.3, 1.3, len(cell)))
    aspect = aspect * _NUCLEUS_ASPECT[of]
    lobes = rng.choice([0.02, 0.05, 0.16], p=[0.55, 0.35, 0.1])
    tilt = axis[cell] + rng.uniform(0.1, 0.6) * rng.standard_normal(len(cell))
    across = np.where((of >= METAPHASE) & (of <= TELOPHASE), axis[cell] + 0.5 * np.pi, tilt)
    nothing = np.zeros(len(cell), int)
    rough = lobes * rng.uniform(0.5, 1.5, len(cell))
    shape = outline(rng, radius, aspect, across, 2.0, rough, nothing, 128, 2.0)
    bright = _BRIGHT[of] * np.exp(rng.uniform(0.05, 0.3) * rng.standard_normal(len(cell)))
    return Blobs(place.astype(np.float32), shape), cell, bright.astype(np.float32)
