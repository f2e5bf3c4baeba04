"""SQL that a user wrote comes in by one door, which lets it read the lake and nothing else."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import duckdb
import pytest
from sampled import slow

from unidino.core.errors import InputError
from unidino.embeddings.embed import embed
from unidino.figures.plates import plate_values
from unidino.lake.lake import Lake
from unidino.lake.samples import query_samples
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.question import Question


@pytest.fixture
def lake(profiled: Path, tmp_path: Path) -> Lake:
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def _rule(lake: Lake, folder: Path, inner: str) -> object:
    (folder / "rule.sql").write_text(
        f"select profile_id, 'batch' as reason, batch as key from candidate where {inner}"
    )
    return score(lake, Question(str(folder / "rule.sql"), label="compound"))


def _wells(lake: Lake, folder: Path, inner: str) -> object:
    (folder / "wells.sql").write_text(f"select * from raw_profile where {inner}")
    return profile(lake, Selection(normalize=f"mad_robustize,wells={folder}/wells.sql"))


def _map(lake: Lake, folder: Path, inner: str) -> object:
    table = folder / "features.csv"
    table.write_text("plate,well,area\np1,A01,1.5\np1,A02,2.5\n")
    return import_profiles(lake, table, "mine", mapped={"batch": f"({inner})::varchar"})


DOORS: dict[str, Callable[[Lake, Path, str], object]] = {
    "rule": _rule,
    "wells": _wells,
    "map": _map,
    "where": lambda lake, _, inner: score(lake, "nsb", Selection(where=inner)),
    "plates": lambda lake, _, inner: embed(lake, "gaussian", where=inner),
    "value": lambda lake, _, inner: plate_values(lake, f"any_value({inner})"),
    "samples": lambda lake, _, inner: query_samples(
        lake, f"select * from training_sample where {inner}", "--samples"
    ),
    "query": lambda lake, _, inner: lake.query(f"select * from well where {inner}"),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_reads_the_lake_passes(lake: Lake, door: str, tmp_path: Path) -> None:
    DOORS[door](lake, tmp_path, "plate is not null")


_LEAVES = (
    "(select count(*) from read_text('{secret}')) > 0",
    "(select count(*) from read_csv('{secret}')) > 0",
    "(select count(*) from '{secret}') > 0",
    "true; copy (select 1) to '{stolen}'",
    "true; attach '{stolen}' as x",
    "getenv('HOME') = ''",
    "plate in (pivot (from read_csv('{secret}')) on a using count(*))",
    "true) ; pivot well on plate using count(*); select (1",
)
# Each way out at two doors; at every door with the slow tests.
_TRIED = [
    (door, inner)
    for i, door in enumerate(DOORS)
    for j, inner in enumerate(_LEAVES)
    if (i - j) % 4 == 0
]
_OTHERS = [pair for pair in product(DOORS, _LEAVES) if pair not in _TRIED]


@pytest.mark.parametrize(("door", "inner"), [*_TRIED, *slow(*_OTHERS)])
def test_what_leaves_the_lake_is_one_line_and_does_nothing(
    lake: Lake, door: str, inner: str, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    stolen = tmp_path / "stolen.csv"
    text = inner.format(secret=tmp_path / "secret.csv", stolen=stolen)
    with pytest.raises(InputError) as caught:
        DOORS[door](lake, tmp_path, text)
    assert "\n" not in str(caught.value)
    assert not stolen.exists()


def _hidden_copy(stolen: Path) -> str:
    """A query that a function runs from its JSON, and that writes a file."""
    text = f"with a as (copy (select 1 as z) to '{stolen}') from a"
    with duckdb.connect() as con:
        (plan,) = con.execute("select json_serialize_sql($text)", {"text": text}).fetchall()[0]
    quoted = plan.replace("'", "''")
    return f"from json_execute_serialized_sql('{quoted}')"


@pytest.mark.parametrize(
    "statement",
    [
        "with a as (copy well to '{stolen}') select * from a",
        "with a as not materialized (/* x */ copy (select 1) to '{stolen}') select 1",
        "explain analyze with a as (copy well to '{stolen}') from a",
        "explain (analyze) with a as (copy well to '{stolen}') from a",
        "describe with a as (copy well to '{stolen}') from a",
        "with a as (copy well to '{stolen}') pivot well on moa using count(*)",
        "with a as -- x\n(COPY(from well) to '{stolen}'), b as (pivot well on moa using count(*))"
        " from b",
        "copy (pivot well on moa using count(*)) to '{stolen}'",
        "explain analyze copy (pivot well on moa using count(*)) to '{stolen}'",
        "pivot well on moa using count(*); copy well to '{stolen}'",
        "{hidden}",
        "pivot ({hidden}) on z using count(*)",
        "from query('{hidden_again}')",
        "pivot (from query('{hidden_again}')) on z using count(*)",
        "with a as (truncate well) select 1",
        "with a as (delete from well returning *) from a",
        "with a as (delete from well returning *) pivot a on moa using count(*)",
        "with a as (update well set moa = 'x' returning *) from a",
        "delete from well where moa in (pivot well on moa using count(*))",
        "insert into well pivot well on moa using count(*)",
        "create table t as pivot well on moa using count(*)",
        "create or replace temp table t as (pivot well on moa using count(*))",
        "prepare p as pivot well on moa using count(*)",
        "set variable x = (pivot well on moa using count(*))",
        "pivot well on moa using count(*)) as a; drop table well; from (select 1",
        "from checkpoint()",
        "from enable_logging(storage = 'file', storage_config = {{'path': '{stolen}'}})",
        "pragma memory_limit = '1GB'",
        "call enable_logging()",
        "load httpfs",
        "export database '{stolen}'",
    ],
)
def test_nothing_is_written_even_inside_the_lake(lake: Lake, statement: str) -> None:
    stolen = lake.path / "embeddings" / "stolen.parquet"
    hidden = _hidden_copy(stolen)
    text = statement.format(stolen=stolen, hidden=hidden, hidden_again=hidden.replace("'", "''"))
    before = {path: path.read_bytes() for path in lake.path.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as caught:
        lake.query(text)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in lake.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "statement",
    [
        "pivot well on control_type using count(*) group by plate",
        "pivot well on control_type in ('trt') using count(*)",
        "-- a comment\npivot_wider well on control_type using count(*); -- the end",
        "from (pivot well on control_type using count(*)) where plate = 'tiny_b1_p1; -- é'",
        "with a as (pivot well on control_type using count(*)) from a join well using (plate)",
        "describe (pivot well on control_type using count(*))",
        "summarize (pivot well on control_type using count(*))",
        "explain pivot well on control_type using count(*)",
        "select 1 in (select trt from (pivot well on control_type using count(*))) as found",
        "select 'copy', /* insert */ * from (pivot well on control_type using count(*))",
        "unpivot (select plate, well_row, well_column from well) on columns(* exclude plate) into"
        " name n value v",
        "select * from well pivot (count(*) for control_type in ('trt', 'negcon'))",
        "explain /* why */ analyze -- not\n from well",
        "explain (format json) (select 1)",
        "explain table well",
        "show tables",
        "show all tables",
        "summarize well",
        "values (1), (2);;",
        "(from well)",
        "; from well",
        "from well select plate",
        "from plate positional join well",
        "from generate_series(3)",
        "from well a join well b on a.well_row < b.well_row",
        "from well a left join well b on a.well_row <= b.well_column and a.plate = b.plate",
        "from well a asof join well b on a.plate = b.plate and a.well_row >= b.well_row",
    ],
)
def test_every_statement_that_reads_runs(lake: Lake, statement: str) -> None:
    lake.query(statement)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "select 'x' as profile_id, 'a' as reason, compound as key from candidate",
            "profile_id is",
        ),
        (
            "select [1] as profile_id, 'a' as reason, compound as key from candidate",
            "profile_id is",
        ),
        ("select 1e300 as profile_id, 'a' as reason, '' as key from candidate", "profile_id is"),
        (
            "select null as profile_id, 'a' as reason, '' as key from candidate",
            "without profile_id",
        ),
        ("select profile_id, null as reason, '' as key from candidate", "without reason"),
        ("select profile_id, ['a'] as reason, '' as key from candidate", "reason is list"),
        ("select profile_id + 9999 as profile_id, 'a' as reason, '' as key from candidate", "9999"),
        ("explain from candidate", "no column 'profile_id'"),
        ("pivot candidate on compound using count(*)", "no column"),
    ],
)
def test_a_rule_that_gives_no_keys_of_profiles_is_one_line(
    lake: Lake, tmp_path: Path, rule: str, said: str
) -> None:
    (tmp_path / "rule.sql").write_text(rule)
    with pytest.raises(InputError, match="the rule fails: ") as error:
        score(lake, Question(str(tmp_path / "rule.sql"), label="compound"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1 as foo", "another column, 'foo'"),
        ("select *, 1 as foo from raw_profile", "another column, 'foo'"),
        ("select row_id from raw_profile", "lacks the column"),
        ("select * replace (null as row_id) from raw_profile", "row_id must stay"),
        ("select * replace (null as plate) from raw_profile", "plate is missing"),
        ("select * replace ('x' as row_id) from raw_profile", "row_id is string"),
        ("select * replace (row_id + 99 as row_id) from raw_profile", "row_id must stay"),
        ("select raw_profile.* from raw_profile, range(2)", "row_id must stay"),
        ("select * replace ([1] as plate) from raw_profile", "plate is list"),
    ],
)
def test_wells_that_are_no_rows_of_profiles_are_one_line(
    lake: Lake, tmp_path: Path, query: str, said: str
) -> None:
    (tmp_path / "wells.sql").write_text(query)
    with pytest.raises(InputError) as error:
        profile(lake, Selection(normalize=f"mad_robustize,wells={tmp_path}/wells.sql"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_wells_may_lack_annotation_and_change_it(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "wells.sql").write_text(
        "select * exclude (target) replace (upper(compound) as compound) from raw_profile"
    )
    profile(lake, Selection(normalize=f"mad_robustize,wells={tmp_path}/wells.sql"))
    found = lake.query("select distinct compound from profile where normalization like '%wells%'")
    assert all(name == name.upper() for name in found["compound"].drop_nulls())


@pytest.mark.parametrize(
    ("door", "inner"),
    [
        ("where", "false) union all (select 999"),
        ("where", "false) union all (select null"),
        ("where", "false) union all (select 'x'"),
        ("where", "true) union all (select 0"),
        ("plates", "false union all select 'x', 'y'"),
        ("plates", "false union all select null, 'y'"),
        ("plates", "true union all select plate_id, content_hash from plate"),
    ],
)
def test_a_condition_that_adds_rows_is_one_line(
    lake: Lake, door: str, inner: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is no condition that a ") as error:
        DOORS[door](lake, tmp_path, inner)
    assert "\n" not in str(error.value)
