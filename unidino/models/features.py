"""Names of the entries of a model's vectors, where the entries are named measurements.

The names follow CellProfiler: object, module, measurement, channel. They depend on nothing but the
names of the channels, so that profiles are named without measuring anything.
Source: cp_measure, whose feature names `cellprofiler.measure` compares with these.
"""

from collections.abc import Sequence
from itertools import combinations

from unidino.models.config import ModelConfig
from unidino.models.kinds import CORRELATION, SHAPE

OBJECTS = ("Nuclei", "Cells")
NUM_DIMS = 112
"""Length of every vector: that of the correlations of 8 channels.

A channel has 96 entries, `Shape` 103, `Correlation` 4 for each pair of channels.
"""
TEXTURE_SCALE_PX = 3
# The spread over a field's objects shows cell cycle and mixed responses, which medians hide.
WITH_SPREAD = ("Intensity_IntegratedIntensity", "Intensity_MeanIntensity", "Area")

_INTENSITY = (
    *("IntegratedIntensity", "IntegratedIntensity_MAD", "MeanIntensity", "MeanIntensity_MAD"),
    *("StdIntensity", "MinIntensity", "MaxIntensity", "MassDisplacement"),
    *("LowerQuartileIntensity", "MedianIntensity", "MADIntensity", "UpperQuartileIntensity"),
    *("IntegratedIntensityEdge", "MeanIntensityEdge", "StdIntensityEdge"),
    *("MinIntensityEdge", "MaxIntensityEdge"),
)
_TEXTURE = (
    *("Contrast", "Correlation", "Variance", "SumAverage", "SumVariance", "SumEntropy", "Entropy"),
    *("DifferenceVariance", "DifferenceEntropy", "InfoMeas1", "InfoMeas2"),
)
_RADIAL = ("FracAtD", "MeanFrac", "RadialCV")
_NUM_RINGS = 4
_NUM_GRAINS = 16
_SHAPE = (
    *("Area", "Area_MAD", "BoundingBoxArea", "ConvexArea", "EquivalentDiameter", "Perimeter"),
    *("MajorAxisLength", "MinorAxisLength", "Eccentricity", "FormFactor", "Extent", "Solidity"),
    *("Compactness", "EulerNumber", "MaximumRadius", "MeanRadius", "MedianRadius", "FilledArea"),
    *("PerimeterCrofton", "MinFeretDiameter", "MaxFeretDiameter"),
)
_ZERNIKE_DEGREE = 9


def feature_names(
    config: ModelConfig, channel: str, plate_channels: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """Names of the entries of one vector; None where the model's features have no names.

    channel: the name of the vector: a channel, `Shape`, `Correlation`, or `features` of imported
    profiles. plate_channels: the plate's channels, which name the correlations; other names of
    vectors among them are ignored. The zeros at the end of a shorter CellProfiler vector are
    named `<channel>_<index>`, so that there are `num_dims` names and no two are equal.
    """
    if config.features:
        return config.features
    if config.traits.source == "counts":
        return ("num_cells",)
    if config.traits.source != "cells":
        return None
    names = group_names([c for c in plate_channels if c not in config.traits.groups]).get(channel)
    names = names or (() if channel == CORRELATION else _channel_names(channel))
    return *names, *(f"{channel}_{i}" for i in range(len(names), config.num_dims))


def group_names(channels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names of the measured features of a field by group: each channel, `Shape`, `Correlation`."""
    names = {channel: _channel_names(channel) for channel in channels}
    names[SHAPE] = _shape_names()
    if len(channels) > 1:
        names[CORRELATION] = tuple(
            f"{kind}_Correlation_{measurement}_{a}_{b}"
            for a, b in combinations(sorted(channels), 2)
            for kind in OBJECTS
            for measurement in ("Pearson", "Overlap")
        )
    return names


def _channel_names(channel: str) -> tuple[str, ...]:
    rings = range(1, _NUM_RINGS + 1)
    of_an_object = [f"Intensity_{name}" for name in _INTENSITY]
    of_an_object += [f"Texture_{name}_{TEXTURE_SCALE_PX}" for name in _TEXTURE]
    of_an_object += [
        f"RadialDistribution_{name}_{ring}of{_NUM_RINGS}" for ring in rings for name in _RADIAL
    ]
    names = [f"{kind}_{name}_{channel}" for kind in OBJECTS for name in of_an_object]
    return *names, *(f"Cells_Granularity_{i}_{channel}" for i in range(1, _NUM_GRAINS + 1))


def _shape_names() -> tuple[str, ...]:
    zernike = [
        f"Zernike_{n}_{m}" for n in range(_ZERNIKE_DEGREE + 1) for m in range(n % 2, n + 1, 2)
    ]
    of_an_object = (*_SHAPE, *zernike)
    return "Nuclei_Count", *(f"{k}_AreaShape_{name}" for k in OBJECTS for name in of_an_object)
