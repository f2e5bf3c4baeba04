"""What stands where on the page; all of it is filled by the callbacks."""

from typing import Any

import dash_ag_grid as dag
from dash import dcc, html

from unidino.core import assets
from unidino.explorer import figures
from unidino.explorer.query import examples
from unidino.explorer.vectors import AMONG
from unidino.scores.rules import LABELS, metrics

_GRAPH: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
    "scrollZoom": True,
}
_HELP = (
    ("← ↑ → ↓", "another well of the plate"),
    ("[  ]", "another field"),
    ("/", "write a query"),
    ("Ctrl Enter", "run it"),
    ("Esc", "leave a box"),
)


def page(lake_name: str) -> html.Div:
    """The page of a lake."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="chosen"),
            dcc.Store(id="grid"),
            dcc.Store(id="mark"),
            dcc.Store(id="drawn"),
            dcc.Store(id="windows"),
            dcc.Store(id="ran"),
            dcc.Store(id="address"),
            dcc.Store(id="recent", storage_type="local", data=[]),
            dcc.Tooltip(id="plate-map-hover", className="pointed", zindex=50),
            dcc.Interval(id="poll", interval=1000, disabled=True),
            _header(lake_name),
            html.Div(id="toast", role="alert"),
            html.Main([_wells_view(), _query_view()]),
        ],
        id="page",
    )


def _header(lake_name: str) -> html.Header:
    return html.Header(
        [
            html.H1(["unidino", html.Span(lake_name, className="lake")]),
            _field("dataset", "Dataset", _dropdown("dataset"), "w10"),
            _field("model", "Model", _dropdown("model"), "w10"),
            _field("normalization", "Profiles", _dropdown("normalization"), "w11"),
            _field("colour", "Colour by", _dropdown("colour"), "w10"),
            _field(
                "expression",
                "or an SQL expression",
                _box("expression", "focus_DNA / mean_DNA"),
                "grow",
            ),
            _field(
                "condition", "Only wells where", _box("condition", "control_type = 'trt'"), "grow"
            ),
            dcc.RadioItems(
                id="view",
                options=[{"label": "Wells", "value": "wells"}, {"label": "SQL", "value": "sql"}],
                value="wells",
                className="tabs",
                inline=True,
            ),
            html.Details(
                [
                    html.Summary("?", title="Keys"),
                    html.Dl(
                        [
                            part
                            for key, does in _HELP
                            for part in (html.Dt(html.Kbd(key)), html.Dd(does))
                        ]
                    ),
                ],
                className="keys",
            ),
        ]
    )


def _wells_view() -> html.Div:
    return html.Div(
        [
            html.Div([_plate_panel(), _map_panel()], className="where"),
            _well_panel(),
        ],
        id="wells-view",
    )


def _plate_panel() -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Plate"),
                    html.Label("Plate", htmlFor="plate", className="hidden"),
                    _dropdown("plate"),
                ],
                className="head",
            ),
            html.Div(id="plate-note", className="note"),
            _graph("plate-map"),
            html.Div(id="legend", className="legend"),
        ],
        className="panel plate",
    )


def _map_panel() -> html.Section:
    methods = [{"label": "UMAP", "value": "umap"}, {"label": "PCA", "value": "pca"}]
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Map"),
                    dcc.RadioItems(
                        id="method", options=methods, inline=True, className="tabs small"
                    ),
                    html.Span(id="map-count", className="quiet"),
                ],
                className="head",
            ),
            html.Div(
                [
                    html.Span(id="map-note"),
                    html.Button("Make the UMAP", id="make-map", className="hidden"),
                ],
                className="note",
            ),
            html.Div(
                [
                    _graph("map"),
                    html.Div(id="ring", hidden=True),
                    dcc.Tooltip(id="map-hover", className="pointed", zindex=50),
                ],
                className="over",
            ),
        ],
        className="panel map",
    )


def _well_panel() -> html.Section:
    return html.Section(
        [
            html.Div(id="well-head", className="head"),
            html.Div(
                [
                    html.Button("‹", id="field-back", title="Field before ([)"),
                    html.Label("Field", htmlFor="field", className="hidden"),
                    dcc.Dropdown(id="field", clearable=False, searchable=False, className="tiny"),
                    html.Button("›", id="field-on", title="Next field (])"),
                    dcc.Checklist(
                        id="hold", options=[{"label": "Keep windows", "value": "hold"}], value=[]
                    ),
                    dcc.Checklist(
                        id="common", options=[{"label": "One for all", "value": "common"}], value=[]
                    ),
                    dcc.Checklist(
                        id="own", options=[{"label": "Neighbours' own", "value": "own"}], value=[]
                    ),
                    dcc.RadioItems(
                        id="size",
                        options=[{"label": size, "value": size} for size in "SML"],
                        value="M",
                        inline=True,
                        className="tabs small end",
                    ),
                ],
                className="bar",
                id="field-bar",
            ),
            html.Div(id="well-note", className="note"),
            dcc.Loading(
                [html.Div(id="window-row"), html.Div(id="own-images")],
                delay_show=400,
                type="dot",
                color="#0b6e99",
            ),
            html.Details([html.Summary("All that is known of this well"), html.Div(id="facts")]),
            html.Div(
                [
                    html.H2("Nearest"),
                    _field(
                        "rule",
                        "Rule",
                        dcc.Dropdown(id="rule", options=rule_options(), clearable=False),
                        "w12",
                    ),
                    _field("columns", "not the same", _box("columns", "compound,plate"), "w9"),
                    _field(
                        "rules",
                        "Reading",
                        dcc.Dropdown(
                            id="rules",
                            options=["text", "published"],
                            value="text",
                            clearable=False,
                            searchable=False,
                        ),
                        "w8",
                    ),
                    _field(
                        "label",
                        "Label",
                        dcc.Dropdown(
                            id="label", options=list(LABELS), clearable=False, searchable=False
                        ),
                        "w8",
                    ),
                    _field(
                        "among",
                        "Among",
                        dcc.Dropdown(
                            id="among",
                            options=[
                                {"label": "all wells", "value": AMONG[0]},
                                {"label": "scored wells", "value": AMONG[1]},
                            ],
                            value=AMONG[0],
                            clearable=False,
                            searchable=False,
                        ),
                        "w8",
                    ),
                ],
                className="bar neighbours-bar",
            ),
            html.Div(id="neighbours-note", className="note"),
            dcc.Loading(html.Div(id="neighbours"), delay_show=400, type="dot", color="#0b6e99"),
        ],
        className="panel well",
    )


def _query_view() -> html.Div:
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
                            _field(
                                "example",
                                "Examples",
                                dcc.Dropdown(
                                    id="example", options=list(examples()), placeholder="Choose one"
                                ),
                                "grow",
                            ),
                            _field(
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
                            html.Span("No query was run yet.", id="query-note"),
                            html.Span(id="downloads"),
                        ],
                        className="note",
                    ),
                    dcc.Loading(
                        _table(),
                        delay_show=400,
                        type="dot",
                        color="#0b6e99",
                        parent_className="fill",
                    ),
                ],
                className="panel result",
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Plot"),
                            _field("plot-x", "x", dcc.Dropdown(id="plot-x"), "grow"),
                            _field("plot-y", "y", dcc.Dropdown(id="plot-y"), "grow"),
                        ],
                        className="head",
                    ),
                    _graph("plot"),
                ],
                className="panel plot",
            ),
        ],
        id="sql-view",
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


def _graph(name: str) -> dcc.Graph:
    config: Any = _GRAPH | ({"displayModeBar": "hover"} if name == "plot" else {})
    return dcc.Graph(
        id=name,
        figure=figures.blank_figure(),
        config=config,
        className="graph",
        clear_on_unhover=True,
    )


def _field(name: str, label: str, control: Any, width: str) -> html.Div:
    return html.Div([html.Label(label, htmlFor=name), control], className=f"field {width}")


def _dropdown(name: str) -> dcc.Dropdown:
    return dcc.Dropdown(id=name, clearable=False, maxHeight=340)


def _box(name: str, placeholder: str) -> dcc.Input:
    return dcc.Input(
        id=name,
        type="text",
        debounce=True,
        placeholder=placeholder,
        autoComplete="off",
        spellCheck="false",
    )


def rule_options() -> list[dict[str, str]]:
    """The rules that neighbours can be asked for by."""
    options = []
    for name in metrics():
        means = assets.sql("exclude", name).splitlines()[0].removeprefix("--").strip(" .")
        options.append({"value": name, "label": f"{name}: {means[:1].lower()}{means[1:]}"})
    return [*options, {"value": "columns", "label": "not the same ..."}]
