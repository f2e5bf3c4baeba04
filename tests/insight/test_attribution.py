"""Attribution finds the channel that a class differs in, and scores say what a channel is worth."""

import inspect
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.insight.attribution import attribute, by_channel
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.channels import fitting_metric, score_channels, subsets

GAUSSIAN = Selection(models=["gaussian"])
MECHANISMS = {"topoisomerase inhibitor": "DNA", "actin disruptor": "Actin"}


@pytest.fixture
def planted(profiled_lake: Lake) -> Lake:
    """The lake with profiles in which each mechanism differs in its channel."""
    path = profiled_lake.resolve(
        profiled_lake.query("select uri from part where kind = 'profile'").item()
    )
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table:
        vector = np.array(row["embedding"], np.float32).reshape(3, -1)
        if row["moa"] in MECHANISMS:
            vector[row["channels"].index(MECHANISMS[row["moa"]])] += 3
        row["embedding"] = vector.ravel().tolist()
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    profiled_lake.execute("delete from file")  # else the profiles are made again
    return profiled_lake


def test_the_planted_channel_is_first_for_every_class(planted: Lake) -> None:
    shares = attribute(planted, GAUSSIAN, top=20, num_seeds=3).frame
    assert shares.height == 2 * 3
    assert set(shares["expected"]) == {1 / 3}
    for _, rows in shares.group_by("class"):
        assert rows["share"].sum() == pytest.approx(1)
        assert rows["num_profiles"].to_list() == [4] * 3
    best = shares.sort("share").group_by("class").last()
    # With two classes both channels tell them apart, and neither is in Tubulin.
    assert set(best["channel"]) <= {"DNA", "Actin"}
    assert shares.filter(channel="Tubulin")["share"].max() < 0.1
    low, mean, high = (shares[c] for c in ("share_low", "share", "share_high"))
    assert ((low <= mean) & (mean <= high)).all()
    landed = planted.query("select * from attribution")
    assert landed.height == 6
    columns = ["class", "channel", "share", "share_low", "share_high", "num_profiles", "top"]
    assert sorted(landed.select(columns).rows()) == sorted(shares.select(columns).rows())


def test_seeds_and_processes(planted: Lake) -> None:
    one = attribute(planted, GAUSSIAN, top=20, num_seeds=1, seed=1, jobs=1).frame
    assert one["share_low"].null_count() == one.height
    alone = [attribute(planted, GAUSSIAN, top=20, num_seeds=1, seed=s).frame for s in (1, 2)]
    both = attribute(planted, GAUSSIAN, top=20, num_seeds=2, seed=1, jobs=2).frame
    np.testing.assert_allclose(both["share"], (alone[0]["share"] + alone[1]["share"]) / 2)
    assert one.equals(alone[0])


def test_the_run_and_the_question_say_what_was_asked(profiled_lake: Lake) -> None:
    attribute(profiled_lake, GAUSSIAN, num_seeds=1)
    (arguments,) = profiled_lake.query("select arguments from run where command = 'attribute'")[
        "arguments"
    ]
    assert set(json.loads(arguments)) == set(inspect.signature(attribute).parameters) - {"lake"}
    trt = Selection(models=["gaussian"], where="control_type = 'trt'", channels=["DNA", "Actin"])
    attribute(profiled_lake, trt, num_seeds=1)
    asked = profiled_lake.query("select distinct question, question_hash from attribution")
    standard = {
        "kind": "attribution",
        "label": "moa",
        "level": "well",
        "normalize": "mad_robustize",
        "num_seeds": 1,
    }
    questions = sorted(map(json.loads, asked["question"]), key=len)
    assert questions == [
        standard,
        standard | {"where": "control_type = 'trt'", "channels": ["DNA", "Actin"]},
    ]
    assert asked["question_hash"].n_unique() == 2


def test_controls_may_be_a_class(profiled_lake: Lake) -> None:
    plain = attribute(profiled_lake, GAUSSIAN, label="compound", num_seeds=1).frame
    more = attribute(
        profiled_lake, GAUSSIAN, label="compound", num_seeds=1, include_controls=True
    ).frame
    assert set(more["class"]) - set(plain["class"]) == {"DMSO"}


