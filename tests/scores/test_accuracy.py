"""Scores are the published ones on the published input, and say what bounds them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score, score_profiles
from unidino.scores.question import Question
from unidino.scores.rules import default_label, metrics, rule_sql


@pytest.fixture(scope="module")
def screen(parity: Path) -> tuple[pa.Table, np.ndarray]:
    """600 wells with 48 features, and their metadata."""
    table = pq.read_table(parity / "screen.parquet")
    vectors = np.stack([table[f"emb{i}"].to_numpy() for i in range(48)], axis=1)
    return table, vectors


@pytest.mark.parametrize("metric", ["nsc", "nscb", "nscp", "nspw", "nsb", "nss"])
def test_both_readings_equal_the_published_accuracies(screen, parity: Path, metric: str) -> None:
    expected = json.loads((parity / "screen_accuracies.json").read_text())
    label = default_label(metric)
    name = f"{metric.upper()} {label}/well"
    by_text = score_profiles(*screen, Question(metric, "text", label=label))
    assert by_text.accuracy == expected["paper_text"][name]["accuracy"]
    assert by_text.num_without_neighbour == expected["paper_text"][name]["without_neighbour"]
    by_code = score_profiles(*screen, Question(metric, "published", label=label))
    assert by_code.accuracy == expected["published_code"][name]
    assert (by_text.n, by_code.n) == (600, 600)


def _profiles(rows: list[tuple[str, str, str]]) -> pa.Table:
    """Compound, moa and batch of each profile."""
    return pa.Table.from_pylist(
        [
            {"profile_id": i, "compound": c, "moa": m, "batch": b, "control_type": "trt"}
            for i, (c, m, b) in enumerate(rows)
        ]
    )


def test_bounds_by_hand() -> None:
    table = _profiles(
        [("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1"), ("d", "y", "2"), ("e", "y", "2")]
    )
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.05]], dtype=np.float32)
    got = score_profiles(table, vectors, Question("nscb", label="moa"))
    # Eligible: 0 and 2 see {1, 3, 4}; 1, 3 and 4 see {0, 2}. Nearest: 4, 0, 3, 2, 0.
    assert got.accuracy == pytest.approx(3 / 5)
    assert got.chance == pytest.approx((1 / 3 + 1 / 2 + 2 / 3 + 1 / 2 + 1 / 2) / 5)
    assert (got.ceiling, got.n, got.num_classes, got.num_without_neighbour) == (1, 5, 2, 0)
    assert got.interval_95 is not None
    assert got.interval_95[0] <= 3 / 5 <= got.interval_95[1]


def test_labels_that_no_neighbour_could_have_are_dropped_and_counted() -> None:
    table = _profiles(
        [
            *(("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1"), ("d", "y", "2")),
            *(("e", "lonely", "1"), ("e", "lonely", "2"), ("f", "local", "1"), ("g", "local", "1")),
        ]
    )
    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    assert score_profiles(table, vectors, Question("nsc", label="moa")).dropped == {
        "label_in_one_compound": 2
    }
    got = score_profiles(table, vectors, Question("nscb", label="moa"))
    assert got.dropped == {"label_in_one_compound": 2, "label_in_one_batch": 2}
    assert got.n == 4


def test_controls_missing_labels_and_zero_vectors_are_dropped_and_counted() -> None:
    rows = [("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1"), ("d", "y", "2")]
    table = _profiles([*rows, ("z", "x", "1"), ("n", "x", "1"), ("DMSO", "x", "1")])
    kinds = pa.array(["trt"] * 6 + ["negcon"])
    table = table.set_column(table.column_names.index("control_type"), "control_type", kinds)
    moas = table["moa"].to_pylist()
    moas[5] = None
    table = table.set_column(table.column_names.index("moa"), "moa", pa.array(moas))
    vectors = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    vectors[4] = 0
    got = score_profiles(table, vectors, Question("nsc", label="moa"))
    assert got.dropped == {"control": 1, "no_label": 1, "zero_vector": 1}
    assert got.n == 4


def test_profiles_without_neighbours_are_left_out_or_wrong(tmp_path: Path) -> None:
    table = _profiles([(c, m, "1") for c, m in zip("abcde", "xxyyy", strict=True)])
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1]], dtype=np.float32)
    rule = """
        select profile_id, 'k' as reason, 'k' || profile_id as key
        from candidate where profile_id < 4
        union all
        select 4 as profile_id, 'k' as reason, 'k' || range as key from range(4)
    """
    (tmp_path / "rule.sql").write_text(rule)
    question = Question(str(tmp_path / "rule.sql"), label="moa")
    kept = score_profiles(table, vectors, question)
    assert (kept.n, kept.num_without_neighbour, kept.accuracy) == (4, 1, 1)
    wrong = score_profiles(table, vectors, replace(question, unmatched="wrong"))
    assert (wrong.n, wrong.num_without_neighbour, wrong.accuracy) == (5, 1, 4 / 5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "x", "1"), ("b", "x", "2")], "all 2 profiles left have the moa 'x'"),
        (
            [("a", "x", "1"), ("b", "y", "2")],
            "no profile is left .*2 profiles have a label that only one",
        ),
        ([("a", "x", None), ("b", "x", None)], "no profile has a batch"),
    ],
)
def test_what_cannot_be_scored_says_why(rows, message: str) -> None:
    vectors = np.eye(2, dtype=np.float32)
    with pytest.raises(ProfileError, match=message):
        score_profiles(_profiles(rows), vectors, Question("nscb", label="moa"))


def test_rules_by_name_column_and_file(tmp_path: Path) -> None:
    assert set(metrics()) == {"any", "nsc", "nscb", "nscp", "nspw", "nsb", "nss"}
    with pytest.raises(UnidinoError) as caught:
        rule_sql("nsbc")
    assert str(caught.value) == (
        "unknown metric 'nsbc'; choose one of any, nsb, nsc, nscb, nscp, nspw, nss"
    )
    with pytest.raises(UnidinoError, match="unknown reading 'loose'"):
        rule_sql("nsc", "loose")
    with pytest.raises(UnidinoError, match="unknown column 'colour'"):
        rule_sql("not same compound, colour")
    with pytest.raises(InputError, match="no such rule file"):
        rule_sql(str(tmp_path / "mine.sql"))
    (tmp_path / "mine.sql").write_text(rule_sql("nscb"))
    assert rule_sql(str(tmp_path / "mine.sql")) == rule_sql("nscb")


def test_a_rule_on_the_spot_is_the_named_one(screen) -> None:
    assert score_profiles(
        *screen, Question("not same compound, batch", label="moa")
    ) == score_profiles(*screen, "nscb")


def test_a_rule_that_fails_is_an_input_error(screen, tmp_path: Path) -> None:
    (tmp_path / "rule.sql").write_text("select nothing from candidate")
    with pytest.raises(InputError, match="the rule fails"):
        score_profiles(*screen, Question(str(tmp_path / "rule.sql"), label="moa"))
    with pytest.raises(InputError, match="the rule fails"):
        Question(str(tmp_path / "rule.sql"))
    (tmp_path / "rule.sql").write_text("select 1 as a from candidate")
    with pytest.raises(InputError, match="no column 'profile_id'; it must give profile_id, reason"):
        Question(str(tmp_path / "rule.sql"))
    (tmp_path / "rule.sql").write_bytes(b"select '\xff'")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        Question(str(tmp_path / "rule.sql"))


@pytest.mark.anywhere
def test_scores_land_in_the_lake(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    results = score(lake, ["nsc", "nsb"])
    assert [(s.metric, s.label, s.n) for s in results] == [
        ("nsc", "moa", 8),
        ("nsb", "compound", 8),
    ]
    rows = lake.query("select metric, accuracy, n, channels, run_id from score order by metric")
    assert rows["metric"].to_list() == ["nsb", "nsc"]
    assert rows["accuracy"].to_list() == [results[1].accuracy, results[0].accuracy]
    assert rows["channels"].to_list()[0] == ["DNA", "Actin", "Tubulin"]
    run = lake.query(
        "select command, ended is not null from run where run_id = $id", {"id": rows["run_id"][0]}
    )
    assert run.row(0) == ("score", True)


@pytest.mark.anywhere(remote="slow")
def test_channels_choose_slices_without_embedding_again(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    single = score(lake, "nsb", Selection(channels=["Actin"]))[0]
    assert single.channels == ("Actin",)
    with pytest.raises(UnidinoError, match="unknown channel 'Mito'; choose one of DNA, Actin"):
        score(lake, "nsb", Selection(channels=["Mito"]))


@pytest.mark.anywhere(remote="slow")
def test_where_narrows_and_fails_clearly(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    narrowed = score(lake, "nsb", Selection(where="moa = 'actin disruptor'"))
    assert narrowed[0].n == 4
    with pytest.raises(InputError, match="--where"):
        score(lake, "nsb", Selection(where="colour = 1"))


def test_labels_that_none_can_match_may_stay_as_decoys() -> None:
    table = _profiles([("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1"), ("d", "z", "1")])
    vectors = np.array([[1, 0], [1, 0.3], [1, 0.1], [0, 1]], dtype=np.float32)
    without = score_profiles(table, vectors, Question("nsc", label="moa", label_filter="none"))
    assert (without.n, without.accuracy, without.ceiling) == (4, 0, 0.5)
    decoys = score_profiles(table, vectors, Question("nsc", label="moa", label_filter="decoys"))
    assert (decoys.n, decoys.accuracy, decoys.ceiling) == (2, 0, 1)
    assert decoys.dropped == {"label_in_one_compound": 2}


def test_several_neighbours_vote() -> None:
    table = _profiles([(c, m, "1") for c, m in zip("abcdef", "xxyyyx", strict=True)])
    angles = np.array([0, 0.1, 0.15, 0.21, 0.22, 0.5])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    one = score_profiles(table, vectors, Question("nsc", label="moa"))
    three = score_profiles(table, vectors, Question("nsc", label="moa", neighbours=3))
    # Nearest: b c b e d e; of three: b's are c a d and c's b d e, by the labels y x y and x y y.
    assert one.outcome["correct"].to_list() == [True, False, False, True, True, False]
    assert three.outcome["correct"].to_list() == [False, False, True, True, True, False]


@pytest.mark.anywhere(remote="slow")
def test_models_are_compared_on_the_same_profiles(lake: Lake) -> None:
    for seed, name in enumerate(("gaussian", "noise")):
        baselines.create_model(lake, "gaussian", name, seed=seed)
        embed(lake, name)
    first, second = score(lake, ["nsb"])
    assert first.versus is None
    assert second.versus.model == "gaussian"
    assert second.versus.difference == pytest.approx(second.accuracy - first.accuracy)
    assert second.versus.n == 8
    low, high = second.versus.interval_95
    assert low <= second.versus.difference <= high
    assert score(lake, "nsb", Selection(["noise", "gaussian"]))[1].versus.model == "noise"
    two_questions = score(lake, ["nsb", Question("nsb", neighbours=3)], Selection(["noise"]))
    assert [s.versus for s in two_questions] == [None, None]
    row = lake.query(
        "select versus, difference, difference_low from score where model = 'noise'"
        " and versus is not null"
    )
    assert row.row(0) == ("gaussian", second.versus.difference, low)


def test_a_bootstrap_over_compounds_is_wider_than_one_over_wells() -> None:
    """Ten wells of a compound are one observation."""
    rng = np.random.default_rng(0)
    rows = [(f"c{c}", f"m{c % 2}", str(w)) for c in range(8) for w in range(10)]
    vectors = rng.normal(size=(8, 4))[np.repeat(np.arange(8), 10)] + 0.01 * rng.normal(size=(80, 4))
    got = score_profiles(_profiles(rows), vectors, Question("nsc", label="moa"))
    share = got.accuracy
    by_wells = 2 * 1.96 * np.sqrt(share * (1 - share) / 80)
    assert got.interval_95[1] - got.interval_95[0] > 1.8 * by_wells


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "nsc", "--label", "target"), "no profile is left to score by target"),
        (("--metric", "nsc", "--label", "colour"), "'colour' is not one of 'compound', 'moa'"),
        (("--not-same", "cell_line"), "no profile has a cell_line, which the rule needs"),
        (("--metric", "nsc", "--where", "moa = 'actin disruptor'"), "all 4 profiles left have"),
        (("--not-same", "dataset,compound"), "unknown column 'dataset'"),
        (
            ("--metric", "nsb", "--where", "plate = 'tiny_b1_p1'", "--label-filter", "none"),
            "the rule leaves none of 4 profiles a neighbour",
        ),
        (("--metric", "nsc", "--normalize", "standardize,controls=DMSO"), "'DMSO'; choose one of"),
        (
            ("--metric", "nsc", "--normalize", "standardize,controls=poscon"),
            "has 0 of the wells that",
        ),
        (("--metric", "nsc", "--label-filter", "x"), "'x' is not one of 'reachable'"),
        (("--metric", "nsc", "--measure", "auc"), "'auc' is not one of 'accuracy'"),
        (("--metric", "nsc", "--unmatched", "x"), "'x' is not one of 'drop', 'wrong'"),
        (("--metric", "nsc", "--dataset", "x"), "unknown dataset 'x'; choose one of tiny"),
        (("--metric", "nsc", "--model", "x"), "unknown model 'x'"),
        (("--metric", "nsc", "--device", "tpu9"), "unknown device 'tpu9'"),
    ],
)
@pytest.mark.sample(6)
def test_a_score_that_cannot_be_is_one_line(profiled: Path, run_cli, options, message: str) -> None:
    status, out, err = run_cli("score", *options, "--lake", profiled)
    is_usage = "is not one of" in message
    assert (status, out) == (2 if is_usage else 1, "")
    assert is_usage or err.count("\n") == 1
    assert message in err
    assert Lake.open(profiled).look_up("from score").is_empty()


def test_features_that_are_missing_somewhere_leave_profiles_out_and_are_counted(
    tmp_path: Path, run_cli
) -> None:
    rng = np.random.default_rng(0)
    lines = ["plate,well,compound,moa,f0,f1,f2"]
    for i in range(12):
        values = ["" if (i, j) == (3, 1) else f"{x:.4f}" for j, x in enumerate(rng.normal(size=3))]
        lines.append(f"p,A{i + 1},c{i},m{i % 2},{','.join(values)}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    at = ("--lake", tmp_path / "lake")
    _, _, err = run_cli("import-profiles", tmp_path / "t.csv", "--model", "m", *at)
    assert "1 values are missing" in err
    status, out, err = run_cli("score", "--metric", "nsc", "--json", *at)
    assert (status, json.loads(out)["n"], json.loads(out)["dropped"]) == (0, 11, {"nan_feature": 1})
    status, out, _ = run_cli(
        "score", "--metric", "nsc", "--normalize", "mad_robustize,select=na", "--json", *at
    )
    assert (status, json.loads(out)["n"], json.loads(out)["dropped"]) == (0, 12, {"feature_na": 1})


def test_plates_with_other_dimensions_are_one_line(lake: Lake, run_cli) -> None:
    import pyarrow.parquet as pq

    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    uri = lake.query("select uri from part where plate = 'tiny_b2_p1'").item()
    table = pq.read_table(lake.resolve(uri))
    short = pa.array([v[:10] for v in table["embedding"].to_pylist()], pa.list_(pa.float32(), 10))
    place = table.column_names.index("embedding")
    pq.write_table(table.set_column(place, "embedding", short), lake.resolve(uri))
    status, _, err = run_cli("score", "--metric", "nsb", "--lake", lake.path)
    assert (status, err.count("\n")) == (1, 1)
    assert "vectors of 30 features, other plates of 1152" in err
