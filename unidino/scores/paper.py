"""The tables of the paper: the profiles, rules and labels of each of their columns.

Source: Morelli et al. 2025, section 2.3.2 and Tables 2 to 4. Choices that only the authors' program
states are in `sql/wells` and `sql/queries/active_compound.sql`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.models.registry import load_config, model_names
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import LakeScore, compared, score
from unidino.scores.count_baseline import stand_beside
from unidino.scores.question import Question

# Measured features are selected after normalization; learnt features are all kept.
_SELECTION = "select=na+variance+correlation+blocklist"


@dataclass(frozen=True)
class Column:
    """A column of a table: a metric, its label, the level of the profiles, the filter of labels."""

    metric: str
    label: str
    level: str
    label_filter: str

    def __str__(self) -> str:
        return f"{self.metric.upper()} {self.label}/{self.level}"


@dataclass(frozen=True)
class _Table:
    """A table of the paper.

    wells: name of a file of `sql/wells`. active_by: model and laboratory whose profiles decide
    which compounds are active and scored; None if all compounds are scored.
    """

    dataset: str
    columns: tuple[Column, ...]
    wells: str | None = None
    active_by: tuple[str, str] | None = None


PRESETS: dict[str, _Table] = {
    "bbbc021": _Table(
        "bbbc021",
        (
            Column("nsc", "moa", "treatment", "reachable"),
            Column("nsc", "moa", "well", "reachable"),
            Column("nscb", "moa", "well", "reachable"),
            Column("nspw", "compound", "well", "rows"),
        ),
        wells="bbbc021",
    ),
    "jump-target2": _Table(
        "jump",
        (
            Column("nsc", "target", "batch", "rows"),
            Column("nscb", "target", "batch", "rows"),
            Column("nsb", "compound", "well", "rows"),
            Column("nss", "compound", "well", "rows"),
        ),
        active_by=("cellprofiler", "source_1"),
    ),
    "insect": _Table(
        "insect",
        (
            Column("nsc", "moa", "treatment", "reachable"),
            Column("nsc", "moa", "well", "reachable"),
            Column("nscp", "moa", "well", "reachable"),
            Column("nspw", "compound", "well", "rows"),
        ),
        wells="insect",
    ),
}


def score_preset(
    lake: Lake,
    preset: str,
    *,
    models: Sequence[str] = (),
    dataset: str | None = None,
    normalize: str | None = None,
    reading: str = "published",
    device: str = "cpu",
) -> Results[LakeScore]:
    """The scores of a table of the paper, for every model that has embedded its dataset.

    dataset: its name in the lake; default: the name that `unidino ingest` gives it. normalize:
    default: MAD robustize per plate, and for measured features a selection after it. reading:
    `published`, which the paper's tables were computed with, or `text`.
    Raises UnidinoError for an unknown preset, ProfileError if the lake does not hold the dataset.
    """
    table = PRESETS[choose("preset", preset, list(PRESETS))]
    name = dataset or table.dataset
    stand_beside(lake, Selection(models, (name,)))
    present = lake.look_up(assets.sql("queries", "embedded_dataset"))
    present = present.filter(pl.col("dataset") == name)
    if present.is_empty():
        raise ProfileError(
            f"preset {preset}: dataset '{name}' has no embeddings; run `unidino embed`, or give"
            " the name of your dataset by --dataset"
        )
    chosen = list(models) or sorted(present["model"].to_list())
    compounds = _active(lake, table, name) if table.active_by else None
    scores: list[LakeScore] = []
    for model in chosen:
        form = normalize or "mad_robustize"
        traits = load_config(lake, model).traits
        if normalize is None and traits.is_measured and traits.source != "counts":
            form = f"{form},{_SELECTION}"
        if table.wells:
            form = f"{form},wells={table.wells}"
        for column in table.columns:
            question = Question(
                column.metric, reading, column.label, label_filter=column.label_filter
            )
            selection = Selection((model,), (name,), column.level, form, compounds=compounds)
            scores += score(lake, question, selection, device=device)
    return Results(compared(scores), lambda found: preset_table(preset, found))


def preset_table(preset: str, scores: Sequence[LakeScore]) -> pl.DataFrame:
    """Scores in the paper's layout: a row for each model, a column for each metric with its n."""
    rows: dict[str, dict[str, float | str | None]] = {}
    for column in PRESETS[preset].columns:
        wanted = (column.metric, column.label, column.level)
        of_column = [s for s in scores if (s.metric, s.label, s.level) == wanted]
        counts = sorted({s.n for s in of_column})
        heading = str(column)
        if counts:
            heading += f" n={'-'.join(map(str, {counts[0], counts[-1]}))}"
        for s in of_column:
            rows.setdefault(s.model, {"model": s.model})[heading] = s.accuracy
    return pl.DataFrame(list(rows.values()), schema_overrides={"model": pl.String})


def _active(lake: Lake, table: _Table, dataset: str) -> list[str]:
    """Names of the compounds that are active by the measured features of one laboratory."""
    assert table.active_by is not None
    model, source = table.active_by
    if model not in model_names(lake):
        raise ProfileError(
            f"the lake has no model '{model}', whose profiles tell which compounds are active; run"
            f" `unidino import-profiles FILE --model {model}` or `unidino models create {model}`"
        )
    (profiled,) = profile(lake, Selection((model,), (dataset,)))
    found = lake.query(
        assets.sql("queries", "active_compound"),
        {
            "model": model,
            "normalization": profiled.normalization,
            "dataset": dataset,
            "source": source,
        },
    )["compound"].to_list()
    if not found:
        raise ProfileError(
            f"no compound is active by the {model} profiles of {source} in '{dataset}'; import"
            f" these profiles by `unidino import-profiles FILE --model {model}`"
        )
    return found
