"""Illumination functions that the index of a Harmony export describes: a polynomial per channel.

The text of a profile has the parts Background and Foreground. Harmony fitted the background profile
to the background of many fields and scaled it to a mean of 1. Its coefficients are in rows by
degree: c, then x, y, then x^2, xy, y^2 and so on. x is the column of a pixel, y its row, each less
`Origin` and times `Scale`.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unidino.core.errors import InputError
from unidino.plates.illumination import Function, names
from unidino.plates.layouts.harmony import chosen_indexes
from unidino.plates.layouts.harmony_index import Index

_MEAN_TOLERANCE = 0.01  # the mean of a profile that is read rightly is 1
_MAX_SIDE = 1 << 15


def save_functions(path: Path, images: pa.Table, folder: Path) -> None:
    """Write the function of each channel of each plate where `illumination.find` looks for it.

    path: folder of the export, or its index. images: rows of the manifest. folder: to write into.
    Raises InputError if a channel has no profile, or one that is not understood.
    """
    known: dict[str, tuple[Index, str]] = {}
    for file in chosen_indexes(path):
        try:
            index = Index.read(file)
            rows = index.rows()
        except InputError:
            continue  # its images are not in the manifest
        for row in rows:
            if row["path"] and row["channel_index"]:
                known[row["path"]] = index, row["channel_index"]
    columns = (images[name].to_pylist() for name in ("plate", "channel", "paths"))
    sources: dict[tuple[str, str], tuple[Index, str]] = {}
    for plate, channel, paths in zip(*columns, strict=True):
        if not paths:
            continue
        if paths[0] not in known:
            raise InputError(
                f"no index lists '{paths[0]}', so that its illumination function is not known; use"
                " --illumination estimate or a folder of functions"
            )
        sources.setdefault((plate, channel), known[paths[0]])
    for (plate, channel), (index, number) in sources.items():
        file = folder / names(plate, channel)[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, _function(index, number), allow_pickle=False)


def _function(index: Index, channel: str) -> Function:
    """The function (H, W) of a channel of an index, by its number."""
    if index.file.name.lower() == "index.ref.xml":
        raise InputError(
            f"'{index.file}' may list images that Harmony corrected already; --illumination harmony"
            " needs the index of the raw images"
        )
    text = index.profiles().get(channel, "")
    try:
        return background(text)
    except InputError as error:
        raise InputError(
            f"'{index.file}' gives channel {channel} no illumination function that can be used:"
            f" {error}; use --illumination estimate, or a folder of functions"
        ) from error


def background(text: str) -> Function:
    """The function (H, W) of the background in the text of a profile; its mean is 1.

    Raises InputError that says what is not as expected.
    """
    profile = _part(_part(text, "Background"), "Profile")
    if not re.search(r"\bType: Polynomial\b", profile):
        raise InputError("expected a background profile of the type Polynomial")
    (width, height), origin, scale = (_pair(profile, n) for n in ("Dims", "Origin", "Scale"))
    if not all(side.is_integer() and 1 <= side <= _MAX_SIDE for side in (width, height)):
        raise InputError(f"its size is {width:g} x {height:g}")
    x = (np.arange(width)[None, :] - origin[0]) * scale[0]
    y = (np.arange(height)[:, None] - origin[1]) * scale[1]
    function = np.zeros((int(height), int(width)))
    for degree, row in enumerate(_listed(profile, "Coefficients")):
        if not isinstance(row, list) or len(row) != degree + 1:
            raise InputError(f"its coefficients of degree {degree} are {row}")
        for power, coefficient in enumerate(row):
            function += coefficient * x ** (degree - power) * y**power
    mean = float(function.mean())
    if not (abs(mean - 1) <= _MEAN_TOLERANCE and (function > 0).all()):
        raise InputError(
            f"its values are {function.min():.4g} to {function.max():.4g} and their mean is"
            f" {mean:.4g}; expected are positive values of mean 1"
        )
    return np.asarray(function, dtype=np.float32)


def _part(text: str, name: str) -> str:
    """What the braces behind a name contain, with the parts within."""
    start = re.search(rf"\b{name}: \{{", text)
    depth, begin = 1, start.end() if start else len(text)
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[begin:place]
    raise InputError(f"its profile has no {name}")


def _listed(profile: str, name: str) -> list[Any]:
    """The list of numbers, or of lists of numbers, behind a name."""
    match = re.search(rf"\b{name}: (\[[-+\d.eE,\[\]\s]*\])", profile)
    try:
        values = json.loads(match[1]) if match else None
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise InputError(f"its profile has no {name}")
    return values


def _pair(profile: str, name: str) -> tuple[float, float]:
    values = _listed(profile, name)
    if len(values) != 2 or any(isinstance(value, list) for value in values):
        raise InputError(f"its {name} is {values}")
    return float(values[0]), float(values[1])
