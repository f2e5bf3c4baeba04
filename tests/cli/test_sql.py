"""`unidino sql` takes every statement that reads, and prints rows as each format holds them."""

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from unidino.cli.output import emit
from unidino.lake.lake import Lake

EXAMPLES = Path(__file__).resolve().parents[2] / "sql" / "examples"


@pytest.fixture
def ask(run_cli, ingested: Path):
    """A function that runs `unidino sql` on the tiny lake."""

    def run(*words: object) -> tuple[int, str, str]:
        return run_cli("sql", *words, "--lake", ingested)

    return run


def test_a_duration_is_text_in_every_format(ask) -> None:
    query = "select ended - started as took, [ended - started] as listed from run"
    for form in ("table", "csv", "json", "jsonl"):
        status, out, err = ask(query, "--format", form)
        assert (status, err) == (0, "")
        assert out.count("00:00:0") == 2


def test_json_is_one_document_and_jsonl_its_lines(ask) -> None:
    query = "select plate, well, 'é\n' as text from well order by all"
    document = json.loads(ask(query, "--format", "json")[1])
    lines = ask(query, "--format", "jsonl")[1].splitlines()
    assert len(document) == len(lines) == 12
    assert [json.loads(line) for line in lines] == document
    assert ask(query, "--json")[1].splitlines() == lines
    assert json.loads(ask("from well where false", "--format", "json")[1]) == []
    assert ask("from well where false", "--json")[1] == ""


def test_nan_and_infinity_are_null_in_json(ask) -> None:
    query = "select 'nan'::double as a, '-inf'::double as b, ['inf'::double] as c, 'NaN' as d"
    want = {"a": None, "b": None, "c": [None], "d": "NaN"}
    for form, wrapped in (("json", [want]), ("jsonl", want)):
        out = ask(query, "--format", form)[1]
        assert "Infinity" not in out
        assert json.loads(out) == wrapped


def test_a_query_may_begin_with_a_comment(ask) -> None:
    for query in (
        "-- why\nselect 1 as n",
        "--why\r\nselect 1 as n; -- so",
        "--lake of mine\nselect 1 as n",
        "/* why */ select 1 as n;",
        "--a=b c\nselect 1 as n",
    ):
        status, out, err = ask(query, "--json")
        assert (status, err) == (0, ""), query
        assert json.loads(out) == {"n": 1}
    status, _, err = ask("-- only a comment")
    assert (status, err) == (1, "error: expected one SQL statement, got 0\n")
    assert ask("select 1", "--fromat", "csv")[0] == 2
    assert ask("select 1", "--no such=1")[0] != 0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sql")), ids=lambda path: path.stem)
