"""Callbacks of the SQL view: run a query, show its rows, plot two of its columns."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.explorer import figures
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.query import FORMATS, Result, examples, shown

_MOST_RECENT = 12
_CHARACTER_PX = 7
_ROWS_FOR_WIDTH = 200  # rows that decide how wide a column is


def table_of(result: Result) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and column definitions of the table; see `shown` for the names of its columns."""
    rows = shown(result.rows)
    columns = []
    for i, (name, dtype) in enumerate(result.rows.schema.items()):
        longest = max([len(name) + 4, *(len(str(row[f"c{i}"])) for row in rows[:_ROWS_FOR_WIDTH])])
        column = {
            "field": f"c{i}",
            "headerName": name,
            "width": min(max(_CHARACTER_PX * longest + 36, 90), 420),
        }
        if dtype.is_numeric():
            column |= {"type": "rightAligned", "filter": "agNumberColumnFilter"}
        columns.append(column)
    return rows, columns


def note_of(result: Result) -> str:
    """A note on the number of rows, and of rows shown."""
    if result.num_rows > len(result.rows):
        return f"First {len(result.rows):,} of {result.num_rows:,} rows. The files have all rows."
    return f"{result.num_rows:,} row{'' if result.num_rows == 1 else 's'}."


def axes_of(result: Result) -> tuple[list[str], str | None, str | None]:
    """Columns that can be plotted, and the two that are plotted first."""
    names = [n for n, dtype in result.rows.schema.items() if not dtype.is_nested()]
    numbers = [n for n in names if result.rows[n].dtype.is_numeric()]
    if not numbers:
        return names, None, None
    y = numbers[-1]
    x = next((n for n in numbers if n != y), next((n for n in names if n != y), None))
    return names, x, y


def register(app: Dash, cached: CachedLake) -> None:
    """Register the callbacks of the SQL view."""

    @app.callback(
        Output("rows", "rowData"),
        Output("rows", "columnDefs"),
        Output("query-note", "children"),
        Output("query-note", "className"),
        Output("downloads", "children"),
        Output("plot-x", "options"),
        Output("plot-y", "options"),
        Output("plot-x", "value"),
        Output("plot-y", "value"),
        Output("ran", "data"),
        Output("recent", "data"),
        Input("run", "n_clicks"),
        State("query", "value"),
        State("recent", "data"),
        prevent_initial_call=True,
    )
    def run(_clicks: int, query: str | None, recent: list[str] | None) -> Any:
        try:
            result = cached.run(query or "")
        except UnidinoError as error:
            # Rows of the query before would be taken for those of this one.
            return ([], [], str(error), "error", None, [], [], None, None, None, no_update)
        rows, columns = table_of(result)
        names, x, y = axes_of(result)
        links = [
            html.A(
                kind.upper() if kind == "csv" else "Parquet",
                className="button",
                download="",
                href=f"download?query={result.token}&format={kind}",
            )
            for kind in FORMATS
        ]
        text = query or ""
        latest = [text, *(q for q in recent or [] if q != text)][:_MOST_RECENT]
        return (rows, columns, note_of(result), "", links, names, names, x, y, result.token, latest)

    @app.callback(
        Output("plot", "figure"),
        Input("plot-x", "value"),
        Input("plot-y", "value"),
        Input("ran", "data"),
        prevent_initial_call=True,
    )
    def plot(x: str | None, y: str | None, token: str | None) -> Any:
        if not token or not x or not y:
            return figures.blank_figure()
        rows = cached.result(token).rows
        if x not in rows.columns or y not in rows.columns:
            raise PreventUpdate
        return figures.columns_figure(rows, x, y)

    @app.callback(
        Output("query", "value"),
        Output("example", "value"),
        Output("recent-list", "value"),
        Input("example", "value"),
        Input("recent-list", "value"),
        prevent_initial_call=True,
    )
    def take(example: str | None, recent: str | None) -> Any:
        query = examples().get(example or "") or recent
        if not query:
            raise PreventUpdate
        return query, None, None

    app.clientside_callback(
        ClientsideFunction("unidino", "recent"),
        Output("recent-list", "options"),
        Input("recent", "data"),
    )
