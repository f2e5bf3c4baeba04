"""Resampled responses of a compound, and the doses and intervals that they give.

Shapes: N wells with the controls, B resampled responses.
"""

import numpy as np

from unidino.insight.responses import Array, Wells


def resampled(
    wells: Wells, expected: Array, num_parameters: int, num: int, rng: np.random.Generator
) -> Array:
    """Responses (num, N): the fitted curve plus residuals drawn with replacement."""
    draws = np.tile(expected, (num, 1))
    residuals = wells.effect - expected
    controls, treated = np.flatnonzero(wells.is_control), np.flatnonzero(~wells.is_control)
    least = 0.0
    for group, taken in ((controls, 1), (treated, num_parameters - 1)):
        own = residuals[group] - residuals[group].mean()
        own *= np.sqrt(len(group) / max(len(group) - taken, 1))
        spread = float(own.std())
        # Few treated wells lie near their curve by chance. Distances vary most near 0.
        if 0 < spread < least and not wells.is_distance:
            own *= least / spread
        least = spread
        draws[:, group] += rng.choice(own, (num, len(group)))
    return draws


def bound(wells: Wells, log_doses: Array, share: float) -> float | None:
    """A quantile of resampled doses; None where it leaves the tested doses."""
    known = np.where(np.isnan(log_doses), np.inf, log_doses)
    ordered = np.sort(known)
    place = round(share * (len(ordered) - 1))
    return inside(wells, float(ordered[place]))


def inside(wells: Wells, log_dose: float) -> float | None:
    """A dose in micromolar; None outside the tested doses."""
    tiny = 1e-9
    if not wells.doses[0] - tiny <= log_dose <= wells.doses[-1] + tiny:
        return None
    return float(10**log_dose)


def tested(wells: Wells, um: float | None) -> float | None:
    """The tested dose itself, without the rounding of its logarithm."""
    if um is None:
        return None
    return float(wells.doses_um[np.argmin(np.abs(wells.doses_um - um))])
