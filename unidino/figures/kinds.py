"""Figures of what a lake holds, by kind."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.figures import draw
from unidino.figures.rows import (
    attribution_rows,
    best_model,
    chosen,
    chosen_scores,
    one_group,
    one_model,
    pair_panels,
    plate_values,
    training_logs,
)
from unidino.insight.projection import projection
from unidino.lake.lake import Lake

_FORM = "mad_robustize"
_AXES = {"umap": "UMAP", "densmap": "densMAP", "pca": "PC"}


def plot(
    lake: Lake, kind: str, output: Path, *, width_mm: float = 180.0, dpi: int = 300, **options: Any
) -> Path:
    """The path of a figure of the lake: PNG, SVG or PDF by its ending.

    kind: one of KINDS. options: keyword arguments of that kind's function.
    Raises UnidinoError for an unknown kind or ending, InputError for an option that the kind does
    not have, ProfileError if there is nothing to show.
    """
    choose("format of a figure", output.suffix[1:].lower() or output.name, draw.FORMATS)
    figure = make_figure(lake, kind, width_mm=width_mm, **options)
    return draw.save(figure, output, dpi=dpi)


def make_figure(lake: Lake, kind: str, **options: Any) -> Figure:
    """A figure of the lake; arguments and errors as of `plot`."""
    choose("kind of figure", kind, list(KINDS))
    make = KINDS[kind]
    known = list(inspect.signature(make).parameters)[1:]
    for name in options:
        if name not in known:
            listed = ", ".join(_typed(n) for n in known if n != "width_mm")
            raise InputError(f"`plot {kind}` has no {_typed(name)}; it takes {listed}")
    return make(lake, **options)


def _typed(name: str) -> str:
    """An option as it is typed."""
    return "--" + {"models": "model", "datasets": "dataset", "plates": "plate"}.get(
        name, name
    ).replace("_", "-")


def map_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    level: str = "well",
    normalize: str = _FORM,
    method: str = "umap",
    color: str = "moa",
    datasets: Sequence[str] = (),
    where: str | None = None,
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """Profiles of one model as points, a panel for each dataset, coloured by a column."""
    model = one_model(lake, models)
    columns = [
        f.name for f in assets.arrow_schema("projection") if f.name not in ("x", "y", "channels")
    ]
    choose("column", color, columns)
    found = [
        projected
        for dataset in datasets or (None,)
        for projected in projection(
            lake,
            model,
            method=method,
            level=level,
            normalize=normalize,
            dataset=dataset,
            where=where,
            seed=seed,
        )
    ]
    panels = [(f"{p.dataset}: {model}, {level}, {normalize}", p.points) for p in found]
    return draw.map_points(
        panels, color, axis=_AXES[found[0].method] if found else "", width_mm=width_mm
    )


def similarity_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    level: str = "compound",
    normalize: str = _FORM,
    label: str = "moa",
    datasets: Sequence[str] = (),
    where: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Correlations between the profiles of one dataset, clustered, with their labels."""
    model = one_model(lake, models)
    own = one_group(lake, model, normalize, level, where, datasets)
    table = pl.DataFrame(pl.from_arrow(own.metadata))
    choose("column", label, [c for c, kind in table.schema.items() if not kind.is_nested()])
    names = [_name(row, level) for row in table.iter_rows(named=True)]
    classes = (
        table[label].cast(pl.String).to_list() if table[label].null_count() < len(table) else None
    )
    return draw.similarity_map(
        own.vectors,
        names,
        classes,
        kind=label,
        what=_plural(level),
        title=f"{own.made.dataset}: {model}, {own.made.normalization}",
        width_mm=width_mm,
    )


def readouts_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    normalize: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """Share of readouts by R2, a panel for each dataset and stratum, a curve for each model."""
    rows = lake.look_up(assets.sql("queries", "latest_readout_score"))
    return draw.survival_curves(chosen(rows, models, datasets, normalize), width_mm=width_mm)


def attribution_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """Shares of the channels for each class of a label, of one model."""
    rows = attribution_rows(lake, models, label, level, normalize, datasets)
    return draw.attribution_bars(rows, width_mm=width_mm)


