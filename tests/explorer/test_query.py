"""Queries of the page only read, and only the lake."""

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient

from unidino.core.errors import InputError
from unidino.explorer import query
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.query import examples, file_of, run_query, shown


def test_rows_are_counted_and_the_first_are_shown(cached: CachedLake) -> None:
    result = run_query(cached.lake, "select range as n from range(25000)")
    assert (len(result.rows), result.num_rows) == (10_000, 25_000)
    assert result.rows["n"].to_list() == list(range(10_000))
    profiles = run_query(cached.lake, "select embedding, 0 / 0 as nan from profile limit 2")
    assert profiles.num_rows == 2
    cells = shown(profiles.rows)[0]
    assert cells["c0"].endswith("... 108 values]") or "values]" in cells["c0"]
    json.dumps(cells, allow_nan=False)
    assert run_query(cached.lake, "explain from plate").num_rows >= 1


def test_values_of_any_type_are_shown_and_downloaded(cached: CachedLake) -> None:
    statement = (
        "select interval 1 day as i, date 'infinity' as d, [union_value(n := 1)] as u,"
        " 'a' || chr(10) as t, [1.5, 'nan'::double] as l, '\\x00'::blob as b, 1 as x, 2 as x"
    )
    result = run_query(cached.lake, statement)
    (row,) = shown(result.rows)
    assert list(row.values()) == ["1 day", "infinity", "[1]", "a\\n", "[1.5, nan]", "\\x00", 1, 2]
    text = b"".join(file_of(cached.lake, statement, "csv")).decode()
    assert '"[1.5,null]"' in text
    assert len(b"".join(file_of(cached.lake, statement, "parquet"))) > 0
    pivot = run_query(cached.lake, "-- a table\npivot well on control_type using count(*)")
    assert {"trt", "negcon"} <= set(pivot.rows.columns)


@pytest.mark.parametrize(
    "statement",
    [
        "drop table plate",
        "update well set moa = 'x'",
        "create table t as select 1",
        "select 1; select 2",
        "selec 1",
        "attach 'x.db'",
    ],
)
def test_what_writes_is_refused_as_on_the_command_line(cached: CachedLake, statement: str) -> None:
    with pytest.raises(InputError) as of_cli:
        cached.lake.query(statement)
    with pytest.raises(InputError) as of_page:
        run_query(cached.lake, statement)
    assert str(of_page.value) == str(of_cli.value)
    assert "\n" not in str(of_page.value)


def test_a_query_sees_the_lake_and_nothing_else(cached: CachedLake, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for statement in (f"from '{tmp_path}/secret.csv'", "from read_text('/etc/hostname')"):
        with pytest.raises(InputError, match="disabled by configuration"):
            run_query(cached.lake, statement)
    result: Any = pl.DataFrame({"variable": [1]})
    with pytest.raises(InputError, match="result does not exist"):
        run_query(cached.lake, "from result")
    assert len(result) == 1
    assert run_query(cached.lake, "select count(*) from embedding").rows.item() == 72


def test_a_query_that_takes_too_long_is_stopped(
    cached: CachedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_PATIENCE_S", 0.5)
    with pytest.raises(InputError, match="stopped after"):
        run_query(
            cached.lake, "select sum(a.range * b.range) from range(1000000) a, range(100000) b"
        )


def test_files_have_all_rows(cached: CachedLake, client: FlaskClient) -> None:
    statement = "select plate, well, embedding, concentration_um from profile order by all"
    token = cached.run(statement).token
    csv = client.get(f"/download?query={token}&format=csv")
    assert csv.status_code == 200
    assert "attachment" in csv.headers["Content-Disposition"]
    rows = cached.lake.query(statement)
    read = pl.read_csv(io.BytesIO(csv.data))
    assert read["well"].to_list() == rows["well"].to_list()
    assert json.loads(read["embedding"][3]) == rows["embedding"][3].to_list()
    parquet = client.get(f"/download?query={token}&format=parquet")
    assert pl.read_parquet(io.BytesIO(parquet.data)).equals(rows)
    many = b"".join(file_of(cached.lake, "from range(120000)", "parquet"))
    assert len(pl.read_parquet(io.BytesIO(many))) == 120_000
    assert client.get("/download?query=abc&format=csv").status_code == 404
    assert client.get(f"/download?query={token}&format=xml").status_code == 404


def test_examples_run(cached: CachedLake) -> None:
    for question, statement in examples().items():
        assert question.endswith("?")
        run_query(cached.lake, statement)
    assert len(examples()) >= 5
