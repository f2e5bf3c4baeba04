"""Controls that several parts of the page use."""

from typing import Any

from dash import dcc, html

from unidino.explorer import figures

ACCENT = "#0b6e99"
_GRAPH: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
    "scrollZoom": True,
}


def graph(name: str) -> dcc.Graph:
    """An empty figure; the plot of a query has plotly's buttons."""
    config: Any = _GRAPH | ({"displayModeBar": "hover"} if name == "plot" else {})
    return dcc.Graph(
        id=name,
        figure=figures.blank_figure(),
        config=config,
        className="graph",
        clear_on_unhover=True,
    )


def labelled(name: str, label: str, control: Any, width: str) -> html.Div:
    """A control below its label."""
    return html.Div([html.Label(label, htmlFor=name), control], className=f"field {width}")


def dropdown(name: str) -> dcc.Dropdown:
    """A dropdown that always has a value."""
    return dcc.Dropdown(id=name, clearable=False, maxHeight=340)


def text_box(name: str, placeholder: str) -> dcc.Input:
    """A box for text, which takes effect when it is left or Enter is pressed."""
    return dcc.Input(
        id=name,
        type="text",
        debounce=True,
        placeholder=placeholder,
        autoComplete="off",
        spellCheck="false",
    )


def loading(content: Any, **properties: Any) -> dcc.Loading:
    """Content with dots over it while it waits for the server longer than 0.4 s."""
    return dcc.Loading(content, delay_show=400, type="dot", color=ACCENT, **properties)
