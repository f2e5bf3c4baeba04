"""Dose response curves: effects of wells against the logarithm of the dose.

A four-parameter logistic is bottom + span / (1 + (ec50 / dose) ** slope). For a given EC50 and
slope it is linear in the other two, so all pairs on a grid are fitted at once, also to hundreds of
resampled responses; scipy refines the best one. Where a logistic cannot be fitted, or fits worse,
the curve is monotone: the best one that only rises, or only falls.

Shapes: N wells with the controls, K doses, G points of the grid, B resampled responses.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LOGISTIC, MONOTONE = "logistic", "monotone"
_MIN_DOSES = 4  # a logistic has four parameters
_SLOPES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0])
_STEP, _COARSE_STEP = 0.02, 0.1  # decades
_BEYOND = 1.0  # decades around the doses that resampled EC50s may reach
_SIGNIFICANT = 0.05
_MUCH_WORSE = 10.0  # in Schwarz's criterion: very strong evidence (Kass & Raftery 1995)


@dataclass(frozen=True)
class Wells:
    """Effects of the wells of one compound and of the negative controls.

    um: (N,), dose in micromolar; 0 for controls. effect: (N,). rises: true if only curves that rise
    away from the controls make sense. is_distance: true if effects vary most near 0.
    """

    um: Array
    effect: Array
    rises: bool
    is_distance: bool = False

    @property
    def is_control(self) -> NDArray[np.bool_]:
        """Whether each well (N,) is a negative control."""
        return np.asarray(self.um == 0)

    @cached_property
    def log_dose(self) -> Array:
        """Decimal logarithm of the dose (N,); minus infinity for controls."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(self.um))

    @cached_property
    def doses_um(self) -> Array:
        """The different doses (K,), ascending, micromolar."""
        return np.unique(self.um[~self.is_control])

    @cached_property
    def doses(self) -> Array:
        """The different doses (K,), ascending, as decimal logarithms."""
        return np.asarray(np.log10(self.doses_um))


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
    grid = _Grid.of(wells, _STEP)
    logistic = _fit_logistic(wells, grid) if len(wells.doses) >= _MIN_DOSES else None
    monotone = _fit_monotone(wells, wells.effect)
    use_logistic = logistic is not None and _criterion(wells, logistic(wells.log_dose), 4) <= (
        _criterion(wells, monotone(wells.log_dose), monotone.num_levels) + _MUCH_WORSE
    )
    fitted = logistic if use_logistic and logistic is not None else monotone
    expected = fitted(wells.log_dose)
    num_parameters = 4 if use_logistic else monotone.num_levels
    draws = _resampled(wells, expected, num_parameters, num_bootstraps, rng)
    drawn_at = np.linspace(wells.doses[0], wells.doses[-1], 41)
    if use_logistic:
        ec50s, curves = _grid_fits(grid, draws, drawn_at)
    else:
        fits = [_fit_monotone(wells, draw) for draw in draws]
        ec50s = np.array([fit.log_ec50() for fit in fits])
        curves = np.stack([fit(drawn_at) for fit in fits])
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    ec50 = fitted.log_ec50()
    active = _lowest_active(wells, wells.effect[None])[0]
    actives = _lowest_active(wells, draws)
    residual = float(((wells.effect - expected) ** 2).sum())
    total = float(((wells.effect - wells.effect.mean()) ** 2).sum())
    values = fitted(drawn_at)
    return Curve(
        LOGISTIC if use_logistic else MONOTONE,
        _inside(wells, ec50),
        _bound(wells, ec50s, 0.025),
        _bound(wells, ec50s, 0.975),
        _tested(wells, _inside(wells, active)),
        _tested(wells, _bound(wells, actives, 0.025)),
        _tested(wells, _bound(wells, actives, 0.975)),
        None if _inside(wells, ec50) else "below" if ec50 < wells.doses[0] else "above",
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
    grid = _Grid.of(wells, _COARSE_STEP)
    gain = grid.gains(responses).max(axis=1)
    total = ((responses - responses.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    rest = np.maximum(total - gain, 1e-12 * np.maximum(total, np.finfo(float).tiny))
    ratios = gain / rest
    return float(ratios[0]), ratios[1:]


@dataclass(frozen=True)
class _Logistic:
    log_half: float
    slope: float
    bottom: float
    span: float

    def __call__(self, log_dose: Array) -> Array:
        return self.bottom + self.span * _shape(log_dose, self.log_half, self.slope)

    def log_ec50(self) -> float:
        return self.log_half


@dataclass(frozen=True)
class _Monotone:
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


def _shape(log_dose: Array, log_half: Array | float, slope: Array | float) -> Array:
    """The logistic from 0 to 1."""
    power = np.clip(np.asarray(slope) * (np.asarray(log_half) - log_dose), -300, 300)
    return np.asarray(1 / (1 + 10**power))


@dataclass(frozen=True)
class _Grid:
    """Logistics of many EC50s and slopes at the wells. shapes: (G, N)."""

    log_half: Array
    slope: Array
    shapes: Array
    rises: bool

    @classmethod
    def of(cls, wells: Wells, step: float) -> "_Grid":
        doses = wells.doses
        halves = np.arange(doses[0] - _BEYOND, doses[-1] + _BEYOND + step / 2, step)
        log_half, slope = (a.ravel() for a in np.meshgrid(halves, _SLOPES, indexing="ij"))
        shapes = np.zeros((len(slope), len(wells.um)))  # those of the controls stay 0
        treated = wells.log_dose[~wells.is_control]
        shapes[:, ~wells.is_control] = _shape(treated, log_half[:, None], slope[:, None])
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


def _fit_logistic(wells: Wells, grid: "_Grid") -> _Logistic | None:
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
        return _Logistic(*parameters)(wells.log_dose) - wells.effect

    scale = np.maximum(np.abs(first), [0.1, 0.5, 0.1, 0.1])
    found = least_squares(residuals, np.clip(first, *limits), bounds=limits, x_scale=scale)
    return _Logistic(*(float(p) for p in found.x))


def _fit_monotone(wells: Wells, effect: Array) -> _Monotone:
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
    return _Monotone(wells.doses, np.asarray(fits[int(np.argmin(errors))]))


def _criterion(wells: Wells, expected: Array, num_parameters: int) -> float:
    """Schwarz's criterion of a fit; lower is better."""
    num = len(wells.effect)
    # A floor, since without noise both kinds of curve fit as well as numbers can tell.
    floor = 1e-6 * float(wells.effect.var()) + np.finfo(float).tiny
    residual = max(float(((wells.effect - expected) ** 2).mean()), floor)
    return num * float(np.log(residual)) + num_parameters * float(np.log(num))


def _resampled(
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


def _grid_fits(grid: _Grid, draws: Array, drawn_at: Array) -> tuple[Array, Array]:
    """Logarithms of the EC50 (B,) of resampled responses, and their curves at some doses."""
    best = grid.gains(draws).argmax(axis=1)
    bottom, span = grid.lines(draws, best)
    shapes = _shape(drawn_at[None, :], grid.log_half[best][:, None], grid.slope[best][:, None])
    return grid.log_half[best], bottom[:, None] + span[:, None] * shapes


def _lowest_active(wells: Wells, responses: Array) -> Array:
    """The lowest dose (B,) that differs from the controls, as all higher ones do; else infinite.

    Doses are tested from the highest downwards by t-tests of 5 %, one-sided towards the effect of
    the highest; the first that does not differ ends the sequence, so that no correction is needed.
    """
    from scipy.stats import t

    controls = responses[:, wells.is_control]
    means = np.stack([responses[:, wells.log_dose == d].mean(axis=1) for d in wells.doses], axis=1)
    counts = np.array([(wells.log_dose == d).sum() for d in wells.doses])
    own = wells.effect[wells.is_control]
    within = sum(float(np.square(e - e.mean()).sum()) for e in _replicates(wells))
    freedom = float((counts - 1).sum())
    variance = float(own.var(ddof=1))
    if freedom > 0:
        variance = max(variance, within / freedom)
    error = np.sqrt(variance * (1 / counts + 1 / len(own)))
    limit = t.ppf(1 - _SIGNIFICANT, len(own) - 1) * error
    shift = means - controls.mean(axis=1, keepdims=True)
    sign = np.ones((len(shift), 1)) if wells.rises else np.sign(shift[:, -1:])
    differs = shift * sign > limit
    from_top = np.logical_and.accumulate(differs[:, ::-1], axis=1).sum(axis=1)
    padded = np.append(wells.doses, np.inf)
    return np.asarray(padded[len(wells.doses) - from_top])


def _replicates(wells: Wells) -> list[Array]:
    return [wells.effect[wells.log_dose == dose] for dose in wells.doses]


def _inside(wells: Wells, log_dose: float) -> float | None:
    """A dose in micromolar; None outside the tested doses."""
    tiny = 1e-9
    if not wells.doses[0] - tiny <= log_dose <= wells.doses[-1] + tiny:
        return None
    return float(10**log_dose)


def _tested(wells: Wells, um: float | None) -> float | None:
    """The tested dose itself, without the rounding of its logarithm."""
    if um is None:
        return None
    return float(wells.doses_um[np.argmin(np.abs(wells.doses_um - um))])


def _bound(wells: Wells, log_doses: Array, share: float) -> float | None:
    """A quantile of resampled doses; None where it leaves the tested doses."""
    known = np.where(np.isnan(log_doses), np.inf, log_doses)
    ordered = np.sort(known)
    place = round(share * (len(ordered) - 1))
    return _inside(wells, float(ordered[place]))
