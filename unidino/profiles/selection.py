"""Selection: which profiles of a lake are meant. Every function over profiles takes one."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from unidino.core.choices import Level
from unidino.core.errors import choose
from unidino.core.files import text_hash
from unidino.profiles.form import ProfileForm

LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Selection:
    """Which profiles of a lake are meant.

    models, datasets: names, in the order in which they are compared; empty for all of the lake.
    level: a profile is the mean of one well, one treatment, ... normalize: see `ProfileForm`.
    channels: names to keep, in order; empty for all. where: SQL condition over the columns of the
    view `profile`. compounds: names to keep; None for all.
    Raises UnidinoError for an unknown level or normalization.

    >>> print(Selection(models=["mine"], where="batch = 'b1'"))
    {"models":["mine"],"level":"well","normalize":"mad_robustize","where":"batch = 'b1'"}
    """

    models: Sequence[str] = ()
    datasets: Sequence[str] = ()
    level: str = "well"
    normalize: str = "mad_robustize"
    channels: Sequence[str] = ()
    where: str | None = None
    compounds: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("models", "datasets", "channels", "compounds"):
            names = getattr(self, name)
            if names is not None:
                names = (names,) if isinstance(names, str) else tuple(names)
                object.__setattr__(self, name, names)
        choose("level", self.level, LEVELS)
        ProfileForm.parse(self.normalize)

    @property
    def form(self) -> ProfileForm:
        """How the profiles are computed."""
        return ProfileForm.parse(self.normalize)

    def of(self, *, model: str | None = None, dataset: str | None = None) -> "Selection":
        """A copy of this selection for one model, one dataset, or both."""
        return replace(
            self,
            models=(model,) if model else self.models,
            datasets=(dataset,) if dataset else self.datasets,
        )

    def with_channels_in_form(self) -> "Selection":
        """An equal selection; if the normalization mixes features, its form has the channels."""
        if not self.channels or not self.form.mixes_features or self.form.channels:
            return self
        text = f"{self.normalize},channels={'+'.join(self.channels)}"
        return replace(self, normalize=text, channels=())

    @property
    def options(self) -> dict[str, Any]:
        """The selection without models and datasets, as plain values."""
        return {k: v for k, v in self.as_json().items() if k not in ("models", "datasets")}

    def as_json(self) -> dict[str, Any]:
        """The selection as plain values: always level and normalization, other fields if given."""
        values = asdict(self) | {"normalize": str(self.form)}
        values = {name: value for name, value in values.items() if value not in ((), None)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def __str__(self) -> str:
        """The canonical text: equal selections have equal texts."""
        return json.dumps(self.as_json(), separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical text."""
        return text_hash(str(self))


def counts_can_stand(selection: Selection) -> bool:
    """Whether the number of cells of a well can stand beside the profiles as a system.

    It has no fields and no channels, nothing is left of it without what it explains, and Harmony
    and selections of features need several features.
    """
    form = selection.form
    needs_several = bool(form.select or form.channels or form.regress or "harmony" in form.steps)
    return not (selection.level == "field" or selection.channels or needs_several)


def nothing_fits(selection: Selection | None) -> str:
    """A message that no profile is selected, with what narrows the selection most."""
    if selection and selection.where:
        return f'no profile fits --where "{selection.where}"'
    if selection and selection.compounds is not None:
        return "no profile fits: none is of the selected compounds"
    return "no profile fits the selection"
