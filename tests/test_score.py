"""Scores are the published ones on the published input, and say what bounds them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino import systems
from unidino.catalog import Lake
from unidino.embed import embed
from unidino.errors import InputError, ProfileError, UnidinoError
from unidino.rules import default_label, metrics, rule_sql
from unidino.score import score, score_profiles


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
    by_text = score_profiles(*screen, label, rule_sql(metric, "text"))
    assert by_text.accuracy == expected["paper_text"][name]["accuracy"]
    assert by_text.num_without_neighbour == expected["paper_text"][name]["without_neighbour"]
    by_code = score_profiles(*screen, label, rule_sql(metric, "published"))
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
    got = score_profiles(table, vectors, "moa", rule_sql("nscb"))
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
    assert score_profiles(table, vectors, "moa", rule_sql("nsc")).dropped == {
        "label_in_one_compound": 2
    }
    got = score_profiles(table, vectors, "moa", rule_sql("nscb"))
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
    got = score_profiles(table, vectors, "moa", rule_sql("nsc"))
    assert got.dropped == {"control": 1, "no_label": 1, "zero_vector": 1}
    assert got.n == 4


def test_profiles_without_neighbours_are_left_out_or_wrong() -> None:
    table = _profiles([(c, m, "1") for c, m in zip("abcde", "xxyyy", strict=True)])
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1]], dtype=np.float32)
    rule = """
        select profile_id, 'k' as reason, 'k' || profile_id as key
        from candidate where profile_id < 4
        union all
        select 4 as profile_id, 'k' as reason, 'k' || range as key from range(4)
    """
    kept = score_profiles(table, vectors, "moa", rule)
    assert (kept.n, kept.num_without_neighbour, kept.accuracy) == (4, 1, 1)
    wrong = score_profiles(table, vectors, "moa", rule, unmatched="wrong")
    assert (wrong.n, wrong.num_without_neighbour, wrong.accuracy) == (5, 1, 4 / 5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "x", "1"), ("b", "x", "2")], "all 2 profiles left have the moa 'x'"),
        ([("a", "x", "1"), ("b", "y", "2")], "no profile is left to score by moa .*2 label_in_one"),
        ([("a", "x", None), ("b", "x", None)], "no profile has a batch"),
    ],
)
def test_what_cannot_be_scored_says_why(rows, message: str) -> None:
    vectors = np.eye(2, dtype=np.float32)
    with pytest.raises(ProfileError, match=message):
        score_profiles(_profiles(rows), vectors, "moa", rule_sql("nscb"))


def test_rules_by_name_column_and_file(tmp_path: Path) -> None:
    assert set(metrics()) == {"nsc", "nscb", "nscp", "nspw", "nsb", "nss"}
    with pytest.raises(UnidinoError) as caught:
        rule_sql("nsbc")
    assert str(caught.value) == (
        "unknown metric 'nsbc'; choose one of nsb, nsc, nscb, nscp, nspw, nss"
    )
    with pytest.raises(UnidinoError, match="unknown rules 'loose'"):
        rule_sql("nsc", "loose")
    with pytest.raises(UnidinoError, match="unknown column 'colour'"):
        rule_sql("not same compound, colour")
    with pytest.raises(InputError, match="no such rule file"):
        rule_sql(str(tmp_path / "mine.sql"))
    (tmp_path / "mine.sql").write_text(rule_sql("nscb"))
    assert rule_sql(str(tmp_path / "mine.sql")) == rule_sql("nscb")


def test_a_rule_on_the_spot_is_the_named_one(screen) -> None:
    assert score_profiles(*screen, "moa", rule_sql("not same compound, batch")) == score_profiles(
        *screen, "moa", rule_sql("nscb")
    )


def test_a_rule_that_fails_is_an_input_error(screen) -> None:
    with pytest.raises(InputError, match="the rule fails"):
        score_profiles(*screen, "moa", "select nothing from candidate")


def test_scores_land_in_the_lake(lake: Lake) -> None:
    systems.create(lake, "gaussian")
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
    run = lake.query("select command, ended is not null from run where run_id = $id",
                     {"id": rows["run_id"][0]})  # fmt: skip
    assert run.row(0) == ("score", True)


def test_channels_choose_slices_without_embedding_again(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    single = score(lake, ["nsb"], channels=["Actin"])[0]
    assert single.channels == ("Actin",)
    with pytest.raises(UnidinoError, match="unknown channel 'Mito'; choose one of DNA, Actin"):
        score(lake, ["nsb"], channels=["Mito"])


def test_where_narrows_and_fails_clearly(lake: Lake) -> None:
    systems.create(lake, "gaussian")
    embed(lake, "gaussian")
    narrowed = score(lake, ["nsb"], where="moa = 'actin disruptor'")
    assert narrowed[0].n == 4
    with pytest.raises(InputError, match="--where"):
        score(lake, ["nsb"], where="colour = 1")
