"""Callbacks of the second plate and of the picked wells."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, callback_context, html
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.explorer import figures, picked
from unidino.explorer.address import Chosen
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.query import FORMATS
from unidino.explorer.views import colour_expression, plate_view


def register(app: Dash, cached: CachedLake) -> None:
    """Register the callbacks of the second plate and of the picked wells."""

    @app.callback(
        Output("second-map", "figure"),
        Output("second-one", "className"),
        Input("second", "value"),
        Input("colour", "value"),
        Input("expression", "value"),
        Input("condition", "value"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def second(
        plate: str | None,
        colour: str | None,
        expression: str | None,
        condition: str | None,
        dataset: str | None,
    ) -> Any:
        if not dataset or not plate:
            return figures.blank_figure(), "one gone"
        by = colour_expression(colour, expression)
        try:
            view = plate_view(cached, dataset, plate, by, condition or "", None)
        except UnidinoError:
            raise PreventUpdate from None  # the first plate says it
        return view["figure"], "one"

    @app.callback(
        Output("picked", "data", allow_duplicate=True),
        Input("map", "selectedData"),
        Input("pick", "n_clicks"),
        Input("pick-none", "n_clicks"),
        State("picked", "data"),
        State("chosen", "data"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def pick(
        selected: Any,
        _pick: int | None,
        _none: int | None,
        now: Any,
        chosen: Chosen,
        dataset: str | None,
    ) -> Any:
        trigger = callback_context.triggered_id
        if trigger == "pick-none":
            return []
        if trigger == "pick" and chosen:
            return picked.added(now or [], [chosen])
        points = selected["points"] if selected else []
        if trigger != "map" or not dataset or not points:
            raise PreventUpdate
        wells = cached.wells(dataset)
        places = [p["customdata"] for p in points if p.get("customdata") is not None]
        rows = [wells.at(int(place)) for place in places[: picked.MOST]]
        new = [{"plate": row["plate"], "well": row["well"]} for row in rows]
        return picked.added(now or [], new)

    @app.callback(
        Output("picked-note", "children"),
        Output("picked-table", "children"),
        Output("picked-sheet", "children"),
        Output("picked-files", "children"),
        Input("picked", "data"),
        Input("view", "value"),
        prevent_initial_call=True,
    )
    def show(wells: Any, view: str) -> Any:
        if view != "picked":
            raise PreventUpdate
        if not wells:
            how = "Nothing is picked: press Pick beside a well, or draw a lasso on the map."
            return how, "", "", ""
        rows = picked.rows_of(cached, wells)
        if rows.is_empty():
            return "The lake has none of the picked wells.", "", "", ""
        try:
            token = cached.run(picked.query_of(rows)).token
        except UnidinoError as error:
            return str(error), "", "", ""
        links = [
            html.A(
                kind.upper() if kind == "csv" else "Parquet",
                className="button",
                download="",
                href=f"download?query={token}&format={kind}",
            )
            for kind in FORMATS
        ]
        note = f"{len(rows):,} wells; the address of this page keeps the first 100 of them."
        return note, picked.picked_table(rows), picked.contact_sheet(cached, rows), links

    @app.callback(
        Output("view", "options"),
        Input("picked", "data"),
        State("view", "options"),
    )
    def number(wells: Any, options: Any) -> Any:
        num = len(wells or [])
        return [
            o | {"label": f"Picked {num}" if num else "Picked"} if o["value"] == "picked" else o
            for o in options
        ]

    app.clientside_callback(
        ClientsideFunction("unidino", "tool"),
        Output("tool", "className"),
        Input("tool", "value"),
        Input("drawn", "data"),
        prevent_initial_call=True,
    )
