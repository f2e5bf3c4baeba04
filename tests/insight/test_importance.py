"""Shares by channel equal plain counts of the most important features."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.ensemble import RandomForestClassifier

from unidino.insight.importance import channel_shares, student_interval


def _planted(num: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Three channels of 40 features; the first quarter of the profiles differs in the second."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num, 3 * 40)).astype(np.float32)
    is_member = np.arange(num) < num // 4
    features[is_member, 40:80] += 1.5
    return features, is_member


def test_the_planted_channel_has_the_most_important_features() -> None:
    features, is_member = _planted()
    shares = channel_shares(features, is_member, 3, top=30, seed=0)
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == 1
    assert shares[1] > 0.9
    again = channel_shares(features, is_member, 3, top=30, seed=0)
    np.testing.assert_array_equal(shares, again)


def test_shares_equal_a_plain_count() -> None:
    features, is_member = _planted()
    forest = RandomForestClassifier(n_estimators=100, class_weight="balanced", random_state=4)
    forest.fit(features, is_member)
    ranked = sorted(range(120), key=lambda i: -forest.feature_importances_[i])[:50]
    count = [sum(i // 40 == channel for i in ranked) for channel in range(3)]
    shares = channel_shares(features, is_member, 3, top=50, seed=4)
    assert shares.tolist() == [c / 50 for c in count]


def test_features_that_no_tree_uses_do_not_count() -> None:
    features = np.zeros((20, 30), np.float32)
    is_member = np.arange(20) < 5
    np.testing.assert_array_equal(
        channel_shares(features, is_member, 3, top=9, seed=0), [1 / 3] * 3
    )
    features[is_member, 25] = 1
    np.testing.assert_array_equal(channel_shares(features, is_member, 3, top=9, seed=0), [0, 0, 1])


def test_the_interval_is_of_students_t() -> None:
    shares = np.array([[0.5, 0.1, 0.4], [0.6, 0.0, 0.4], [0.7, 0.1, 0.2]])
    mean, low, high = student_interval(shares)
    np.testing.assert_allclose(mean, shares.mean(axis=0))
    for channel in range(3):
        want = ttest_1samp(shares[:, channel], 0).confidence_interval(0.95)
        assert low[channel] == pytest.approx(max(0, want.low))
        assert high[channel] == pytest.approx(min(1, want.high))
    assert student_interval(shares[:1])[1:] == ([None] * 3, [None] * 3)
