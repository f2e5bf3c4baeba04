"""What is read back is what was asked: an answer to one question never replaces another's."""

import inspect
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from unidino.core.files import text_hash
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.history import latest_scores, other_scores
from unidino.scores.labels import score_labels
from unidino.scores.question import Question


@pytest.fixture
def lake(profiled: Path, tmp_path: Path) -> Lake:
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.mark.parametrize(
    ("question", "selection"),
    [
        (Question("nsb", neighbours=5), Selection()),
        (Question("nsb", unmatched="wrong"), Selection()),
        (Question("nsb", include_controls=True), Selection()),
        (Question("nsb", label_filter="none"), Selection()),
        (Question("nsb"), Selection(where="moa = 'actin disruptor'")),
        (Question("nsb"), Selection(compounds=["tiny-01", "tiny-02"])),
        (Question("nsb"), Selection(channels=["Actin"])),
    ],
    ids=lambda x: str(x),
)
@pytest.mark.sample(3)
def test_another_question_does_not_replace_the_standard_one(
    lake: Lake, question: Question, selection: Selection
) -> None:
    (standard,) = score(lake, "nsb")
    (other,) = score(lake, question, selection)
    (shown,) = latest_scores(lake)
    assert (shown.n, shown.accuracy) == (standard.n, standard.accuracy)
    assert shown.asked == standard.asked != other.asked
    assert [s.asked for s in other_scores(lake)] == ([] if selection.channels else [other.asked])
    with_parts = latest_scores(lake, parts_of_channels=True)
    assert len(with_parts) == (2 if selection.channels else 1)


def test_the_newest_answer_to_the_same_question_is_shown(lake: Lake) -> None:
    score(lake, "nsb")
    lake.execute("update score set accuracy = 0.125")
    (again,) = score(lake, ["nsb", Question("nsb")])
    assert [s.accuracy for s in latest_scores(lake)] == [again.accuracy]


def test_the_newest_answer_does_not_depend_on_the_clock(lake: Lake) -> None:
    score(lake, "nsb")
    lake.execute("update score set accuracy = 0.125; update run set started = '2099-01-01'")
    (again,) = score(lake, ["nsb"])
    assert [s.accuracy for s in latest_scores(lake)] == [again.accuracy]


def test_runs_of_one_moment_have_one_newest(lake: Lake) -> None:
    for _ in range(3):
        score(lake, "nsb")
    lake.execute("update run set started = timestamp '2026-01-01'")
    assert len(latest_scores(lake)) == 1


def test_a_changed_rule_file_asks_anew(lake: Lake, tmp_path: Path) -> None:
    rule = tmp_path / "mine.sql"
    rule.write_text("select profile_id, 'batch' as reason, batch as key from candidate")
    first = Question(str(rule))
    assert first.hash == Question(str(rule)).hash
    rule.write_text("select profile_id, 'plate' as reason, plate as key from candidate")
    assert Question(str(rule)).hash != Question("nsb").hash
    assert first.as_json()["rule_hash"] == text_hash(rule.read_text())


def test_a_comparison_is_read_back_as_it_was(lake: Lake) -> None:
    create_model(lake, "gaussian", "noise", seed=7)
    embed(lake, "noise")
    first, second = score(lake, "nsb", Selection(["gaussian", "noise"]))
    assert first.versus is None
    read = {s.model: s for s in latest_scores(lake)}
    assert read["gaussian"].versus is None
    assert read["noise"].versus == second.versus
    assert second.versus is not None
    assert second.versus.normalization == "mad_robustize"
    (narrow,) = score(lake, "nsb", Selection(["noise"], normalize="standardize"))
    assert narrow.versus is None


