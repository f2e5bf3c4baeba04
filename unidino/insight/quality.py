"""Assay quality: are controls apart, do replicates agree, does the place of a well matter, which
wells and images are out.

Shapes: N wells, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
from scipy.stats import false_discovery_control

from unidino.core import assets
from unidino.core.account import listed
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.results import as_html, as_text
from unidino.core.sql import scratch
from unidino.insight.quality_profiles import of_profiles
from unidino.insight.quality_rows import Row, Shapes
from unidino.insight.quality_wells import of_wells_and_images
from unidino.insight.questions import not_default, question_of
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.registry import load_config
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection

_CHANCE = 0.05
_BASELINES = ("random", "counts")


@dataclass(frozen=True)
class AssayQuality:
    """Figures of assay quality.

    rows: as in the table `quality`, without question and run. frame: a row for each plate and
    model.
    """

    rows: pl.DataFrame
    frame: pl.DataFrame

    @property
    def flagged(self) -> pl.DataFrame:
        """What is flagged: figures of plates, wells and images, without columns that are empty."""
        found = self.rows.filter(pl.col("is_flagged")).drop("is_flagged", "reason")
        return found[[c.name for c in found if c.null_count() < len(found)]]

    def for_people(self) -> pl.DataFrame:
        """The frame without empty columns and without notes, which are logged."""
        kept = [c.name for c in self.frame if c.null_count() < len(self.frame)]
        return self.frame.select(kept).drop("notes", strict=False)

    def __str__(self) -> str:
        return as_text(self.for_people())

    def _repr_html_(self) -> str:
        return as_html(self.for_people())


def quality(
    lake: Lake,
    selection: Selection | None = None,
    *,
    plates: Sequence[str] = (),
    few_cells: float = 0.25,
    seed: int = 0,
) -> AssayQuality:
    """How good each plate is; the figures land in the table `quality`.

    For each model, its channels, cell counts and image intensities: Z' and SSMD of each positive
    control, also robust; effects of row, column and edge on the negative controls; for each model
    the correlation of replicates and the wells far from theirs; wells with few cells; blurred, dim
    and bright images. What cannot be said of a plate says why.
    selection: models, datasets and normalization; default: every model with profiles, but random
    ones and counts. plates: names; default: all. few_cells: share of the negative controls' median
    below which a well has few. seed: of permutations and random pairs.
    Raises InputError if the lake has no wells, UnidinoError for an unknown name.

    >>> import unidino as ud
    >>> found = ud.quality(lake, ud.Selection(models=["gaussian"]))
    >>> found.frame.select("plate", "negative", "z_prime").rows()
    [('tiny_b1_p1', 2, None), ('tiny_b2_p1', 2, None)]
    """
    run = Run.of("quality", locals())
    others = not_default(quality, {"few_cells": few_cells, "seed": seed})
    if not 0 < few_cells < 1:
        raise InputError(f"few_cells is {few_cells}; it must be a share between 0 and 1")
    selection = selection or Selection()
    shapes = _plates(lake, selection, (plates,) if isinstance(plates, str) else plates)
    rows = of_wells_and_images(lake, shapes, few_cells, seed)
    annotation = lake.look_up(
        "select plate, well, control_type, compound, concentration_um, cell_line from well"
    )
    for model in selection.models or _models(lake):
        for group in groups(lake, replace(selection, models=(model,), level="well")):
            rows += of_profiles(group, annotation, shapes, seed)
    _adjust(rows)
    question = question_of("quality", selection, {"level": "well"}, others)
    if lake.is_writable:
        land_answers(lake, run, "quality", [(question, rows)])
    _say(rows)
    frame = pl.DataFrame(rows, infer_schema_length=None).sort(
        "dataset", "plate", "model", "subject", "channel", "measure", "axis", "well", "field"
    )
    return AssayQuality(frame, summary(rows))


def summary(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as a table with a row for each plate and model."""
    con = scratch(())
    try:
        con.register("latest_quality", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
        return pl.DataFrame(con.sql(assets.sql("queries", "quality_summary")).to_arrow_table())
    finally:
        con.close()


def _plates(lake: Lake, selection: Selection, plates: Sequence[str]) -> Shapes:
    """Numbers of rows and columns of the chosen plates."""
    known = lake.look_up("select plate_id, dataset, num_rows, num_columns from plate order by all")
    for plate in plates:
        choose("plate", plate, known["plate_id"].to_list())
    for dataset in selection.datasets:
        choose("dataset", dataset, sorted(set(known["dataset"])))
    found = {
        plate: (num_rows, num_columns)
        for plate, dataset, num_rows, num_columns in known.iter_rows()
        if (not plates or plate in plates)
        and (not selection.datasets or dataset in selection.datasets)
    }
    if not found:
        raise InputError("the lake has no plates; run `unidino ingest PATH` or `import-profiles`")
    return found


def _models(lake: Lake) -> list[str]:
    """Models with profiles of wells that say something of them."""
    embedded = lake.look_up(assets.sql("queries", "embedded_dataset"))
    names = embedded.filter(pl.col("kind") == "embedding")["model"].unique(maintain_order=True)
    return [m for m in names if load_config(lake, m).traits.source not in _BASELINES]


def _adjust(rows: Sequence[Row]) -> None:
    """Fill q-values of the position effects, and flag those below 0.05."""
    tested = [row for row in rows if row["p_value"] is not None]
    if tested:
        adjusted = false_discovery_control([row["p_value"] for row in tested])
        for row, q_value in zip(tested, adjusted, strict=True):
            row["q_value"] = float(min(1.0, q_value))
            row["is_flagged"] = row["q_value"] < _CHANCE


def _say(rows: Sequence[Row]) -> None:
    """Log why figures are missing, each reason once."""
    plates: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"]:
            named = plates.setdefault(row["reason"], [])
            if row["plate"] not in named:
                named.append(row["plate"])
    for reason, names in plates.items():
        log.warning(f"{listed(names, 3)}: {reason}")
