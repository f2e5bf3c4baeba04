"""Attribution finds the channel that a class differs in, and scores say what a channel is worth."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ttest_1samp
from sklearn.ensemble import RandomForestClassifier

from unidino.core.errors import ProfileError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.insight.attribution import attribute, channel_shares, mean_interval
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.profile import profile
from unidino.scores.accuracy import score
from unidino.scores.channels import fitting_metric, score_channels, subsets

MECHANISMS = {"topoisomerase inhibitor": "DNA", "actin disruptor": "Actin"}


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


def test_shares_are_the_count_that_anyone_would_write() -> None:
    features, is_member = _planted()
    forest = RandomForestClassifier(n_estimators=100, class_weight="balanced", random_state=4)
    forest.fit(features, is_member)
    ranked = sorted(range(120), key=lambda i: -forest.feature_importances_[i])[:50]
    count = [sum(i // 40 == channel for i in ranked) for channel in range(3)]
    shares = channel_shares(features, is_member, 3, top=50, seed=4)
    assert shares.tolist() == [c / 50 for c in count]


def test_features_that_no_tree_needs_do_not_count() -> None:
    features = np.zeros((20, 30), np.float32)
    is_member = np.arange(20) < 5
    np.testing.assert_array_equal(
        channel_shares(features, is_member, 3, top=9, seed=0), [1 / 3] * 3
    )
    features[is_member, 25] = 1
    np.testing.assert_array_equal(channel_shares(features, is_member, 3, top=9, seed=0), [0, 0, 1])


def test_the_interval_is_students() -> None:
    shares = np.array([[0.5, 0.1, 0.4], [0.6, 0.0, 0.4], [0.7, 0.1, 0.2]])
    mean, low, high = mean_interval(shares)
    np.testing.assert_allclose(mean, shares.mean(axis=0))
    for channel in range(3):
        want = ttest_1samp(shares[:, channel], 0).confidence_interval(0.95)
        assert low[channel] == pytest.approx(max(0, want.low))
        assert high[channel] == pytest.approx(min(1, want.high))
    assert mean_interval(shares[:1])[1:] == ([None] * 3, [None] * 3)


@pytest.fixture
def embedded(lake: Lake) -> Lake:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    return lake


@pytest.fixture
def planted(embedded: Lake) -> Lake:
    """The lake with profiles in which each mechanism differs in its channel."""
    profile(embedded)
    path = embedded.resolve(embedded.query("select uri from part where kind = 'profile'").item())
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table:
        vector = np.array(row["embedding"], np.float32).reshape(3, -1)
        if row["moa"] in MECHANISMS:
            vector[row["channels"].index(MECHANISMS[row["moa"]])] += 3
        row["embedding"] = vector.ravel().tolist()
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    return embedded


def test_the_planted_channel_is_first_for_every_class(planted: Lake) -> None:
    found = attribute(planted, "gaussian", top=20, num_seeds=3)
    assert found.shares.height == 2 * 3
    assert set(found.shares["expected"]) == {1 / 3}
    for _, own in found.shares.group_by("class"):
        assert own["share"].sum() == pytest.approx(1)
        assert own["num_profiles"].to_list() == [4] * 3
    best = found.shares.sort("share").group_by("class").last()
    # With two classes both channels tell them apart, and neither is in Tubulin.
    assert set(best["channel"]) <= {"DNA", "Actin"}
    assert found.shares.filter(channel="Tubulin")["share"].max() < 0.1
    low, mean, high = (found.shares[c] for c in ("share_low", "share", "share_high"))
    assert ((low <= mean) & (mean <= high)).all()
    landed = planted.query("select * from attribution")
    assert landed.height == 6
    columns = ["class", "channel", "share", "share_low", "share_high", "num_profiles", "top"]
    assert sorted(landed.select(columns).rows()) == sorted(found.shares.select(columns).rows())


def test_seeds_and_threads(planted: Lake) -> None:
    one = attribute(planted, "gaussian", top=20, num_seeds=1, seed=1, jobs=1).shares
    assert one["share_low"].null_count() == one.height
    alone = [attribute(planted, "gaussian", top=20, num_seeds=1, seed=s).shares for s in (1, 2)]
    both = attribute(planted, "gaussian", top=20, num_seeds=2, seed=1, jobs=2).shares
    np.testing.assert_allclose(both["share"], (alone[0]["share"] + alone[1]["share"]) / 2)
    assert one.equals(alone[0])


def test_controls_may_be_a_class(embedded: Lake) -> None:
    plain = attribute(embedded, "gaussian", label="compound", num_seeds=1).shares
    more = attribute(
        embedded, "gaussian", label="compound", num_seeds=1, include_controls=True
    ).shares
    assert set(more["class"]) - set(plain["class"]) == {"DMSO"}


def test_scores_of_channels_are_those_of_score(planted: Lake) -> None:
    found = score_channels(planted, "gaussian", ["nsc"])
    titles = ["all", "DNA only", "Actin only", "Tubulin only", "without DNA", "without Actin"]
    assert [s.subset for s in found] == [*titles, "without Tubulin"]
    for own in found:
        (want,) = score(planted, ["nsc"], models=["gaussian"], channels=own.score.channels)
        assert own.score.accuracy == want.accuracy
        if own.subset != "all":
            assert own.score.versus
            assert own.score.versus.difference == pytest.approx(
                own.score.accuracy - found[0].score.accuracy
            )
    by_name = {s.subset: s.score.accuracy for s in found}
    assert by_name["all"] == by_name["without Tubulin"] == 1
    assert by_name["Tubulin only"] < 1
    landed = planted.query("select channels from score")["channels"].to_list()
    assert ["DNA"] in landed
    assert ["Actin", "Tubulin"] in landed


def test_a_report_shows_all_channels_where_there_are_scores_of_some(planted: Lake) -> None:
    from unidino.scores.history import latest_scores

    score_channels(planted, "gaussian", ["nsc"])
    assert [s.channels for s in latest_scores(planted)] == [("DNA", "Actin", "Tubulin")]


def test_the_metric_fits_the_batches_and_the_label() -> None:
    def of(*batches: str | None) -> pa.Table:
        return pa.table({"batch": pa.array(batches, pa.string())})

    assert fitting_metric(of("1", "2"), "moa") == "nscb"
    assert fitting_metric(of("1", None), "moa") == "nsc"
    assert fitting_metric(of(None), "compound") == "nspw"
    assert fitting_metric(of("1", "2"), "compound") == "nsb"
    assert list(subsets(["A", "B"])) == ["all", "A only", "B only"]


def test_the_command_prints_both_tables(
    planted: Lake, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    at = ("attribute", "--lake", planted.path, "--model", "gaussian", "--seeds", 2, "--top", 20)
    status, out, _ = run_cli(*at, "--scores", "auto")
    assert status == 0
    assert "without Tubulin" in out
    lines = [line.split() for line in out.splitlines() if line.split()]
    assert lines[0] == ["dataset", "class", "num_profiles", "DNA", "Actin", "Tubulin"]
    status, out, _ = run_cli(*at, "--scores", "nsc,nscb", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [sum("class" in row for row in rows), sum("subset" in row for row in rows)] == [6, 14]
    status, out, err = run_cli(*at, "--scores", "nsbc")
    assert (status, out) == (1, "")
    assert "unknown metric 'nsbc'; choose one of nsb, nsc" in err


def test_what_has_no_channels_to_tell_apart_is_named(
    planted: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ProfileError, match="its features are all of the one channel 'DNA'"):
        attribute(planted, "gaussian", normalize="mad_robustize,channels=DNA")
    with pytest.raises(ProfileError, match="selected and belong to no channel; choose a norm"):
        attribute(planted, "gaussian", normalize="mad_robustize,select=variance")
    attribute(planted, "gaussian", normalize="spherize", num_seeds=1)
    assert "'spherize' makes a feature of several channels" in caplog.text
    with pytest.raises(ProfileError, match="no dataset has two channels or more"):
        score_channels(planted, "gaussian", normalize="mad_robustize,channels=DNA")
    assert "tiny has the one channel 'DNA'" in caplog.text


def test_plates_of_other_channels_are_attributed_apart(planted: Lake) -> None:
    path = planted.resolve(planted.query("select uri from part where kind = 'profile'").item())
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table[6:]:
        row["channels"], row["embedding"] = ["DNA", "Actin"], row["embedding"][:768]
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    found = attribute(planted, "gaussian", num_seeds=1).shares
    assert found.group_by("expected").len().sort("expected").rows() == [(1 / 3, 6), (1 / 2, 4)]
    with pytest.raises(ProfileError, match="no dataset has two channels or more that all"):
        score_channels(planted, "gaussian")


def test_a_label_that_nothing_has_is_named(embedded: Lake) -> None:
    with pytest.raises(UnidinoError, match="two classes of target with two profiles or more, and"):
        attribute(embedded, "gaussian", label="target")
    with pytest.raises(UnidinoError, match="unknown label 'colour'"):
        attribute(embedded, "gaussian", label="colour")
    with pytest.raises(UnidinoError, match="--seeds is 0; it must be at least 1"):
        attribute(embedded, "gaussian", num_seeds=0)


def test_a_class_needs_others_to_be_told_from(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    with pytest.raises(ProfileError, match="no class of moa has 2 profiles and 2 others"):
        attribute(
            lake,
            "gaussian",
            where="moa = 'actin disruptor' or well = 'B02' and plate = 'tiny_b1_p1'",
            num_seeds=1,
        )
