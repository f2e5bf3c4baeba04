"""Values that vectors tell are predicted, noise is not; areas equal the formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.insight.regression import REGRESSORS, area, area_interval, fold_r2, survival


@given(st.lists(st.floats(-2, 1), min_size=1, max_size=20))
def test_survival_and_its_area_are_the_sums_written_out(values: list[float]) -> None:
    shares = [sum(v >= i / 200 for v in values) / len(values) for i in range(201)]
    curve = survival(np.array(values))
    assert curve["threshold"].to_list() == [i / 200 for i in range(201)]
    assert curve["share"].to_list() == pytest.approx(shares)
    trapezoids = sum((shares[i] + shares[i + 1]) / 2 * 0.005 for i in range(200))
    assert area(np.array(values)) == pytest.approx(trapezoids)


def test_areas_of_extremes() -> None:
    assert area(np.ones(4)) == pytest.approx(1)
    assert area(np.array([-0.1, -3])) == 0
    assert area(np.zeros(4)) == pytest.approx(0.0025)
    low, high = area_interval(np.array([0.1, 0.2, 0.3, 0.8] * 5))
    assert low < area(np.array([0.1, 0.2, 0.3, 0.8])) < high
    assert area_interval(np.full(5, 0.5)) == pytest.approx((0.5025, 0.5025), abs=1e-6)


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_what_the_vectors_tell_is_predicted_and_noise_is_not(regressor: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(100, 5))
    told = fold_r2(vectors, 100 + 7 * vectors[:, 0], regressor)
    noise = fold_r2(vectors, rng.normal(size=100), regressor)
    assert told.shape == noise.shape == (5,)
    assert told.min() > 0.85
    assert np.maximum(noise, 0).mean() < 0.1
