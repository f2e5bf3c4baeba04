"""How well vectors predict a number, by cross-validation, and a summary of many such numbers.

Shapes: N profiles, D features, F folds, R readouts. Sources: Morelli et al. 2025, section 2.3.3 and
its published program; Way et al. 2021, doi 10.1091/mbc.E20-12-0784 (elastic net).
"""

import warnings
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.choices import Regressor
from unidino.core.statistics import mean_interval

REGRESSORS: tuple[Regressor, ...] = get_args(Regressor)
_NUM_TREES = 100
_MIN_LEAF_SHARE = 0.01
# The penalties of Way et al. and 5 of their 11 mixtures; adjacent mixtures score nearly the same.
_PENALTIES = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_MIXTURES = (0.1, 0.3, 0.5, 0.7, 0.9)
_THRESHOLDS = np.arange(201) / 200


def fold_r2(
    vectors: NDArray[Any],
    values: NDArray[np.float64],
    regressor: str = "random_forest",
    *,
    num_folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """R2 (F,) of predictions for each fold by a regressor that was fitted on the other folds.

    vectors: (N, D), finite. values: (N,), any unit, finite. The seed shuffles the folds.
    """
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    predict = _forest_predictions if regressor == "random_forest" else _elastic_net_predictions
    scores = []
    for fitted, held in KFold(num_folds, shuffle=True, random_state=seed).split(vectors):
        predicted = predict(vectors[fitted], values[fitted], vectors[held], seed)
        scores.append(r2_score(values[held], predicted))
    return np.array(scores)


def _forest_predictions(
    vectors: NDArray[Any], values: NDArray[np.float64], held: NDArray[Any], seed: int
) -> NDArray[np.float64]:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        _NUM_TREES, min_samples_leaf=_MIN_LEAF_SHARE, random_state=seed, n_jobs=1
    )
    return np.asarray(forest.fit(vectors, values).predict(held))


def _elastic_net_predictions(
    vectors: NDArray[Any], values: NDArray[np.float64], held: NDArray[Any], seed: int
) -> NDArray[np.float64]:
    """Predictions with the penalty and mixture that do best in five folds of the fitted values."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import ElasticNetCV
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(vectors)
    centre, spread = values.mean(), values.std() or 1.0
    inner = KFold(min(5, len(values)), shuffle=True, random_state=seed)
    net = ElasticNetCV(
        l1_ratio=_MIXTURES, alphas=_PENALTIES, cv=inner, max_iter=2000, tol=1e-3, n_jobs=1
    )
    with warnings.catch_warnings():
        # Fits with small penalties may not converge; the folds judge their predictions anyway.
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(scaler.transform(vectors), (values - centre) / spread)
    return np.asarray(net.predict(scaler.transform(held)) * spread + centre)


def survival(r2: NDArray[np.float64]) -> pl.DataFrame:
    """S_t: the share of readouts with an R2 of at least t, in columns threshold and share.

    r2: (R,). Thresholds go from 0 to 1 in steps of 0.005.
    """
    ascending = np.sort(r2)
    num_below = np.searchsorted(ascending, _THRESHOLDS, side="left")
    share = (len(ascending) - num_below) / len(ascending)
    return pl.DataFrame({"threshold": _THRESHOLDS, "share": share})


def area(r2: NDArray[np.float64]) -> float:
    """AUC_S: the area under `survival`, by the trapezoidal rule.

    r2: (R,). A single readout with R2 = 0 has the area 0.0025, with R2 < 0 the area 0.
    """
    share = survival(r2)["share"].to_numpy()
    return float((share.sum() - (share[0] + share[-1]) / 2) / (len(share) - 1))


def area_interval(r2: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of `area`: bootstrap over the readouts."""
    # The area of several readouts is the mean of the areas of each.
    areas = np.array([area(r2[i : i + 1]) for i in range(len(r2))])
    return mean_interval(areas)
