"""Dose responses on the page: a list of compounds, and the curves of one over the channels."""

import math
from typing import Any

import numpy as np
import polars as pl
from dash import html

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.explorer import figures
from unidino.explorer.tables import table
from unidino.insight.dose_curve import beyond_text, interval_text
from unidino.lake.lake import Lake

_ACTIVE, _INACTIVE, _EC50 = "#0072b2", "#7d8590", "#d55e00"
_ACROSS = 3


def dose_rows(lake: Lake, model: str, normalization: str, dataset: str) -> pl.DataFrame:
    """The newest dose responses of well profiles, else of the normalization that has some.

    Raises InputError that names the command if the model has none of the dataset.
    """
    rows = lake.look_up(assets.sql("queries", "shown_dose")).filter(model=model, dataset=dataset)
    if rows.is_empty():
        raise InputError(
            f"{model} has no dose responses of {dataset}; run `unidino dose --model {model}`"
        )
    names = sorted(set(rows["normalization"]))
    return rows.filter(
        pl.col("normalization") == (normalization if normalization in names else names[0])
    )


def compounds_of(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each compound: EC50, interval and lowest active dose of its clearest channel.

    Compounds that respond at the lowest dose come first, inactive ones last.
    """
    best = rows.sort(
        pl.col("is_active"), pl.col("channel") == "all", -pl.col("q_value"), descending=True
    ).unique("compound", keep="first", maintain_order=True)
    best = best.sort(~pl.col("is_active"), "lowest_active_um", "compound", nulls_last=True)
    texts = [_ec50_texts(row) for row in best.iter_rows(named=True)]
    return best.select(
        "compound",
        "channel",
        pl.Series("EC50_µM", [ec50 for ec50, _ in texts], pl.String),
        pl.Series("95_%", [ends for _, ends in texts], pl.String),
        pl.col("lowest_active_um").alias("lowest_active_µM"),
        pl.col("q_value").alias("q"),
    )


def _ec50_texts(row: dict[str, Any]) -> tuple[str, str]:
    """The EC50 and its interval, in words where they leave the tested doses."""
    ends = (row["ec50_low_um"], row["ec50_high_um"])
    if not row["is_active"]:
        return "inactive", ""
    if row["ec50_um"] is not None:
        return f"{row['ec50_um']:.3g}", interval_text(*ends)
    beyond = beyond_text(sorted(row["point_um"]), row["beyond"]) if row["beyond"] else ""
    return beyond, "" if ends == (None, None) else interval_text(*ends)


def compound_list(rows: pl.DataFrame, chosen: str | None) -> Any:
    """The list of compounds; each name is a button that shows its curves."""
    listed = compounds_of(rows)
    names = listed["compound"].to_list()
    buttons = [
        html.Button(name, className="go", id={"kind": "dose-go", "compound": name})
        for name in names
    ]
    return table(listed, first=buttons, on=[name == chosen for name in names])


def dose_figure(rows: pl.DataFrame, compound: str) -> figures.Figure:
    """The curves of a compound, a panel for each channel, with effects on one axis.

    Raises UnidinoError for a compound without dose responses.
    """
    from unidino.figures.draw.dose import UNITS  # loads Matplotlib

    choose("compound", compound, sorted(set(rows["compound"])))
    shown = rows.filter(compound=compound).to_dicts()
    across = min(_ACROSS, math.ceil(math.sqrt(len(shown))))
    down = -(-len(shown) // across)
    every = [v for r in shown for v in (*r["point_effect"], *r["control_effect"])]
    low, high = min(every), max(every)
    pad = 0.06 * (high - low or 1)
    traces: list[dict[str, Any]] = []
    layout = figures.plain_layout() | {
        "plot_bgcolor": "#ffffff",
        "grid": {"rows": down, "columns": across, "pattern": "independent", "ygap": 0.35},
        "margin": {"l": 50, "r": 10, "t": 34, "b": 40},
        "annotations": [],
        "shapes": [],
    }
    for number, row in enumerate(shown, 1):
        axis = "" if number == 1 else str(number)
        colour = _ACTIVE if row["is_active"] else _INACTIVE
        xy = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "hoverinfo": "x+y"}
        line = {"color": colour, "width": 0}
        band = {"type": "scatter", "mode": "lines", "x": row["curve_um"], "line": line}
        traces += [
            xy | band | {"y": row["curve_low"], "hoverinfo": "skip"},
            xy
            | band
            | {"y": row["curve_high"], "fill": "tonexty", "hoverinfo": "skip"}
            | {"fillcolor": f"{colour}33"},
            xy | band | {"y": row["curve_effect"], "line": {"color": colour, "width": 2}},
            xy
            | {"type": "scatter", "mode": "markers", "x": row["point_um"]}
            | {"y": row["point_effect"], "marker": {"color": colour, "size": 6}},
        ]
        place = {"xref": f"x{axis} domain", "yref": f"y{axis}"}
        ends = np.quantile(row["control_effect"], [0.025, 0.975])
        layout["shapes"].append(
            place
            | {"type": "rect", "x0": 0, "x1": 1, "y0": float(ends[0]), "y1": float(ends[1])}
            | {"fillcolor": "#d5dae1", "opacity": 0.6, "line": {"width": 0}, "layer": "below"}
        )
        if row["ec50_um"] is not None and row["is_active"]:
            doses = (min(row["point_um"]), max(row["point_um"]))
            layout["shapes"].append(
                {"type": "rect", "xref": f"x{axis}", "yref": f"y{axis} domain", "y0": 0, "y1": 1}
                | {"x0": row["ec50_low_um"] or doses[0], "x1": row["ec50_high_um"] or doses[1]}
                | {"fillcolor": _EC50, "opacity": 0.12, "line": {"width": 0}, "layer": "below"}
            )
        for um, dash, tone in (
            (row["ec50_um"], "solid", _EC50),
            (row["lowest_active_um"], "dot", "#111827"),
        ):
            if um is not None and row["is_active"]:
                layout["shapes"].append(
                    {"type": "line", "xref": f"x{axis}", "yref": f"y{axis} domain"}
                    | {"x0": um, "x1": um, "y0": 0, "y1": 1}
                    | {"line": {"color": tone, "width": 1.5, "dash": dash}}
                )
        layout["annotations"].append(
            {
                "xref": f"x{axis} domain",
                "yref": f"y{axis} domain",
                "x": 0,
                "y": 1.01,
                "yanchor": "bottom",
            }
            | {"text": f"<b>{figures.plain(row['channel'])}</b>", "showarrow": False}
        )
        ticks = sorted(set(row["point_um"]))
        layout[f"xaxis{axis}"] = {
            "type": "log",
            "tickvals": ticks,
            "ticktext": [f"{dose:.3g}" for dose in ticks],
            "title": {"text": "µM", "standoff": 2},
            "gridcolor": "#eef1f4",
        }
        layout[f"yaxis{axis}"] = {
            "range": [low - pad, high + pad],
            "gridcolor": "#eef1f4",
            "zeroline": False,
            "title": {"text": UNITS[row["effect"]]} if (number - 1) % across == 0 else {},
        }
    return {"data": traces, "layout": layout}
