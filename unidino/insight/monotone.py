"""The best curve that only rises, or only falls, for effects that no logistic describes.

Shapes: K doses.
"""

from dataclasses import dataclass

import numpy as np

from unidino.insight.responses import Array, Wells


@dataclass(frozen=True)
class Monotone:
    """Levels (K + 1,) at the controls and at each dose; between doses linear in log dose."""

    doses: Array
    levels: Array
    slope = None

    def __call__(self, log_dose: Array) -> Array:
        values = np.interp(log_dose, self.doses, self.levels[1:])
        return np.asarray(np.where(np.isneginf(log_dose), self.levels[0], values))

    @property
    def num_levels(self) -> int:
        return len(np.unique(self.levels))

    def log_ec50(self) -> float:
        """Where the curve crosses half of its effect; infinite if it is half at the lowest dose."""
        share = self.levels[1:] - self.levels[0]
        if share[-1] == 0:
            return float("nan")
        share = share / share[-1]
        if share[0] >= 0.5:
            return float("-inf")
        after = int(np.argmax(share >= 0.5))
        left, right = share[after - 1], share[after]
        part = (0.5 - left) / (right - left)
        return float(self.doses[after - 1] + part * (self.doses[after] - self.doses[after - 1]))


def fit_monotone(wells: Wells, effect: Array) -> Monotone:
    """The curve of least squares that only rises, or only falls."""
    from scipy.optimize import isotonic_regression

    place = np.searchsorted(wells.doses, wells.log_dose, side="left") + 1
    place = np.where(wells.is_control, 0, place)
    counts = np.bincount(place).astype(float)
    means = np.bincount(place, weights=effect) / counts
    fits = [isotonic_regression(means, weights=counts, increasing=True).x]
    if not wells.rises:
        fits.append(isotonic_regression(means, weights=counts, increasing=False).x)
    errors = [float((counts * (fit - means) ** 2).sum()) for fit in fits]
    return Monotone(wells.doses, np.asarray(fits[int(np.argmin(errors))]))
