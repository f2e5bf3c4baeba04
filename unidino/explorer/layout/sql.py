"""The SQL view: a query, its rows, and a plot of two columns."""

from typing import Any

import dash_ag_grid as dag
from dash import dcc, html

from unidino.explorer.layout.controls import graph, labelled, loading
from unidino.explorer.query import examples


def sql_view() -> html.Div:
    """The SQL view."""
    return html.Div(
        [
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("SQL"),
                            html.Span(
                                "read-only; plate, well, image, embedding, profile, score ...",
                                className="quiet",
                            ),
                        ],
                        className="head",
                    ),
                    html.Label("Query", htmlFor="query", className="hidden"),
                    dcc.Textarea(id="query", spellCheck=False, value="from plate"),
                    html.Div(
                        [
                            html.Button("Run", id="run", className="main", title="Ctrl Enter"),
                            labelled(
                                "example",
                                "Examples",
                                dcc.Dropdown(
                                    id="example", options=list(examples()), placeholder="Choose one"
                                ),
                                "grow",
                            ),
                            labelled(
                                "recent-list",
                                "Recent",
                                dcc.Dropdown(id="recent-list", placeholder="Choose one"),
                                "grow",
                            ),
                        ],
                        className="bar",
                    ),
                ],
                className="panel",
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.Span("No query has been run.", id="query-note"),
                            html.Span(id="downloads"),
                        ],
                        className="note",
                    ),
                    loading(_table(), parent_className="fill"),
                ],
                className="panel result",
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Plot"),
                            labelled("plot-x", "x", dcc.Dropdown(id="plot-x"), "grow"),
                            labelled("plot-y", "y", dcc.Dropdown(id="plot-y"), "grow"),
                        ],
                        className="head",
                    ),
                    graph("plot"),
                ],
                className="panel plot",
            ),
        ],
        id="sql-view",
        className="view",
    )


def _table() -> Any:
    return dag.AgGrid(
        id="rows",
        rowData=[],
        columnDefs=[],
        className="ag-theme-quartz",
        defaultColDef={"resizable": True, "sortable": True, "filter": True, "minWidth": 90},
        dashGridOptions={
            "pagination": True,
            "paginationPageSize": 100,
            "rowHeight": 28,
            "headerHeight": 32,
            "enableCellTextSelection": True,
            "paginationPageSizeSelector": [100, 1000],
        },
        style={"height": "100%"},
    )
