"""Rules of `--convert`: how pixels that are no plane of uint8 or uint16 become one.

A rule maps a value to a value, the same way in every image: nothing depends on the image, so that
intensities stay comparable. Images that are planes of uint8 or uint16 are never changed.
"""

import math
from dataclasses import dataclass
from typing import Any, get_args

from unidino.core.choices import ColourRule
from unidino.core.errors import InputError

_COLOURS = get_args(ColourRule)
MAXIMUM = 65535
_RULES = f"exact, linear:LOW:HIGH, {', '.join(_COLOURS)}, lossy; join several by commas"


@dataclass(frozen=True)
class Conversion:
    """Which conversions the user asks for.

    exact: whole numbers from 0 to 65535 of another type become uint16 and keep their value; colours
    whose three values are equal become that value; any other image is refused.
    linear: LOW becomes 0 and HIGH 65535, rounded, in images that are neither uint8 nor uint16;
    values outside become 0 or 65535, and their share is said.
    colour: what an image of colours becomes, in the type of the colours. `luminance` is
    0.2126 red + 0.7152 green + 0.0722 blue, rounded; `index` is the number in the palette.
    lossy: intensities may have been changed by a lossy compression, such as JPEG.
    """

    exact: bool = False
    linear: tuple[float, float] | None = None
    colour: ColourRule | None = None
    lossy: bool = False

    def __str__(self) -> str:
        """The rules in a fixed order, as `--convert` takes them; empty if there is none."""
        numbers = "linear:" + ":".join(map(_number, self.linear)) if self.linear else None
        words = ("lossy" if self.lossy else None, self.colour, "exact" if self.exact else numbers)
        return ",".join(word for word in words if word)


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)


AS_STORED = Conversion()


def parse(text: str | None) -> Conversion:
    """The conversion that `--convert` names; None for no conversion.

    Raises InputError with the rules that there are.
    """
    if text is None:
        return AS_STORED
    found: dict[str, Any] = {}
    for rule in (word.strip() for word in text.split(",")):
        key, value = _entry(rule)
        if not key:
            raise InputError(f"--convert has no rule '{rule}'; choose from {_RULES}")
        if key in found or {key, *found} >= {"exact", "linear"}:
            raise InputError(f"--convert '{text}' has two rules for one thing; keep one of them")
        found[key] = value
    return Conversion(**found)


def _entry(rule: str) -> tuple[str, Any]:
    """Field of the conversion that a rule sets, and its value; an empty field if it is no rule."""
    if rule in ("exact", "lossy"):
        return rule, True
    if rule in _COLOURS:
        return "colour", rule
    if rule.partition(":")[0] == "linear":
        return "linear", _limits(rule)
    return "", None


def _limits(rule: str) -> tuple[float, float]:
    """LOW and HIGH of a linear rule."""
    try:
        low, high = (float(number) for number in rule.split(":")[1:])
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"--convert '{rule}' is not linear:LOW:HIGH with two numbers, LOW less than HIGH, such"
            " as linear:0:1"
        )
    return low, high
