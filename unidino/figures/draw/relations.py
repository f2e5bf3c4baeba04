"""Figures of known pairs that are found again, of mixed batches, and of drifting controls."""

from typing import Any

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from unidino.core.errors import ProfileError
from unidino.figures.draw.scores import forest
from unidino.figures.draw.style import (
    COLOURS,
    MM,
    WIDTH_MM,
    Key,
    distinct,
    dot,
    natural_order,
    new_figure,
    set_title,
    styled,
)

_PANEL_IN = 1.5
_MOST_NAMED = 40  # plates, whose names fit below a panel
_MOST_BATCHES = 8
_NO_SHIFT = 1e-6
_UNITS = {"plate": "plates", "batch": "batches", "source": "laboratories"}


def pair_intervals(rows: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Recalls of known pairs with 95 % intervals, a panel for each dataset, a row for each model.

    rows: of the table `pair_score`.
    Raises ProfileError if there is no row.
    """
    if rows.is_empty():
        raise ProfileError(
            "the lake has no recall of pairs; run `unidino score --measure pairs --pairs FILE`"
        )
    drawn = [
        {
            "dataset": row["dataset"],
            "question": (row["database"], row["label"], row["level"]),
            "heading": f"{row['database']}: {row['num_pairs']} pairs of {row['num_entities']}"
            f" {row['label']}s; all pairs: {row['num_null']}",
            "name": name,
            "value": row["recall"],
            "interval": _interval(row),
            "chance": row["chance"],
        }
        for row, name in zip(rows.iter_rows(named=True), _names(rows), strict=True)
    ]
    top = max(max(row["value"], row["chance"], *(row["interval"] or (0,))) for row in drawn)
    entries = [
        (dot("0.3"), "recall"),
        (Line2D([], [], color="0.3", linewidth=1.2), "95 % interval over entities"),
        (dot("black", "|"), "chance"),
    ]
    percent = rows["tail_percent"][0]
    title = f"known pairs in the {percent:g} % most similar and most opposite"
    limits = (0.0, min(1.02, top * 1.1))
    return forest(drawn, sorted(set(_names(rows))), title, limits, entries, width_mm)


def mixing_intervals(rows: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Mixing of batches with 95 % intervals, a row for each model and normalization.

    rows: of the table `batch_mixing`.
    Raises ProfileError if there is no row.
    """
    if rows.is_empty():
        raise ProfileError("the lake has no mixing of batches; run `unidino batches`")
    drawn = [
        {
            "dataset": row["dataset"],
            "question": (row["unit"], _kind_of_wells(row), row["level"]),
            "heading": _mixing_heading(row),
            "name": name,
            "value": row["mixing"],
            "interval": _interval(row),
            "chance": 1.0,
        }
        for row, name in zip(rows.iter_rows(named=True), _names(rows), strict=True)
    ]
    top = max(max(row["value"], 1.0, *(row["interval"] or (0,))) for row in drawn)
    entries = [
        (dot("0.3"), "mixing"),
        (Line2D([], [], color="0.3", linewidth=1.2), "95 % interval over labels"),
        (dot("black", "|"), "shuffled batches"),
    ]
    names = list(dict.fromkeys(_names(rows)))
    label = "mixing (0: neighbours are all of one batch)"
    return forest(drawn, names, label, (0.0, top * 1.05), entries, width_mm)


def plate_shifts(rows: pl.DataFrame, *, width_mm: float = WIDTH_MM) -> Figure:
    """Shift of the negative controls of each plate, in order, a panel for each set of profiles.

    rows: of the table `batch_drift`. The line at 1 is what wells differ by chance. Profiles whose
    normalization sets the controls of each plate to 0 are left out.
    Raises ProfileError if there is no row.
    """
    rows = rows.filter(pl.col("shift").is_not_null() & pl.col("shift").is_not_nan())
    if rows.is_empty():
        raise ProfileError(
            "the lake has no drift of controls, which needs three plates of two negative controls;"
            " run `unidino batches`"
        )
    keys = ["dataset", "model", "normalization", "level"]
    panels = list(rows.group_by(keys, maintain_order=True))
    # A normalization by the controls of each plate sets these to 0, which tells nothing.
    panels = [p for p in panels if p[1]["shift"].to_numpy().max() > _NO_SHIFT] or panels
    batches = sorted({str(b) for b in rows["batch"].drop_nulls()}, key=natural_order)
    colours = {b: COLOURS[i % len(COLOURS)] for i, b in enumerate(batches)}
    is_keyed = 1 < len(batches) <= _MOST_BATCHES
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color="0.3", linestyle="--", linewidth=0.8), "chance")
    ]
    if is_keyed:
        entries += [(dot(colour), name) for name, colour in colours.items()]
    with styled():
        key = Key(entries, width_mm)
        figure = new_figure(width_mm, len(panels) * (_PANEL_IN + 0.4) + 0.2 + key.height_in)
        grid = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, ((dataset, model, normalization, level), panel) in zip(grid, panels, strict=True):
            of_batch = [colours.get(str(b), COLOURS[0]) for b in panel["batch"]]
            axes.plot(panel["number"], panel["shift"], color="0.8", linewidth=0.8, zorder=1)
            axes.scatter(panel["number"], panel["shift"], s=14, c=of_batch, zorder=2)
            axes.axhline(1, color="0.3", linestyle="--", linewidth=0.8, zorder=1)
            top = max(1.0, float(panel["shift"].to_numpy().max()))
            axes.set(ylim=(0, top * 1.1), xlim=(0.5, len(panel) + 0.5), ylabel="shift of controls")
            if len(panel) <= _MOST_NAMED:
                names = distinct(panel["plate"].to_list(), 0.9)
                axes.set_xticks(panel["number"].to_list(), names, rotation=90)
            else:
                axes.set_xlabel("plate, in the order of batch and name")
            title = f"{dataset}: {model}, {normalization}, {level}"
            set_title(axes, width_mm * MM - 0.5, title)
        key.draw(figure)
    return figure


def _names(rows: pl.DataFrame) -> list[str]:
    """What each row is of: its model, with the normalization where these differ."""
    if rows["normalization"].n_unique() == 1:
        return rows["model"].to_list()
    if rows["model"].n_unique() == 1:
        return rows["normalization"].to_list()
    return [f"{m}, {n}" for m, n in rows.select("model", "normalization").iter_rows()]


def _mixing_heading(row: dict[str, Any]) -> str:
    return (
        f"{row['num_profiles']} {_kind_of_wells(row)} in {row['num_batches']} {_UNITS[row['unit']]}"
    )


def _kind_of_wells(row: dict[str, Any]) -> str:
    """What is compared: controls, or wells by the label that batches have in common."""
    return "negative controls" if row["wells"] == "negcon" else f"wells, by {row['label']},"


def _interval(row: dict[str, Any]) -> tuple[float, float] | None:
    low, high = row["interval_low"], row["interval_high"]
    return None if low is None or high is None else (low, high)
