"""Four-parameter logistics of effects against the logarithm of the dose.

A four-parameter logistic is bottom + span / (1 + (ec50 / dose) ** slope). For a given EC50 and
slope it is linear in the other two, so all pairs on a grid are fitted at once, also to hundreds of
resampled responses; scipy refines the best one.

Shapes: N wells with the controls, G points of the grid, B responses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.insight.responses import Array, Wells

STEP, COARSE_STEP = 0.02, 0.1  # decades
_SLOPES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0])
_BEYOND = 1.0  # decades around the doses that resampled EC50s may reach


@dataclass(frozen=True)
class Logistic:
    log_half: float
    slope: float
    bottom: float
    span: float

    def __call__(self, log_dose: Array) -> Array:
        return self.bottom + self.span * logistic_shape(log_dose, self.log_half, self.slope)

    def log_ec50(self) -> float:
        return self.log_half


def logistic_shape(log_dose: Array, log_half: Array | float, slope: Array | float) -> Array:
    """The logistic from 0 to 1."""
    power = np.clip(np.asarray(slope) * (np.asarray(log_half) - log_dose), -300, 300)
    return np.asarray(1 / (1 + 10**power))


@dataclass(frozen=True)
class Grid:
    """Logistics of many EC50s and slopes at the wells. shapes: (G, N)."""

    log_half: Array
    slope: Array
    shapes: Array
    rises: bool

    @classmethod
    def of(cls, wells: Wells, step: float) -> "Grid":
        doses = wells.doses
        halves = np.arange(doses[0] - _BEYOND, doses[-1] + _BEYOND + step / 2, step)
        log_half, slope = (a.ravel() for a in np.meshgrid(halves, _SLOPES, indexing="ij"))
        shapes = np.zeros((len(slope), len(wells.um)))  # those of the controls stay 0
        treated = wells.log_dose[~wells.is_control]
        shapes[:, ~wells.is_control] = logistic_shape(treated, log_half[:, None], slope[:, None])
        return cls(log_half, slope, shapes, wells.rises)

    def gains(self, responses: Array) -> Array:
        """By how much each logistic lowers the squared residuals of responses (B, N): (B, G)."""
        centred = self.shapes - self.shapes.mean(axis=1, keepdims=True)
        lengths = (centred**2).sum(axis=1)
        along = responses @ centred.T
        if self.rises:
            along = np.maximum(along, 0)
        return np.asarray(along**2 / np.maximum(lengths, 1e-9))

    def lines(self, responses: Array, best: NDArray[np.int64]) -> tuple[Array, Array]:
        """Bottom and span (B,) of the best logistic of each response."""
        shapes = self.shapes[best]
        centred = shapes - shapes.mean(axis=1, keepdims=True)
        length = np.maximum((centred**2).sum(axis=1), 1e-9)
        span = (responses * centred).sum(axis=1) / length
        if self.rises:
            span = np.maximum(span, 0)
        return responses.mean(axis=1) - span * shapes.mean(axis=1), span


def fit_logistic(wells: Wells, grid: Grid) -> Logistic | None:
    """The logistic of least squares; None if the effects do not differ."""
    from scipy.optimize import least_squares

    if np.ptp(wells.effect) == 0:
        return None
    best = grid.gains(wells.effect[None]).argmax(axis=1)
    bottom, span = grid.lines(wells.effect[None], best)
    first = [grid.log_half[best[0]], grid.slope[best[0]], bottom[0], span[0]]
    doses = wells.doses
    most = np.inf
    limits = (
        [doses[0] - _BEYOND - 1e-6, 0.3, -most, 0 if wells.rises else -most],
        [doses[-1] + _BEYOND + 1e-6, 8.0, most, most],
    )

    def residuals(parameters: Array) -> Array:
        return Logistic(*parameters)(wells.log_dose) - wells.effect

    scale = np.maximum(np.abs(first), [0.1, 0.5, 0.1, 0.1])
    found = least_squares(residuals, np.clip(first, *limits), bounds=limits, x_scale=scale)
    return Logistic(*(float(p) for p in found.x))


def grid_fits(grid: Grid, draws: Array, drawn_at: Array) -> tuple[Array, Array]:
    """Logarithms of the EC50 (B,) of resampled responses, and their curves at some doses."""
    best = grid.gains(draws).argmax(axis=1)
    bottom, span = grid.lines(draws, best)
    shapes = logistic_shape(
        drawn_at[None, :], grid.log_half[best][:, None], grid.slope[best][:, None]
    )
    return grid.log_half[best], bottom[:, None] + span[:, None] * shapes
