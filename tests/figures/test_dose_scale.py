"""Doses on a plate are coloured by powers of ten."""

import polars as pl
import pytest
from matplotlib.colors import LogNorm

from unidino.figures.draw.plates import PlateValues, plate_heatmaps


def _norms(values: list[float], label: str) -> list[bool]:
    wells = pl.DataFrame({"well_row": 1, "well_column": range(1, len(values) + 1), "value": values})
    figure = plate_heatmaps([PlateValues("p", 8, 12, wells)], label)
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    return [isinstance(bar._colorbar.norm, LogNorm) for bar in bars]


@pytest.mark.parametrize(
    ("values", "label", "is_log"),
    [
        ([0.0, 0.01, 1.0, 100.0], "concentration_um", True),
        ([1.0, 5.0, 10.0], "concentration_um", False),
        ([0.0, 0.0], "concentration_um", False),
        ([0.01, 1.0, 100.0], "avg(focus)", False),
    ],
)
def test_only_doses_that_span_more_than_a_decade(
    values: list[float], label: str, is_log: bool
) -> None:
    assert _norms(values, label) == [is_log]
