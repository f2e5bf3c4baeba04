"""Path of an image's group in a plate, with the time point and slices that are taken of its stack.

A plate that stays in place may have images with the axes t and z. The catalog keeps in `field.path`
what is taken of them: `B/03/0#t=2&z=max`. A name may hold `#` as well, so the choice is what
follows the last `#`, and nothing but `t=` and `z=`. A path with a `#` in its names always ends with
a choice, if need be with an empty one.
"""

import re
from dataclasses import dataclass

_CHOICE = re.compile(r"#(?:t=(?P<t>\d+)(?:&z=(?P<z>max|\d+))?|z=(?P<only_z>max|\d+))?\Z", re.ASCII)


@dataclass(frozen=True)
class Stack:
    """The group of an image, and what is taken of it.

    timepoint: position on the axis t. z: position on the axis z, or `max` for the maximum over
    slices.
    """

    group: str
    timepoint: int = 0
    z: str = "max"


def stack_path(group: str, timepoint: int | None = None, z: str | None = None) -> str:
    """Path of a group with what is taken of its stack, as `stack_of` reads it."""
    chosen = [f"t={timepoint}"] if timepoint is not None else []
    chosen += [f"z={z}"] if z is not None else []
    return f"{group}#{'&'.join(chosen)}" if chosen or "#" in group else group


def stack_of(path: str) -> Stack:
    """The group that a path of the catalog names, and what is taken of its stack."""
    match = _CHOICE.search(path)
    if match is None:
        return Stack(path)
    return Stack(
        path[: match.start()], int(match["t"] or 0), match["z"] or match["only_z"] or "max"
    )
