"""Results of the lake that figures show, and the model that a figure of one model shows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection


def one_model(lake: Lake, models: Sequence[str]) -> str:
    """The model that is named, else the best-scored one, else the newest with vectors.

    Raises InputError if several models are named, ProfileError if no model has vectors or none of
    those that have is registered.
    """
    if len(models) > 1:
        raise InputError("this figure shows one model; name one --model")
    if models:
        return models[0]
    present = lake.look_up(
        "select distinct model from part where kind in ('embedding', 'profile') order by model"
    )["model"].to_list()
    if not present:
        raise ProfileError("nothing is embedded yet; run `unidino embed --model NAME --all`")
    newest = "select model from model where list_contains($p, model) order by created desc, model"
    registered = lake.look_up(newest, {"p": present})["model"].to_list()
    if not registered:
        raise ProfileError(
            f"the lake has vectors of {', '.join(present)}, but no such model; `unidino check`"
            " names the command that mends it"
        )
    model = best_model(lake, registered) or registered[0]
    if len(present) > 1:
        log.info(f"of model {model}; choose another by --model ({', '.join(present)})")
    return model


def best_model(lake: Lake, models: Sequence[str]) -> str | None:
    """The model with the highest mean accuracy over its scores, which is no baseline if possible.

    Where none of those is scored, it is the newest that was trained in this lake, else the newest.
    None if there is no model but baselines (random, Gaussian, the number of cells) without scores.
    """
    from unidino.scores.history import latest_scores

    accuracies: dict[str, list[float]] = {}
    for score in latest_scores(lake):
        if score.model in models and score.accuracy is not None:
            accuracies.setdefault(score.model, []).append(score.accuracy)
    known = lake.look_up(assets.sql("queries", "compared_model"), {"models": list(models)})
    informed = known.filter(~pl.col("is_baseline"))["model"].to_list()
    for of in (informed, known["model"].to_list()):
        scored = [m for m in of if m in accuracies]
        if scored:
            return str(min(scored, key=lambda m: (-float(np.mean(accuracies[m])), m)))
        if of is informed and of:
            return str(of[0])
    return None


def selected(rows: pl.DataFrame, selection: Selection | None) -> pl.DataFrame:
    """The rows of results of these profiles: by model, dataset, level and normalization.

    selection: None for all rows.
    Raises UnidinoError that lists the choices if the results have no such name.
    """
    if selection is None or rows.is_empty():
        return rows
    names: dict[str, Sequence[Any]] = {
        "model": selection.models,
        "dataset": selection.datasets,
        "level": [selection.level],
        "normalization": [str(selection.form)],
    }
    for column, wanted in names.items():
        for name in wanted:
            choose(column, name, sorted(rows[column].unique().to_list()))
        if wanted:
            rows = rows.filter(pl.col(column).is_in(list(wanted)))
    return rows
