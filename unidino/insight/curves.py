"""Dose response curves: effects of wells against the logarithm of the dose.

Where a logistic cannot be fitted, or fits worse, the curve is monotone.

Shapes: N wells with the controls.
"""

from dataclasses import dataclass

import numpy as np

from unidino.insight.dose_intervals import bound, inside, resampled, tested
from unidino.insight.logistic import COARSE_STEP, STEP, Grid, fit_logistic, grid_fits
from unidino.insight.lowest_active import lowest_active
from unidino.insight.monotone import fit_monotone
from unidino.insight.responses import Array, Wells

LOGISTIC, MONOTONE = "logistic", "monotone"
_MIN_DOSES = 4  # a logistic has four parameters
_MUCH_WORSE = 10.0  # in Schwarz's criterion: very strong evidence (Kass & Raftery 1995)


@dataclass(frozen=True)
class Curve:
    """A fitted curve with what it tells, doses in micromolar.

    kind: logistic or monotone. ec50_um: dose of half the effect; None if it is outside the tested
    doses; beyond tells on which side, below or above. ec50_low, ec50_high: 95 % interval; None
    where it leaves the tested doses. lowest_active_um: the lowest tested dose that differs from the
    controls, as all higher ones do; with its interval. bottom, top: of the curve without compound
    and at the highest dose. r2: share of the variance that the curve explains. dose_um, value, low,
    high: the curve for drawing, with its 95 % band.
    """

    kind: str
    ec50_um: float | None
    ec50_low: float | None
    ec50_high: float | None
    lowest_active_um: float | None
    lowest_active_low: float | None
    lowest_active_high: float | None
    beyond: str | None
    bottom: float
    top: float
    slope: float | None
    r2: float
    dose_um: Array
    value: Array
    low: Array
    high: Array


def fit_curve(wells: Wells, *, num_bootstraps: int = 500, seed: int = 0) -> Curve:
    """The curve of one compound, with intervals that resample the residuals of its wells.

    A resampled response is the fitted curve plus the residuals of the wells, drawn with replacement
    among the controls and among the treated wells, and enlarged by what the fit has taken up; the
    treated wells are taken to vary at least as much as the controls, but for distances.
    Needs two doses; a logistic needs four.
    """
    rng = np.random.default_rng(seed)
    grid = Grid.of(wells, STEP)
    logistic = fit_logistic(wells, grid) if len(wells.doses) >= _MIN_DOSES else None
    monotone = fit_monotone(wells, wells.effect)
    use_logistic = logistic is not None and _criterion(wells, logistic(wells.log_dose), 4) <= (
        _criterion(wells, monotone(wells.log_dose), monotone.num_levels) + _MUCH_WORSE
    )
    fitted = logistic if use_logistic and logistic is not None else monotone
    expected = fitted(wells.log_dose)
    num_parameters = 4 if use_logistic else monotone.num_levels
    draws = resampled(wells, expected, num_parameters, num_bootstraps, rng)
    drawn_at = np.linspace(wells.doses[0], wells.doses[-1], 41)
    if use_logistic:
        ec50s, curves = grid_fits(grid, draws, drawn_at)
    else:
        fits = [fit_monotone(wells, draw) for draw in draws]
        ec50s = np.array([fit.log_ec50() for fit in fits])
        curves = np.stack([fit(drawn_at) for fit in fits])
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    ec50 = fitted.log_ec50()
    active = lowest_active(wells, wells.effect[None])[0]
    actives = lowest_active(wells, draws)
    residual = float(((wells.effect - expected) ** 2).sum())
    total = float(((wells.effect - wells.effect.mean()) ** 2).sum())
    values = fitted(drawn_at)
    return Curve(
        LOGISTIC if use_logistic else MONOTONE,
        inside(wells, ec50),
        bound(wells, ec50s, 0.025),
        bound(wells, ec50s, 0.975),
        tested(wells, inside(wells, active)),
        tested(wells, bound(wells, actives, 0.025)),
        tested(wells, bound(wells, actives, 0.975)),
        None if inside(wells, ec50) else "below" if ec50 < wells.doses[0] else "above",
        float(fitted(np.array([-np.inf]))[0]),
        float(fitted(wells.doses[-1:])[0]),
        fitted.slope,
        1 - residual / total if total > 0 else 0.0,
        10**drawn_at,
        values,
        low,
        high,
    )


def strengths(wells: Wells, num_permutations: int, seed: int) -> tuple[float, Array]:
    """How much better a curve explains the effects than a constant, and the same by chance.

    The first is an F ratio of the best curve of a coarse grid; the others (num_permutations,) are
    those of the same effects, given to the wells at random.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(wells.effect, (num_permutations, 1)), axis=1)
    responses = np.vstack([wells.effect[None], shuffled])
    grid = Grid.of(wells, COARSE_STEP)
    gain = grid.gains(responses).max(axis=1)
    total = ((responses - responses.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    rest = np.maximum(total - gain, 1e-12 * np.maximum(total, np.finfo(float).tiny))
    ratios = gain / rest
    return float(ratios[0]), ratios[1:]


def _criterion(wells: Wells, expected: Array, num_parameters: int) -> float:
    """Schwarz's criterion of a fit; lower is better."""
    num = len(wells.effect)
    # A floor, since without noise both kinds of curve fit as well as numbers can tell.
    floor = 1e-6 * float(wells.effect.var()) + np.finfo(float).tiny
    residual = max(float(((wells.effect - expected) ** 2).mean()), floor)
    return num * float(np.log(residual)) + num_parameters * float(np.log(num))
