"""Attribution finds the channel that a class differs in."""

import numpy as np
import pytest

from unidino import systems
from unidino.attribution import attribute, channel_shares
from unidino.catalog import Lake
from unidino.embed import embed
from unidino.errors import UnidinoError


def test_the_planted_channel_has_the_most_important_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 3 * 40)).astype(np.float32)
    is_member = np.arange(80) < 20
    features[is_member, 40:80] += 1.5
    shares = channel_shares(features, is_member, 3, top=30, seed=0)
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == 1
    assert shares[1] > 0.9
    again = channel_shares(features, is_member, 3, top=30, seed=0)
    np.testing.assert_array_equal(shares, again)


def test_shares_are_given_for_every_class_and_channel(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    found = attribute(lake, "gaussian", top=20).shares
    assert found.height == 2 * 3
    assert set(found["class"]) == {"topoisomerase inhibitor", "actin disruptor"}
    assert found.group_by("class").agg(found["share"].sum()).height == 2
    assert set(found["expected"]) == {1 / 3}


def test_a_label_that_nothing_has_is_named(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    with pytest.raises(UnidinoError, match="no dataset has two classes of target"):
        attribute(lake, "gaussian", label="target")
    with pytest.raises(UnidinoError, match="unknown label 'colour'"):
        attribute(lake, "gaussian", label="colour")
