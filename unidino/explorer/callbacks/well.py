"""Callbacks of the chosen well: its images, what is known of it, and its nearest neighbours."""

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
from unidino.explorer import panels
from unidino.explorer.address import Chosen
from unidino.explorer.held import FIRST_RULE, Held
from unidino.explorer.images import field_at, here

NUM_NEIGHBOURS = 6
_NOTHING = "Choose a well on the plate or the map."


def well_view(held: Held, dataset: str, plate: str, well: str, field: int | None) -> dict[str, Any]:
    """Title, fields and facts of a well."""
    row = held.wells(dataset).row(plate, well)
    images = held.images.of_well(plate, well)
    images = here(images)
    fields = images["field"].unique().sort().to_list()
    options = [
        {"label": f"field {f} ({nth} of {len(fields)})", "value": f}
        for nth, f in enumerate(fields, 1)
    ]
    return {
        "head": panels.head(row, plate, well),
        "facts": panels.facts(row) if row else f"The lake has no well {well} on {plate}.",
        "fields": options,
        "field": field_at(images, field),
        "note": "" if fields else _no_images(held, plate),
    }


def _no_images(held: Held, plate: str) -> str:
    known = held.plates().filter(pl.col("plate_id") == plate)
    if len(known) and known["uri"][0] is None:
        return f"{plate} has no images in the lake; `unidino ingest` adds them."
    return "This well has no images in the lake."


def channels_of(images: pl.DataFrame) -> list[str]:
    """Channels of a well, by index."""
    found: list[str] = (
        images.unique("channel_index").sort("channel_index")["channel"].to_list()
        if len(images)
        else []
    )
    return found


def rule_of(rule: str | None, columns: str | None) -> str:
    """The rule as the library names it."""
    return f"not same {columns or 'compound'}" if rule == "columns" else rule or "nsc"


def neighbours_view(
    held: Held,
    names: tuple[str, str, str],
    chosen: dict[str, str],
    field: int | None,
    rule: str,
    rules: str,
    label: str,
    among: str,
) -> tuple[list[Any], str]:
    """Rows of the nearest wells with their images, and what is to say about them."""
    plate, well = chosen["plate"], chosen["well"]
    own = held.set_of(held.file(*names), plate, well)
    found = own.neighbours(
        plate, well, rule, rules=rules, label=label, among=among, k=NUM_NEIGHBOURS
    )
    if found.is_empty():
        return [], f"The rule leaves {plate} {well} without a neighbour."
    wells = held.wells(names[2])
    channels = channels_of(here(held.images.of_well(plate, well)))
    rows = []
    for nth, row in enumerate(found.iter_rows(named=True)):
        images = held.images.of_well(row["plate"], row["well"])
        what = panels.neighbour(nth, row, wells.row(row["plate"], row["well"]))
        shown = channels or channels_of(here(images))
        rows.append(panels.image_row(what, row["plate"], row["well"], images, field, shown))
    return rows, ""


def register(app: Dash, held: Held) -> None:
    """Register the callbacks of the chosen well."""

    @app.callback(
        Output("well-head", "children"),
        Output("field", "options"),
        Output("field", "value"),
        Output("well-note", "children"),
        Output("facts", "children"),
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
            return [html.H2("Well")], [], None, _NOTHING, "", "hidden"
        wanted = field or ((address or {}).get("field") or "")
        number = int(wanted) if str(wanted).isdigit() else None
        view = well_view(held, dataset, chosen["plate"], chosen["well"], number)
        bar = "bar" if view["fields"] else "hidden"
        return (view["head"], view["fields"], view["field"], view["note"], view["facts"], bar)

    @app.callback(
        Output("window-row", "children"),
        Output("own-images", "children"),
        Input("field", "value"),
        Input("chosen", "data"),
        Input("common", "value"),
        State("hold", "value"),
        State("windows", "data"),
        prevent_initial_call=True,
    )
    def draw_images(
        field: int | None,
        chosen: Chosen,
        common: list[str],
        hold: list[str],
        windows: dict[str, Any] | None,
    ) -> Any:
        if not chosen or field is None:
            return [], []
        plate, well = chosen["plate"], chosen["well"]
        images = held.images.of_well(plate, well)
        shown = images.filter(pl.col("field") == field)
        if shown.is_empty():
            raise PreventUpdate
        kept = windows or {} if hold else {}
        what = [html.B(well), html.Div("this well", className="quiet")]
        row = panels.image_row(what, plate, well, images, field, channels_of(images), mark="own")
        return panels.window_row(shown, kept, common=bool(common)), row

    @app.callback(
        Output("neighbours", "children"),
        Output("neighbours-note", "children"),
        Input("chosen", "data"),
        Input("field", "value"),
        Input("model", "value"),
        Input("normalization", "value"),
        Input("rule", "value"),
        Input("rules", "value"),
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
        rules: str,
        columns: str | None,
        label: str | None,
        among: str,
        dataset: str | None,
    ) -> Any:
        if not chosen or not dataset or not label or not rule:
            return [], ""
        names = (model or "", normalization or "", dataset)
        try:
            return neighbours_view(
                held, names, chosen, field, rule_of(rule, columns), rules, label, among
            )
        except UnidinoError as error:
            return [], str(error)

    @app.callback(
        Output("rule", "value"),
        Output("rules", "value"),
        Output("columns", "value"),
        Output("among", "value"),
        Input("address", "data"),
        prevent_initial_call=True,
    )
    def begin(address: dict[str, str]) -> Any:
        return (
            address.get("rule", FIRST_RULE),
            address.get("rules", "text"),
            address.get("columns", "compound,plate"),
            address.get("among", "all"),
        )

    @app.callback(
        Output("chosen", "data", allow_duplicate=True),
        Input({"kind": "go", "nth": ALL, "plate": ALL, "well": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def go(clicks: Sequence[int | None]) -> Any:
        asked = callback_context.triggered_id
        if not any(clicks) or not isinstance(asked, dict):
            return no_update
        return {"plate": asked["plate"], "well": asked["well"]}

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