def channels_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    metric: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with one channel alone and with one left out, against all channels."""
    scores = chosen_scores(
        lake, models, metric, label, level, normalize, datasets, parts_of_channels=True
    )
    return draw.channel_accuracies(draw.channel_subsets(scores), width_mm=width_mm)


def plate_figure(
    lake: Lake,
    *,
    plates: Sequence[str] = (),
    value: str = "avg(focus)",
    models: Sequence[str] = (),
    normalize: str = _FORM,
    datasets: Sequence[str] = (),
    where: str | None = None,
    width_mm: float = 180.0,
) -> Figure:
    """A value of every well in the geometry of its plate.

    value, where: SQL over the columns of well, plate and image and, with a model, of its profile;
    columns of images are aggregated.
    """
    found = plate_values(
        lake,
        value,
        plates=plates,
        models=models,
        normalize=normalize,
        datasets=datasets,
        where=where,
    )
    return draw.plate_heatmaps(found, value, width_mm=width_mm)


def replicates_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    level: str = "well",
    normalize: str = _FORM,
    datasets: Sequence[str] = (),
    where: str | None = None,
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """How alike profiles of one compound and of different ones are; controls are left out."""
    panels = pair_panels(lake, models, level, normalize, datasets, where, seed, by_batch=False)
    return draw.pair_distributions(panels, width_mm=width_mm)


def batches_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    level: str = "well",
    normalize: str = _FORM,
    datasets: Sequence[str] = (),
    where: str | None = None,
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """The same as replicates, split into pairs of one batch and of two."""
    panels = pair_panels(lake, models, level, normalize, datasets, where, seed, by_batch=True)
    return draw.pair_distributions(panels, width_mm=width_mm)


def scores_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    metric: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """Accuracies with intervals, ceiling and chance, by dataset, metric and model."""
    scores = chosen_scores(lake, models, metric, label, level, normalize, datasets)
    return draw.score_intervals(scores, width_mm=width_mm)


def differences_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    metric: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """How much the accuracies of models differ on the same profiles."""
    scores = chosen_scores(lake, models, metric, label, level, normalize, datasets)
    return draw.difference_intervals(scores, width_mm=width_mm)


def labels_figure(
    lake: Lake,
    *,
    models: Sequence[str] = (),
    metric: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """Mean average precision or replicate correlation of each label, of one model."""
    rows = lake.look_up(assets.sql("queries", "latest_label_score"))
    rows = chosen(rows, models, datasets, normalize)
    for column, allowed in (
        ("metric", metric),
        ("label", label and [label]),
        ("level", level and [level]),
    ):
        if allowed:
            rows = rows.filter(pl.col(column).is_in(list(allowed)))
    if not rows.is_empty() and not models:
        with_rows = rows["model"].unique().to_list()
        model = best_model(lake, with_rows) or sorted(with_rows)[0]
        rows = rows.filter(pl.col("model") == model)
    return draw.label_intervals(rows, width_mm=width_mm)


def training_figure(lake: Lake, *, models: Sequence[str] = (), width_mm: float = 180.0) -> Figure:
    """What each epoch of a training logged, a line for each model."""
    return draw.training_curves(training_logs(lake, models), width_mm=width_mm)


KINDS: dict[str, Callable[..., Figure]] = {
    "map": map_figure,
    "similarity": similarity_figure,
    "scores": scores_figure,
    "differences": differences_figure,
    "labels": labels_figure,
    "replicates": replicates_figure,
    "batches": batches_figure,
    "attribution": attribution_figure,
    "channels": channels_figure,
    "readouts": readouts_figure,
    "plate": plate_figure,
    "training": training_figure,
}


def _name(row: dict[str, Any], level: str) -> str:
    if level in ("plate", "batch", "source"):
        return f"{row['compound']}, {row[level]}"
    if level in ("well", "field"):
        place = f"{row['plate']} {row['well']}"
        return place if level == "well" else f"{place} {row['field']}"
    name = str(row["compound"])
    if level == "treatment" and row["concentration_um"] is not None:
        name += f" {row['concentration_um']:g} µM"
    return name


def _plural(level: str) -> str:
    return {
        "plate": "compounds of a plate",
        "batch": "compounds of a batch",
        "source": "compounds of a source",
    }.get(level, f"{level}s")