def test_scores_of_channels_are_those_of_score(planted: Lake) -> None:
    found = score_channels(planted, GAUSSIAN, ["nsc"])
    titles = ["all", "DNA only", "Actin only", "Tubulin only", "without DNA", "without Actin"]
    assert [s.subset for s in found] == [*titles, "without Tubulin"]
    for one in found:
        (want,) = score(planted, ["nsc"], replace(GAUSSIAN, channels=one.score.channels))
        assert one.score.accuracy == want.accuracy
        if one.subset != "all":
            assert one.score.versus
            assert one.score.versus.difference == pytest.approx(
                one.score.accuracy - found[0].score.accuracy
            )
    by_name = {s.subset: s.score.accuracy for s in found}
    assert by_name["all"] == by_name["without Tubulin"] == 1
    assert by_name["Tubulin only"] < 1
    landed = planted.query("select channels from score")["channels"].to_list()
    assert ["DNA"] in landed
    assert ["Actin", "Tubulin"] in landed


def test_a_report_shows_all_channels_where_there_are_scores_of_some(planted: Lake) -> None:
    from unidino.scores.history import latest_scores

    score_channels(planted, GAUSSIAN, ["nsc"])
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
    assert "unknown metric 'nsbc'; choose one of any, nsb, nsc" in err


def test_what_has_no_channels_to_tell_apart_is_named(
    planted: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ProfileError, match="its features are all of the one channel 'DNA'"):
        attribute(planted, replace(GAUSSIAN, normalize="mad_robustize,channels=DNA"))
    with pytest.raises(ProfileError, match="selected and belong to no channel; choose a norm"):
        attribute(
            planted, Selection(models=["gaussian"], normalize="mad_robustize,select=variance")
        )
    attribute(planted, replace(GAUSSIAN, normalize="spherize"), num_seeds=1)
    assert "'spherize' mixes features of several channels" in caplog.text
    with pytest.raises(ProfileError, match="no dataset has two channels or more"):
        score_channels(planted, replace(GAUSSIAN, normalize="mad_robustize,channels=DNA"))
    assert "tiny has the one channel 'DNA'" in caplog.text


def test_plates_of_other_channels_are_attributed_apart(planted: Lake) -> None:
    path = planted.resolve(planted.query("select uri from part where kind = 'profile'").item())
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table[6:]:
        row["channels"], row["embedding"] = ["DNA", "Actin"], row["embedding"][:768]
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    found = attribute(planted, GAUSSIAN, num_seeds=1)
    counts = found.frame.group_by("expected").len().sort("expected")
    assert counts.rows() == [(1 / 3, 6), (1 / 2, 4)]
    table = by_channel(found)
    assert table.height == 2 + 2
    assert table["Tubulin"].null_count() == 2
    assert table.select(pl.sum_horizontal("DNA", "Actin", "Tubulin")).to_series().to_list() == (
        pytest.approx([1] * 4, abs=0.002)
    )
    with pytest.raises(ProfileError, match="no dataset has two channels or more that all"):
        score_channels(planted, GAUSSIAN)


def test_a_label_that_nothing_has_is_named(profiled_lake: Lake) -> None:
    with pytest.raises(UnidinoError, match="two classes of target with two profiles or more, and"):
        attribute(profiled_lake, GAUSSIAN, label="target")
    with pytest.raises(UnidinoError, match="unknown label 'colour'"):
        attribute(profiled_lake, GAUSSIAN, label="colour")
    with pytest.raises(UnidinoError, match="--seeds is 0; it must be at least 1"):
        attribute(profiled_lake, GAUSSIAN, num_seeds=0)


def test_a_class_needs_others_to_be_told_from(profiled_lake: Lake) -> None:
    where = "moa = 'actin disruptor' or well = 'B02' and plate = 'tiny_b1_p1'"
    with pytest.raises(ProfileError, match="no class of moa has 2 profiles and 2 others"):
        attribute(profiled_lake, replace(GAUSSIAN, where=where), num_seeds=1)
