"""The view of wells: a plate, a map, and the chosen well with its neighbours."""

from typing import Any, get_args

from dash import dcc, html

from unidino.core import assets
from unidino.core.choices import Reading
from unidino.explorer.layout.controls import dropdown, graph, labelled, loading, text_box
from unidino.explorer.profile_sets import AMONG
from unidino.explorer.views import COLUMNS_RULE
from unidino.scores.rules import LABELS, metrics

_AMONG = [{"label": f"{wells} wells", "value": wells} for wells in AMONG]


def wells_view() -> html.Div:
    """The view of wells."""
    return html.Div(
        [
            html.Div([_plate_panel(), _map_panel()], className="where"),
            _well_panel(),
        ],
        id="wells-view",
        className="view",
    )


def _plate_panel() -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Plate"),
                    html.Label("Plate", htmlFor="plate", className="hidden"),
                    dropdown("plate"),
                    html.Label("Beside", htmlFor="second", className="quiet"),
                    dcc.Dropdown(id="second", placeholder="another plate"),
                ],
                className="head",
            ),
            html.Div(id="plate-note", className="note"),
            html.Div(
                [
                    html.Div(graph("plate-map"), className="one"),
                    html.Div(graph("second-map"), className="one gone", id="second-one"),
                ],
                className="plates",
            ),
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
                    dcc.RadioItems(
                        id="tool",
                        options=[
                            {"label": "Move", "value": "pan"},
                            {"label": "Lasso", "value": "lasso"},
                        ],
                        value="pan",
                        inline=True,
                        className="tabs small end",
                    ),
                ],
                className="head",
            ),
            html.Div(
                [
                    html.Span("The map is being drawn ...", id="map-note"),
                    html.Button("Make the UMAP", id="make-map", className="hidden"),
                ],
                className="note",
            ),
            html.Div(
                [
                    graph("map"),
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
                    _switch("keep-windows", "Keep windows"),
                    _switch("one-window", "One for all"),
                    _switch(
                        "neighbour-windows",
                        "Same on all plates",
                        "Wells of other plates in the windows of this well; else each in its own",
                    ),
                    html.Button("Pick", id="pick", title="Add this well to the picked ones"),
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
            loading([html.Div(id="window-row"), html.Div(id="well-images")]),
            loading(html.Div(id="beside")),
            html.Details([html.Summary("All metadata of this well"), html.Div(id="metadata")]),
            _neighbours_bar(),
            html.Div(id="neighbours-note", className="note"),
            loading(html.Div(id="neighbours")),
        ],
        className="panel well",
    )


def _neighbours_bar() -> html.Div:
    """The question that neighbours answer."""
    readings = list(get_args(Reading))
    return html.Div(
        [
            html.H2("Nearest"),
            labelled(
                "rule",
                "Rule",
                dcc.Dropdown(id="rule", options=rule_options(), clearable=False),
                "w12",
            ),
            labelled("columns", "not the same", text_box("columns", "compound,plate"), "w9"),
            labelled("reading", "Reading", _choice("reading", readings, readings[0]), "w8"),
            labelled("label", "Label", _choice("label", list(LABELS)), "w8"),
            labelled("among", "Among", _choice("among", _AMONG, AMONG[0]), "w8"),
        ],
        className="bar neighbours-bar",
    )


def _choice(name: str, options: list[Any], value: str | None = None) -> dcc.Dropdown:
    """A dropdown without a search box, for a few options."""
    return dcc.Dropdown(id=name, options=options, value=value, clearable=False, searchable=False)


def _switch(name: str, label: str, title: str = "") -> dcc.Checklist:
    option = {"label": label, "value": name, "title": title or label}
    return dcc.Checklist(id=name, options=[option], value=[])


def rule_options() -> list[dict[str, str]]:
    """The rules of `sql/exclude` with their first line, and the choice of columns."""
    options = []
    for name in metrics():
        text = assets.sql("exclude", name).splitlines()[0].removeprefix("--").strip(" .")
        options.append({"value": name, "label": f"{name}: {text[:1].lower()}{text[1:]}"})
    return [*options, {"value": COLUMNS_RULE, "label": "not the same ..."}]
