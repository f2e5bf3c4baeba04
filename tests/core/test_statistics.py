"""Spread and intervals equal plain computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from unidino.core.statistics import mean_interval, median_and_mad


@given(st.integers(0, 100), st.integers(1, 30))
def test_spread_is_scipys(seed: int, num: int) -> None:
    samples = np.random.default_rng(seed).normal(size=(3, num))
    centre, spread = median_and_mad(samples.copy())
    np.testing.assert_allclose(centre, np.median(samples, axis=1))
    want = 1.4826 * median_abs_deviation(samples, axis=1)
    np.testing.assert_allclose(spread, want, rtol=1e-12)


def test_missing_values_are_left_out() -> None:
    samples = np.array([[1.0, np.nan, 3.0, 5.0]])
    centre, spread = median_and_mad(samples)
    assert (centre[0], spread[0]) == (3.0, pytest.approx(1.4826 * 2))


def test_values_of_one_group_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    values = rng.normal(size=20)[groups]
    low, high = mean_interval(values, groups)
    alone_low, alone_high = mean_interval(values)
    assert high - low > 2 * (alone_high - alone_low)
    assert low < values.mean() < high
    assert mean_interval(values, groups) == (low, high)


def test_equal_values_have_no_interval() -> None:
    assert mean_interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_the_median_of_rows_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    for kind in (np.float32, np.float64):
        for num in (1, 2, 3, 24, 25, 400):
            rows = (rng.normal(size=(60, num)) * 1e30).astype(kind)
            rows[::3] = rng.normal(size=(20, num)).round(1)
            rows[5] = 0
            rows[7, 0] = np.nan if num > 1 else 0
            centre = np.nanmedian(rows, axis=1)
            spread = 1.4826 * np.nanmedian(np.abs(rows - centre[:, None]), axis=1)
            for some in (slice(None), slice(8, None)):  # with a missing value, and without
                got = median_and_mad(rows[some].copy())
                np.testing.assert_array_equal(got[0], centre[some])
                np.testing.assert_array_equal(got[1], spread[some])
