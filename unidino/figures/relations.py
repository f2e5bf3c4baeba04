"""Figures of known pairs, mixed batches and drifting controls, and the rows that they show."""

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.figures.draw.relations import mixing_intervals, pair_intervals, plate_shifts
from unidino.figures.results import selected
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection


def pairs_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Recalls of known pairs with intervals, by dataset, database and model."""
    return pair_intervals(shown(lake, "pair_score", selection), width_mm=width_mm)


def mixing_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Mixing of batches with intervals, by dataset, model and normalization."""
    return mixing_intervals(shown(lake, "batch_mixing", selection), width_mm=width_mm)


def drift_figure(
    lake: Lake, selection: Selection | None = None, *, width_mm: float = 180.0
) -> Figure:
    """Shift of the negative controls of each plate, in order."""
    return plate_shifts(shown(lake, "batch_drift", selection), width_mm=width_mm)


def shown(lake: Lake, table: str, selection: Selection | None = None) -> pl.DataFrame:
    """The newest rows of a table of results, of the selected profiles."""
    return selected(lake.look_up(assets.sql("queries", f"shown_{table}")), selection)
