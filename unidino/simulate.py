"""Small imaging screens whose truth is known: a test bed for the whole pipeline.

Each compartment is drawn from the geometry of the cells and a random stream of its own, so a
mechanism planted in one channel leaves the others as they were, bit for bit. Batches differ in
focus, noise, light and staining, which centring each plate does not undo.

Shapes: C channels, N cells of a field, M points of a cell, T steps of a strand,
P pixels across the patch around a cell, S pixels across a field.
A field is a torus: what leaves on one side enters on the other, and filters wrap likewise.
`depth` is where in a cell: 0 centre of the nucleus, 1 nuclear envelope, 2 plasma membrane.
"""

import csv
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from unidino.errors import InputError, choose

Array = NDArray[np.floating]  # float32, whatever numpy's stubs make of a transform
Random = np.random.Generator

PATCH_HALF_PX = 44  # holds the largest body
CAMERA_OFFSET = 150.0  # counts
FULL_SIGNAL = 3000.0  # counts of a signal of 1 at gain 1
HAZE_PX = 9.0  # spread of the light that is out of focus
_PLATEMAP = ("plate", "well", "compound", "concentration_um", "control_type", "moa")
_DMSO = ("DMSO", "0", "negcon", "")


# ---- what is screened


@dataclass(frozen=True)
class Compound:
    """A compound; its side effect, speckle or mottle, shows in the channel of its mechanism."""

    name: str
    moa: str
    ec50_um: float
    side_effect: str


@dataclass(frozen=True)
class Treatment:
    """A compound at a concentration; DMSO where there is no compound."""

    compound: Compound | None = None
    concentration_um: float = 0.0

    @property
    def strength(self) -> float:
        """Share of the full effect, 0 to 1 (Hill curve of slope 1)."""
        if self.compound is None:
            return 0.0
        return self.concentration_um / (self.concentration_um + self.compound.ec50_um)


@dataclass(frozen=True)
class Screen:
    """What is screened and how it is laid out; `mechanisms` maps each to its planted channel."""

    name: str
    channels: tuple[str, ...]
    mechanisms: Mapping[str, str]
    compounds_per_mechanism: int = 2
    concentrations_um: tuple[float, ...] = (1.0, 10.0)
    num_controls: int = 6
    num_batches: int = 2
    plates_per_batch: int = 2
    rows: str = "BCDEF"
    columns: tuple[int, ...] = (2, 3, 4, 5, 6, 7)
    source: str = "simulator"
    batch_effect: float = 1.0  # times the half ranges of BATCH_RANGE, 0 to 1.5

    @property
    def compounds(self) -> list[Compound]:
        """Compounds, those of a mechanism differing in potency and side effect."""
        variants = [(1.5, "speckle"), (2.5, "mottle")]
        moas = [moa for moa in self.mechanisms for _ in range(self.compounds_per_mechanism)]
        return [
            Compound(f"{self.name}-{number:02d}", moa, *variants[(number - 1) % 2])
            for number, moa in enumerate(moas, start=1)
        ]

    @property
    def treatments(self) -> list[Treatment]:
        """What every plate holds, one treatment a well, controls last."""
        doses = [Treatment(c, um) for c in self.compounds for um in self.concentrations_um]
        return doses + [Treatment()] * self.num_controls

    @property
    def plates(self) -> dict[str, int]:
        """Batch, from 1, of every plate name."""
        return {
            f"{self.name}_b{batch}_p{plate}": batch
            for batch in range(1, self.num_batches + 1)
            for plate in range(1, self.plates_per_batch + 1)
        }

    @property
    def edge(self) -> set[str]:
        """Wells at the border of the layout."""
        rows, columns = (self.rows[0], self.rows[-1]), (self.columns[0], self.columns[-1])
        return {well for well in self.wells if well[0] in rows or int(well[1:]) in columns}

    @property
    def wells(self) -> list[str]:
        """Well names such as B02, by row."""
        return [f"{row}{column:02d}" for row in self.rows for column in self.columns]

    def layout(self, plate: str, seed: int) -> dict[str, Treatment]:
        """Treatment of every used well of a plate, in an order of its own.

        Raises InputError where the wells are too few.
        """
        if len(self.treatments) > len(self.wells):
            what = f"{len(self.treatments)} treatments and controls in {len(self.wells)} wells"
            raise InputError(f"{what} of '{self.name}'; add rows or columns")
        wells = _stream(seed, self, "layout", plate).permutation(self.wells)
        return dict(sorted(zip(map(str, wells), self.treatments, strict=False)))


