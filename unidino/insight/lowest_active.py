"""The lowest dose that differs from the negative controls.

Shapes: N wells with the controls, B responses.
"""

import numpy as np

from unidino.insight.responses import Array, Wells

_SIGNIFICANT = 0.05


def lowest_active(wells: Wells, responses: Array) -> Array:
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