def test_equal_texts_mean_equal_questions() -> None:
    assert str(Question("nscb")) == str(Question("nscb", label="moa"))
    assert str(Question("nscb")) != str(Question("nscb", label="target"))
    spelled = Selection(normalize="mad_robustize, clip=10.0 ,per=plate")
    assert spelled.hash == Selection(normalize="mad_robustize,per=plate,clip=10").hash
    assert Selection(["a"]).hash != Selection(["b"]).hash
    assert Selection(["a"], ["d"]).options == Selection().options


@pytest.mark.parametrize("verb", [score, score_labels])
def test_a_run_records_every_argument(lake: Lake, verb) -> None:
    asked = Question("nsb", include_controls=True, label_filter="none")
    selection = Selection(["gaussian"], ["tiny"], where="batch is not null", compounds=None)
    arguments = (lake, asked, selection) if verb is score else (lake, "map", asked, selection)
    verb(*arguments)
    told = json.loads(
        lake.query("select arguments from run where command = 'score'")["arguments"][0]
    )
    assert set(told) == set(inspect.signature(verb).parameters) - {"lake"}
    assert told["asked"] == asked.as_json()
    assert told["selection"] == selection.as_json()


OLD_SCORE = """
create table score (
    model varchar not null, normalization varchar not null, dataset varchar not null,
    channels varchar[] not null, metric varchar not null, rules varchar not null,
    label varchar not null, level varchar not null,
    accuracy double check (accuracy between 0 and 1), interval_low double, interval_high double,
    n integer not null, num_classes integer not null, num_without_neighbour integer not null,
    ceiling double, chance double, dropped json not null, versus varchar, difference double,
    difference_low double, difference_high double, run_id varchar not null
)
"""
OLD_LABEL_SCORE = """
create table label_score (
    model varchar not null, normalization varchar not null, dataset varchar not null,
    channels varchar[] not null,
    measure varchar not null check (measure in ('map', 'replicates')),
    metric varchar not null, rules varchar not null, label varchar not null,
    level varchar not null, class varchar not null, num_profiles integer not null,
    mean_average_precision double, p_value double, q_value double, correlation double,
    threshold double, is_above_chance boolean not null, run_id varchar not null
)
"""


def test_a_catalog_without_questions_is_brought_up_to_date(lake: Lake) -> None:
    score(lake, "nsb")
    score(lake, Question("nsb", neighbours=5), Selection(where="moa is not null"))
    score_labels(lake, "map", "nsb")
    tables = {"score": OLD_SCORE, "label_score": OLD_LABEL_SCORE}
    before = {table: lake.query(f"from {table} order by all") for table in tables}
    asked = {s.run_id: json.loads(s.question) for s in _runs(lake)}
    with lake.write() as con:
        for table, ddl in tables.items():
            con.execute(f"create temp table kept_{table} as from {table}")
            con.execute(f"drop table {table}")
            con.execute(ddl)
            columns = ", ".join(row[0] for row in con.execute(f"describe {table}").fetchall())
            con.execute(f"insert into {table} by name select {columns} from kept_{table}")
        for run_id, question in asked.items():
            # What earlier versions recorded of a score.
            told = {
                "where": question.get("where"),
                "unmatched": "drop",
                "neighbours": question.get("neighbours", 1),
                "label_filter": "reachable",
                "channels": [],
                "seed": 0,
            }
            con.execute(
                "update run set arguments = $told::json where run_id = $run_id",
                {"told": json.dumps(told), "run_id": run_id},
            )
    upgraded = Lake.open(lake.path)
    for table, rows in before.items():
        assert rows.equals(upgraded.query(f"from {table} order by all")), table
    assert len(latest_scores(upgraded)) == len(other_scores(upgraded)) == 1
    (again,) = score(upgraded, "nsb")
    assert [s.asked for s in latest_scores(upgraded)] == [again.asked]


def _runs(lake: Lake) -> list[SimpleNamespace]:
    rows = lake.query(
        "select run_id, question from score union select run_id, question from label_score"
    )
    return [SimpleNamespace(**row) for row in rows.iter_rows(named=True)]
