"""Pixel size in micrometres from lengths with units, by the names of UDUNITS or their symbols."""

import math

from unidino.plates.layouts.notes import Notes

_PREFIXES = {"pico": 1e-6, "nano": 1e-3, "micro": 1.0, "milli": 1e3, "centi": 1e4, "": 1e6}
_SYMBOLS = "pm 1e-6, Å 1e-4, nm 1e-3, µm 1, μm 1, um 1, mm 1e3, cm 1e4, m 1e6"  # two signs: micro
_MICROMETRES = (
    {prefix + name: f for prefix, f in _PREFIXES.items() for name in ("meter", "metre")}
    | {symbol: float(f) for symbol, f in (pair.split() for pair in _SYMBOLS.split(","))}
    | {"angstrom": 1e-4, "micron": 1.0}
)
_SAME = 1e-3  # relative difference of two sides that are rounded


def in_micrometres(value: float, unit: str | None) -> float | None:
    """A length in micrometres; None if it has no unit, or another kind of unit."""
    factor = _MICROMETRES.get(unit or "")
    return None if factor is None else value * factor


def pixel_size_um(
    width: tuple[float, str | None], height: tuple[float, str | None], notes: Notes, place: str
) -> str | None:
    """Side of a pixel in micrometres as text; None if it is not known or if pixels are not square.

    width, height: length and unit. Notes say why a size is left out.
    """
    sides = [in_micrometres(*width), in_micrometres(*height)]
    for side, (_, unit) in zip(sides, (width, height), strict=True):
        if side is None:
            what = f"in the unit '{unit}'" if unit else "without a unit"
            notes.add(f"pixel sizes {what} are left out", place)
            return None
    x, y = (side or 0.0 for side in sides)
    return repr(x) if _is_square(x, y, notes, place) else None


def square(width: str | None, height: str | None, place: str) -> str | None:
    """The width of a pixel (um); None, with a warning, if a height is known and is another one.

    A width that is no number stays as it is.
    """
    notes = Notes()
    try:
        is_square = height is None or _is_square(
            float(width or height), float(height), notes, place
        )
    except ValueError:
        return width
    notes.log()
    return width if is_square else None


def _is_square(x: float, y: float, notes: Notes, place: str) -> bool:
    """Whether the sides (um) of a pixel are the same; a note says if not."""
    if math.isfinite(x) and math.isclose(x, y, rel_tol=_SAME):
        return True
    notes.add(f"pixels of {x:g} x {y:g} um are not square; their size is left out", place)
    return False
