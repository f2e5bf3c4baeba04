"""Figures: one function for each, which takes rows and returns a matplotlib figure."""

from unidino.plots.channels import (
    Subsets,
    attribution_bars,
    channel_accuracies,
    channel_subsets,
)
from unidino.plots.distributions import PairGroup, pair_distributions, pair_groups, separation
from unidino.plots.fields import field_channels
from unidino.plots.maps import map_points
from unidino.plots.plates import MOST_PLATES, PlateValues, plate_heatmaps
from unidino.plots.readouts import survival_curves
from unidino.plots.scores import difference_intervals, label_intervals, score_intervals
from unidino.plots.similarity import similarity_map
from unidino.plots.style import FORMATS, png, save, svg
from unidino.plots.training import training_curves

__all__ = [
    "FORMATS",
    "MOST_PLATES",
    "PairGroup",
    "PlateValues",
    "Subsets",
    "attribution_bars",
    "channel_accuracies",
    "channel_subsets",
    "difference_intervals",
    "field_channels",
    "label_intervals",
    "map_points",
    "pair_distributions",
    "pair_groups",
    "plate_heatmaps",
    "png",
    "save",
    "score_intervals",
    "separation",
    "similarity_map",
    "survival_curves",
    "svg",
    "training_curves",
]
