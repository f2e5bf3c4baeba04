"""Figure of what a training logged in each epoch."""

from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import COLOURS, DASHES, WIDTH_MM, Key, compact, new_figure, styled

_TITLES = {
    "loss": "loss",
    "target_information": "information of targets, nats",
    "learned": "learned by the student, nats",
    "teacher_distance": "distance of the teacher from its start",
    "teacher_entropy": "entropy of targets, nats",
    "learning_rate": "learning rate",
    "center_norm": "norm of the centre",
    "feature_sd": "standard deviation of features",
    "effective_rank": "effective rank of features",
    "images_per_s": "images per second",
    "waiting": "share of time waiting for data",
    "accuracy": "accuracy of the probe",
}
_NOT_DRAWN = ("epoch", "steps", "entropy_limit")


def training_curves(logs: Mapping[str, pl.DataFrame], *, width_mm: float = WIDTH_MM) -> Figure:
    """Values logged in each epoch: one panel for each value, one line for each model.

    logs: rows of `train.jsonl` by model. They are drawn by steps, because epochs differ in length;
    by epochs if a log of an earlier version has no steps.
    Raises ProfileError if no log has an epoch.
    """
    logs = {model: log for model, log in logs.items() if len(log)}
    columns = [
        c
        for c in dict.fromkeys(c for log in logs.values() for c in log.columns)
        if c not in _NOT_DRAWN and any(_values(log, c, "epoch") for log in logs.values())
    ]
    if not columns:
        raise ProfileError("no model has a training log; `unidino train` writes one")
    by = "steps" if all("steps" in log.columns for log in logs.values()) else "epoch"
    columns.sort(key=lambda c: list(_TITLES).index(c) if c in _TITLES else len(_TITLES))
    with styled():
        look = {
            model: {"color": COLOURS[i % 8], "linestyle": DASHES[i // 8 % 4]}
            for i, model in enumerate(logs)
        }
        key = Key([(Line2D([], [], **look[m]), m) for m in logs], width_mm)
        across = min(3 if width_mm >= 120 else 2, len(columns))
        down = -(-len(columns) // across)
        figure = new_figure(width_mm, down * 1.55 + 0.15 + key.height_in)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(columns) :]:
            axes.remove()
        for axes, column in zip(grid, columns, strict=False):
            for model, log in logs.items():
                points = _values(log, column, by)
                places, values = [x for x, _ in points], [v for _, v in points]
                alone = "o" if len(points) == 1 else ""
                axes.plot(places, values, linewidth=1.2, marker=alone, markersize=3, **look[model])
            axes.set_title(_TITLES.get(column, column.replace("_", " ")), fontweight="normal")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(lambda value, _: compact(value))
            axes.margins(y=0.12)
        for axes in grid[: len(columns)][-across:]:
            axes.set_xlabel(by)
        key.draw(figure)
    return figure


def _values(log: pl.DataFrame, column: str, by: str) -> Sequence[tuple[int, float]]:
    """Values of a column with their epoch or step, where they are numbers."""
    if column not in log.columns or not log[column].dtype.is_numeric():
        return []
    rows = log.select(by, pl.col(column).cast(pl.Float64)).drop_nulls().drop_nans()
    return [(int(x), float(v)) for x, v in rows.iter_rows()]
