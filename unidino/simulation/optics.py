"""Staining and microscope, which differ between batches, plates and wells.

Shapes: S pixels across a field.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.simulation.cells import Array, Random, filtered, gaussian, texture
from unidino.simulation.screens import Screen, stream

CAMERA_OFFSET = 150.0  # counts
FULL_SIGNAL = 3000.0  # counts of a signal of 1 at gain 1
HAZE_PX = 9.0  # spread of the light that is out of focus


@dataclass(frozen=True)
class Optics:
    """Staining and microscope of one channel."""

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


# Middle and half width of the range over the batches of a screen.
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
    """Optics by batch and channel.

    Batches are spread evenly over each range, so that they differ by its width for every seed. For
    each channel the seed decides which batch is the poor one (faint, blurred, noisy, uneven).
    """
    levels = screen.batch_effect * (
        np.linspace(-1, 1, screen.num_batches) if screen.num_batches > 1 else np.zeros(1)
    )
    optics: dict[int, dict[str, Optics]] = {batch: {} for batch in screen.plates.values()}
    for channel in screen.channels:
        rng = stream(seed, screen, "batch", channel)
        for batch, level in enumerate(map(float, rng.permutation(levels)), start=1):
            optics[batch][channel] = Optics(
                **{k: mid + half * level for k, (mid, half) in BATCH_RANGE.items()}
            )
    return optics


def well_optics(screen: Screen, plate: str, well: str, channel: str, seed: int) -> Optics:
    """Optics of a channel in a well: those of its batch, with shifts by plate, well and edge."""
    of_plate = stream(seed, screen, "plate", plate, channel)
    of_well = stream(seed, screen, "well", plate, well, channel)
    optics = asdict(batch_optics(screen, seed)[screen.plates[plate]][channel])
    for name, (_, half) in BATCH_RANGE.items():
        shift = of_plate.normal(0, 0.15) + of_well.normal(0, 0.07)
        optics[name] += half * float(np.clip(shift, -0.5, 0.5))
    if well in screen.edge:
        optics["gain"] *= 0.8
        optics["blur_px"] += 0.2
    return Optics(**optics)


def expose(signal: Array, optics: Optics, rng: Random) -> NDArray[np.uint16]:
    """Camera counts (S, S) of a signal (S, S) without noise."""
    size = len(signal)
    stained = signal * np.exp(optics.mottle * texture(rng, size, optics.mottle_px))
    sharp, wide = gaussian(size, optics.blur_px), gaussian(size, HAZE_PX)
    light = filtered(stained, (1 - optics.haze) * sharp + optics.haze * wide)
    across = np.linspace(-1, 1, size, dtype=np.float32)
    corner = (across[:, None] ** 2 + across**2) / 2
    lamp = 1 - optics.vignette * corner - optics.tilt * (across + 1) / 2
    counts = (optics.background + FULL_SIGNAL * optics.gain * np.maximum(light, 0)) * lamp
    # With many photons shot noise is close to normal, which is ten times faster to draw.
    spread = np.sqrt(optics.shot_noise * counts + optics.read_noise**2)
    counts += spread * rng.standard_normal(counts.shape, dtype=np.float32) + CAMERA_OFFSET
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
