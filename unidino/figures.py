"""Figures of what a lake holds, by kind."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from unidino import assets, plots
from unidino.catalog import Lake
from unidino.errors import InputError, ProfileError, choose
from unidino.profiles import profile
from unidino.progress import say
from unidino.projection import projection
from unidino.score import Group, LakeScore, groups
from unidino.score_table import latest_scores

_FORM = "mad_robustize"
_CONTROLS = ("negcon", "empty")
_AXES = {"umap": "UMAP", "densmap": "densMAP", "pca": "PC"}


def plot(
    lake: Lake, kind: str, output: Path, *, width_mm: float = 180.0, dpi: int = 300, **options: Any
) -> Path:
    """The path of a figure of the lake: PNG, SVG or PDF by its ending.

    kind: one of KINDS. options: keyword arguments of that kind's function.
    Raises UnidinoError for an unknown kind or ending, InputError for an option that the kind does
    not have, ProfileError if there is nothing to show.
    """
    choose("format of a figure", output.suffix[1:].lower() or output.name, plots.FORMATS)
    figure = make_figure(lake, kind, width_mm=width_mm, **options)
    return plots.save(figure, output, dpi=dpi)


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
        name, name).replace("_", "-")  # fmt: skip


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
    found = [
        projected
        for dataset in datasets or (None,)
        for projected in projection(
            lake, model, method=method, level=level, normalize=normalize, dataset=dataset,
            where=where, seed=seed,
        )
    ]  # fmt: skip
    if found:
        columns = [c for c, kind in found[0].points.schema.items()
                   if c not in ("x", "y") and not kind.is_nested()]  # fmt: skip
        choose("column", color, columns)
    panels = [(f"{p.dataset}: {model}", p.points) for p in found]
    return plots.map_points(
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
    own = _one_group(lake, model, normalize, level, where, datasets)
    table = pl.DataFrame(pl.from_arrow(own.metadata))
    choose("column", label, [c for c, kind in table.schema.items() if not kind.is_nested()])
    names = [_name(row, level) for row in table.iter_rows(named=True)]
    classes = table[label].cast(pl.String).to_list() if table[label].null_count() < len(
        table) else None  # fmt: skip
    return plots.similarity_map(
        own.vectors, names, classes, kind=label, what=_plural(level),
        title=f"{own.made.dataset}: {model}", width_mm=width_mm,
    )  # fmt: skip


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
    return plots.survival_curves(_chosen(rows, models, datasets, normalize), width_mm=width_mm)


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
    return plots.attribution_bars(rows, width_mm=width_mm)


def attribution_rows(
    lake: Lake, models: Sequence[str] = (), label: str | None = None, level: str | None = None,
    normalize: str | None = None, datasets: Sequence[str] = (), *, prefer: str | None = None,
) -> pl.DataFrame:  # fmt: skip
    """The last attribution of one model, label, level and normalization: rows of `attribution`.

    Of several models the one to prefer, else the best-scored.
    """
    rows = lake.look_up(assets.sql("queries", "latest_attribution"))
    if len(models) > 1:
        raise InputError("this figure is of one model; name one --model")
    rows = _chosen(rows, models, datasets, normalize)
    for column, value in (("label", label), ("level", level)):
        if value:
            rows = rows.filter(pl.col(column) == value)
    if rows.is_empty():
        return rows
    present = sorted(rows["model"].unique().to_list())
    prefer = prefer if prefer in present else best_model(lake, present)
    keys = ["model", "label", "level", "normalization"]
    first = min(rows.select(keys).unique().rows(), key=lambda k: (k[0] != prefer, k))
    return rows.filter(*(pl.col(c) == v for c, v in zip(keys, first, strict=True)))


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
    scores = _chosen_scores(
        lake, models, metric, label, level, normalize, datasets, parts_of_channels=True
    )
    return plots.channel_accuracies(plots.channel_subsets(scores), width_mm=width_mm)


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
        lake, value, plates=plates, models=models, normalize=normalize, datasets=datasets,
        where=where,
    )  # fmt: skip
    return plots.plate_heatmaps(found, value, width_mm=width_mm)


def plate_values(
    lake: Lake,
    value: str,
    *,
    plates: Sequence[str] = (),
    models: Sequence[str] = (),
    normalize: str = _FORM,
    datasets: Sequence[str] = (),
    where: str | None = None,
    most: int = plots.MOST_PLATES,
) -> list[plots.PlateValues]:
    """The value of each well, by plate; plates without any are left out, and so are those beyond
    `most` unless they are named.

    Raises InputError for an unknown plate, or a value that fails or differs within a well.
    """
    model = one_model(lake, models) if models else None
    if model:
        profile(lake, [model], normalize=normalize, datasets=datasets)
    known = lake.look_up("select plate_id, dataset, num_rows, num_columns from plate order by all")
    for plate in plates:
        choose("plate", plate, known["plate_id"].to_list())
    for dataset in datasets:
        choose("dataset", dataset, sorted(set(known["dataset"])))
    condition = f"({where})" if where else "true"
    try:
        rows = lake.query(
            f"with well_image as ({assets.sql('queries', 'well_image')})"
            f" select plate, well_row, well_column, ({value}) as value from well_image"
            " where (len($plates) = 0 or list_contains($plates, plate))"
            " and (len($datasets) = 0 or list_contains($datasets, dataset))"
            f" and {condition} group by all order by all",
            {"plates": list(plates), "datasets": list(datasets), "model": model,
             "normalization": normalize},
        )  # fmt: skip
    except InputError as error:
        raise InputError(f'--value "{value}"' + (f' --where "{where}"' if where else "")
                         + f": {error}") from error  # fmt: skip
    rows = rows.with_columns(_number_or_text(rows["value"]))
    if rows.select("plate", "well_row", "well_column").is_duplicated().any():
        raise InputError(
            f'--value "{value}" has several values in a well; aggregate it, as in avg({value})'
        )
    if rows.is_empty() and where:
        raise ProfileError(f'no well fits --where "{where}"')
    held = rows.drop_nulls("value")["plate"].unique().to_list()
    shown = known.filter(pl.col("plate_id").is_in(held)).rows(named=True)
    if len(shown) > most and not plates:
        say(f"the first {most} of {len(shown)} plates; name others by --plate")
        shown = shown[:most]
    return [
        plots.PlateValues(p["plate_id"], p["num_rows"], p["num_columns"],
                          rows.filter(pl.col("plate") == p["plate_id"]))
        for p in shown
    ]  # fmt: skip


def _number_or_text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean or values.dtype.is_nested():
        return values.cast(pl.Int8) if values.dtype == pl.Boolean else values.map_elements(
            str, return_dtype=pl.String)  # fmt: skip
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_nan(None)
    return values.cast(pl.String)


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
    panels = _pair_panels(lake, models, level, normalize, datasets, where, seed, by_batch=False)
    return plots.pair_distributions(panels, width_mm=width_mm)


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
    panels = _pair_panels(lake, models, level, normalize, datasets, where, seed, by_batch=True)
    return plots.pair_distributions(panels, width_mm=width_mm)


def _pair_panels(
    lake: Lake, models: Sequence[str], level: str, normalize: str, datasets: Sequence[str],
    where: str | None, seed: int, *, by_batch: bool,
) -> dict[str, list[plots.PairGroup]]:  # fmt: skip
    panels: dict[str, list[plots.PairGroup]] = {}
    why_not: list[str] = []
    for own in groups(lake, models or [one_model(lake, ())], normalize, level, where,
                      datasets=datasets):  # fmt: skip
        compounds = own.metadata["compound"].to_pylist()
        kinds = own.metadata["control_type"].to_pylist()
        named = [None if kind in _CONTROLS else compound
                 for compound, kind in zip(compounds, kinds, strict=True)]  # fmt: skip
        batches = own.metadata["batch"].to_pylist() if by_batch else None
        try:
            found = plots.pair_groups(own.vectors, named, batches, seed=seed)
        except ProfileError as error:
            why_not.append(f"{own.made.dataset}: {error}")
            continue
        title = f"{own.made.dataset}: {own.made.model}"
        panels[title if title not in panels else f"{title}, {' '.join(own.channels)}"] = found
    if not panels and why_not:
        raise ProfileError(why_not[0])
    for line in why_not:
        say(line)
    return panels


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
    scores = _chosen_scores(lake, models, metric, label, level, normalize, datasets)
    return plots.score_intervals(scores, width_mm=width_mm)


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
    scores = _chosen_scores(lake, models, metric, label, level, normalize, datasets)
    return plots.difference_intervals(scores, width_mm=width_mm)


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
    rows = _chosen(rows, models, datasets, normalize)
    for column, allowed in (("metric", metric), ("label", label and [label]),
                            ("level", level and [level])):  # fmt: skip
        if allowed:
            rows = rows.filter(pl.col(column).is_in(list(allowed)))
    if not rows.is_empty() and not models:
        with_rows = rows["model"].unique().to_list()
        model = best_model(lake, with_rows) or sorted(with_rows)[0]
        rows = rows.filter(pl.col("model") == model)
    return plots.label_intervals(rows, width_mm=width_mm)


def training_figure(lake: Lake, *, models: Sequence[str] = (), width_mm: float = 180.0) -> Figure:
    """What each epoch of a training logged, a line for each model."""
    return plots.training_curves(training_logs(lake, models), width_mm=width_mm)


def training_logs(lake: Lake, models: Sequence[str] = ()) -> dict[str, pl.DataFrame]:
    """Rows of `train.jsonl` by model, of those models that have one."""
    known = lake.look_up("select model from model order by created, model")["model"].to_list()
    for model in models:
        choose("model", model, known)
    logs = {}
    for model in models or known:
        path = lake.path / "models" / model / "train.jsonl"
        if path.is_file() and path.stat().st_size:
            logs[model] = pl.read_ndjson(path, infer_schema_length=None)
    return logs


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


def one_model(lake: Lake, models: Sequence[str]) -> str:
    """The model that a figure of one model is of: the one named, else the best-scored, or newest.

    Raises InputError if several are named, ProfileError if none has vectors.
    """
    if len(models) > 1:
        raise InputError("this figure is of one model; name one --model")
    if models:
        return models[0]
    present = lake.look_up(
        "select distinct model from part where kind in ('embedding', 'profile') order by model"
    )["model"].to_list()
    if not present:
        raise ProfileError("nothing is embedded yet; run `unidino embed --model NAME --all`")
    chosen = best_model(lake, present) or lake.look_up(
        "select model from model where list_contains($p, model) order by created desc, model",
        {"p": present},
    )["model"][0]  # fmt: skip
    if len(present) > 1:
        say(f"of model {chosen}; choose another by --model ({', '.join(present)})")
    return str(chosen)


def best_model(lake: Lake, among: Sequence[str]) -> str | None:
    """The model with the highest mean accuracy over the questions that it answered, if any."""
    accuracies: dict[str, list[float]] = {}
    for s in latest_scores(lake):
        if s.model in among and s.accuracy is not None:
            accuracies.setdefault(s.model, []).append(s.accuracy)
    ranked = sorted(accuracies, key=lambda m: (-float(np.mean(accuracies[m])), m))
    return ranked[0] if ranked else None


def _one_group(
    lake: Lake, model: str, normalize: str, level: str, where: str | None, datasets: Sequence[str]
) -> Group:
    if len(datasets) > 1:
        raise InputError("this figure is of one dataset; name one --dataset")
    found = list(groups(lake, [model], normalize, level, where, datasets=datasets))
    found = [g for g in found if g.metadata.num_rows]
    if not found:
        raise ProfileError(f"no {level} profile of {model} fits --where")
    named = sorted({g.made.dataset for g in found})
    if len(named) > 1:
        raise InputError(f"{model} has profiles of {', '.join(named)}; choose one by --dataset")
    if len(found) > 1:
        sets = "; ".join(", ".join(g.channels) for g in found)
        raise InputError(f"plates of '{named[0]}' differ in their channels ({sets}); choose plates"
                         " by --where")  # fmt: skip
    return found[0]


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
    return {"plate": "compounds of a plate", "batch": "compounds of a batch",
            "source": "compounds of a source"}.get(level, f"{level}s")  # fmt: skip


def _chosen(
    rows: pl.DataFrame, models: Sequence[str], datasets: Sequence[str], normalize: str | None
) -> pl.DataFrame:
    for column, names in (("model", models), ("dataset", datasets),
                          ("normalization", [normalize] if normalize else [])):  # fmt: skip
        for name in names:
            choose(column, name, sorted(rows[column].unique().to_list()))
        if names:
            rows = rows.filter(pl.col(column).is_in(list(names)))
    return rows


def _chosen_scores(
    lake: Lake, models: Sequence[str], metric: Sequence[str], label: str | None,
    level: str | None, normalize: str | None, datasets: Sequence[str],
    *, parts_of_channels: bool = False,
) -> list[LakeScore]:  # fmt: skip
    scores = latest_scores(lake, parts_of_channels=parts_of_channels)
    wanted: dict[str, Sequence[str]] = {
        "model": models, "metric": metric, "label": [label] if label else [],
        "level": [level] if level else [], "normalization": [normalize] if normalize else [],
        "dataset": datasets,
    }  # fmt: skip
    for column, names in wanted.items():
        for name in names:
            choose(column, name, sorted({getattr(s, column) for s in scores}))
    return [s for s in scores if all(not names or getattr(s, column) in names
                                     for column, names in wanted.items())]  # fmt: skip
