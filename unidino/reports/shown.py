"""What the report shows of a lake: one model, one normalization and one label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import polars as pl

from unidino.core.errors import choose
from unidino.figures.results import best_model
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.scores.rules import LABELS

_MOST_DATASETS = 8
_TREATED = "coalesce(control_type, 'trt') not in ('negcon', 'empty')"
_STORED = ("moa", "target", "compound", "perturbation", "cell_line")  # in the order of preference


class _Normalized(Protocol):
    @property
    def normalization(self) -> str: ...


Result = TypeVar("Result", bound=_Normalized)


@dataclass(frozen=True)
class ShownProfiles:
    """The profiles that the report shows: of one model, normalization and level.

    num_profiles: by dataset.
    """

    selection: Selection
    num_profiles: dict[str, int]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.selection.models[0]

    @property
    def level(self) -> str:
        """What a profile describes: a well, a treatment ..."""
        return self.selection.level

    @property
    def normalization(self) -> str:
        """The text of the normalization."""
        return str(self.selection.form)

    def treated(self, dataset: str) -> Selection:
        """The profiles of a dataset without controls and empty wells."""
        return replace(self.selection, datasets=(dataset,), where=_TREATED)


def shown_profiles(
    lake: Lake, model: str | None, normalize: str | None = None
) -> ShownProfiles | None:
    """Profiles of the model, else of the best-scored one: well profiles if there are any.

    normalize: of the profiles; default `mad_robustize` where there are such profiles.
    Raises UnidinoError if no profile has the normalization.
    """
    rows = lake.look_up(
        "select model, normalization, level, dataset, num_rows from part where kind = 'profile'"
        " and num_rows > 0 order by model, level <> 'well', level <> 'treatment', level,"
        " normalization <> 'mad_robustize', normalization, dataset"
    )
    if normalize is not None:
        wanted = str(Selection(normalize=normalize).form)
        choose("normalization of profiles", wanted, sorted(set(rows["normalization"])))
        rows = rows.filter(pl.col("normalization") == wanted)
    present = rows["model"].unique(maintain_order=True).to_list()
    if model not in present:
        model = best_model(lake, present) or (present[0] if present else None)
    if model is None:
        return None
    first = rows.filter(pl.col("model") == model).row(0, named=True)
    same = rows.filter(
        *(pl.col(name) == first[name] for name in ("model", "level", "normalization"))
    )
    counts = dict(same.select("dataset", "num_rows").head(_MOST_DATASETS).iter_rows())
    selection = Selection([model], level=first["level"], normalize=first["normalization"])
    return ShownProfiles(selection, counts)


def shown_label(lake: Lake, label: str | None) -> str:
    """The label that colours show: the given one, else the first that the wells have.

    Raises UnidinoError for an unknown label.
    """
    if label is not None:
        return choose("label", label, LABELS)
    counts = lake.look_up(
        f"select {', '.join(f'count(distinct {name}) as {name}' for name in _STORED)} from well"
    ).row(0, named=True)
    return next((name for name in _STORED if counts[name] > 1), "compound")


def scoring_command(label: str) -> str:
    """The command that scores a lake by a label that its wells have."""
    if label in ("moa", "target"):
        return f"unidino score --metric nsc,nscb{'' if label == 'moa' else f' --label {label}'}"
    return f"unidino score --not-same plate --label {label}"


def of_one_normalization(
    found: Sequence[Result], wanted: str | None
) -> tuple[list[Result], list[str]]:
    """The results of one normalization, and the other normalizations that there are.

    wanted: shown if there are results of it, else `mad_robustize`, else the first by name.
    """
    names = sorted({r.normalization for r in found}, key=lambda n: (n != "mad_robustize", n))
    shown = wanted if wanted in names else next(iter(names), None)
    return [r for r in found if r.normalization == shown], [n for n in names if n != shown]


def rows_of_one_normalization(rows: pl.DataFrame, wanted: str | None) -> pl.DataFrame:
    """The rows of results of one normalization, chosen as above."""
    if rows.is_empty():
        return rows
    names = sorted(set(rows["normalization"]), key=lambda n: (n != "mad_robustize", n))
    return rows.filter(pl.col("normalization") == (wanted if wanted in names else names[0]))
