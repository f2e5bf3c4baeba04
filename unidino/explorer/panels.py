"""Parts of the page that show data: legend, metadata of a well, rows of images, neighbours."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from dash import dcc, html

from unidino.core.text import cell
from unidino.explorer.colours import Colours
from unidino.explorer.images import field_at

_FIRST_COLUMNS = (
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
_TOP = 2.0  # end of a slider, in units of the 99.9th percentile
Windows = Mapping[str, Sequence[float]]


def legend(colours: Colours, num_fitting: int, num: int) -> list[Any]:
    """The meaning of the colours, and the number of wells that fit the condition."""
    parts: list[Any] = []
    if colours.ends:
        low, high = colours.ends
        parts.append(
            html.Span(
                [
                    low,
                    html.Span(className="ramp", style={"background": colours.gradient}),
                    high,
                    html.Span(" log scale" if colours.is_log else "", className="quiet"),
                ],
                className="entry",
            )
        )
    parts += [
        html.Span(
            [
                html.I(style={"background": entry.colour}),
                entry.name,
                html.Span(f"{entry.num:,}", className="quiet"),
            ],
            className="entry",
            title=f"{entry.num:,} wells of the dataset",
        )
        for entry in colours.entries
    ]
    if num_fitting < num:
        parts.append(html.Span(f"{num_fitting:,} of {num:,} wells fit", className="entry quiet"))
    return parts


def head(row: Mapping[str, Any] | None, plate: str, well: str) -> list[Any]:
    """Title of a well: its name, plate and treatment."""
    values = row or {}
    texts = [_treatment(values), values.get("moa"), values.get("target")]
    kind = values.get("control_type")
    parts: list[Any] = [html.H2(well), html.Span(plate, className="quiet")]
    parts += [html.Span(text, className="chip") for text in texts if text]
    if kind and kind != "trt":
        parts.append(html.Span(kind, className="chip plain"))
    return parts


def _treatment(values: Mapping[str, Any]) -> str:
    compound, concentration = values.get("compound"), values.get("concentration_um")
    dose = f" {concentration:g} µM" if compound and concentration is not None else ""
    return f"{compound or values.get('perturbation') or ''}{dose}"


def metadata_table(row: Mapping[str, Any]) -> html.Table:
    """All metadata of a well."""
    names = [n for n in _FIRST_COLUMNS if n in row]
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
    """Text about the well under the pointer. value: name and value that colour it."""
    lines = [_treatment(row), row.get("moa"), row.get("control_type")]
    parts: list[Any] = [html.B(f"{row['well']}"), html.Span(f" {row['plate']}", className="quiet")]
    parts += [html.Div(text) for text in lines if text]
    if value and value[0] not in ("compound", "moa", "control_type", "plate", "well"):
        parts.append(html.Div([html.Span(f"{value[0]} ", className="quiet"), cell(value[1])]))
    return parts


def tracks(num_channels: int) -> dict[str, str]:
    """CSS grid of a row: a title, then one column for each channel."""
    columns = f"repeat({max(num_channels, 1)}, minmax(0, var(--plane)))"
    return {"gridTemplateColumns": f"7.2rem {columns}"}


def window_row(images: pl.DataFrame, kept: Windows, *, common: bool) -> html.Div:
    """Names of the channels, each with a slider for its window in counts.

    images: of one field. kept: windows by channel that stay as they are. common: one window for all
    channels.
    """
    cells: list[Any] = [html.Div(html.Span("counts", className="quiet"), className="what")]
    if common:
        low = images["p0_1"].min()
        high = images["p99_9"].max()
        top = _TOP * max(float(high or 1), *(w[1] for w in kept.values()), 1)  # type: ignore[arg-type]
        cells += [html.Div(html.B(name)) for name in images["channel"]]
        rows = [html.Div(cells, className="tracks", style=tracks(len(images)))]
        value = kept.get("*") or [float(low or 0), float(high or 1)]  # type: ignore[arg-type]
        rows.append(html.Div(_slider("*", value, top), className="common"))
        return html.Div(rows)
    for row in images.iter_rows(named=True):
        percentiles = [float(row["p0_1"] or 0), float(row["p99_9"] or 1)]
        value = kept.get(row["channel"]) or percentiles
        limit = 255.0 if row["dtype"] == "uint8" else 65535.0
        top = min(limit, max(_TOP * percentiles[1], float(value[1]), 1.0))
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
    title: list[Any],
    plate: str,
    well: str,
    images: pl.DataFrame,
    field: int | None,
    channels: Sequence[str],
    *,
    is_chosen: bool = False,
) -> html.Div:
    """Images of one field of a well, one for each channel; the script of the page loads the pixels.

    images: of all fields of the well. field: the field to show if the well has it, else its first.
    """
    shown = images.filter(pl.col("field") == field_at(images, field)) if len(images) else images
    by_channel = {row["channel"]: row for row in shown.iter_rows(named=True)}
    cells = [_image(plate, well, by_channel.get(channel), channel) for channel in channels]
    if not channels:
        cells = [html.Div("no images in the lake", className="plane missing wide")]
    return html.Div(
        [html.Div(title, className="what"), *cells],
        className="tracks row chosen" if is_chosen else "tracks row",
        style=tracks(len(channels)),
    )


def _image(plate: str, well: str, row: Mapping[str, Any] | None, channel: str) -> Any:
    if row is None:
        return html.Div(f"no {channel}", className="plane missing")
    if row["uri"] is None or not row["has_pixels"]:
        return html.Div(
            row["qc"] if row["uri"] else "no pixels",
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


def neighbour(nth: int, row: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> list[Any]:
    """Text about a neighbour, for the left of its images.

    row: plate, well, similarity, label, is_same_label. metadata: of the well.
    """
    same = row["is_same_label"]
    style = {True: "same", False: "other", None: "plain"}[same]
    title = {
        True: "has the same label as the chosen well",
        False: "has another label",
        None: "no label to compare",
    }[same]
    values = metadata or {}
    return [
        html.Button(
            [html.B(row["well"]), html.Span(f" {row['similarity']:.3f}", className="number")],
            className="go",
            id={"kind": "go", "nth": nth, "plate": row["plate"], "well": row["well"]},
            title=f"Cosine {row['similarity']:.6f}; click to choose {row['plate']} {row['well']}",
        ),
        html.Div(row["plate"], className="quiet clip", title=row["plate"]),
        html.Div(_treatment(values), className="clip", title=_treatment(values)),
        html.Div(row["label"] or "no label", className=f"label {style}", title=title),
    ]
