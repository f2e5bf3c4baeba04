"""How profiles are made from embeddings, as one line of text that names it everywhere.

`mad_robustize` is the default. `mad_robustize+spherize,controls=negcon,clip=10` normalizes in two
steps, learns from negative controls, and limits the result to -10..10.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.files import digest

SELECTIONS = ("na", "variance", "correlation", "blocklist")
_CONTROLS = ("all", "trt", "negcon", "poscon", "empty")
_CHOICES = {
    "per": ("plate", "batch", "dataset"),
    "controls": _CONTROLS,
    "fields": ("crops", "equal"),
    "aggregate": ("mean", "median"),
}
_KEYS = (
    "per",
    "controls",
    "epsilon",
    "clip",
    "fields",
    "aggregate",
    "select",
    "wells",
    "channels",
    "statistics",
)


def normalizations() -> list[str]:
    """Names of the normalizations: the files of `sql/normalize`, and `none`."""
    return sorted([*assets.names("normalize"), "none"])


@dataclass(frozen=True)
class ProfileForm:
    """How profiles are made.

    steps: normalizations, one after another; none for raw profiles.
    per: what is normalized apart: plate, batch or dataset. controls: wells to learn from: all, or a
    control_type. Both have a default of their own in each file of `sql/normalize`.
    epsilon: added to spreads or eigenvalues. clip: limit of what comes out, either side.
    fields: `crops` counts a field by its crops, as published; `equal` averages fields first.
    aggregate: mean or median of the wells of a level.
    select: which selections drop features, in order: na, variance, correlation, blocklist.
    wells: name of a file of `sql/wells`, or a path: which wells count after normalization.
    channels: to put side by side; none for all. statistics: a file of the table `statistic`, learnt
    from other wells, that is applied instead of learning; or the hash that stands for such a file.
    """

    steps: tuple[str, ...] = ("mad_robustize",)
    per: str | None = None
    controls: str | None = None
    epsilon: float | None = None
    clip: float | None = None
    fields: str = "crops"
    aggregate: str = "mean"
    select: tuple[str, ...] = ()
    wells: str | None = None
    channels: tuple[str, ...] = ()
    statistics: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ProfileForm":
        """The form that a text names.

        Raises UnidinoError for an unknown normalization, option or value.
        """
        first, *options = [part.strip() for part in text.split(",")]
        steps = tuple(step.strip() for step in first.split("+"))
        for step in steps:
            choose("normalization", step, normalizations())
        if "none" in steps and len(steps) > 1:
            raise InputError(f"'{first}' normalizes by none and more; leave one out")
        given: dict[str, object] = {}
        for option in options:
            key, equals, value = option.partition("=")
            choose("option of a normalization", key, _KEYS)
            if not (equals and value) or key in given:
                raise InputError(f"'{option}' in '{text}': write each option once, as key=value")
            given[key] = _value(key, value)
        if "statistics" in given and steps == ("none",):
            raise InputError("statistics are for a normalization; --normalize is none")
        return cls(steps=() if steps == ("none",) else steps, **given)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """The text that names this form; equal forms have equal texts.

        A file of statistics is named by the hash of its bytes.
        """
        parts = ["+".join(self.steps) or "none"]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                text = "+".join(value) if isinstance(value, tuple) else str(value)
                if field.name == "statistics":
                    text = statistics_hash(text)
                parts.append(f"{field.name}={text}")
        return ",".join(parts)

    @property
    def mixes_features(self) -> bool:
        """Whether a feature of the result comes of several: then channels are chosen before."""
        return bool(set(self.steps) - {"mad_robustize", "standardize"}) or bool(self.select)

    def wells_sql(self) -> str | None:
        """The query that chooses the wells, if one does."""
        if self.wells is None:
            return None
        if self.wells.endswith(".sql"):
            if not Path(self.wells).is_file():
                raise InputError(f"no such file: '{self.wells}'")
            return Path(self.wells).read_text(encoding="utf-8")
        return assets.sql("wells", self.wells)


def statistics_hash(text: str) -> str:
    """What names a file of statistics: eight digits of the hash of its bytes.

    text: path of the file, or the hash itself.
    """
    path = Path(text)
    return digest(path.read_bytes().hex())[:8] if path.is_file() else text


def _value(key: str, text: str) -> object:
    if key == "statistics":
        if not (Path(text).is_file() or re.fullmatch(r"[0-9a-f]{8}", text)):
            raise InputError(f"no such file of statistics: '{text}'")
        return text
    if key in _CHOICES:
        return choose(key, text, _CHOICES[key])
    if key in ("epsilon", "clip"):
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not number >= 0 or (key == "clip" and number == 0):
            raise InputError(f"{key} is '{text}'; it must be a positive number")
        return number
    if key == "wells":
        return text if text.endswith(".sql") else choose("wells", text, assets.names("wells"))
    names = tuple(name.strip() for name in text.split("+"))
    return tuple(choose("selection", n, SELECTIONS) for n in names) if key == "select" else names
