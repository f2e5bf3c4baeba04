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


def pixel_size_um(
    width: tuple[float, str | None], height: tuple[float, str | None], notes: Notes, place: str
) -> str | None:
    """Side of a pixel in micrometres as text; None if it is not known or if pixels are not square.

    width, height: length and unit. A length without a unit is not known. Notes say so.
    """
    sides = [(value, _MICROMETRES.get(unit or "")) for value, unit in (width, height)]
    known = [value * factor for value, factor in sides if factor is not None]
    if len(known) < 2:
        unit = width[1] if sides[0][1] is None else height[1]
        what = f"in the unit '{unit}'" if unit else "without a unit"
        notes.add(f"pixel sizes {what} are left out", place)
        return None
    if not math.isclose(*known, rel_tol=_SAME):
        notes.add(
            f"pixels of {known[0]:g} x {known[1]:g} um are not square; their size is left out",
            place,
        )
        return None
    return repr(known[0])
