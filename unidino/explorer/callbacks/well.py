"""Callbacks of the chosen well: its images, its metadata, and its nearest neighbours."""

import re
from collections.abc import Sequence
from typing import Any

import polars as pl
from dash import (
    ALL,
    ClientsideFunction,
    Dash,
    Input,
    Output,
    State,
    callback_context,
    html,
    no_update,
)
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.explorer import pictures
from unidino.explorer.address import Chosen
from unidino.explorer.beside import beside_view
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.views import channels_of, neighbours_view, question_of, well_view

_NUMBER = re.compile("[0-9]{1,9}")
_NO_WELL = "Choose a well on the plate or the map."


def register(app: Dash, cached: CachedLake) -> None:
    """Register the callbacks of the chosen well."""

    @app.callback(
        Output("well-head", "children"),
        Output("field", "options"),
        Output("field", "value"),
        Output("well-note", "children"),
        Output("metadata", "children"),
        Output("field-bar", "className"),
        Input("chosen", "data"),
        State("dataset", "value"),
        State("field", "value"),
        State("address", "data"),
    )
    def choose_well(
        chosen: Chosen, dataset: str | None, field: int | None, address: dict[str, str] | None
    ) -> Any:
        if not chosen or not dataset:
            return [html.H2("Well")], [], None, _NO_WELL, "", "hidden"
        wanted = str(field or (address or {}).get("field") or "")
        number = int(wanted) if _NUMBER.fullmatch(wanted) else None
        view = well_view(cached, dataset, chosen["plate"], chosen["well"], number)
        bar = "bar" if view["fields"] else "hidden"
        return (view["head"], view["fields"], view["field"], view["note"], view["metadata"], bar)

    @app.callback(
        Output("window-row", "children"),
        Output("well-images", "children"),
        Input("field", "value"),
        Input("chosen", "data"),
        Input("one-window", "value"),
        State("keep-windows", "value"),
        State("windows", "data"),
        prevent_initial_call=True,
    )
    def draw_images(
        field: int | None,
        chosen: Chosen,
        one_window: list[str],
        keep_windows: list[str],
        windows: dict[str, Any] | None,
    ) -> Any:
        if not chosen or field is None:
            return [], []
        plate, well = chosen["plate"], chosen["well"]
        images = cached.images.of_well(plate, well)
        shown = images.filter(pl.col("field") == field)
        if shown.is_empty():
            raise PreventUpdate
        kept = windows or {} if keep_windows else {}
        title = [html.B(well), html.Div("this well", className="quiet")]
        channels = channels_of(images)
        row = pictures.image_row(title, plate, well, images, field, channels, is_chosen=True)
        return pictures.window_row(shown, kept, common=bool(one_window)), row

    @app.callback(
        Output("neighbours", "children"),
        Output("neighbours-note", "children"),
        Input("chosen", "data"),
        Input("field", "value"),
        Input("model", "value"),
        Input("normalization", "value"),
        Input("rule", "value"),
        Input("reading", "value"),
        Input("columns", "value"),
        Input("label", "value"),
        Input("among", "value"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def draw_neighbours(
        chosen: Chosen,
        field: int | None,
        model: str | None,
        normalization: str | None,
        rule: str | None,
        reading: str,
        columns: str | None,
        label: str | None,
        among: str,
        dataset: str | None,
    ) -> Any:
        if not chosen or not dataset or not label or not rule:
            return [], ""
        names = (model or "", normalization or "", dataset)
        try:
            question = question_of(rule, columns, reading, label)
            return neighbours_view(cached, names, chosen, field, question, among)
        except UnidinoError as error:
            return [], str(error)

    @app.callback(
        Output("beside", "children"),
        Input("chosen", "data"),
        Input("field", "value"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def draw_beside(chosen: Chosen, field: int | None, dataset: str | None) -> Any:
        if not chosen or not dataset or field is None:
            return []
        return beside_view(cached, dataset, chosen, field)

    @app.callback(
        Output("reading", "value"),
        Output("columns", "value"),
        Output("among", "value"),
        Input("address", "data"),
        prevent_initial_call=True,
    )
    def begin(address: dict[str, str]) -> Any:
        return (
            address.get("reading", "text"),
            address.get("columns", "compound,plate"),
            address.get("among", "all"),
        )

    @app.callback(
        Output("chosen", "data", allow_duplicate=True),
        Input({"kind": "go", "nth": ALL, "plate": ALL, "well": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def go(clicks: Sequence[int | None]) -> Any:
        button = callback_context.triggered_id
        if not any(clicks) or not isinstance(button, dict):
            return no_update
        return {"plate": button["plate"], "well": button["well"]}

    app.clientside_callback(
        ClientsideFunction("unidino", "colours"),
        Output("beside", "className"),
        Input({"kind": "colour-of", "channel": ALL}, "value"),
        State({"kind": "colour-of", "channel": ALL}, "id"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("unidino", "columnsBox"),
        Output("columns", "className"),
        Input("rule", "value"),
    )
    app.clientside_callback(
        ClientsideFunction("unidino", "paint"),
        Output("windows", "data"),
        Input({"kind": "window", "channel": ALL}, "value"),
        Input({"kind": "window", "channel": ALL}, "drag_value"),
        State({"kind": "window", "channel": ALL}, "id"),
        prevent_initial_call=True,
    )
    for name, step in {"field-back": -1, "field-on": 1}.items():
        app.clientside_callback(
            ClientsideFunction("unidino", "fieldOn" if step > 0 else "fieldBack"),
            Output("field", "value", allow_duplicate=True),
            Input(name, "n_clicks"),
            State("field", "options"),
            State("field", "value"),
            prevent_initial_call=True,
        )
