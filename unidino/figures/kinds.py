"""Figures of what a lake holds, by kind; each kind imports only what it needs."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from unidino.core.choices import FigureKind
from unidino.core.errors import InputError, choose
from unidino.lake.lake import Lake
from unidino.lake.overlay import to_compute_in
from unidino.profiles.selection import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unidino.scores.question import Asked

KINDS: tuple[FigureKind, ...] = get_args(FigureKind)


@dataclass(frozen=True)
class _Source:
    """Where a kind of figure is drawn.

    module: of its function. reads: the fields of a selection that it takes. level: of the profiles
    if no selection is given.
    """

    module: str
    reads: tuple[str, ...]
    level: str = "well"


_PROFILES = ("models", "datasets", "level", "normalize", "where", "channels", "compounds")
_RESULTS = ("models", "datasets", "level", "normalize")
_SOURCES: dict[FigureKind, _Source] = {
    "map": _Source("profiles", _PROFILES),
    "similarity": _Source("profiles", _PROFILES, level="compound"),
    "scores": _Source("scores", _PROFILES),
    "differences": _Source("scores", _PROFILES),
    "labels": _Source("scores", _RESULTS),
    "replicates": _Source("profiles", _PROFILES),
    "batches": _Source("profiles", _PROFILES),
    "pairs": _Source("relations", _RESULTS),
    "mixing": _Source("relations", _RESULTS),
    "drift": _Source("relations", _RESULTS),
    "attribution": _Source("insight", _RESULTS),
    "dose": _Source("insight", (*_RESULTS, "compounds")),
    "channels": _Source("scores", _RESULTS),
    "readouts": _Source("insight", _RESULTS),
    "plate": _Source("plates", ("models", "datasets", "normalize", "where")),
    "quality": _Source("quality", ("models", "datasets")),
    "training": _Source("training", ("models",)),
}
_ALWAYS = ("lake", "selection", "width_mm")
_NARROWEST_MM, _WIDEST_MM, _MOST_PX = 20.0, 2000.0, 20_000
_OPTIONS = {
    "models": "--model",
    "datasets": "--dataset",
    "plates": "--plate",
    "asked": "--metric",
    "compounds": "--compound",
}


def plot(
    lake: Lake,
    kind: str,
    selection: Selection | None = None,
    *,
    output: str | Path | None = None,
    asked: "Asked" = (),
    label: str | None = None,
    colour: str | None = None,
    color: str | None = None,
    method: str | None = None,
    plates: Sequence[str] = (),
    value: str | None = None,
    seed: int | None = None,
    width_mm: float = 180.0,
    dpi: int = 300,
) -> "Figure":
    """A figure of the lake, also written to a file if `output` names one.

    kind: one of KINDS. selection: which profiles, or the results of which profiles; default the
    best-scored model's, or all results. output: its ending chooses PNG, SVG or PDF.
    asked: questions of the results; a rule's name stands for its questions in any reading.
    label: whose classes are shown. colour (or color): column that colours a map. method: of a map.
    plates, value: see `plate_figure`. seed: of a map, or of the pairs drawn. dpi: of a PNG, and of
    the pixels in other files.
    Raises UnidinoError for an unknown kind or ending, InputError for an argument that the kind does
    not take and for a size that cannot be drawn, ProfileError if there is nothing to show.

    >>> import unidino as ud
    >>> treated = ud.Selection(where="control_type = 'trt'")
    >>> figure = ud.plot(lake, "map", treated, colour="compound", method="pca")
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['tiny: gaussian, well, mad_robustize']
    """
    _check_size(width_mm, dpi)
    file = None if output is None else Path(output)
    if file:
        from unidino.figures.draw.style import FORMATS, save

        choose("format of a figure", file.suffix[1:].lower() or file.name, FORMATS)
    options = {
        "asked": asked,
        "label": label,
        "colour": colour or color,
        "method": method,
        "plates": plates,
        "value": value,
        "seed": seed,
    }
    given = {name: option for name, option in options.items() if option not in (None, (), [])}
    figure = _make(lake, kind, selection, given, width_mm)
    if file:
        save(figure, file, dpi=dpi)
    return figure


def _check_size(width_mm: float, dpi: int) -> None:
    """Raise InputError for a figure that is too small or too large to be drawn."""
    if not _NARROWEST_MM <= width_mm <= _WIDEST_MM:
        raise InputError(
            f"--width-mm is {width_mm}; it must be {_NARROWEST_MM:.0f} to {_WIDEST_MM:.0f}"
        )
    if not 1 <= dpi <= _MOST_PX / (width_mm / 25.4):
        most = int(_MOST_PX / (width_mm / 25.4))
        raise InputError(f"--dpi is {dpi}; a figure of {width_mm:g} mm can have 1 to {most}")


def usual_level(kind: str) -> str:
    """The level of the profiles that a kind of figure shows if none is chosen."""
    return _source(kind).level


def _source(kind: str) -> _Source:
    choose("kind of figure", kind, KINDS)
    return next(source for name, source in _SOURCES.items() if name == kind)


def _make(
    lake: Lake, kind: str, selection: Selection | None, options: dict[str, Any], width_mm: float
) -> "Figure":
    """A figure of a kind, with the options that are given.

    Raises InputError for an option, or a field of the selection, that the kind does not take.
    """
    source = _source(kind)
    module = import_module(f"unidino.figures.{source.module}")
    draw: Callable[..., Figure] = getattr(module, f"{kind}_figure")
    parameters = [p for p in inspect.signature(draw).parameters if p not in _ALWAYS]
    usual = Selection(level=source.level)
    narrowed = [
        field.name
        for field in fields(Selection)
        if selection and getattr(selection, field.name) != getattr(usual, field.name)
    ]
    for name in [*narrowed, *options]:
        if name not in (*source.reads, *parameters):
            allowed = ", ".join(_option(n) for n in (*source.reads, *parameters))
            raise InputError(f"`plot {kind}` has no {_option(name)}; it takes {allowed}")
    return draw(to_compute_in(lake), selection, **options, width_mm=width_mm)


def _option(name: str) -> str:
    """An argument as the option of the command line."""
    return _OPTIONS.get(name, f"--{name}")
