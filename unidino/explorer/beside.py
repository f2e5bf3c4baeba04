"""Wells beside the chosen one: negative controls of its plate, and its replicates."""

from typing import Any

import polars as pl
from dash import html

from unidino.explorer import panels, pictures
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.images import with_pixels
from unidino.explorer.views import channels_of

_MOST_CONTROLS, _MOST_REPLICATES = 2, 3


def wells_beside(table: pl.DataFrame, chosen: dict[str, str]) -> list[tuple[str, str, str]]:
    """What a well is to the chosen one, its plate and its name.

    table: the wells of the dataset. The nearest negative controls of the plate come first, then
    replicates: wells of the same compound and dose, other plates first.
    """
    at = table.filter(plate=chosen["plate"], well=chosen["well"])
    if at.is_empty():
        return []
    row = at.row(0, named=True)
    others = table.filter((pl.col("plate") != row["plate"]) | (pl.col("well") != row["well"]))
    away = (pl.col("well_row") - row["well_row"]) ** 2 + (
        pl.col("well_column") - row["well_column"]
    ) ** 2
    controls = (
        others.filter(plate=row["plate"], control_type="negcon").sort(away).head(_MOST_CONTROLS)
    )
    replicates = others.clear()
    if row["compound"] is not None and row["control_type"] != "negcon":
        dose = row["concentration_um"]
        same = (
            pl.col("concentration_um").is_null()
            if dose is None
            else (pl.col("concentration_um") == dose)
        )
        replicates = (
            others.filter((pl.col("compound") == row["compound"]) & same)
            .sort(pl.col("plate") == row["plate"], "plate", "well")
            .head(_MOST_REPLICATES)
        )
    return [
        (what, *key)
        for what, rows in (("negative control", controls), ("replicate", replicates))
        for key in rows.select("plate", "well").rows()
    ]


def beside_view(cached: CachedLake, dataset: str, chosen: dict[str, str], field: int) -> list[Any]:
    """Rows of images of the wells beside the chosen one; nothing if it has none."""
    wells = cached.wells(dataset)
    channels = channels_of(with_pixels(cached.images.of_well(chosen["plate"], chosen["well"])))
    rows: list[Any] = []
    for nth, (what, plate, well) in enumerate(wells_beside(wells.table, chosen)):
        images = cached.images.of_well(plate, well)
        shown = channels or channels_of(with_pixels(images))
        title = panels.beside(nth, what, plate, well, wells.row(plate, well))
        rows.append(pictures.image_row(title, plate, well, images, field, shown))
    return [html.H2("Beside it"), *rows] if rows else []
