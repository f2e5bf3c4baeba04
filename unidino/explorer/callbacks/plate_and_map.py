"""Callbacks of the plate and the map: their figures, clicks and tooltips."""

import time
from typing import Any

from dash import Dash, Input, Output, State, callback_context, no_update
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.core.wells import well_name
from unidino.explorer import figures
from unidino.explorer.address import Chosen
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.views import colour_expression, hover_view, map_view, plate_view


def register(app: Dash, cached: CachedLake) -> None:
    """Register the callbacks of plate and map."""

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
        by = colour_expression(colour, expression)
        try:
            view = plate_view(cached, dataset, plate, by, condition or "", chosen)
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
        trigger = callback_context.triggered_id
        try:
            file = cached.file(*names)
            if trigger == "make-map":
                cached.make_map(file, method)
            if trigger == "poll" and cached.map_state(file) == "making":
                raise PreventUpdate
            # The map is drawn after the plate, which appears sooner; most plates share one map.
            is_plate = set(callback_context.triggered_prop_ids.values()) == {"grid"}
            if drawn and is_plate and cached.map(file, plate, method).num_groups == 1:
                raise PreventUpdate
            by = colour_expression(colour, expression)
            view = map_view(cached, names, plate, method, by, condition or "")
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
        Output("chosen", "data", allow_duplicate=True),
        Input("map", "clickData"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def click_map(click: Any, dataset: str | None) -> Any:
        point = click["points"][0] if click and click["points"] else {}
        if not dataset or point.get("customdata") is None:
            raise PreventUpdate
        row = cached.wells(dataset).at(int(point["customdata"]))
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
            wells = cached.wells(dataset)
            position = point.get("customdata")
            if position is None and _is_place(point.get("y"), point.get("x")):
                well = well_name(int(point["y"]), int(point["x"]))
                position = wells.position.get((plate or "", well))
            if position is None:
                return False, no_update, no_update
            column = "" if expression else colour or ""
            return True, point.get("bbox"), hover_view(wells, int(position), column)


def _is_place(row: Any, column: Any) -> bool:
    """Whether a point of a plate names a row and a column."""
    return isinstance(row, int | float) and isinstance(column, int | float)
