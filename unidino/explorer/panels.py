"""Parts of the page that tell of wells: legend, title and metadata of a well, neighbours."""

from collections.abc import Mapping
from typing import Any

from dash import html

from unidino.core.text import cell
from unidino.explorer.colours import Colours

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
    texts = [treatment_text(values), values.get("moa"), values.get("target")]
    kind = values.get("control_type")
    parts: list[Any] = [html.H2(well), html.Span(plate, className="quiet")]
    parts += [html.Span(text, className="chip") for text in texts if text]
    if kind and kind != "trt":
        parts.append(html.Span(kind, className="chip plain"))
    return parts


def treatment_text(values: Mapping[str, Any]) -> str:
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
    lines = [treatment_text(row), row.get("moa"), row.get("control_type")]
    parts: list[Any] = [html.B(f"{row['well']}"), html.Span(f" {row['plate']}", className="quiet")]
    parts += [html.Div(text) for text in lines if text]
    if value and value[0] not in ("compound", "moa", "control_type", "plate", "well"):
        parts.append(html.Div([html.Span(f"{value[0]} ", className="quiet"), cell(value[1])]))
    return parts


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
        html.Div(treatment_text(values), className="clip", title=treatment_text(values)),
        html.Div(row["label"] or "no label", className=f"label {style}", title=title),
    ]


def beside(
    nth: int, what: str, plate: str, well: str, metadata: Mapping[str, Any] | None
) -> list[Any]:
    """Text about a well beside the chosen one, for the left of its images. what: it is to it."""
    return [
        html.Button(
            html.B(well),
            className="go",
            id={"kind": "go", "nth": 100 + nth, "plate": plate, "well": well},
            title=f"Click to choose {plate} {well}",
        ),
        html.Div(plate, className="quiet clip", title=plate),
        html.Div(treatment_text(metadata or {}), className="clip"),
        html.Div(what, className="label plain"),
    ]
