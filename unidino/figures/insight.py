"""Figures of what channels and readouts say, and the rows that they show."""

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.figures.results import best_model, selected
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection


def attribution_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    label: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Shares of the channels in what separates each class of a label, of one model."""
    from unidino.figures.draw.channels import attribution_bars

    return attribution_bars(attribution_rows(lake, selection, label), width_mm=width_mm)


def dose_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Dose responses of one model and dataset, compounds by channels."""
    from unidino.figures.draw.dose import dose_curves

    return dose_curves(dose_rows(lake, selection), width_mm=width_mm)


def readouts_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Share of readouts by R2, one panel for each dataset and stratum, a curve for each model."""
    from unidino.figures.draw.readouts import survival_curves

    rows = lake.look_up(assets.sql("queries", "shown_readout_score"))
    rows = selected(rows, selection).with_columns(
        dataset=_with_question("dataset", pl.col("stratum") == ""),
        stratum=_with_question("stratum", pl.col("stratum") != ""),
    )
    return survival_curves(rows, width_mm=width_mm)


def attribution_rows(
    lake: Lake,
    selection: Selection | None = None,
    label: str | None = None,
    *,
    model: str | None = None,
) -> pl.DataFrame:
    """The latest attribution of one model, label, level and normalization: rows of `attribution`.

    A standard attribution is preferred; `dataset` tells the question if it is another one.

    model: preferred if it has one, else the best-scored model.
    Raises InputError if the selection names several models.
    """
    if selection and len(selection.models) > 1:
        raise InputError("this figure shows one model; name one --model")
    rows = selected(lake.look_up(assets.sql("queries", "shown_attribution")), selection)
    if label:
        rows = rows.filter(pl.col("label") == label)
    if rows.is_empty():
        return rows
    models = sorted(rows["model"].unique().to_list())
    first_model = model if model in models else best_model(lake, models)
    keys = ["model", "label", "level", "normalization"]
    first = min(rows.select(keys).unique().rows(), key=lambda k: (k[0] != first_model, k))
    rows = rows.filter(*(pl.col(c) == v for c, v in zip(keys, first, strict=True)))
    return rows.with_columns(dataset=_with_question("dataset"))


def dose_rows(
    lake: Lake, selection: Selection | None = None, *, model: str | None = None
) -> pl.DataFrame:
    """The latest dose responses of one model, dataset, level and normalization: rows of `dose`.

    model: preferred if it has some, else the best-scored model.
    Raises InputError if the selection names several models, or if datasets have to be chosen.
    """
    if selection and len(selection.models) > 1:
        raise InputError("this figure shows one model; name one --model")
    rows = selected(lake.look_up(assets.sql("queries", "shown_dose")), selection)
    if rows.is_empty():
        return rows
    models = sorted(rows["model"].unique().to_list())
    first_model = model if model in models else best_model(lake, models)
    keys = ["model", "dataset", "level", "normalization"]
    first = min(rows.select(keys).unique().rows(), key=lambda k: (k[0] != first_model, k))
    rows = rows.filter(*(pl.col(c) == v for c, v in zip(keys, first, strict=True)))
    if selection and selection.compounds is not None:
        for name in selection.compounds:
            choose("compound", name, sorted(set(rows["compound"].to_list())))
        rows = rows.filter(pl.col("compound").is_in(list(selection.compounds)))
    return rows


def _with_question(column: str, condition: pl.Expr | bool = True) -> pl.Expr:
    """The column that names a panel, with what was asked if the question is not standard."""
    is_special = (pl.col("special") != "") & condition
    return pl.when(is_special).then(pl.format("{} ({})", column, "special")).otherwise(column)
