"""The views of answers: dose responses, assay quality, single cells, and the picked wells."""

from typing import Any

from dash import dcc, html

from unidino.explorer.layout.controls import dropdown, graph, labelled, loading


def _panel(title: str, controls: list[Any], *content: Any) -> html.Section:
    return html.Section(
        [html.Div([html.H2(title), *controls], className="head"), *content], className="panel tall"
    )


def dose_view() -> html.Div:
    """A list of compounds with their doses, and the curves of one over the channels."""
    return html.Div(
        [
            _panel(
                "Compounds",
                [],
                html.Div(id="dose-note", className="note"),
                loading(html.Div(id="dose-list", className="scrolls"), parent_className="fill"),
            ),
            _panel(
                "Dose response",
                [labelled("compound", "Compound", dropdown("compound"), "w12")],
                html.Div(
                    "Points: wells; line: curve with its 95 % band, grey if not active; grey"
                    " ground: 95 % of the negative controls; orange: EC50 in its 95 % interval;"
                    " dotted: lowest active dose.",
                    className="note",
                ),
                graph("dose-curves"),
            ),
        ],
        id="dose-view",
        className="view",
    )


def quality_view() -> html.Div:
    """Tables of assay quality, and a plate with what is flagged on it."""
    return html.Div(
        [
            _panel(
                "Flags on the plate",
                [
                    labelled("quality-plate", "Plate", dropdown("quality-plate"), "w12"),
                    labelled("measure", "Flag", dropdown("measure"), "w10"),
                ],
                html.Div("Click a well to see it.", id="quality-hint", className="note"),
                graph("quality-map"),
                html.Div(id="quality-legend", className="legend"),
            ),
            _panel(
                "Assay quality",
                [],
                html.Div(id="quality-note", className="note"),
                loading(
                    html.Div(id="quality-tables", className="scrolls"), parent_className="fill"
                ),
            ),
        ],
        id="quality-view",
        className="view",
    )


def cells_view() -> html.Div:
    """The distribution of a feature of single cells, well by well."""
    return html.Div(
        [
            _panel(
                "Single cells",
                [
                    labelled(
                        "feature", "Feature", dcc.Dropdown(id="feature", clearable=False), "w30"
                    )
                ],
                html.Div(id="cells-note", className="note"),
            ),
            html.Section([graph("cells-plot")], className="panel tall"),
        ],
        id="cells-view",
        className="view",
    )


def picked_view() -> html.Div:
    """The picked wells: a table, a contact sheet, files."""
    return html.Div(
        [
            _panel(
                "Picked wells",
                [
                    html.Button("Forget them", id="pick-none"),
                    html.Span(id="picked-files"),
                ],
                html.Div(id="picked-note", className="note"),
            ),
            html.Section(
                [
                    loading(
                        html.Div(
                            [html.Div(id="picked-sheet"), html.Div(id="picked-table")],
                            className="scrolls",
                        ),
                        parent_className="fill",
                    )
                ],
                className="panel tall scrolls",
            ),
        ],
        id="picked-view",
        className="view",
    )
