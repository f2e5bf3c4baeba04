"""Single cells on the page: the distribution of a feature in some wells."""

from collections.abc import Sequence

import polars as pl

from unidino.core.errors import InputError, choose
from unidino.core.sql import quoted
from unidino.explorer import figures
from unidino.explorer.colours import CATEGORIES
from unidino.lake.lake import Lake

_MOST_WELLS, _MOST_CELLS = 24, 3_000
_NAMES = ("model", "plate", "well", "field", "cell", "image")


def features(lake: Lake) -> list[str]:
    """Names of the features that single cells have.

    Raises InputError that names the command if no cells are kept.
    """
    if lake.look_up("select 1 from part where kind = 'cell' limit 1").is_empty():
        raise InputError(
            "the lake keeps no single cells; `unidino import-profiles FILE --objects --keep-cells`"
            " brings them"
        )
    kinds = lake.query("describe cell")
    numeric = kinds.filter(pl.col("column_type").is_in(["DOUBLE", "FLOAT", "INTEGER", "BIGINT"]))
    return [n for n in numeric["column_name"].to_list() if n not in _NAMES]


def cells_figure(lake: Lake, feature: str, wells: Sequence[tuple[str, str, str]]) -> figures.Figure:
    """Violins of a feature of the cells of each well.

    wells: title, plate and well; the first 24 are shown, with at most 3,000 cells each. Of a well
    that is named twice, the first title counts. Plates are named if there are several.
    Raises UnidinoError for an unknown feature, InputError if the wells have no cells.
    """
    choose("feature", feature, features(lake))
    traces = []
    titles: dict[tuple[str, str], str] = {}
    for title, *place in wells:
        titles.setdefault((place[0], place[1]), title)
    shown = list(titles.items())[:_MOST_WELLS]
    has_plates = len({plate for (plate, _), _ in shown}) > 1
    for number, ((plate, well), title) in enumerate(shown):
        at = f"<br>{figures.plain(plate)}" if has_plates else ""
        values = lake.query(
            f"select {quoted(feature)} as value from cell where plate = $plate and well = $well"
            f" using sample reservoir({_MOST_CELLS} rows) repeatable (0)",
            {"plate": plate, "well": well},
        )["value"].drop_nulls()
        if values.is_empty():
            continue
        traces.append(
            {
                "type": "violin",
                "y": values.to_list(),
                "name": f"{well}{at}<br>{figures.plain(title)}<br>n = {len(values):,}",
                "box": {"visible": True},
                "points": False,
                "line": {"color": CATEGORIES[number % len(CATEGORIES)], "width": 1.2},
            }
        )
    if not traces:
        raise InputError("these wells have no single cells; choose or pick others")
    layout = figures.plain_layout() | {
        "plot_bgcolor": "#ffffff",
        "yaxis": {"title": {"text": feature}, "gridcolor": "#e6eaee", "zeroline": False},
        "xaxis": {"automargin": True},
        "margin": {"l": 60, "r": 10, "t": 10, "b": 70},
    }
    return {"data": traces, "layout": layout}
