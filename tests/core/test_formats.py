"""Every type of DuckDB comes out in every format, as the same values."""

import io
import json
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from unidino.core import formats
from unidino.core.columns import for_people, portable
from unidino.core.errors import InputError
from unidino.core.sql import scratch


def _answer(expression: str) -> duckdb.DuckDBPyRelation:
    con = scratch()
    con.execute("create type mood as enum ('calm', 'wild')")
    return portable(con.sql(f"select {expression} as v"))


def _json(expression: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    (line,) = formats.json_objects(_answer(expression))
    assert line.isascii()
    return json.loads(line, parse_constant=refuse)["v"]


def _csv(expression: str) -> Any:
    text = pl.concat(formats.csv_frames(_answer(expression))).write_csv()
    return pl.read_csv(io.StringIO(text), infer_schema=False)["v"][0]


_SCRATCH = scratch()
TYPES = [row[0] for row in _SCRATCH.execute("describe from test_all_types()").fetchall()]


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_duckdb_is_written_in_every_format(name: str) -> None:
    answer = portable(_SCRATCH.sql(f'select "{name}" as v from test_all_types()'))
    want = answer.to_arrow_table()
    assert pl.read_parquet(io.BytesIO(formats.parquet(answer))).equals(pl.DataFrame(want))
    read = pa.ipc.open_stream(formats.arrow(answer)).read_all()
    assert (read.schema, str(read)) == (want.schema, str(want))
    lines = [json.loads(line) for line in formats.json_objects(answer)]
    assert [line["v"] is None for line in lines] == want["v"].is_null().to_pylist()
    pl.concat(formats.csv_frames(answer)).write_csv()
    assert len(pl.DataFrame(for_people(answer).to_arrow_table()).rows()) == len(lines)


@pytest.mark.parametrize(
    ("expression", "in_json", "in_csv"),
    [
        ("interval '1 month 2 days 03:00:00.5'", "1 month 2 days 03:00:00.5", None),
        ("timestamp '2024-01-02' - timestamp '2024-01-01 12:00:00'", "12:00:00", None),
        ("[interval 1 day]", ["1 day"], '["1 day"]'),
        ("{'a b': [interval 1 day]}", {"a b": ["1 day"]}, '{"a b":["1 day"]}'),
        ("map {date '2024-01-02': interval 1 day}", {"2024-01-02": "1 day"}, None),
        ("array_value(interval 1 day)", ["1 day"], '["1 day"]'),
        ("[date '2024-01-02']", ["2024-01-02"], '["2024-01-02"]'),
        ("[timestamp '2024-01-02 03:04:05']", ["2024-01-02 03:04:05"], None),
        ("[time '03:04:05']", ["03:04:05"], None),
        ("[1.50, 2.25]", [1.5, 2.25], None),
        ("1.50", 1.5, "1.50"),
        ("sum(7)", 7, "7"),
        ("170141183460469231731687303715884105727::hugeint", 2**127 - 1, str(2**127 - 1)),
        ("340282366920938463463374607431768211455::uhugeint", str(2**128 - 1), str(2**128 - 1)),
        ("'calm'::mood", "calm", "calm"),
        ("['wild'::mood]", ["wild"], '["wild"]'),
        ("union_value(n := 1)", "1", "1"),
        ("[union_value(n := 1)]", ["1"], '["1"]'),
        ("'10101'::bit", "10101", "10101"),
        ("'\\x00\\xffab'::blob", "\\x00\\xFFab", "\\x00\\xFFab"),
        ("['\\x00'::blob]", ["\\x00"], None),
        (
            "uuid '5e4f62b6-0000-4000-8000-000000000000'",
            "5e4f62b6-0000-4000-8000-000000000000",
            None,
        ),
        ("time with time zone '01:02:03+02'", "01:02:03+02", "01:02:03+02"),
        ("date 'infinity'", "infinity", "infinity"),
        ("timestamp '-infinity'", "-infinity", "-infinity"),
        ("date '12000-01-01'", "12000-01-01", "12000-01-01"),
        ("timestamp '2024-01-02 03:04:05.5'", None, "2024-01-02T03:04:05.500000"),
        ("timestamptz '2024-01-02 03:04:05+00' at time zone 'UTC'", "2024-01-02 03:04:05", None),
        ("'nan'::double", None, "NaN"),
        ("'-inf'::float", None, "-inf"),
        ("['nan'::double, 1, 'inf'::double]", [None, 1.0, None], "[null,1.0,null]"),
        ("{'a': '-inf'::double, 'b': 'NaN, Infinity'}", {"a": None, "b": "NaN, Infinity"}, None),
        ("'{\"a\": 1}'::json", '{"a": 1}', '{"a": 1}'),
        ("row(1, 'x')", [1, "x"], '[1,"x"]'),
        ("[]", [], "[]"),
        ("null", None, None),
        ("'é 😀 \"q\"' || chr(10) || chr(0)", 'é 😀 "q"\n\0', 'é 😀 "q"\n\0'),
    ],
)
def test_values_keep_their_meaning(expression: str, in_json: Any, in_csv: str | None) -> None:
    if in_json is not None or "nan" in expression or "inf'" in expression or expression == "null":
        assert _json(expression) == in_json
    assert in_csv is None or _csv(expression) == in_csv


def test_large_integers_keep_all_digits() -> None:
    (line,) = formats.json_objects(_answer("12345678901234567890.12::decimal(38, 2)"))
    assert json.loads(line, parse_float=Decimal)["v"] == Decimal("12345678901234567890.12")


def test_timestamps_of_a_csv_column_have_one_form() -> None:
    answer = scratch().sql(
        "select unnest([timestamp '2024-01-02 03:04:05', timestamp '2024-01-02 03:04:05.25'])"
    )
    texts = pl.concat(formats.csv_frames(answer)).to_series().to_list()
    assert texts == ["2024-01-02T03:04:05.000000", "2024-01-02T03:04:05.250000"]
    zoned = scratch().sql("select timestamptz '2024-01-02 03:04:05+00' as v")
    assert pl.concat(formats.csv_frames(zoned))["v"][0].endswith(":00")


def test_what_parquet_cannot_hold_is_named() -> None:
    with pytest.raises(InputError, match=r"^column 'v' has the type MAP\(.*cast it, or leave it"):
        formats.parquet(_answer("map {}"))


def test_columns_of_one_name_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    answer = portable(scratch().sql("select 1 as a, 2 as a, 3 as a_1, 4 as b"))
    assert answer.columns == ["a", "a_2", "a_1", "b"]
    assert answer.fetchall() == [(1, 2, 3, 4)]
    assert caplog.messages == ["2 columns are named 'a'; one is called 'a_2' here"]
