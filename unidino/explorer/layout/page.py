"""The page as a whole: its header, and the states that its scripts and callbacks share."""

from dash import dcc, html

from unidino.explorer.address import VIEWS
from unidino.explorer.layout.answers import cells_view, dose_view, picked_view, quality_view
from unidino.explorer.layout.controls import dropdown, labelled, text_box
from unidino.explorer.layout.sql import sql_view
from unidino.explorer.layout.wells import wells_view

_KEYS = (
    ("← ↑ → ↓", "another well of the plate"),
    ("[  ]", "another field"),
    ("/", "write a query"),
    ("Ctrl Enter", "run it"),
    ("Esc", "leave the box"),
)


def page(lake_name: str) -> html.Div:
    """The page of a lake."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="chosen"),
            dcc.Store(id="picked", data=[]),
            dcc.Store(id="asked"),
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
            html.Main(
                [
                    wells_view(),
                    dose_view(),
                    quality_view(),
                    cells_view(),
                    picked_view(),
                    sql_view(),
                ]
            ),
        ],
        id="page",
    )


def _header(lake_name: str) -> html.Header:
    return html.Header(
        [
            html.H1(["unidino", html.Span(lake_name, className="lake")]),
            labelled("dataset", "Dataset", dropdown("dataset"), "w10"),
            labelled("model", "Model", dropdown("model"), "w10"),
            labelled("normalization", "Profiles", dropdown("normalization"), "w11"),
            labelled("colour", "Colour by", dropdown("colour"), "w10"),
            labelled(
                "expression",
                "or an SQL expression",
                text_box("expression", "focus_DNA / mean_DNA"),
                "grow",
            ),
            labelled(
                "condition",
                "Only wells where",
                text_box("condition", "control_type = 'trt'"),
                "grow",
            ),
            dcc.RadioItems(
                id="view",
                options=[
                    {"label": "SQL" if name == "sql" else name.capitalize(), "value": name}
                    for name in VIEWS
                ],
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
                            for key, does in _KEYS
                            for part in (html.Dt(html.Kbd(key)), html.Dd(does))
                        ]
                    ),
                ],
                className="keys",
            ),
        ]
    )
