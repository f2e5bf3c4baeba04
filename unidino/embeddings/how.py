"""The choices of how plates are embedded."""

from dataclasses import dataclass, field
from typing import get_args

from unidino.core.choices import Engine, Keep, Precision
from unidino.core.errors import InputError, choose


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
    Raises InputError for a number that is not positive.
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
