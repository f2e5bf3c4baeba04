"""Pictures of a plate and of a map, as plotly's plain dictionaries.

Shapes: N wells.
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.explorer.colors import Colors

Figure = dict[str, Any]
_FONT = {
    "family": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    "size": 11,
    "color": "#55606e",
}
_MARK = {"color": "#111827", "width": 2.5}
_MANY = 20_000
_TYPES = {"float32": "f4", "float64": "f8"}


def row_name(row: int) -> str:
    """Letters of a plate's row: 1 is A, 27 is AA."""
    return chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)


def plate_figure(
    num_rows: int,
    num_columns: int,
    wells: pl.DataFrame,
    colors: Colors,
    fits: NDArray[np.bool_],
    chosen: str | None,
) -> Figure:
    """A plate as a grid of its wells, coloured; those that do not fit are faded.

    wells: of the plate: position, well_row, well_column. colors, fits: of all wells of the dataset.
    chosen: name of the well to mark.
    """
    position = wells["position"].to_numpy()
    at = wells["well_row"].to_numpy() - 1, wells["well_column"].to_numpy() - 1
    shown = np.full((num_rows, num_columns), np.nan, dtype=np.float32)
    shown[at] = colors.codes[position]
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
            "colorscale": colors.colorscale,
            "zmin": colors.low,
            "zmax": colors.high,
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
            "ticktext": [row_name(r) for r in rows[::every]],
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
    """A frame around a well of a plate."""
    if not chosen:
        return []
    letters = chosen.rstrip("0123456789")
    row = ord(letters[-1]) - 64 + 26 * (len(letters) - 1)
    column = int(chosen[len(letters) :])
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


def map_figure(points: pl.DataFrame, colors: Colors, fits: NDArray[np.bool_]) -> Figure:
    """Points of profiles, coloured, those that fit.

    points: position, x, y. colors, fits: of all wells of the dataset.
    """
    position = points["position"].to_numpy()
    kept = fits[position]
    position = position[kept]
    many = len(position) > _MANY
    trace = {
        "type": "scattergl",
        "mode": "markers",
        "hoverinfo": "none",
        "x": _array(points["x"].to_numpy()[kept].astype(np.float32)),
        "y": _array(points["y"].to_numpy()[kept].astype(np.float32)),
        "customdata": position.tolist(),  # dash reads it of events, and reads no typed array
        "marker": {
            "color": _array(colors.codes[position]),
            "colorscale": colors.colorscale,
            "cmin": colors.low,
            "cmax": colors.high,
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
    """One column of a result against another: points for numbers, else boxes of y."""
    given: Figure = {"x": rows[x].to_list(), "y": rows[y].to_list()}
    if rows[x].dtype.is_numeric() or rows[x].dtype.is_temporal():
        trace = given | {
            "type": "scattergl",
            "mode": "markers",
            "marker": {"size": 6, "opacity": 0.7, "color": "#0072b2"},
        }
    else:
        trace = given | {
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


def blank_figure() -> Figure:
    """A picture of nothing, without axes."""
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
    """Numbers as plotly's typed array: a tenth of their JSON."""
    data = np.ascontiguousarray(values).tobytes()
    return {"dtype": _TYPES[values.dtype.name], "bdata": base64.b64encode(data).decode()}


def _matrix(values: NDArray[np.float32]) -> Sequence[Sequence[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]
