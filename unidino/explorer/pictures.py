"""Rows of images on the page: windows of intensity, colours, planes, composites, scale bars."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from dash import dcc, html

from unidino.explorer.composite import COLOURS, OFF, bar_um, stain_colours
from unidino.explorer.images import field_at

_TOP = 2.0  # end of a slider, in units of the 99.9th percentile
_LARGER = ((2, 1.9), (3, 1.45), (4, 1.15))  # images of up to so many columns are larger
Windows = Mapping[str, Sequence[float]]


def tracks(num_channels: int) -> dict[str, str]:
    """CSS grid of a row: a title, then one column for each channel."""
    # The composite is one more; a few channels have room for larger images.
    num = max(num_channels, 1) + (num_channels > 1)
    larger = next((scale for most, scale in _LARGER if num <= most), 1.0)
    columns = f"repeat({num}, minmax(0, calc({larger} * var(--plane))))"
    return {"gridTemplateColumns": f"7.2rem {columns}"}


def window_row(images: pl.DataFrame, kept: Windows, *, common: bool) -> html.Div:
    """Names of the channels, each with a slider for its window in counts.

    images: of one field. kept: windows by channel that stay as they are. common: one window for all
    channels.
    """
    cells: list[Any] = [html.Div(html.Span("counts", className="quiet"), className="what")]
    if len(images) > 1:
        cells.append(html.Div(html.B("colours"), title="Channels on top of one another"))
    usual = stain_colours(images["channel"].to_list())
    if common:
        low = images["p0_1"].min()
        high = images["p99_9"].max()
        top = _TOP * max(float(high or 1), *(w[1] for w in kept.values()), 1)  # type: ignore[arg-type]
        cells += [
            html.Div([html.B(name), *_colour_choice(name, usual[name], len(images))])
            for name in images["channel"]
        ]
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
                    *_colour_choice(row["channel"], usual[row["channel"]], len(images)),
                ]
            )
        )
    return html.Div(cells, className="tracks", style=tracks(len(images)))


def _colour_choice(channel: str, usual: str, num: int) -> list[Any]:
    """The colour of a channel in the composite; nothing for a single channel."""
    if num < 2:
        return []
    name = {"channel": channel, "kind": "colour-of"}
    return [
        html.Label(
            f"Colour of {channel}",
            htmlFor=json.dumps(name, separators=(",", ":")),
            className="hidden",
        ),
        dcc.Dropdown(
            id=name,
            options=[*COLOURS, OFF],
            value=usual,
            clearable=False,
            searchable=False,
            className="colour-of",
            persistence=channel,
            persistence_type="session",
        ),
    ]


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


def name_row(channels: Sequence[str]) -> html.Div:
    """Names of the columns of `image_row`."""
    names = ["colours", *channels] if len(channels) > 1 else [*channels]
    return html.Div(
        [html.Div(), *(html.B(name) for name in names)],
        className="tracks",
        style=tracks(len(channels)),
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
    if len(channels) > 1:
        usable = [by_channel[c] for c in channels if _has_pixels(by_channel.get(c))]
        cells.insert(0, _composite(plate, well, usable))
    if not channels:
        cells = [html.Div("no images in the lake", className="plane missing wide")]
    return html.Div(
        [html.Div(title, className="what"), *cells],
        className="tracks row chosen" if is_chosen else "tracks row",
        style=tracks(len(channels)),
    )


def _has_pixels(row: Mapping[str, Any] | None) -> bool:
    return row is not None and row["uri"] is not None and bool(row["has_pixels"])


def _composite(plate: str, well: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return html.Div("no pixels", className="plane missing")
    names = {
        "data-plate": plate,
        "data-well": well,
        "data-field": str(rows[0]["field"]),
        "data-layers": json.dumps(stain_colours([row["channel"] for row in rows])),
        "data-version": rows[0]["content_hash"][:12],
    }
    alt = f"{plate} {well} field {rows[0]['field']} {' + '.join(row['channel'] for row in rows)}"
    return html.Div(
        [html.Img(alt=alt, className="pixels", **names), *_scale_bar(rows[0])],
        className="plane",
        style={"aspectRatio": f"{rows[0]['width_px'] or 1} / {rows[0]['height_px'] or 1}"},
        tabIndex=0,
    )


def _scale_bar(row: Mapping[str, Any]) -> list[Any]:
    """A bar of a round length over an image, where the size of its pixels is known."""
    size, width = row["pixel_size_um"], row["width_px"]
    if not size or not width:
        return []
    um = bar_um(size * width)
    share = um / (size * width)
    return [html.Span(f"{um:g} µm", className="bar-um", style={"width": f"{100 * share:.2f}%"})]


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
            *_scale_bar(row),
        ],
        className="plane",
        style={"aspectRatio": ratio},
        tabIndex=0,
    )
