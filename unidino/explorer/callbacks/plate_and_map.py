"""Callbacks of the plate and the map: what is shown, in which colours, and which well is chosen."""

import time
from typing import Any

import polars as pl
from dash import (
    ClientsideFunction,
    Dash,
    Input,
    Output,
    State,
    callback_context,
    no_update,
)
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.explorer import figures, panels
from unidino.explorer.address import ADDRESS, Chosen, first_state, plates_and_columns, read_address
from unidino.explorer.held import Held
from unidino.explorer.wells import Wells


def colour_by(colour: str | None, expression: str | None) -> str:
    """The expression that colours: the one that is written, else the chosen column."""
    return (expression or "").strip() or colour or "well"


def plate_view(
    held: Held, dataset: str, plate: str, by: str, condition: str, chosen: Chosen
) -> dict[str, Any]:
    """The figure of a plate, its legend, and what keys need to walk on it."""
    wells = held.wells(dataset)
    row = held.plates().row(by_predicate=pl.col("plate_id") == plate, named=True)
    colors, fits = held.colors(dataset, by), held.fits(dataset, condition)
    own = wells.of_plate(plate)
    here = chosen["well"] if chosen and chosen["plate"] == plate else None
    figure = figures.plate_figure(row["num_rows"], row["num_columns"], own, colors, fits, here)
    return {
        "figure": figure,
        "legend": panels.legend(colors, int(fits.sum()), len(fits)),
        "grid": {"plate": plate, "wells": own.select("well", "well_row", "well_column").rows()},
    }


def map_view(
    held: Held,
    names: tuple[str, str, str],
    plate: str | None,
    method: str,
    by: str,
    condition: str,
) -> dict[str, Any]:
    """The figure of a map, what is to say about it, and whether it can or must still be made.

    names: model, normalization and dataset.
    """
    dataset = names[2]
    file = held.file(*names)
    mapped = held.map(file, plate, method)
    colors, fits = held.colors(dataset, by), held.fits(dataset, condition)
    figure = figures.map_figure(mapped.points, colors, fits)
    figure["layout"]["uirevision"] = "|".join([*names, mapped.method])
    others = mapped.num_groups - 1
    note = f"{others} other sets of channels are drawn apart: choose a plate. " if others else ""
    state = held.map_state(file)
    missing = mapped.method != method
    if missing and state == "making":
        note += "Making the UMAP; PCA meanwhile."
    elif missing:
        note += state or "No UMAP of these profiles yet; this is PCA."
    num = int(fits[mapped.points["position"].to_numpy()].sum())
    return {
        "figure": figure,
        "note": note,
        "count": f"{num:,} wells",
        "is_making": state == "making",
        "can_make": missing and state != "making",
    }


def hovered(wells: Wells, position: int, by: str, box: Any) -> tuple[bool, Any, list[Any]]:
    """Whether a tooltip is shown, where, and what it says."""
    row = wells.table.row(position, named=True)
    value = (by, row[by]) if by in row else None
    return True, box, panels.hover(row, value)


