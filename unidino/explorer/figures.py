"""Figures of a plate, a map and two columns, as plain dictionaries for plotly.

Shapes: N wells.
"""

import base64
import html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.wells import row_letters, well_place
from unidino.explorer.colours import Colours

Figure = dict[str, Any]
_FONT = {
    "family": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    "size": 11,
    "color": "#55606e",
}
_MARK = {"color": "#111827", "width": 2.5}
_MANY = 20_000
_WELL = re.compile("[A-Z]{1,2}[0-9]{1,4}")
_TYPES = {"float32": "f4", "float64": "f8"}


def plate_figure(
    num_rows: int,
    num_columns: int,
    wells: pl.DataFrame,
    colours: Colours,
    fits: NDArray[np.bool_],
    chosen: str | None,
) -> Figure:
    """A plate as a grid of coloured wells; wells that do not fit the condition are faded.

    wells: position, well_row and well_column of the wells of the plate. colours, fits: of all wells
    of the dataset. chosen: name of the well to mark.
    """
    position = wells["position"].to_numpy()
    at = wells["well_row"].to_numpy() - 1, wells["well_column"].to_numpy() - 1
    shown = np.full((num_rows, num_columns), np.nan, dtype=np.float32)
    shown[at] = colours.codes[position]
    faded = np.full((num_rows, num_columns), np.nan, dtype=np.float32)
    faded[at] = np.where(fits[position], np.nan, 1)
    gap = 2 if num_columns <= 24 else 1
    columns = list(range(1, num_columns + 1))
    rows = list(range(1, num_rows + 1))
    common = {
        "type": "heatmap",
        "x": columns,
        "y": rows,
        "xgap": gap,
        "ygap": gap,
        "showscale": False,
        "hoverongaps": False,
        "hoverinfo": "none",
    }
    traces = [
        common
        | {
            "z": _matrix(shown),
            "colorscale": colours.colorscale,
            "zmin": colours.low,
            "zmax": colours.high,
        },
    ]
    if not fits[position].all():
        white = "rgba(250,251,252,0.88)"
        traces.append(
            common
            | {"z": _matrix(faded), "colorscale": [(0, white), (1, white)], "zmin": 0, "zmax": 1}
        )
    every = 1 if num_rows <= 16 else 2
    layout = _layout() | {
        "plot_bgcolor": "#eef1f4",
        "xaxis": {
            "side": "top",
            "tickvals": columns[:: 1 if num_columns <= 24 else 3],
            "range": [0.5, num_columns + 0.5],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "constrain": "domain",
            "ticks": "",
        },
        "yaxis": {
            "tickvals": rows[::every],
            "ticktext": [row_letters(r) for r in rows[::every]],
            "range": [num_rows + 0.5, 0.5],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "scaleanchor": "x",
            "constrain": "domain",
            "ticks": "",
        },
        "margin": {"l": 26, "r": 8, "t": 22, "b": 6},
        "shapes": plate_mark(chosen),
    }
    return {"data": traces, "layout": layout}


def plate_mark(chosen: str | None) -> list[dict[str, Any]]:
    """Shapes that frame the chosen well of a plate; none for a text that names no well."""
    if not chosen or not _WELL.fullmatch(chosen):
        return []
    row, column = well_place(chosen)
    return [
        {
            "type": "rect",
            "x0": column - 0.5,
            "x1": column + 0.5,
            "y0": row - 0.5,
            "y1": row + 0.5,
            "line": _MARK,
            "layer": "above",
        }
    ]


def map_figure(points: pl.DataFrame, colours: Colours, fits: NDArray[np.bool_]) -> Figure:
    """The profiles that fit the condition as coloured points.

    points: position, x, y. colours, fits: of all wells of the dataset.
    """
    position = points["position"].to_numpy()
    is_shown = fits[position]
    position = position[is_shown]
    many = len(position) > _MANY
    trace = {
        "type": "scattergl",
        "mode": "markers",
        "hoverinfo": "none",
        "x": _array(points["x"].to_numpy()[is_shown].astype(np.float32)),
        "y": _array(points["y"].to_numpy()[is_shown].astype(np.float32)),
        "customdata": position.tolist(),  # Dash reads it from events; it cannot read typed arrays
        "marker": {
            "color": _array(colours.codes[position]),
            "colorscale": colours.colorscale,
            "cmin": colours.low,
            "cmax": colours.high,
            "showscale": False,
            "size": 3 if many else 5 if len(position) > 2_000 else 8,
            "opacity": 0.6 if many else 0.85,
            "line": {"width": 0},
        },
    }
    axis = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False}
    layout = _layout() | {
        "plot_bgcolor": "#ffffff",
        "xaxis": axis,
        "yaxis": axis | {"scaleanchor": "x"},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "dragmode": "pan",
        "uirevision": "map",
    }
    return {"data": [trace], "layout": layout}


def columns_figure(rows: pl.DataFrame, x: str, y: str) -> Figure:
    """One column of a result against another: points if x is a number, else boxes of y."""
    data: Figure = {"x": rows[x].to_list(), "y": rows[y].to_list()}
    if rows[x].dtype.is_numeric() or rows[x].dtype.is_temporal():
        trace = data | {
            "type": "scattergl",
            "mode": "markers",
            "marker": {"size": 6, "opacity": 0.7, "color": "#0072b2"},
        }
    else:
        trace = data | {
            "type": "box",
            "boxpoints": "all",
            "jitter": 0.4,
            "pointpos": 0,
            "marker": {"size": 4, "opacity": 0.5, "color": "#0072b2"},
            "line": {"width": 1},
            "fillcolor": "rgba(0,0,0,0)",
        }
    axis = {"gridcolor": "#e6eaee", "zeroline": False, "automargin": True}
    layout = _layout() | {
        "plot_bgcolor": "#ffffff",
        "xaxis": axis | {"title": {"text": x}},
        "yaxis": axis | {"title": {"text": y}},
        "margin": {"l": 50, "r": 12, "t": 12, "b": 44},
        "hovermode": "closest",
    }
    return {"data": [trace], "layout": layout}


def plain(text: str) -> str:
    """A text as plotly shows it, without the meaning that its tags would have."""
    return html.escape(text)


def plain_layout() -> Figure:
    """What all figures have in common: fonts, no legend, a clear ground."""
    return _layout()


def blank_figure() -> Figure:
    """An empty figure without axes."""
    hidden = {"visible": False, "fixedrange": True}
    return {"data": [], "layout": _layout() | {"xaxis": hidden, "yaxis": hidden}}


def _layout() -> Figure:
    return {
        "font": _FONT,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "clickmode": "event",
    }


def _array(values: NDArray[Any]) -> dict[str, str]:
    """Numbers as a typed array of plotly, which has a tenth of the size of JSON."""
    data = np.ascontiguousarray(values).tobytes()
    return {"dtype": _TYPES[values.dtype.name], "bdata": base64.b64encode(data).decode()}


def _matrix(values: NDArray[np.float32]) -> Sequence[Sequence[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]
