"""The form of the page's own requests. A request of another form is answered by one line.

The page sends the values of its controls as JSON; `KINDS` says what each of them may be. What a
value names (a plate, a rule, a column) is looked up by the callbacks.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from dash import Dash
from flask import request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

CALLBACK = "/_dash-update-component"
_MOST_DEPTH = 40
_Text = str | None
_Number = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_Count = _Number | None
_Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class _Well(BaseModel):
    plate: str
    well: str


class _Grid(BaseModel):
    plate: str
    wells: list[Any]


class _Point(BaseModel):
    x: float | str | None = None
    y: float | str | None = None
    customdata: _Count = None
    bbox: dict[str, float] | None = None


class _Points(BaseModel):
    points: list[_Point]


KINDS: dict[str, Any] = {
    "address.data": dict[str, str] | None,
    "chosen.data": _Well | None,
    "dose-go.n_clicks": _Count,
    "pick.n_clicks": _Count,
    "view.options": list[dict[str, str]] | None,
    "pick-none.n_clicks": _Count,
    "picked.data": list[_Well] | None,
    "map.selectedData": _Points | None,
    "second-map.clickData": _Points | None,
    "quality-map.clickData": _Points | None,
    "drawn.data": float | None,
    "field.value": _Count,
    "grid.data": _Grid | None,
    "keep-windows.value": list[str] | None,
    "make-map.n_clicks": _Count,
    "map.clickData": _Points | None,
    "map.hoverData": _Points | None,
    "one-window.value": list[str] | None,
    "plate-map.hoverData": _Points | None,
    "poll.n_intervals": _Count,
    "recent.data": list[str] | None,
    "run.n_clicks": _Count,
    "windows.data": dict[str, _Pair] | None,
    "go.n_clicks": _Count,
}
_ADAPTERS = {name: TypeAdapter(kind) for name, kind in KINDS.items()}
_OTHERS: TypeAdapter[str | None] = TypeAdapter(_Text)  # of dropdowns and text boxes


def malformed(app: Dash) -> str | None:
    """What is wrong with the form of the present request; None if nothing is."""
    if "\x00" in request.path or any("\x00" in text for text in _arguments()):
        return "the address holds a NUL character"
    if request.path != CALLBACK or request.method != "POST":
        return None
    try:
        _check(app, _body())
    except ValueError as error:
        return f"the request is malformed: {error}"
    return None


def _arguments() -> Iterator[str]:
    for name, values in request.args.lists():
        yield from (name, *values)


def _body() -> Mapping[str, Any]:
    """The JSON object of the request.

    Raises ValueError if there is none, or one with values that the page never sends.
    """
    if not request.is_json:
        raise ValueError("it is not JSON")
    try:
        body = json.loads(request.get_data(), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_values(body)
    if not isinstance(body, dict):
        raise ValueError("it is no object")
    return body


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _check_values(document: Any) -> None:
    left: list[tuple[Any, int]] = [(document, 0)]
    while left:
        value, depth = left.pop()
        if depth > _MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        if isinstance(value, dict):
            left += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            left += [(part, depth + 1) for part in value]
        elif isinstance(value, str):
            if "\x00" in value:
                raise ValueError("a text holds a NUL character")
            value.encode()  # a lone surrogate is no text; UnicodeError is a ValueError
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a number is too large")


def _check(app: Dash, body: Mapping[str, Any]) -> None:
    output = body.get("output")
    known = app.callback_map.get(output) if isinstance(output, str) else None
    if known is None or known.get("callback") is None:
        raise ValueError("the page has no such callback")
    assert isinstance(output, str)
    _check_outputs(output, body.get("outputs"))
    names = _check_places("inputs", known["inputs"], body.get("inputs"))
    _check_places("state", known["state"], body.get("state", []))
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(_key(name) in names for name in changed):
        raise ValueError("changedPropIds names what is no input")


def _check_outputs(output: str, given: Any) -> None:
    """Raise ValueError unless `given` are the outputs that the name of a callback lists."""
    expected = [name.rpartition(".") for name in output.strip(".").split("...")]
    places = given if output.startswith("..") else [given]
    if not isinstance(places, list) or len(places) != len(expected):
        raise ValueError("outputs are not those of the callback")
    for place, (name, _, prop) in zip(places, expected, strict=True):
        found = (place.get("id"), place.get("property")) if isinstance(place, dict) else ()
        if found not in ((name, prop), (name, prop.partition("@")[0])):
            raise ValueError("outputs are not those of the callback")


def _check_places(kind: str, expected: list[Any], given: Any) -> set[str]:
    """The names of the places whose values are given.

    Raises ValueError unless they are the expected ones, each with a value of its kind.
    """
    if not isinstance(given, list) or len(given) != len(expected):
        raise ValueError(f"{kind} are not those of the callback")
    names = set()
    for want, have in zip(expected, given, strict=True):
        is_pattern = want["id"].startswith("{")
        if isinstance(have, list) != is_pattern:
            raise ValueError(f"{kind} are not those of the callback")
        for place in have if is_pattern else [have]:
            if not isinstance(place, dict) or place.get("property") != want["property"]:
                raise ValueError(f"{kind} are not those of the callback")
            names.add(_check_place(want["id"], place))
    return names


def _check_place(expected: str, place: Mapping[str, Any]) -> str:
    """The name of a place, as `changedPropIds` names it, in one spelling."""
    name, prop = place.get("id"), str(place["property"])
    if expected.startswith("{"):
        pattern = json.loads(expected)
        if not isinstance(name, dict) or set(name) != set(pattern):
            raise ValueError(f"an id is not like {expected}")
        if not all(isinstance(part, str | int) for part in name.values()):
            raise ValueError(f"an id is not like {expected}")
        if any(isinstance(want, str) and name[key] != want for key, want in pattern.items()):
            raise ValueError(f"an id is not like {expected}")
        kind = str(pattern["kind"])
    elif name != expected:
        raise ValueError(f"expected a value of {expected}")
    else:
        kind = expected
    try:
        _ADAPTERS.get(f"{kind}.{prop}", _OTHERS).validate_python(place.get("value"), strict=True)
    except ValidationError as error:
        raise ValueError(f"{kind}.{prop} has a value of another kind") from error
    return _key(f"{json.dumps(name) if isinstance(name, dict) else name}.{prop}")


def _key(name: Any) -> str:
    """The name of a place in one spelling. Raises ValueError if it is none."""
    if not isinstance(name, str):
        raise ValueError("changedPropIds holds what is no text")
    if not name.startswith("{"):
        return name
    place, _, prop = name.rpartition(".")
    try:
        return f"{json.dumps(json.loads(place), sort_keys=True)}.{prop}"
    except RecursionError as error:
        raise ValueError("an id is nested too deeply") from error
