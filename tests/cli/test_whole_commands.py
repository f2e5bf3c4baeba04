"""What holds for all commands: where the lake is named, and how documents are shown."""

import os

import pytest

from unidino.lake.lake import Lake


def test_the_lake_may_stand_before_the_command(
    run_cli, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("UNIDINO_LAKE", str(tmp_path / "none"))
    query = ("sql", "select count(*) as n from well", "--json")
    assert run_cli("--lake", lake.path, *query)[:2] == (0, '{"n": 12}\n')
    assert os.environ["UNIDINO_LAKE"] == str(tmp_path / "none")
    # The one after the command counts, if there are two.
    assert run_cli("--lake", tmp_path / "none", *query, "--lake", lake.path)[0] == 0
    status, _, err = run_cli("--lake", tmp_path / "none", *query)
    assert (status, "no lake at" in err) == (1, True)


def test_json_is_shortened_in_tables_only(run_cli, lake: Lake) -> None:
    query = "select {'text': repeat('x', 300)}::json as document, repeat('y', 300) as text"
    out = run_cli("sql", query, "--lake", lake.path)[1]
    assert "... 311 characters" in out
    assert "x" * 60 not in out
    assert "y" * 300 in out
    assert "x" * 300 in run_cli("sql", query, "--json", "--lake", lake.path)[1]


def test_the_plates_of_the_tutorial_are_four(run_cli, tmp_path) -> None:
    status, out, err = run_cli("demo", tmp_path / "first", "--tutorial")
    assert (status, out) == (0, "")
    assert "288 images of 4 plates" in err
    assert len(list((tmp_path / "first").rglob("*.tiff"))) == 288
    assert run_cli("demo", tmp_path / "first", "--tutorial")[0] == 1