SCREENS = {
    "sim3": Screen(
        "sim3",
        ("DNA", "Actin", "Tubulin"),
        {
            "topoisomerase inhibitor": "DNA",
            "apoptosis inducer": "DNA",
            "actin disruptor": "Actin",
            "rho activator": "Actin",
            "microtubule stabilizer": "Tubulin",
            "microtubule destabilizer": "Tubulin",
        },
    ),
    "sim5": Screen(
        "sim5",
        ("DNA", "RNA", "ER", "AGP", "Mito"),
        {
            "topoisomerase inhibitor": "DNA",
            "rna polymerase inhibitor": "RNA",
            "er stress inducer": "ER",
            "golgi disruptor": "AGP",
            "mitochondrial uncoupler": "Mito",
            "kinesin inhibitor": "Mito",
        },
        # One mechanism a channel is easy to tell apart, so its batches lie further apart.
        batch_effect=1.3,
    ),
}


def _stream(seed: int, screen: Screen, *key: str | int) -> Random:
    """A random generator of its own for every key, whatever the order of work."""
    words = [zlib.crc32(str(word).encode()) for word in (screen.name, *key)]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=words))


# ---- cells


@dataclass(frozen=True)
class Outline:
    """Closed curves around N centres: a mean radius and K waves around it."""

    radius_px: Array  # (N,)
    waves: Array  # (N, K), relative
    phases: Array  # (N, K), radian

    @classmethod
    def draw(cls, rng: Random, num: int, low: float, high: float, waves: list[float]) -> "Outline":
        """N outlines of mean radius low to high px and waves of about these sizes."""
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
    pole: Array  # (N, 1) radian, where the centrosome and the Golgi lie
    pixel: NDArray[np.intp]  # (N, P, P) index into the flattened field
    depth: Array  # (N, P, P)

    @classmethod
    def draw(cls, rng: Random, num: int, size_px: int) -> "Cells":
        """Up to `num` cells, nuclei apart, on a field of size_px (at least 64)."""
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
        radius, angle = _polar_patch()
        angles = np.broadcast_to(angle, (num, *angle.shape))
        inner, outer = nucleus.at(angles), body.at(angles)
        depth = np.where(radius < inner, radius / inner, 1 + (radius - inner) / (outer - inner))
        return cls(size_px, centre, nucleus, body, pole, rows * size_px + columns, depth)

    def locate(self, depth: Array, angle: Array) -> tuple[Array, Array]:
        """Offsets y, x in px from the centre of each cell of points given (N, M)."""
        inner, outer = self.nucleus.at(angle), self.body.at(angle)
        radius = np.minimum(depth, 1) * inner + np.maximum(depth - 1, 0) * (outer - inner)
        return radius * np.sin(angle), radius * np.cos(angle)


@lru_cache
def _polar_patch() -> tuple[Array, Array]:
    """Radius in px and angle of every pixel of a patch, (P, P) each."""
    y, x = np.mgrid[-PATCH_HALF_PX : PATCH_HALF_PX + 1, -PATCH_HALF_PX : PATCH_HALF_PX + 1]
    return np.hypot(y, x).astype(np.float32), np.arctan2(y, x).astype(np.float32)


@lru_cache
def _frequency(size_px: int) -> Array:
    """Spatial frequency in cycles per px of the transform of a field."""
    y, x = np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None, :]
    frequency: Array = np.hypot(y, x).astype(np.float32)
    return frequency


def _gaussian(size_px: int, width_px: float) -> Array:
    """Transfer function of a Gaussian of this standard deviation."""
    transfer: Array = np.exp(-2 * (np.pi * width_px * _frequency(size_px)) ** 2)
    return transfer


def _filter(image: Array, transfer: Array) -> Array:
    """The image, its frequencies weighted by `transfer`."""
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, image.shape)


