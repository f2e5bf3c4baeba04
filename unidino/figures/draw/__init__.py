"""Figures: one function for each, which takes rows and returns a matplotlib figure."""

from unidino.figures.draw.channels import (
    Subsets,
    attribution_bars,
    channel_accuracies,
    channel_subsets,
)
from unidino.figures.draw.distributions import (
    PairGroup,
    pair_distributions,
    pair_groups,
    separation,
)
from unidino.figures.draw.fields import field_channels
from unidino.figures.draw.maps import map_points
from unidino.figures.draw.plates import MOST_PLATES, PlateValues, plate_heatmaps
from unidino.figures.draw.readouts import survival_curves
from unidino.figures.draw.scores import difference_intervals, label_intervals, score_intervals
from unidino.figures.draw.similarity import similarity_map
from unidino.figures.draw.style import FORMATS, png, save, svg
from unidino.figures.draw.training import training_curves

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
