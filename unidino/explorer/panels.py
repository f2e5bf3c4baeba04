"""Pieces of the page that are made of data: legend, a well's facts, rows of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from dash import dcc, html

from unidino.core.text import cell
from unidino.explorer.colors import Colors
from unidino.explorer.images import field_at

_FACTS_FIRST = (
    "compound",
    "concentration_um",
    "moa",
    "target",
    "control_type",
    "cell_line",
    "perturbation",
    "batch",
    "source",
)
_HIDDEN = {"well_row", "well_column", "extra"}
_TOP = 2.0
Windows = Mapping[str, Sequence[float]]


def legend(colors: Colors, num_fitting: int, num: int) -> list[Any]:
    """What the colours mean, and how many wells fit the condition."""
    parts: list[Any] = []
    if colors.ends:
        low, high = colors.ends
        parts.append(
            html.Span(
                [
                    low,
                    html.Span(className="ramp", style={"background": colors.gradient}),
                    high,
                    html.Span(" log scale" if colors.is_log else "", className="quiet"),
                ],
                className="entry",
            )
        )
    parts += [
        html.Span(
            [
                html.I(style={"background": entry.color}),
                entry.name,
                html.Span(f"{entry.num:,}", className="quiet"),
            ],
            className="entry",
            title=f"{entry.num:,} wells of the dataset",
        )
        for entry in colors.entries
    ]
    if num_fitting < num:
        parts.append(html.Span(f"{num_fitting:,} of {num:,} wells fit", className="entry quiet"))
    return parts


def head(row: Mapping[str, Any] | None, plate: str, well: str) -> list[Any]:
    """Title of a well: where it is and what was done to it."""
    values = row or {}
    does = [_treatment(values), values.get("moa"), values.get("target")]
    kind = values.get("control_type")
    parts: list[Any] = [html.H2(well), html.Span(plate, className="quiet")]
    parts += [html.Span(text, className="chip") for text in does if text]
    if kind and kind != "trt":
        parts.append(html.Span(kind, className="chip plain"))
    return parts


def _treatment(values: Mapping[str, Any]) -> str:
    compound, concentration = values.get("compound"), values.get("concentration_um")
    dose = f" {concentration:g} µM" if compound and concentration is not None else ""
    return f"{compound or values.get('perturbation') or ''}{dose}"


def facts(row: Mapping[str, Any]) -> html.Table:
    """Everything that is known of a well."""
    names = [n for n in _FACTS_FIRST if n in row]
    names += [n for n in row if n not in names and n not in _HIDDEN]
    return html.Table(
        html.Tbody(
            [
                html.Tr([html.Th(name), html.Td(cell(row[name]))])
                for name in names
                if row[name] is not None
            ]
        )
    )


def hover(row: Mapping[str, Any], value: tuple[str, Any] | None) -> list[Any]:
    """What is said of a well under the pointer. value: name and value of the colour."""
    lines = [_treatment(row), row.get("moa"), row.get("control_type")]
    parts: list[Any] = [html.B(f"{row['well']}"), html.Span(f" {row['plate']}", className="quiet")]
    parts += [html.Div(text) for text in lines if text]
    if value and value[0] not in ("compound", "moa", "control_type", "plate", "well"):
        parts.append(html.Div([html.Span(f"{value[0]} ", className="quiet"), cell(value[1])]))
    return parts


def tracks(num_channels: int) -> dict[str, str]:
    """Columns of a row: what it is, then a channel each."""
    columns = f"repeat({max(num_channels, 1)}, minmax(0, var(--plane)))"
    return {"gridTemplateColumns": f"7.2rem {columns}"}


def window_row(images: pl.DataFrame, held: Windows, *, common: bool) -> html.Div:
    """Names of the channels, each with a slider of its window in counts.

    images: of one field. held: windows to keep, by channel.
    """
    cells: list[Any] = [html.Div(html.Span("counts", className="quiet"), className="what")]
    if common:
        low = images["p0_1"].min()
        high = images["p99_9"].max()
        top = _TOP * max(float(high or 1), *(w[1] for w in held.values()), 1)  # type: ignore[arg-type]
        cells += [html.Div(html.B(name)) for name in images["channel"]]
        rows = [html.Div(cells, className="tracks", style=tracks(len(images)))]
        value = held.get("*") or [float(low or 0), float(high or 1)]  # type: ignore[arg-type]
        rows.append(html.Div(_slider("*", value, top), className="common"))
        return html.Div(rows)
    for row in images.iter_rows(named=True):
        own = [float(row["p0_1"] or 0), float(row["p99_9"] or 1)]
        value = held.get(row["channel"]) or own
        limit = 255.0 if row["dtype"] == "uint8" else 65535.0
        top = min(limit, max(_TOP * own[1], float(value[1]), 1.0))
        cells.append(
            html.Div(
                [
                    html.B(row["channel"], title=row["marker"] or ""),
                    _slider(row["channel"], value, top),
                ]
            )
        )
    return html.Div(cells, className="tracks", style=tracks(len(images)))


def _slider(channel: str, value: Sequence[float], top: float) -> html.Div:
    low, high = (round(v) for v in value)
    return html.Div(
        [
            dcc.RangeSlider(
                id={"kind": "window", "channel": channel},
                min=0,
                max=round(top),
                step=1,
                value=[low, max(high, low + 1)],
                marks=None,
                allowCross=False,
                updatemode="drag",
                allow_direct_input=False,
            ),
            html.Span(f"{low} to {high}", className="quiet counts", **{"data-window": channel}),  # type: ignore[arg-type]
        ],
        className="window",
    )


def image_row(
    what: list[Any],
    plate: str,
    well: str,
    images: pl.DataFrame,
    field: int | None,
    channels: Sequence[str],
    *,
    mark: str = "",
) -> html.Div:
    """A well's images of one field, a channel each; the page fills in the pixels.

    images: of the well, all fields. field: to show if it has it, else its first.
    """
    own = images.filter(pl.col("field") == field_at(images, field)) if len(images) else images
    by_channel = {row["channel"]: row for row in own.iter_rows(named=True)}
    cells = [_image(plate, well, by_channel.get(channel), channel) for channel in channels]
    if not channels:
        cells = [html.Div("no images in the lake", className="plane missing wide")]
    return html.Div(
        [html.Div(what, className="what"), *cells],
        className=f"tracks row {mark}",
        style=tracks(len(channels)),
    )


def _image(plate: str, well: str, row: Mapping[str, Any] | None, channel: str) -> Any:
    if row is None:
        return html.Div(f"no {channel}", className="plane missing")
    if row["uri"] is None or row["qc"] in ("absent", "damaged"):
        return html.Div(
            row["qc"] if row["uri"] else "not here",
            className="plane missing",
            title=row["problem"] or "",
        )
    names = {
        "data-plate": plate,
        "data-well": well,
        "data-field": str(row["field"]),
        "data-channel": channel,
        "data-version": row["content_hash"][:12],
    }
    flag = [html.Span(row["qc"], className="flag")] if row["qc"] != "ok" else []
    ratio = f"{row['width_px'] or 1} / {row['height_px'] or 1}"
    return html.Div(
        [
            html.Img(
                alt=f"{plate} {well} field {row['field']} {channel}", className="pixels", **names
            ),
            *flag,
        ],
        className="plane",
        style={"aspectRatio": ratio},
        tabIndex=0,
    )


def neighbour(nth: int, row: Mapping[str, Any], known: Mapping[str, Any] | None) -> list[Any]:
    """What is said of a neighbour beside its images.

    row: plate, well, similarity, label, is_same_label.
    """
    same = row["is_same_label"]
    sign = {True: "same", False: "other", None: "plain"}[same]
    title = {
        True: "has the label of the well",
        False: "has another label",
        None: "no label to compare",
    }[same]
    values = known or {}
    return [
        html.Button(
            [html.B(row["well"]), html.Span(f" {row['similarity']:.3f}", className="number")],
            className="go",
            id={"kind": "go", "nth": nth, "plate": row["plate"], "well": row["well"]},
            title=f"Cosine {row['similarity']:.6f}; click to choose {row['plate']} {row['well']}",
        ),
        html.Div(row["plate"], className="quiet clip", title=row["plate"]),
        html.Div(_treatment(values), className="clip", title=_treatment(values)),
        html.Div(row["label"] or "no label", className=f"label {sign}", title=title),
    ]