def register(app: Dash, held: Held, model: str | None) -> None:
    """Register the callbacks of plate, map and address."""

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
        Input("url", "search"),
    )
    def begin(search: str | None) -> Any:
        address = read_address(search)
        state = first_state(held, model, address)
        empty = (
            "" if state["datasets"] else "The lake has no plates; fill it with `unidino ingest`."
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
            view if view in ("wells", "sql") else "wells",
            empty,
        )

    @app.callback(
        Output("plate", "options"),
        Output("plate", "value"),
        Output("colour", "options"),
        Output("colour", "value"),
        Output("label", "value"),
        Input("dataset", "value"),
        State("address", "data"),
        State("colour", "value"),
        prevent_initial_call=True,
    )
    def choose_dataset(dataset: str | None, address: dict[str, str], colour: str | None) -> Any:
        if not dataset:
            raise PreventUpdate
        state = plates_and_columns(held, dataset, address or {}, colour)
        return (state["plates"], state["plate"], state["columns"], state["colour"], state["label"])

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
        names = [f.normalization for f in held.files() if f.model == model and f.dataset == dataset]
        wanted = (current, (address or {}).get("normalization"), "mad_robustize", *names)
        return names, next((n for n in wanted if n in names), None)

    @app.callback(
        Output("plate-map", "figure"),
        Output("legend", "children"),
        Output("plate-note", "children"),
        Output("grid", "data"),
        Input("plate", "value"),
        Input("colour", "value"),
        Input("expression", "value"),
        Input("condition", "value"),
        State("dataset", "value"),
        State("chosen", "data"),
        prevent_initial_call=True,
    )
    def draw_plate(
        plate: str | None,
        colour: str | None,
        expression: str | None,
        condition: str | None,
        dataset: str | None,
        chosen: Chosen,
    ) -> Any:
        if not dataset or not plate:
            return figures.blank_figure(), [], "", None
        by = colour_by(colour, expression)
        try:
            view = plate_view(held, dataset, plate, by, condition or "", chosen)
        except UnidinoError as error:
            return no_update, no_update, str(error), no_update
        return view["figure"], view["legend"], "", view["grid"]

    @app.callback(
        Output("map", "figure"),
        Output("map-note", "children"),
        Output("map-count", "children"),
        Output("make-map", "className"),
        Output("poll", "disabled"),
        Output("drawn", "data"),
        Input("model", "value"),
        Input("normalization", "value"),
        Input("dataset", "value"),
        Input("method", "value"),
        Input("grid", "data"),
        Input("colour", "value"),
        Input("expression", "value"),
        Input("condition", "value"),
        Input("make-map", "n_clicks"),
        Input("poll", "n_intervals"),
        State("drawn", "data"),
        prevent_initial_call=True,
    )
    def draw_map(
        model: str | None,
        normalization: str | None,
        dataset: str | None,
        method: str,
        grid: dict[str, Any] | None,
        colour: str | None,
        expression: str | None,
        condition: str | None,
        _clicks: int,
        _polls: int,
        drawn: float | None,
    ) -> Any:
        if not dataset:
            raise PreventUpdate
        names = (model or "", normalization or "", dataset)
        plate = grid["plate"] if grid else None
        asked = callback_context.triggered_id
        try:
            file = held.file(*names)
            if asked == "make-map":
                held.make_map(file)
            if asked == "poll" and held.map_state(file) == "making":
                raise PreventUpdate
            # The map follows the plate, which is on the screen sooner; most plates share one map.
            is_plate = set(callback_context.triggered_prop_ids.values()) == {"grid"}
            if drawn and is_plate and held.map(file, plate, method).num_groups == 1:
                raise PreventUpdate
            view = map_view(
                held, names, plate, method, colour_by(colour, expression), condition or ""
            )
        except UnidinoError as error:
            return figures.blank_figure(), str(error), "", "hidden", True, time.time()
        button = "" if view["can_make"] else "hidden"
        return (
            view["figure"],
            view["note"],
            view["count"],
            button,
            not view["is_making"],
            time.time(),
        )

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
            mapped = held.map(held.file(model, normalization, dataset), plate, method)
        except UnidinoError:
            return {"frame": frame, "point": None}  # the map's own callback says why it is blank
        return {"frame": frame, "point": mapped.at.get((chosen["plate"], chosen["well"]))}

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
        if (chosen["plate"], chosen["well"]) not in held.wells(dataset).position:
            raise PreventUpdate
        return chosen["plate"]

    @app.callback(
        Output("chosen", "data", allow_duplicate=True),
        Input("map", "clickData"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def click_map(click: Any, dataset: str | None) -> Any:
        if not click or not dataset or "customdata" not in click["points"][0]:
            raise PreventUpdate
        row = held.wells(dataset).table.row(int(click["points"][0]["customdata"]), named=True)
        return {"plate": row["plate"], "well": row["well"]}

    for name in ("plate-map", "map"):

        @app.callback(
            Output(f"{name}-hover", "show"),
            Output(f"{name}-hover", "bbox"),
            Output(f"{name}-hover", "children"),
            Input(name, "hoverData"),
            State("dataset", "value"),
            State("plate", "value"),
            State("colour", "value"),
            State("expression", "value"),
            prevent_initial_call=True,
        )
        def point_at(
            hover: Any,
            dataset: str | None,
            plate: str | None,
            colour: str | None,
            expression: str | None,
        ) -> Any:
            point = hover["points"][0] if hover and hover["points"] else None
            if not point or not dataset:
                return False, no_update, no_update
            wells = held.wells(dataset)
            if "customdata" in point:
                position: int | None = int(point["customdata"])
            else:
                well = f"{figures.row_name(int(point['y']))}{int(point['x']):02d}"
                position = wells.position.get((plate or "", well))
            if position is None:
                return False, no_update, no_update
            by = colour if not expression else ""
            return hovered(wells, position, by or "", point["bbox"])

    seen: dict[str, list[Any]] = {
        "remember": [Input("grid", "data"), Input("chosen", "data")],
        "mark": [Input("mark", "data")],
        "showView": [Input("view", "value"), Input("size", "value"), Input("own", "value")],
        "address": [*(Input(n, "value") for n in ADDRESS if n != "well"), Input("chosen", "data")],
    }
    for function, inputs in seen.items():
        app.clientside_callback(
            ClientsideFunction("unidino", function), *inputs, prevent_initial_call=True
        )
