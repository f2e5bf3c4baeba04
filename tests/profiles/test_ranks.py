"""Inverse normal transformation: normal quantiles of ranks; equal values share their ranks."""

from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from unidino.core.errors import InputError
from unidino.profiles.form import ProfileForm
from unidino.profiles.steps import normalize_profiles


def _naive(values: list[float]) -> list[float]:
    """Blom's quantiles, value by value."""
    num = len(values)
    out = []
    for value in values:
        smaller = sum(other < value for other in values)
        equal = sum(other == value for other in values)
        rank = smaller + (equal + 1) / 2
        out.append(NormalDist().inv_cdf((rank - 3 / 8) / (num + 1 / 4)))
    return out


@settings(max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=30), st.integers(0, 20))
def test_ranks_of_a_plate_become_quantiles(column: list[int], seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=len(column))
    vectors = np.stack([np.array(column, float), other], axis=1)
    frame = pl.DataFrame({"plate": ["p"] * len(column)})
    got = normalize_profiles(frame, vectors, "inverse_normal")
    np.testing.assert_allclose(got[:, 0], _naive(column), atol=1e-12)
    np.testing.assert_allclose(got[:, 1], _naive(other.tolist()), atol=1e-12)


def test_plates_are_ranked_apart_and_missing_values_stay_missing() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.gamma(1, size=(40, 3))
    vectors[20:] += 100
    vectors[3, 1] = np.nan
    frame = pl.DataFrame({"plate": ["a"] * 20 + ["b"] * 20})
    got = normalize_profiles(frame, vectors, "inverse_normal")
    for rows in (slice(0, 20), slice(20, 40)):
        assert spearmanr(got[rows, 0], vectors[rows, 0]).statistic == pytest.approx(1)
        assert got[rows, 0].mean() == pytest.approx(0, abs=1e-12)
    assert np.flatnonzero(np.isnan(got)).tolist() == [10]
    ranks = rankdata(np.delete(vectors[:20, 1], 3))
    want = [NormalDist().inv_cdf((r - 0.375) / 19.25) for r in ranks]
    np.testing.assert_allclose(np.delete(got[:20, 1], 3), want)
    whole = normalize_profiles(
        frame.with_columns(dataset=pl.lit("d")), vectors, "inverse_normal,per=dataset"
    )
    assert whole[20:, 0].min() > whole[:20, 0].max()


def test_wells_are_ranked_among_the_controls_if_so_asked() -> None:
    frame = pl.DataFrame({"plate": ["p"] * 6, "control_type": ["negcon"] * 4 + ["trt"] * 2})
    vectors = np.array([[1.0], [2.0], [3.0], [4.0], [2.5], [99.0]])
    got = normalize_profiles(frame, vectors, "inverse_normal,controls=negcon")[:, 0]
    assert got[4] == pytest.approx(0, abs=1e-12)
    assert got[5] == pytest.approx(NormalDist().inv_cdf((4.5 - 0.375) / 4.25))
    assert got[3] < got[5] < 3


def test_it_keeps_no_statistics() -> None:
    with pytest.raises(InputError, match="inverse_normal keeps no statistics"):
        ProfileForm.parse("inverse_normal,statistics=01234567")
    assert not ProfileForm.parse("inverse_normal").mixes_features