@pytest.mark.sample(2)
def test_files_run_as_argument_as_file_and_from_standard_input(ask, ingested: Path, path) -> None:
    text = path.read_text()
    of_argument = ask(text, "--format", "csv")
    assert of_argument[0] == 0
    assert ask("--file", path, "--format", "csv") == of_argument
    done = subprocess.run(
        [sys.executable, "-m", "unidino", "sql", "-", "--lake", ingested, "--format", "csv"],
        input=b"\xef\xbb\xbf" + text.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == of_argument[1]


def test_a_statement_comes_from_one_place(ask, tmp_path: Path) -> None:
    (tmp_path / "latin.sql").write_bytes("select 'é'".encode("latin-1"))
    for words, said in (
        ((), "give one statement, --file FILE, or - for standard input"),
        (("select 1", "--file", EXAMPLES / "runs.sql"), "give one statement"),
        (("--file", tmp_path / "none.sql"), f"no such file: '{tmp_path}/none.sql'"),
        (("--file", tmp_path / "latin.sql"), "as UTF-8 text"),
        (("select 1", "--json", "--format", "csv"), "--json and --format csv contradict"),
    ):
        status, out, err = ask(*words)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert said in err


def test_with_write_reading_prints_and_writing_says_what_it_did(run_cli, lake: Lake) -> None:
    def write(query: str) -> tuple[int, str, str]:
        return run_cli("sql", query, "--write", "--lake", lake.path, "--json")

    query = "pivot well on control_type using count(*) group by plate"
    assert [json.loads(line)["trt"] for line in write(query)[1].splitlines()] == [4, 4]
    assert json.loads(write("select count(*) as n from embedding")[1]) == {"n": 0}
    assert write("update well set moa = 'x' where well = 'B02'") == (0, "", "2 rows changed\n")
    status, out, _ = write("delete from well where well = 'C03' returning well")
    assert (status, out) == (0, '{"well": "C03"}\n' * 2)
    assert write("create table note (text varchar)") == (0, "", "")
    for name in ("Count", "Success"):
        query = f"update well set moa = 'y' where well = 'B02'; select 7 as {name}"
        assert write(query) == (0, f'{{"{name}": 7}}\n', "")
    assert lake.query("select count(*) from well").item() == 10


def test_a_row_of_a_table_is_one_line(ask) -> None:
    status, out, _ = ask(
        "select 'a\nb' as \"x\ny\", repeat('long ', 1000) as l, ':smile:' as e, chr(27) as c,"
        " '日本' as w"
    )
    lines = [line for line in out.splitlines() if line.strip()]
    assert (status, len(lines)) == (0, 3)
    assert lines[2].startswith(" a\\nb")
    assert "5,000 characters" in lines[2]
    assert ":smile:" in lines[2]
    assert "\x1b" not in out


def test_a_plan_is_drawn(ask) -> None:
    out = ask("explain from well")[1]
    assert out.startswith(("╭", "┌"))
    assert "Seq Scan" in out or "SEQ_SCAN" in out


def test_texts_that_a_spreadsheet_computes_get_an_apostrophe_in_csv(ask) -> None:
    query = "select '+/-' as compound, '=1+1' as formula, '-5' as number, -5 as n, '[-]' as l"
    status, out, err = ask(query, "--format", "csv")
    assert (status, out.splitlines()[1]) == (0, "'+/-,'=1+1,-5,-5,[-]")
    assert [line.split("'")[1] for line in err.splitlines()] == ["compound", "formula"]
    assert json.loads(ask(query, "--json")[1])["formula"] == "=1+1"


def test_csv_comes_back_as_it_was(ask) -> None:
    query = "select 'a,\"b\"\r\n' as a, '' as b, null as c, ' x ' as d, chr(13) as e, '日' as f"
    out = ask(query, "--format", "csv")[1]
    read = pl.read_csv(io.StringIO(out), infer_schema=False)
    assert read.rows() == [('a,"b"\r\n', "", None, " x ", "\r", "日")]


def test_columns_of_one_name_are_all_printed(ask) -> None:
    status, out, err = ask("from well a join plate b on plate_id = a.plate limit 1", "--json")
    assert status == 0
    assert "columns are named" in err or len(json.loads(out)) > 12
    status, out, err = ask("select 1 as a, 2 as a", "--json")
    assert (status, json.loads(out)) == (0, {"a": 1, "a_1": 2})
    assert err == "2 columns are named 'a'; one is called 'a_1' here\n"


def test_a_type_that_a_format_lacks_is_one_line(ask) -> None:
    status, out, err = ask("select map {} as m", "--format", "parquet")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "column 'm' has the type MAP" in err


def test_json_of_every_command_has_null_for_what_json_lacks(capfd) -> None:
    emit(True, [{"a": float("nan"), "b": [float("inf"), 1.5]}, {"a": {"c": float("-inf")}}])
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines == [{"a": None, "b": [None, 1.5]}, {"a": {"c": None}}]


def test_a_file_that_cannot_be_written_is_one_line(run_cli, full: Lake, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("folder.csv", "file/rows.csv", "x" * 300 + ".csv"):
        status, out, err = run_cli(
            "export", tmp_path / name, "--model", "first", "--lake", full.path
        )
        assert (status, out, err.count("\n")) == (1, "", 1), err
        assert err.startswith("error: ")
        assert str(tmp_path) in err
