"""Callbacks of the state: the address of the page, and the choices of dataset, model and well."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.explorer import figures
from unidino.explorer.address import (
    ADDRESS,
    VIEWS,
    Chosen,
    first_rule,
    first_state,
    picked_wells,
    plates_and_columns,
    read_address,
    unknown_words,
)
from unidino.explorer.cached_lake import CachedLake


def register(app: Dash, cached: CachedLake, model: str | None) -> None:
    """Register the callbacks of the state. model: shown first."""

    @app.callback(
        Output("dataset", "options"),
        Output("dataset", "value"),
        Output("model", "options"),
        Output("model", "value"),
        Output("method", "value"),
        Output("chosen", "data"),
        Output("address", "data"),
        Output("expression", "value"),
        Output("condition", "value"),
        Output("view", "value"),
        Output("toast", "children"),
        Output("picked", "data"),
        Input("url", "search"),
    )
    def begin(search: str | None) -> Any:
        address = read_address(search)
        state = first_state(cached, model, address)
        empty = (
            "; ".join(unknown_words(cached, search))
            if state["datasets"]
            else "The lake has no plates; fill it with `unidino ingest`."
        )
        view = address.get("view", "wells")
        return (
            state["datasets"],
            state["dataset"],
            state["models"],
            state["model"],
            state["method"],
            state["chosen"],
            address,
            address.get("expression", ""),
            address.get("condition", ""),
            view if view in VIEWS else "wells",
            empty,
            picked_wells(address.get("picked")),
        )

    @app.callback(
        Output("plate", "options"),
        Output("plate", "value"),
        Output("colour", "options"),
        Output("colour", "value"),
        Output("label", "value"),
        Output("second", "options"),
        Output("second", "value"),
        Output("rule", "value"),
        Input("dataset", "value"),
        State("address", "data"),
        State("colour", "value"),
        prevent_initial_call=True,
    )
    def choose_dataset(dataset: str | None, address: dict[str, str], colour: str | None) -> Any:
        if not dataset:
            raise PreventUpdate
        state = plates_and_columns(cached, dataset, address or {}, colour)
        given = address or {}
        second = given.get("second")
        return (
            state["plates"],
            state["plate"],
            state["columns"],
            state["colour"],
            state["label"],
            state["plates"],
            second if second in state["plates"] else None,
            given.get("rule") or first_rule(cached, dataset),
        )

    @app.callback(
        Output("normalization", "options"),
        Output("normalization", "value"),
        Input("model", "value"),
        Input("dataset", "value"),
        State("address", "data"),
        State("normalization", "value"),
        prevent_initial_call=True,
    )
    def choose_model(
        model: str | None, dataset: str | None, address: dict[str, str], current: str | None
    ) -> Any:
        names = [
            f.normalization for f in cached.files() if f.model == model and f.dataset == dataset
        ]
        wanted = (current, (address or {}).get("normalization"), "mad_robustize", *names)
        return names, next((n for n in wanted if n in names), None)

    @app.callback(
        Output("mark", "data"),
        Input("chosen", "data"),
        Input("drawn", "data"),
        State("plate", "value"),
        State("dataset", "value"),
        State("model", "value"),
        State("normalization", "value"),
        State("method", "value"),
        prevent_initial_call=True,
    )
    def mark(
        chosen: Chosen,
        _drawn: float,
        plate: str | None,
        dataset: str | None,
        model: str | None,
        normalization: str | None,
        method: str,
    ) -> Any:
        if not chosen or not dataset:
            raise PreventUpdate
        frame = figures.plate_mark(chosen["well"] if chosen["plate"] == plate else None)
        try:
            mapped = cached.map(cached.file(model, normalization, dataset), plate, method)
        except UnidinoError:
            return {"frame": frame, "point": None}  # the callback of the map shows the error
        return {"frame": frame, "point": mapped.coordinates.get((chosen["plate"], chosen["well"]))}

    @app.callback(
        Output("plate", "value", allow_duplicate=True),
        Input("chosen", "data"),
        State("plate", "value"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def follow(chosen: Chosen, plate: str | None, dataset: str | None) -> Any:
        if not chosen or not dataset or chosen["plate"] == plate:
            raise PreventUpdate
        if (chosen["plate"], chosen["well"]) not in cached.wells(dataset).position:
            raise PreventUpdate
        return chosen["plate"]

    inputs_of: dict[str, list[Any]] = {
        "remember": [Input("grid", "data"), Input("chosen", "data")],
        "mark": [Input("mark", "data")],
        "showView": [
            Input("view", "value"),
            Input("size", "value"),
            Input("neighbour-windows", "value"),
        ],
        "address": [
            *(Input(n, "data" if n == "picked" else "value") for n in ADDRESS if n != "well"),
            Input("chosen", "data"),
        ],
    }
    for function, inputs in inputs_of.items():
        app.clientside_callback(
            ClientsideFunction("unidino", function), *inputs, prevent_initial_call=True
        )
