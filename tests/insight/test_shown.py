"""Figures show a standard answer first, and another one only with its question."""

import shutil
from pathlib import Path

import pytest

import unidino as ud
from unidino.figures.insight import attribution_rows
from unidino.figures.scores import selected_scores


@pytest.fixture
def lake(profiled: Path, tmp_path: Path) -> ud.Lake:
    shutil.copytree(profiled, tmp_path / "lake")
    return ud.Lake.open(tmp_path / "lake")


def test_a_standard_attribution_is_shown_before_others(lake: ud.Lake) -> None:
    one = ud.Selection(["gaussian"])
    ud.attribute(lake, one, top=20, num_seeds=2)
    assert set(attribution_rows(lake)["dataset"]) == {"tiny (num_seeds=2, top=20)"}
    ud.attribute(lake, one)
    assert set(attribution_rows(lake)["dataset"]) == {"tiny"}
    ud.attribute(lake, one, top=10)
    rows = attribution_rows(lake)
    assert set(rows["dataset"]) == {"tiny"}
    assert set(rows["top"]) == {50}


def test_the_report_lists_answers_to_other_questions_with_what_was_asked(
    lake: ud.Lake, tmp_path: Path
) -> None:
    ud.score(lake, "nsb")
    ud.score(lake, ud.Question("nsb", neighbours=3), ud.Selection(where="moa is not null"))
    page = ud.report(lake, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Answers to other questions" in page
    assert "neighbours=3, where=moa is not null" in page


def test_a_figure_of_a_selection_shows_no_answer_to_another_question(lake: ud.Lake) -> None:
    one = ud.Selection(["gaussian"])
    some = ud.Selection(["gaussian"], where="moa is not null")
    for selection in (one, some):
        ud.score(lake, "nsb", selection)
        ud.score(lake, ud.Question("nsb", neighbours=3), selection)
        (score,) = selected_scores(lake, selection, "nsb")
        assert "neighbours" not in score.asked
