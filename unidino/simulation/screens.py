"""Screens: compounds with mechanisms, the channel that each mechanism changes, and plates."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unidino.core.errors import InputError


@dataclass(frozen=True)
class Compound:
    """A compound. side_effect: speckle or mottle, in the channel of its mechanism."""

    name: str
    moa: str
    ec50_um: float
    side_effect: str


@dataclass(frozen=True)
class Treatment:
    """A compound at a concentration; DMSO if there is no compound."""

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
    """Treatments and plates of a screen. mechanisms: the channel that each mechanism changes."""

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
        """Compounds; those of one mechanism differ in potency and side effect."""
        variants = [(1.5, "speckle"), (2.5, "mottle")]
        moas = [moa for moa in self.mechanisms for _ in range(self.compounds_per_mechanism)]
        return [
            Compound(f"{self.name}-{number:02d}", moa, *variants[(number - 1) % 2])
            for number, moa in enumerate(moas, start=1)
        ]

    @property
    def treatments(self) -> list[Treatment]:
        """Treatments of every plate, one per well, controls last."""
        doses = [Treatment(c, um) for c in self.compounds for um in self.concentrations_um]
        return doses + [Treatment()] * self.num_controls

    @property
    def plates(self) -> dict[str, int]:
        """Batch, from 1, of every plate by its name."""
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
        """Treatment of every used well of a plate; each plate has another random order.

        Raises InputError if there are fewer wells than treatments.
        """
        if len(self.treatments) > len(self.wells):
            what = f"{len(self.treatments)} treatments and controls in {len(self.wells)} wells"
            raise InputError(f"{what} of '{self.name}'; add rows or columns")
        wells = stream(seed, self, "layout", plate).permutation(self.wells)
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
        # Mechanisms in different channels are easy to tell apart, so these batches differ more.
        batch_effect=1.3,
    ),
}


def stream(seed: int, screen: Screen, *key: str | int) -> np.random.Generator:
    """A random generator that depends only on the seed, the screen and the key."""
    words = [zlib.crc32(str(word).encode()) for word in (screen.name, *key)]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=words))