def _texture(rng: Random, size_px: int, wavelength_px: float) -> Array:
    """Random relief (S, S) of one wavelength, mean 0 and standard deviation 1."""
    frequency = _frequency(size_px)
    waves = rng.standard_normal((*frequency.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    waves *= np.exp(-(((frequency * wavelength_px - 1) / 0.35) ** 2))
    relief: Array = np.fft.irfft2(waves, (size_px, size_px))
    relief /= relief.std()
    return relief


# ---- stains


class Brush:
    """Draws one channel of the cells of a field; every drawing comes back as (S, S).

    dye_spread: times every width and wavelength.
    """

    def __init__(self, cells: Cells, treatment: Treatment, dye_spread: float, rng: Random) -> None:
        num = len(cells.centre)
        self.cells, self.treatment, self.dye_spread, self.rng = cells, treatment, dye_spread, rng
        self.stain = np.exp(rng.normal(0, 0.2, (num, 1))).astype(np.float32)
        response = treatment.strength * rng.uniform(0.6, 1.4, (num, 1))
        self.response = np.clip(response, 0, 1).astype(np.float32)

    def shows(self, moa: str) -> Array:
        """Response (N, 1) of the cells, 0 to 1, if this is the mechanism; else zeros."""
        compound = self.treatment.compound
        return self.response * np.float32(compound is not None and compound.moa == moa)

    def uniform(self, low: float, high: float, num: int) -> Array:
        """Draws (N, num) between low and high."""
        return self.rng.uniform(low, high, (len(self.cells.centre), num)).astype(np.float32)

    def texture(self, wavelength_px: float) -> Array:
        """Random relief of one wavelength, mean 0 and standard deviation 1."""
        return _texture(self.rng, self.cells.size_px, wavelength_px * self.dye_spread)

    def fill(self, values: Array, weight: Array | float = 1.0) -> Array:
        """Patches (N, P, P), each times its cell's weight (N, 1)."""
        values = values * (self.stain * weight)[:, :, None]
        return self._sum(self.cells.pixel, values)

    def points(self, depth: Array, angle: Array, weight: Array | float, width_px: float) -> Array:
        """Gaussian points (N, M) of this peak and standard deviation."""
        return self._dots(*self.cells.locate(depth, angle), self.stain * weight, width_px)

    def headings(self, first: Array, num_steps: int, bend: float) -> Array:
        """Turns (N, M, T) of strands that set out at `first` (N, M) and wander, radian a step."""
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
        """Curved strands, one step a px, that end at the membrane and fade over the nucleus.

        start: depth and angle (N, M) where strands begin.
        turn: (N, M, T), heading of the first step and then turns, radian.
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
        transfer = _gaussian(size, width_px * self.dye_spread)
        return _filter(dots, transfer) * np.float32(2 * np.pi * width_px**2)

    def _sum(self, pixel: NDArray[np.intp], values: Array) -> Array:
        size = self.cells.size_px
        total = np.bincount(pixel.ravel(), values.ravel(), size * size)
        return total.astype(np.float32).reshape(size, size)


def _step(edge: float, depth: Array, softness: float = 0.06) -> Array:
    """1 inside of this depth, 0 outside, with a short ramp between."""
    inside: Array = np.clip((edge - depth) / softness + 0.5, 0, 1)
    return inside


def _band(middle: float, depth: Array, width: Array | float) -> Array:
    """A Gaussian ring around this depth."""
    ring: Array = np.exp(-(((depth - middle) / width) ** 2))
    return ring


def _discs(brush: Brush, depth: Array, angle: Array, weight: Array | float, px: float) -> Array:
    """Discs of this radius: Gaussian points, saturated."""
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
    hole = _discs(brush, *holes, stressed, 5.0)
    rim = _discs(brush, *holes, stressed, 6.6) - hole
    vacuoles: Array = reticulum * (1 - 0.9 * hole) + 0.5 * rim
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
    puncta = brush.uniform(1.05, 1.9, 22), brush.uniform(0, 2 * np.pi, 22)
    haze = brush.fill(_step(2, depth), 0.15)
    return haze + cortex + ring + fibres + brush.points(*puncta, 1.0 * lost, 2.3)


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


def _side_effect(brush: Brush, signal: Array) -> Array:
    """The signal with what its compound does besides: puncta, or uneven staining."""
    compound, strength = brush.treatment.compound, brush.treatment.strength
    if compound is None:
        return signal
    if compound.side_effect == "speckle":
        dots = brush.uniform(1.1, 1.9, 12), brush.uniform(0, 2 * np.pi, 12)
        return signal + brush.points(*dots, 0.3 * strength, 1.0)
    mottle: Array = np.maximum(1 + 0.25 * strength * brush.texture(16), 0)
    return signal * mottle


# ---- optics


@dataclass(frozen=True)
class Optics:
    """How staining and microscope change one channel."""

    gain: float  # times FULL_SIGNAL
    background: float  # counts
    blur_px: float  # standard deviation of the point spread
    haze: float  # share of the light that is out of focus
    shot_noise: float  # variance over mean, counts
    read_noise: float  # standard deviation, counts
    vignette: float  # share of the light lost in the corners
    tilt: float  # share of the light lost towards the right
    dye_spread: float  # relative width of stained structures
    mottle: float  # relative strength of uneven staining
    mottle_px: float  # wavelength of uneven staining


# Middle and half range over the batches of a screen.
BATCH_RANGE = {
    "gain": (0.8, -0.3),
    "background": (250.0, 100.0),
    "blur_px": (1.25, 0.5),
    "haze": (0.25, 0.15),
    "shot_noise": (4.0, 2.0),
    "read_noise": (20.0, 10.0),
    "vignette": (0.3, 0.15),
    "tilt": (0.2, 0.15),
    "dye_spread": (1.1, 0.32),
    "mottle": (0.18, 0.08),
    "mottle_px": (9.0, 4.0),
}


def batch_optics(screen: Screen, seed: int) -> dict[int, dict[str, Optics]]:
    """Optics of every batch, then of every channel.

    Batches lie evenly over each range, so they differ by its width whatever the seed; which of
    them is the poor one (faint, blurred, noisy, uneven) is drawn for every channel.
    """
    levels = screen.batch_effect * (
        np.linspace(-1, 1, screen.num_batches) if screen.num_batches > 1 else np.zeros(1)
    )
    optics: dict[int, dict[str, Optics]] = {batch: {} for batch in screen.plates.values()}
    for channel in screen.channels:
        rng = _stream(seed, screen, "batch", channel)
        for batch, level in enumerate(map(float, rng.permutation(levels)), start=1):
            optics[batch][channel] = Optics(
                **{k: mid + half * level for k, (mid, half) in BATCH_RANGE.items()}
            )
    return optics


def well_optics(screen: Screen, plate: str, well: str, channel: str, seed: int) -> Optics:
    """Optics of a channel in a well: its batch's, moved a little by plate, well and edge."""
    of_plate = _stream(seed, screen, "plate", plate, channel)
    of_well = _stream(seed, screen, "well", plate, well, channel)
    optics = asdict(batch_optics(screen, seed)[screen.plates[plate]][channel])
    for name, (_, half) in BATCH_RANGE.items():
        shift = of_plate.normal(0, 0.15) + of_well.normal(0, 0.07)
        optics[name] += half * float(np.clip(shift, -0.5, 0.5))
    if well in screen.edge:
        optics["gain"] *= 0.8
        optics["blur_px"] += 0.2
    return Optics(**optics)


def expose(signal: Array, optics: Optics, rng: Random) -> NDArray[np.uint16]:
    """Camera counts (S, S) of a noise-free signal (S, S)."""
    size = len(signal)
    stained = signal * np.exp(optics.mottle * _texture(rng, size, optics.mottle_px))
    sharp, wide = _gaussian(size, optics.blur_px), _gaussian(size, HAZE_PX)
    light = _filter(stained, (1 - optics.haze) * sharp + optics.haze * wide)
    across = np.linspace(-1, 1, size, dtype=np.float32)
    corner = (across[:, None] ** 2 + across**2) / 2
    lamp = 1 - optics.vignette * corner - optics.tilt * (across + 1) / 2
    counts = (optics.background + FULL_SIGNAL * optics.gain * np.maximum(light, 0)) * lamp
    # Many photons: shot noise is as good as normal, and ten times faster to draw.
    spread = np.sqrt(optics.shot_noise * counts + optics.read_noise**2)
    counts += spread * rng.standard_normal(counts.shape, dtype=np.float32) + CAMERA_OFFSET
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


# ---- fields and files


def render_field(
    screen: Screen,
    plate: str,
    well: str,
    field: int,
    treatment: Treatment,
    *,
    seed: int = 0,
    size_px: int = 256,
) -> NDArray[np.uint16]:
    """Planes (C, S, S) of one field in camera counts.

    Everything but the planted channel is the same for any treatment.
    """
    crowd = _stream(seed, screen, "crowd", plate, well).uniform(14.5, 18)
    rng = _stream(seed, screen, "cells", plate, well, field)
    num = max(2, round((crowd + rng.uniform(-1, 1)) * (size_px / 256) ** 2))
    cells = Cells.draw(rng, num, size_px)
    planted = treatment.compound and screen.mechanisms[treatment.compound.moa]
    planes = []
    for channel in screen.channels:
        optics = well_optics(screen, plate, well, channel, seed)
        shown = treatment if channel == planted else Treatment()
        signal_rng = _stream(seed, screen, "signal", plate, well, field, channel)
        brush = Brush(cells, shown, optics.dye_spread, signal_rng)
        signal = _side_effect(brush, STAINS[channel](brush))
        camera_rng = _stream(seed, screen, "camera", plate, well, field, channel)
        planes.append(expose(signal, optics, camera_rng))
    return np.stack(planes)


def image_name(well: str, field: int, channel_index: int) -> str:
    """File name as an Opera Phenix writes it; field and channel count from 1."""
    row, column = ord(well[0]) - ord("A") + 1, int(well[1:])
    return f"r{row:02d}c{column:02d}f{field:02d}p01-ch{channel_index}sk1fk1fl1.tiff"


def simulate_screen(
    folder: Path,
    screen: Screen,
    *,
    seed: int = 0,
    jobs: int = 2,
    num_fields: int = 2,
    size_px: int = 256,
    plates: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Number of TIFF planes written, beside platemap.csv, plates.csv and truth.json.

    size_px: side of a field, at least 64.
    plates: some of the screen's plates; the tables then list only these.
    progress: called with the fields done and all fields, in the caller's thread.
    The pixels depend on the seed alone, not on jobs or on which plates are asked for.
    Raises UnidinoError for a plate that the screen lacks or cannot hold.
    """
    everything = list(screen.plates)
    chosen = everything if plates is None else [choose("plate", p, everything) for p in plates]
    layouts = {plate: screen.layout(plate, seed) for plate in chosen}
    for plate in chosen:
        (folder / plate / "Images").mkdir(parents=True, exist_ok=True)

    def write_field(plate: str, well: str, field: int) -> None:
        treatment = layouts[plate][well]
        planes = render_field(screen, plate, well, field, treatment, seed=seed, size_px=size_px)
        for index, plane in enumerate(planes, start=1):
            tifffile.imwrite(folder / plate / "Images" / image_name(well, field, index), plane)

    keys = [
        (plate, well, field)
        for plate in chosen
        for well in layouts[plate]
        for field in range(1, num_fields + 1)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(write_field, *key) for key in keys]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(done, len(keys))
    _write_tables(folder, screen, layouts, seed)
    return len(keys) * len(screen.channels)


def _write_tables(
    folder: Path, screen: Screen, layouts: Mapping[str, Mapping[str, Treatment]], seed: int
) -> None:
    """Writes platemap.csv, plates.csv and truth.json."""
    wells: list[tuple[object, ...]] = []
    for plate, layout in layouts.items():
        for well, treatment in layout.items():
            compound, dose = treatment.compound, f"{treatment.concentration_um:g}"
            what = (compound.name, dose, "trt", compound.moa) if compound else _DMSO
            wells.append((plate, well, *what))
    _write_csv(folder / "platemap.csv", _PLATEMAP, wells)
    plates = [(plate, screen.plates[plate], screen.source) for plate in layouts]
    _write_csv(folder / "plates.csv", ("plate", "batch", "source"), plates)
    optics = {
        batch: {channel: asdict(value) for channel, value in by_channel.items()}
        for batch, by_channel in batch_optics(screen, seed).items()
    }
    truth = {"screen": screen.name, "mechanisms": dict(screen.mechanisms), "batch_optics": optics}
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
