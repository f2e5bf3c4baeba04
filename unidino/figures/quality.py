"""Figure of assay quality, and the rows that it shows."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from unidino.core.errors import ProfileError, choose
from unidino.core.log import log
from unidino.figures.draw.quality import PlateQuality, quality_overview
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection

MOST_PLATES = 40
_COUNTED = {
    "outlier_wells": "outlier wells",
    "few_cells": "few cells",
    "blurred": "blurred",
    "dim": "dim",
    "bright": "bright",
}


def quality_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    plates: Sequence[str] = (),
    width_mm: float = 180.0,
) -> Figure:
    """The newest figures of assay quality of each plate, by one model.

    plates: names; default: the first 40. Raises ProfileError if there are none.
    """
    selection = selection or Selection()
    rows = quality_rows(lake)
    known = rows["model"].drop_nulls().unique(maintain_order=True).to_list()
    model = selection.models[0] if selection.models else (known[0] if known else None)
    if model is not None:
        choose("model with assay quality", model, known)
    if len(known) > 1 and not selection.models:
        log.warning(f"of the models {', '.join(known)} this shows {model}; name another by --model")
    if selection.datasets:
        rows = rows.filter(pl.col("dataset").is_in(selection.datasets))
    names = rows["plate"].unique(maintain_order=True).to_list()
    for plate in plates:
        choose("plate with assay quality", plate, names)
    shown = [p for p in names if not plates or p in plates]
    if len(shown) > MOST_PLATES and not plates:
        log.warning(f"the first {MOST_PLATES} of {len(shown)} plates; name others by --plate")
        shown = shown[:MOST_PLATES]
    found = overview_rows(rows, model, shown)
    return quality_overview(
        found, f"Assay quality{f', {model}' if model else ''}", width_mm=width_mm
    )


def quality_rows(lake: Lake) -> pl.DataFrame:
    """The newest rows of assay quality. Raises ProfileError if there are none."""
    rows = lake.look_up(
        "from latest_quality order by dataset, plate, model, subject desc, channel nulls first,"
        " axis"
    )
    if rows.is_empty():
        raise ProfileError("the lake has no figures of assay quality; run `unidino quality`")
    return rows


def overview_rows(
    rows: pl.DataFrame, model: str | None, plates: Sequence[str]
) -> list[PlateQuality]:
    """What is shown of each plate: figures of images and cells, and of one model."""
    of_model = pl.col("model").is_null() | (pl.col("model") == (model or ""))
    rows = rows.filter(of_model & pl.col("well").is_null())
    found = []
    for plate in plates:
        here = rows.filter(pl.col("plate") == plate).to_dicts()
        z_primes: dict[str, float] = {}
        positions: dict[str, tuple[float, float]] = {}
        flags: dict[str, tuple[int, int]] = {}
        correlation = chance = None
        for row in here:
            value = row["value"]
            if value is None:
                continue
            if row["measure"] == "z_prime" and row["subject"] in ("profile", "num_cells"):
                name = _name(row)
                z_primes[name] = max(value, z_primes.get(name, value))
            elif row["measure"] == "replicate_correlation":
                correlation, chance = value, row["threshold"]
            elif row["measure"].endswith("_effect") and row["subject"] == "profile":
                positions[row["measure"].removesuffix("_effect")] = (value, row["q_value"])
            elif row["measure"] in _COUNTED:
                name = _COUNTED[row["measure"]]
                num, of = flags.get(name, (0, 0))
                flags[name] = (num + int(value), of + row["n"])
        found.append(PlateQuality(plate, z_primes, correlation, chance, positions, flags))
    return found


def _name(row: dict[str, object]) -> str:
    if row["subject"] == "num_cells":
        return "number of cells"
    return f"{row['channel']} alone" if row["channel"] else f"{row['model']}, all channels"
