"""The form of profiles: how they are computed from embeddings, written as one line of text.

`mad_robustize` is the default. `mad_robustize+spherize,controls=negcon,clip=10` normalizes in two
steps, learns from negative controls, and limits the result to -10..10.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.files import digest

# Fitted to all profiles at once, so that other profiles need another fit.
REFIT = ("harmony",)
# These learn nothing that a file of statistics could apply to other profiles.
WITHOUT_STATISTICS = ("inverse_normal", *REFIT)
FeatureSelection = Literal["na", "variance", "correlation", "blocklist"]
Unit = Literal["plate", "batch", "dataset"]
Controls = Literal["all", "trt", "negcon", "poscon", "empty"]
FieldWeight = Literal["crops", "equal"]
Aggregate = Literal["mean", "median"]
Covariate = Literal["num_cells"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "per": get_args(Unit),
    "controls": get_args(Controls),
    "fields": get_args(FieldWeight),
    "aggregate": get_args(Aggregate),
    "regress": get_args(Covariate),
}


def normalizations() -> list[str]:
    """Names of the normalizations: the files of `sql/normalize`, and `none`."""
    return sorted([*assets.names("normalize"), "none"])


@dataclass(frozen=True)
class ProfileForm:
    """How profiles are computed from embeddings.

    steps: normalizations, applied one after another; empty for raw profiles.
    per: the unit that is normalized separately: plate, batch or dataset. controls: the wells that a
    unit learns from: all, or those of one control_type. Each file of `sql/normalize` states its
    defaults of these two.
    epsilon: added to spreads or eigenvalues. clip: the result is limited to -clip..clip.
    fields: `crops` weights a field by its number of crops, as published; `equal` weights all fields
    the same. aggregate: how wells are aggregated to a level: mean or median.
    select: selections of features, applied in order: na, variance, correlation, blocklist.
    wells: name of a file of `sql/wells`, or path of an SQL file; its query chooses the wells that
    are aggregated after normalization.
    channels: names to keep, concatenated in the order of the plate; empty for all.
    statistics: path of a file of the table `statistic`, or its hash. These statistics, learnt from
    other wells, are applied instead of learning new ones.
    regress: `num_cells`: before all steps, the part of each feature that a straight line in the
    number of cells explains is subtracted, by unit (`per`, default plate) and teaching wells.
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
    regress: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ProfileForm":
        """The form that a text describes.

        Raises UnidinoError for an unknown normalization, option or value.
        """
        first, *options = [part.strip() for part in text.split(",")]
        steps = tuple(step.strip() for step in first.split("+"))
        for step in steps:
            choose("normalization", step, normalizations())
        if "none" in steps and len(steps) > 1:
            raise InputError(f"'{first}' combines none with a normalization; give one of the two")
        given: dict[str, object] = {}
        for option in options:
            key, equals, value = option.partition("=")
            choose("option of a normalization", key, [f.name for f in fields(cls)[1:]])
            if not (equals and value) or key in given:
                raise InputError(f"'{option}' in '{text}': write each option once, as key=value")
            given[key] = _value(key, value)
        for step in steps:
            if "statistics" in given and step in WITHOUT_STATISTICS:
                raise InputError(f"{step} keeps no statistics; leave them out of '{text}'")
        if "statistics" in given and steps == ("none",):
            raise InputError("statistics need a normalization, but --normalize is none")
        return cls(steps=() if steps == ("none",) else steps, **given)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """The canonical text of this form: equal forms have equal texts.

        A file of statistics is written as the hash of its bytes.
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
        """Whether a feature of the result depends on several; channels are then chosen before."""
        return bool(set(self.steps) - {"mad_robustize", "standardize", "inverse_normal"}) or bool(
            self.select
        )

    @property
    def keeps_statistics(self) -> bool:
        """Whether what the steps learn can be applied to other profiles."""
        return not set(self.steps) & set(WITHOUT_STATISTICS)

    def wells_sql(self) -> str | None:
        """The query that chooses the wells; None for all wells."""
        if self.wells is None:
            return None
        if self.wells.endswith(".sql"):
            if not Path(self.wells).is_file():
                raise InputError(f"no such file: '{self.wells}'")
            try:
                return Path(self.wells).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"the file of wells '{self.wells}' is not UTF-8 text") from error
        return assets.sql("wells", self.wells)


def statistics_hash(text: str) -> str:
    """The first eight digits of the hash of a file of statistics.

    text: path of the file; any other text is returned unchanged, as the hash.
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
    if key == "channels":
        return names
    return tuple(choose("selection", name, get_args(FeatureSelection)) for name in names)
