"""Figure of what trainings logged, and the rows that it shows."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from unidino.core.errors import choose
from unidino.figures.draw.training import training_curves
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection


def training_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Values that each epoch of a training logged, one line for each model."""
    models = selection.models if selection else ()
    return training_curves(training_logs(lake, models), width_mm=width_mm)


def training_logs(lake: Lake, models: Sequence[str] = ()) -> dict[str, pl.DataFrame]:
    """Rows of `train.jsonl` by model, for the models that have one.

    models: names; default all.
    Raises UnidinoError for an unknown model.
    """
    known = lake.look_up("select model from model order by created, model")["model"].to_list()
    for model in models:
        choose("model", model, known)
    logs = {}
    for model in models or known:
        path = lake.resolve(f"models/{model}/train.jsonl")
        if path.is_file() and path.stat().st_size:
            logs[model] = pl.read_ndjson(path, infer_schema_length=None)
    return logs
