"""What figures of a lake are drawn of: rows of the catalog, and profiles, chosen by name."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.figures import draw
from unidino.lake.lake import Lake
from unidino.profiles.groups import Group, groups
from unidino.profiles.profile import profile
from unidino.scores.accuracy import LakeScore
from unidino.scores.history import latest_scores

_CONTROLS = ("negcon", "empty")


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
    chosen = (
        best_model(lake, present)
        or lake.look_up(
            "select model from model where list_contains($p, model) order by created desc, model",
            {"p": present},
        )["model"][0]
    )
    if len(present) > 1:
        log.info(f"of model {chosen}; choose another by --model ({', '.join(present)})")
    return str(chosen)


def best_model(lake: Lake, among: Sequence[str]) -> str | None:
    """The model with the highest mean accuracy over the questions that it answered, if any."""
    accuracies: dict[str, list[float]] = {}
    for s in latest_scores(lake):
        if s.model in among and s.accuracy is not None:
            accuracies.setdefault(s.model, []).append(s.accuracy)
    ranked = sorted(accuracies, key=lambda m: (-float(np.mean(accuracies[m])), m))
    return ranked[0] if ranked else None


def one_group(
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
        raise InputError(
            f"plates of '{named[0]}' differ in their channels ({sets}); choose plates by --where"
        )
    return found[0]


def plate_values(
    lake: Lake,
    value: str,
    *,
    plates: Sequence[str] = (),
    models: Sequence[str] = (),
    normalize: str = "mad_robustize",
    datasets: Sequence[str] = (),
    where: str | None = None,
    most: int = draw.MOST_PLATES,
) -> list[draw.PlateValues]:
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
            {
                "plates": list(plates),
                "datasets": list(datasets),
                "model": model,
                "normalization": normalize,
            },
        )
    except InputError as error:
        raise InputError(
            f'--value "{value}"' + (f' --where "{where}"' if where else "") + f": {error}"
        ) from error
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
        log.warning(f"the first {most} of {len(shown)} plates; name others by --plate")
        shown = shown[:most]
    return [
        draw.PlateValues(
            p["plate_id"],
            p["num_rows"],
            p["num_columns"],
            rows.filter(pl.col("plate") == p["plate_id"]),
        )
        for p in shown
    ]


def _number_or_text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean or values.dtype.is_nested():
        return (
            values.cast(pl.Int8)
            if values.dtype == pl.Boolean
            else values.map_elements(str, return_dtype=pl.String)
        )
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_nan(None)
    return values.cast(pl.String)


def pair_panels(
    lake: Lake,
    models: Sequence[str],
    level: str,
    normalize: str,
    datasets: Sequence[str],
    where: str | None,
    seed: int,
    *,
    by_batch: bool,
) -> dict[str, list[draw.PairGroup]]:
    panels: dict[str, list[draw.PairGroup]] = {}
    why_not: list[str] = []
    for own in groups(
        lake, models or [one_model(lake, ())], normalize, level, where, datasets=datasets
    ):
        compounds = own.metadata["compound"].to_pylist()
        kinds = own.metadata["control_type"].to_pylist()
        named = [
            None if kind in _CONTROLS else compound
            for compound, kind in zip(compounds, kinds, strict=True)
        ]
        batches = own.metadata["batch"].to_pylist() if by_batch else None
        try:
            found = draw.pair_groups(own.vectors, named, batches, seed=seed)
        except ProfileError as error:
            why_not.append(f"{own.made.dataset}: {error}")
            continue
        title = f"{own.made.dataset}: {own.made.model}"
        panels[title if title not in panels else f"{title}, {' '.join(own.channels)}"] = found
    if not panels and why_not:
        raise ProfileError(why_not[0])
    for line in why_not:
        log.warning(line)
    return panels


def attribution_rows(
    lake: Lake,
    models: Sequence[str] = (),
    label: str | None = None,
    level: str | None = None,
    normalize: str | None = None,
    datasets: Sequence[str] = (),
    *,
    prefer: str | None = None,
) -> pl.DataFrame:
    """The last attribution of one model, label, level and normalization: rows of `attribution`.

    Of several models the one to prefer, else the best-scored.
    """
    rows = lake.look_up(assets.sql("queries", "latest_attribution"))
    if len(models) > 1:
        raise InputError("this figure is of one model; name one --model")
    rows = chosen(rows, models, datasets, normalize)
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


def chosen(
    rows: pl.DataFrame, models: Sequence[str], datasets: Sequence[str], normalize: str | None
) -> pl.DataFrame:
    for column, names in (
        ("model", models),
        ("dataset", datasets),
        ("normalization", [normalize] if normalize else []),
    ):
        for name in names:
            choose(column, name, sorted(rows[column].unique().to_list()))
        if names:
            rows = rows.filter(pl.col(column).is_in(list(names)))
    return rows


def chosen_scores(
    lake: Lake,
    models: Sequence[str],
    metric: Sequence[str],
    label: str | None,
    level: str | None,
    normalize: str | None,
    datasets: Sequence[str],
    *,
    parts_of_channels: bool = False,
) -> list[LakeScore]:
    scores = latest_scores(lake, parts_of_channels=parts_of_channels)
    wanted: dict[str, Sequence[str]] = {
        "model": models,
        "metric": metric,
        "label": [label] if label else [],
        "level": [level] if level else [],
        "normalization": [normalize] if normalize else [],
        "dataset": datasets,
    }
    for column, names in wanted.items():
        for name in names:
            choose(column, name, sorted({getattr(s, column) for s in scores}))
    return [
        s
        for s in scores
        if all(not names or getattr(s, column) in names for column, names in wanted.items())
    ]


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
