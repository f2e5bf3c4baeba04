"""The kinds of models: where their vectors come from, and what the vectors are named by."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "vit", "timm", "microsnoop", "codebook", "cellprofiler", "gaussian", "cell_count", "imported"
]
Source = Literal["network", "cells", "random", "counts", "file"]

EVERY_CHANNEL = "*"
SHAPE = "Shape"
CORRELATION = "Correlation"
IMPORTED = "features"
CELLS = "Cells"


@dataclass(frozen=True)
class KindTraits:
    """What all models of one kind have in common.

    source: the output of a network, features of segmented cells, random numbers, the counts of
    cells that wells have, or a file of imported profiles. is_measured: the entries of a vector are
    named measurements.
    groups: the names of the vectors of a field; `*` stands for every channel of its plate.
    """

    source: Source
    is_measured: bool = False
    groups: tuple[str, ...] = (EVERY_CHANNEL,)

    @property
    def has_network(self) -> bool:
        """Whether models of this kind have weights."""
        return self.source == "network"

    @property
    def embeds(self) -> bool:
        """Whether models of this kind turn images into vectors."""
        return self.source != "file"


KINDS: dict[Kind, KindTraits] = {
    "vit": KindTraits("network"),
    "timm": KindTraits("network"),
    "microsnoop": KindTraits("network"),
    "codebook": KindTraits("network"),
    "cellprofiler": KindTraits(
        "cells", is_measured=True, groups=(EVERY_CHANNEL, SHAPE, CORRELATION)
    ),
    "gaussian": KindTraits("random"),
    "cell_count": KindTraits("counts", is_measured=True, groups=(CELLS,)),
    "imported": KindTraits("file", is_measured=True, groups=(IMPORTED,)),
}
