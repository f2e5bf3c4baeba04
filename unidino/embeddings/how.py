"""The choices of how plates are embedded."""

from dataclasses import dataclass, field
from math import isqrt
from typing import get_args

from unidino.core.choices import Engine, Keep, Precision
from unidino.core.errors import InputError, choose
from unidino.core.limits import MAX_PIXELS

_MAX_SIDE_PX = isqrt(MAX_PIXELS)


@dataclass(frozen=True)
class Cut:
    """How fields are cut into crops.

    cover: crops at the far edges too, so that no pixel is lost. short_side_px: fields are resized
    to it first.
    """

    cover: bool = False
    short_side_px: int | None = None


@dataclass(frozen=True)
class How:
    """How plates are embedded.

    keep: `crop` keeps the vectors of single crops too, as the view `crop_embedding`.
    batch_size: crops that the network computes at once; None: by the device.
    Raises InputError for a number that is not positive, or for a side that is too long.
    """

    cut: Cut = field(default_factory=Cut)
    keep: Keep = "mean"
    precision: Precision = "fp32"
    engine: Engine = "torch"
    batch_size: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        choose("keep", self.keep, get_args(Keep))
        numbers = {"--short-side": self.cut.short_side_px, "--batch-size": self.batch_size}
        for option, number in numbers.items():
            if number is not None and number < 1:
                raise InputError(f"{option} is {number}; it must be at least 1")
        if self.cut.short_side_px and self.cut.short_side_px > _MAX_SIDE_PX:
            raise InputError(
                f"--short-side is {self.cut.short_side_px}; it must be at most {_MAX_SIDE_PX},"
                f" which gives planes of {MAX_PIXELS} px"
            )
