"""Pictures to planes of uint8 or uint16, by the rules that the user names.

Shapes: H height, W width.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.lake.pixels import Plane
from unidino.plates.conversion import AS_STORED, MAXIMUM, Conversion
from unidino.plates.picture import Note, Picture

_PRIMARIES = ("red", "green", "blue")
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709
_PURPOSE = {
    "exact": f"if all values are whole numbers from 0 to {MAXIMUM}",
    "linear:LOW:HIGH": f"to scale LOW to 0 and HIGH to {MAXIMUM}",
}


def plane_of(picture: Picture, path: str, conversion: Conversion) -> tuple[Plane, list[Note]]:
    """The plane (H, W) of uint8 or uint16 that a picture becomes, and what to say of it.

    Raises InputError that names the file, what it is, and the rules that would land it.
    """
    values = picture.values
    if values.size == 0:
        raise InputError(f"image '{path}' is truncated or not a valid image (no pixel)")
    _check_rules(picture, path, conversion)
    said = [*picture.notes]
    if picture.lossy:
        said.append(f"{picture.lossy} has changed the intensities (--convert lossy)")
    if picture.meaning != "intensity" or picture.alpha is not None:
        values = _without_colour(picture, path, conversion, said)
    notes = [Note(text, path) for text in said]
    if values.dtype in (np.uint8, np.uint16):
        return values, notes
    return _as_uint16(values, path, conversion, notes), notes


def _check_rules(picture: Picture, path: str, conversion: Conversion) -> None:
    """Raise InputError that names all rules that the picture needs, if one was not asked for."""
    values, alpha = picture.values, picture.alpha
    what: list[str] = []
    expected: list[str] = []
    rules = [] if conversion == AS_STORED else [str(conversion)]
    others: list[str] = []
    if picture.lossy and not conversion.lossy:
        what.append(f"is compressed by {picture.lossy}, which changes intensities")
        rules.append("lossy")
    is_coloured = picture.meaning in ("colour", "palette")
    if is_coloured and not (conversion.colour or conversion.exact):
        if picture.meaning == "palette":
            what.append("holds numbers of a palette of colours")
            rules.append("index")
            others.append("luminance, red, green or blue for the colours")
        else:
            what.append(f"has shape {_shape(picture)} (RGB{'A' * (alpha is not None)})")
            rules.append("luminance")
            others.append("red, green or blue for one colour, exact if the three are equal")
        expected.append("one plane (H, W)")
    elif alpha is not None and not (conversion.colour or conversion.exact):
        what.append(f"has shape {_shape(picture)} (intensity and alpha)")
        expected.append("one plane (H, W)")
        rules.append("exact")
        others.append("luminance to leave transparency out")
    kind = values.dtype
    if kind.kind not in "biuf":
        raise InputError(f"image '{path}' is {kind.name}; expected uint8 or uint16")
    if picture.meaning not in ("intensity", "colour", "palette") or values.ndim != (
        3 if picture.meaning == "colour" else 2
    ):
        means = "" if picture.meaning == "intensity" else f" ({picture.meaning})"
        raise InputError(
            f"image '{path}' has shape {values.shape}{means}; expected one plane (H, W): write each"
            " plane as an image of its own"
        )
    if kind not in (np.uint8, np.uint16) and not (conversion.exact or conversion.linear):
        what.append(f"is {kind.name}")
        expected.append("uint8 or uint16")
        both = ["exact", "linear:LOW:HIGH"]
        usual, other = both[:: -1 if kind.kind == "f" else 1]
        rules.append(usual)
        others.append(f"{other} {_PURPOSE[other]}")
    if what:
        raise InputError(
            f"image '{path}' {', '.join(what)}; expected"
            f" {' of '.join(expected) or 'a compression without loss'}: pass --convert"
            f" {','.join(rules)}" + (f" (or {'; '.join(others)})" if others else "")
        )


def _shape(picture: Picture) -> tuple[int, ...]:
    """The shape of a picture with its alpha channel, as its file has it."""
    shape = picture.values.shape
    if picture.alpha is None:
        return shape
    return (*shape[:2], (shape[2] if len(shape) == 3 else 1) + 1)


def _without_colour(
    picture: Picture, path: str, conversion: Conversion, said: list[str]
) -> NDArray[Any]:
    """The plane (H, W) of a picture of colours, of a palette or with alpha."""
    values, rule = picture.values, conversion.colour
    alpha = picture.alpha
    if alpha is not None:
        opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
        if (alpha != opaque).any():
            if rule is None:
                raise InputError(
                    f"image '{path}' has transparent pixels, which --convert exact does not take;"
                    " pass --convert luminance (or red, green, blue) to leave transparency out"
                )
            said.append("transparency is left out")
    if picture.meaning == "intensity":
        return values
    if picture.meaning == "palette":
        assert picture.palette is not None
        if rule == "index":
            said.append("the numbers of the palette are taken as intensities (--convert index)")
            return values
        if values.max() >= len(picture.palette):
            raise InputError(
                f"image '{path}' is truncated or not a valid image: it has the number"
                f" {values.max()}, but its palette {len(picture.palette)} colours"
            )
        values = picture.palette[values]
    if rule is None:
        if (values != values[..., :1]).any():
            raise InputError(
                f"image '{path}' has colours, which --convert exact does not take; pass --convert"
                " luminance (or red, green, blue)"
            )
        return values[..., 0]
    if rule == "index":
        raise InputError(
            f"image '{path}' has colours but no palette, which --convert index takes; pass"
            " --convert luminance (or red, green, blue)"
        )
    said.append(f"colours became one plane (--convert {rule})")
    if rule in _PRIMARIES:
        return np.ascontiguousarray(values[..., _PRIMARIES.index(rule)])
    mixed: NDArray[Any] = values @ np.array(_LUMINANCE)
    if values.dtype.kind in "iu":
        mixed = np.rint(mixed)
    return mixed.astype(values.dtype)


def _as_uint16(values: NDArray[Any], path: str, conversion: Conversion, notes: list[Note]) -> Plane:
    """Numbers of another type as uint16."""
    with np.errstate(invalid="ignore", over="ignore"):
        if conversion.linear is None:
            plane = values.astype(np.uint16)
            wrong = plane != values
            if wrong.any():
                raise InputError(
                    f"image '{path}' is {values.dtype.name} and has the value {values[wrong][0]};"
                    f" --convert exact takes whole numbers from 0 to {MAXIMUM}: pass --convert"
                    " linear:LOW:HIGH"
                )
            notes.append(Note(f"{values.dtype.name} became uint16 (--convert exact)", path))
            return plane
        low, high = conversion.linear
        scaled = (values.astype(np.float64) - low) * (MAXIMUM / (high - low))
    if not np.isfinite(scaled).all():
        raise InputError(
            f"image '{path}' has {np.count_nonzero(~np.isfinite(scaled))} pixels that are no finite"
            " number; replace them by a number"
        )
    notes.append(Note(f"{values.dtype.name} became uint16 (--convert {conversion})", path))
    num_outside = np.count_nonzero((values < low) | (values > high))
    if num_outside:
        share = num_outside / values.size
        text = f"pixels outside {low:g} to {high:g} became 0 or {MAXIMUM}"
        notes.append(Note(text, path, share))
    return np.clip(np.rint(scaled), 0, MAXIMUM).astype(np.uint16)
