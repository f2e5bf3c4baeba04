"""Questions of attributions and readouts, as the catalog keeps them with their answers."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from unidino.profiles.selection import Selection


def question_of(
    kind: str, selection: Selection, always: Mapping[str, Any], others: Mapping[str, Any]
) -> dict[str, Any]:
    """The question, as plain values, without models and datasets: the answers have these.

    always: choices that every question of this kind states. others: choices that differ from the
    default.
    """
    return {"kind": kind, **always, **selection.options, **others}


def not_default(verb: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that differ from their default in the verb's signature."""
    parameters = signature(verb).parameters
    return {name: value for name, value in given.items() if value != parameters[name].default}
