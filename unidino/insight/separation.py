"""Wells of controls on the axis from the negative controls to a positive control.

Shapes: N wells, D features.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def on_control_axis(negative: Array, positive: Array) -> tuple[Array, Array]:
    """Places (N,) of negative and (M,) of positive wells, near 0 and near 1.

    negative: (N, D), positive: (M, D), finite. Each well is placed by an axis from which it is left
    out: with more features than wells an axis that knows the well would separate noise. A side of
    one well, which cannot be left out, is placed by the axis of all.
    """
    means = negative.mean(axis=0), positive.mean(axis=0)
    low = [_place(well, _mean_without(negative, i), means[1]) for i, well in enumerate(negative)]
    high = [_place(well, means[0], _mean_without(positive, i)) for i, well in enumerate(positive)]
    return np.array(low), np.array(high)


def _mean_without(wells: Array, i: int) -> Array:
    if len(wells) == 1:
        return np.asarray(wells[0])
    return np.asarray((wells.sum(axis=0) - wells[i]) / (len(wells) - 1))


def _place(well: Array, start: Array, end: Array) -> float:
    """The place of a well (D,) on the axis from `start` (0) to `end` (1)."""
    axis = end - start
    length = float(axis @ axis)
    return float((well - start) @ axis) / length if length > 0 else 0.0
