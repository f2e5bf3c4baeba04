"""The picked wells: their table, their contact sheet, and the query that takes them home."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from dash import html

from unidino.core.sql import literal
from unidino.explorer import panels, pictures
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.images import with_pixels
from unidino.explorer.tables import table
from unidino.explorer.views import channels_of

MOST = 2_000
_MOST_SHOWN = 24
Picked = Sequence[dict[str, str]]


def added(picked: Picked, new: Picked) -> list[dict[str, str]]:
    """The picked wells and the new ones, each once, at most 2,000."""
    keys = dict.fromkeys((w["plate"], w["well"]) for w in (*picked, *new))
    return [{"plate": plate, "well": well} for plate, well in keys][:MOST]


def rows_of(cached: CachedLake, picked: Picked) -> pl.DataFrame:
    """The metadata of the picked wells, in the order in which they were picked."""
    plates = cached.plates()
    of_plate = dict(zip(plates["plate_id"], plates["dataset"], strict=True))
    rows = []
    for one in picked:
        dataset = of_plate.get(one["plate"])
        row = cached.wells(dataset).row(one["plate"], one["well"]) if dataset else None
        if row is not None:
            names = ("plate", "well", "compound", "concentration_um", "moa", "control_type")
            rows.append({name: row[name] for name in names})
    return pl.DataFrame(rows, infer_schema_length=None)


def query_of(rows: pl.DataFrame) -> str:
    """The query whose rows are the picked wells of the lake. rows: of `rows_of`."""
    wells = rows.select("plate", "well").rows()
    keys = ", ".join(f"({literal(plate)}, {literal(well)})" for plate, well in wells)
    return f"select * from well where (plate, well) in ({keys}) order by plate, well"


def contact_sheet(cached: CachedLake, rows: pl.DataFrame) -> list[Any]:
    """A row of images for each of the first picked wells."""
    shown: list[Any] = []
    named: list[str] | None = None
    for nth, row in enumerate(rows.head(_MOST_SHOWN).to_dicts()):
        images = with_pixels(cached.images.of_well(row["plate"], row["well"]))
        title = panels.beside(1000 + nth, row["moa"] or "", row["plate"], row["well"], row)
        channels = channels_of(images)
        if channels != named:
            shown.append(pictures.name_row(channels))
            named = channels
        shown.append(pictures.image_row(title, row["plate"], row["well"], images, None, channels))
    if len(rows) > _MOST_SHOWN:
        shown.append(html.Div(f"The first {_MOST_SHOWN} of {len(rows)} wells.", className="quiet"))
    return shown


def picked_table(rows: pl.DataFrame) -> Any:
    """The picked wells as a table."""
    return table(rows)
