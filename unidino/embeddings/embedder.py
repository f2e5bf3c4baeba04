"""What turns images into vectors: the protocol that every family of models implements.

Shapes: I vectors, N crops, D embedding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]
Advance = Callable[[int], None]


def _no_places() -> NDArray[np.int32]:
    return np.empty((0, 2), np.int32)


@dataclass(frozen=True)
class Encoded:
    """Vectors of images.

    rows: what each vector is of, by plate, well, field, channel and channel_index.
    means: vectors (I, D), means over crops; num_crops: crops in each mean (I,).
    dropped: images without a vector: reason and count.
    crops: vectors (N, D) of single crops, if they were kept; places: top and left of the crops in
    px (N, 2), both in the order of the rows.
    """

    rows: Sequence[Row]
    means: NDArray[np.float32]
    num_crops: NDArray[np.int32]
    dropped: Mapping[str, int] = field(default_factory=dict)
    crops: NDArray[np.float32] | None = None
    places: NDArray[np.int32] = field(default_factory=_no_places)


class Embedder(Protocol):
    """Turns the images of plates into vectors.

    unit: what its progress counts, `crops` or `images`.
    """

    unit: str

    @property
    def about(self) -> Mapping[str, str]:
        """How it computes, for the record of a table."""

    def num_units(self, size: Row) -> int:
        """Units of progress of `num_images` images of height_px and width_px."""

    def encode(self, images: Sequence[Row], advance: Advance) -> Encoded:
        """Vectors of images of one plate, in order.

        images: rows of `images_of_plate.sql` that have pixels. advance: called with the number of
        units that are done. Raises LakeError if a plane cannot be read.
        """
