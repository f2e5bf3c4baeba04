"""Callbacks of the views of answers: dose responses, assay quality, single cells."""

from collections.abc import Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, callback_context, no_update
from dash.exceptions import PreventUpdate

from unidino.core.errors import UnidinoError
from unidino.core.wells import well_name
from unidino.explorer import cells, dose, figures, quality
from unidino.explorer.address import Chosen
from unidino.explorer.beside import wells_beside
from unidino.explorer.cached_lake import CachedLake


def register(app: Dash, cached: CachedLake) -> None:
    """Register the callbacks of the views of answers."""
    _register_dose(app, cached)
    _register_quality(app, cached)
    _register_cells(app, cached)


def _register_dose(app: Dash, cached: CachedLake) -> None:
    @app.callback(
        Output("compound", "options"),
        Output("compound", "value"),
        Output("dose-note", "children"),
        Input("view", "value"),
        Input("model", "value"),
        Input("normalization", "value"),
        Input("dataset", "value"),
        State("compound", "value"),
        State("address", "data"),
        prevent_initial_call=True,
    )
    def compounds(
        view: str,
        model: str | None,
        form: str | None,
        dataset: str | None,
        now: str | None,
        address: dict[str, str] | None,
    ) -> Any:
        if view != "dose" or not dataset:
            raise PreventUpdate
        try:
            rows = dose.dose_rows(cached.lake, model or "", form or "", dataset)
        except UnidinoError as error:
            return [], None, str(error)
        listed = dose.compounds_of(rows)
        names = listed["compound"].to_list()
        now = now or (address or {}).get("compound")
        note = (
            f"{dataset} by {model}, {rows['normalization'][0]}. Figures are of all channels"
            " together where these respond, else of the clearest channel."
        )
        return names, now if now in names else names[0], note

    @app.callback(
        Output("dose-list", "children"),
        Output("dose-curves", "figure"),
        Input("compound", "value"),
        State("model", "value"),
        State("normalization", "value"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def curves(
        compound: str | None, model: str | None, form: str | None, dataset: str | None
    ) -> Any:
        if not compound or not dataset:
            return [], figures.blank_figure()
        rows = dose.dose_rows(cached.lake, model or "", form or "", dataset)
        return dose.compound_list(rows, compound), dose.dose_figure(rows, compound)

    @app.callback(
        Output("compound", "value", allow_duplicate=True),
        Input({"kind": "dose-go", "compound": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def choose_compound(clicks: Sequence[int | None]) -> Any:
        button = callback_context.triggered_id
        if not any(clicks) or not isinstance(button, dict):
            return no_update
        return button["compound"]


def _register_quality(app: Dash, cached: CachedLake) -> None:
    @app.callback(
        Output("quality-plate", "options"),
        Output("quality-plate", "value"),
        Output("measure", "options"),
        Output("measure", "value"),
        Output("quality-tables", "children"),
        Output("quality-note", "children"),
        Input("view", "value"),
        Input("dataset", "value"),
        Input("model", "value"),
        State("plate", "value"),
        State("measure", "value"),
        prevent_initial_call=True,
    )
    def tables(
        view: str, dataset: str | None, model: str | None, plate: str | None, measure: str | None
    ) -> Any:
        if view != "quality" or not dataset:
            raise PreventUpdate
        try:
            rows, shown = quality.rows_of(cached, dataset, model)
        except UnidinoError as error:
            return [], None, list(quality.MEASURES), quality.ANY, [], str(error)
        names = rows["plate"].unique(maintain_order=True).to_list()
        if not names:
            missing = f"{dataset} has no figures of assay quality; run `unidino quality`."
            return [], None, list(quality.MEASURES), quality.ANY, [], missing
        return (
            names,
            plate if plate in names else names[0],
            list(quality.MEASURES),
            measure or quality.ANY,
            quality.quality_tables(rows),
            f"As {shown} sees the plates." if shown else "Of images and cells; no model.",
        )

    @app.callback(
        Output("quality-map", "figure"),
        Output("quality-legend", "children"),
        Input("quality-plate", "value"),
        Input("measure", "value"),
        State("dataset", "value"),
        State("model", "value"),
        prevent_initial_call=True,
    )
    def plate_map(
        plate: str | None, measure: str | None, dataset: str | None, model: str | None
    ) -> Any:
        if not plate or not dataset:
            return figures.blank_figure(), []
        rows, _ = quality.rows_of(cached, dataset, model)
        return quality.quality_map(cached, dataset, rows, plate, measure or quality.ANY)

    for name, plate_of in {"quality-map": "quality-plate", "second-map": "second"}.items():

        @app.callback(
            Output("chosen", "data", allow_duplicate=True),
            Output("view", "value", allow_duplicate=True),
            Input(name, "clickData"),
            State(plate_of, "value"),
            State("dataset", "value"),
            prevent_initial_call=True,
        )
        def click(data: Any, plate: str | None, dataset: str | None) -> Any:
            point = data["points"][0] if data and data["points"] else {}
            x, y = point.get("x"), point.get("y")
            is_place = isinstance(x, int | float) and isinstance(y, int | float)
            if not plate or not dataset or not is_place:
                raise PreventUpdate
            well = well_name(int(y or 0), int(x or 0))
            if (plate, well) not in cached.wells(dataset).position:
                raise PreventUpdate
            return {"plate": plate, "well": well}, "wells"


def _register_cells(app: Dash, cached: CachedLake) -> None:
    @app.callback(
        Output("feature", "options"),
        Output("feature", "value"),
        Output("cells-note", "children"),
        Output("cells-plot", "figure"),
        Input("view", "value"),
        Input("feature", "value"),
        Input("chosen", "data"),
        Input("picked", "data"),
        State("dataset", "value"),
        prevent_initial_call=True,
    )
    def distribution(
        view: str, feature: str | None, chosen: Chosen, picked: Any, dataset: str | None
    ) -> Any:
        if view != "cells" or not dataset:
            raise PreventUpdate
        try:
            names = cells.features(cached.lake)
            shown = feature if feature in names else names[0]
            wells = [("picked", w["plate"], w["well"]) for w in picked or []]
            if chosen:
                table = cached.wells(dataset).table
                wells = [
                    ("chosen", chosen["plate"], chosen["well"]),
                    *wells_beside(table, chosen),
                    *wells,
                ]
            if not wells:
                return names, shown, "Choose a well, or pick some.", figures.blank_figure()
            figure = cells.cells_figure(cached.lake, shown, wells)
        except UnidinoError as error:
            return [], None, str(error), figures.blank_figure()
        note = "The chosen well, controls and replicates beside it, and the picked wells."
        return names, shown, note, figure
