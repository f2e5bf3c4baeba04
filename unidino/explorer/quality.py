"""Assay quality on the page: its tables, and flags at their wells."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from dash import html

from unidino.explorer import figures
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.colours import Colours, colours_of
from unidino.explorer.panels import legend
from unidino.explorer.tables import table

ANY = "any flag"
MEASURES = (ANY, "outlier_wells", "few_cells", "blurred", "dim", "bright")


def rows_of(cached: CachedLake, dataset: str, model: str | None) -> tuple[pl.DataFrame, str | None]:
    """The newest figures of quality of a dataset, and the model whose figures are among them.

    Raises ProfileError that names the command if there are none.
    """
    from unidino.figures.quality import quality_rows  # loads Matplotlib

    rows = quality_rows(cached.lake).filter(dataset=dataset)
    known = rows["model"].drop_nulls().unique(maintain_order=True).to_list()
    shown = model if model in known else (known[0] if known else None)
    return rows.filter(pl.col("model").is_null() | (pl.col("model") == (shown or ""))), shown


def flags_of(rows: pl.DataFrame, plate: str, measure: str) -> dict[str, int]:
    """How often each well of a plate is flagged."""
    flagged = rows.filter(pl.col("is_flagged") & pl.col("well").is_not_null()).filter(plate=plate)
    if measure != ANY:
        flagged = flagged.filter(measure=measure)
    return dict(flagged.group_by("well").len().iter_rows())


def quality_map(
    cached: CachedLake, dataset: str, rows: pl.DataFrame, plate: str, measure: str
) -> tuple[figures.Figure, list[Any]]:
    """A plate with the number of flags of each well, and what its colours mean."""
    plates = cached.plates()
    size = plates.row(by_predicate=pl.col("plate_id") == plate, named=True)
    wells = cached.wells(dataset).of_plate(plate)
    num = flags_of(rows, plate, measure)
    counts = [num.get(well, 0) for well in wells["well"]]
    texts = ["no flag" if c == 0 else f"{c} flag{'s' if c > 1 else ''}" for c in counts]
    local = wells.with_columns(pl.Series("position", range(len(wells)), dtype=pl.UInt32))
    colours = colours_of(pl.Series(texts))
    figure = figures.plate_figure(
        size["num_rows"],
        size["num_columns"],
        local,
        colours,
        np.ones(len(wells), dtype=bool),
        None,
    )
    colours = _warmer(colours)
    figure["data"][0]["colorscale"] = colours.colorscale
    return figure, legend(colours, len(wells), len(wells))


def _warmer(colours: Colours) -> Colours:
    """Grey for wells without a flag, oranges for others."""
    tones = iter(("#e69f00", "#d55e00", "#9a3412"))
    entries = tuple(
        replace(e, colour="#d5dae1" if e.name == "no flag" else next(tones, "#6b1d0a"))
        for e in colours.entries
    )
    num = len(entries)
    steps = [(edge / num, e.colour) for i, e in enumerate(entries) for edge in (i, i + 1)]
    return replace(colours, colorscale=steps, entries=entries)


def quality_tables(rows: pl.DataFrame) -> list[Any]:
    """Tables of quality by plate, and of what is flagged."""
    from unidino.insight.quality import summary

    frame = summary(rows.drop("question", "question_hash", "run_id").to_dicts())
    frame = frame.select(c.name for c in frame if c.null_count() < len(frame))
    flagged = rows.filter(pl.col("is_flagged") & pl.col("well").is_not_null()).select(
        "plate", "well", "field", "channel", "measure", "value", "threshold"
    )
    return [
        html.H3("By plate"),
        table(frame.drop("dataset", "notes", strict=False)),
        html.H3("Flagged wells and images"),
        table(flagged) if len(flagged) else html.Div("None.", className="quiet"),
    ]
