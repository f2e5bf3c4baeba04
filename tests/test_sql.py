"""Every SQL file parses, explains on an empty lake, and keeps its header and grain."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core import assets
from unidino.core.sql import Connection, scratch
from unidino.embeddings.embed import embed
from unidino.insight.projection import project
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.lake.views import OVER_PARTS, OVER_TABLES
from unidino.models import baselines, registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection

SQL = assets.ROOT / "sql"
PATHS = sorted(SQL.rglob("*.sql"))
# Macros run when a connection is prepared; layouts read tables of a published set, which the tests
# of the layouts bring; views over files exist once there are files.
EXPLAINED = [
    path
    for path in PATHS
    if path.relative_to(SQL).parts[0] not in ("macros", "datasets")
    and not (path.parent.name == "views" and path.stem in OVER_PARTS)
]


def _id(path: Path) -> str:
    return path.relative_to(SQL).with_suffix("").as_posix()


# Relations that a step makes before it runs the query, with the columns that it reads.
MADE = {
    "sample": "0 as image_id, '' as dataset, '' as plate, '' as well, 0 as field,"
    " 0 as channel_index, '' as channel, '' as control_type, 0.0 as p0_1, 0.0 as p99_9",
    "candidate": "0 as profile_id, '' as compound, '' as batch, '' as plate, '' as well,"
    " '' as source, '' as label, '' as control_type, true as is_finite, false as is_zero",
    "excluded": "0 as profile_id, '' as reason",
    "unmatched_label": "'' as label, '' as reason",
    "key": "0 as profile_id, '' as reason, '' as key",
    **dict.fromkeys(
        ("raw_profile", "member"),
        "0 as row_id, '' as dataset, '' as plate, '' as well, 0 as field, '' as source,"
        " '' as batch, '' as perturbation, '' as compound, 0.0 as concentration_um,"
        " '' as control_type, '' as moa, '' as target, '' as cell_line, 0 as num_cells,"
        " null::json as extra,"
        " [''] as channels",
    ),
    "control_value": "'' as dataset, '' as plate, '' as model, '' as normalization, '' as subject,"
    " '' as channel, '' as axis, '' as control_type, 0.0 as value",
    "replicate_distance": "'' as plate, '' as well, '' as label, true as is_control,"
    " 0.0 as distance",
    "entry": "0 as line, '' as problem, '' as measurement",
    "known": "'' as plate_id, '' as dataset",
    "landed": "'' as plate, '' as uri, '' as fingerprint, '' as content_hash, '' as run_id",
    "illuminated": "'' as plate, 0 as channel_index, '' as uri",
    "image_list": "'' as plate, '' as well, 0 as field, 0 as channel_index, '' as channel,"
    " '' as control_type, [''] as paths, 0.0 as concentration_um, '{}'::json as extra",
    "stated": "0 as line, '' as value, '' as unit, '' as unit_of_column, '' as molar_mass",
    "named_channel": "'' as plate, 0 as given_index, '' as given_channel, '' as channel,"
    " true as is_kept, 0 as channel_index",
    "single_slice": "'' as plate, '' as well, 0 as field, '' as channel",
    "pair": "'' as entity1, '' as entity2",
    "entity": "0 as position, '' as entity",
    "compared": "0 as position, '' as label, '' as control_type, '' as plate, '' as batch,"
    " '' as source, true as is_usable",
    "told": "'' as plate, '' as well, 0 as num_cells",
    "counted": "'' as plate, '' as well, 0 as field, 0 as num",
    "unchosen": "'' as plate, '' as well, 0 as field, '' as channel, '' as lacks",
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.create(tmp_path_factory.mktemp("empty") / "lake")


@pytest.fixture(scope="module")
def empty_snapshot(empty: Lake) -> Iterator[Connection]:
    with empty.snapshot() as con:
        yield con


@contextmanager
def _undone(con: Connection) -> Iterator[Connection]:
    """The connection in a transaction that is rolled back."""
    con.execute("begin")
    try:
        yield con
    finally:
        con.execute("rollback")


def _relations(con: Connection, path: Path) -> None:
    """Create what the query of a file reads besides the tables of the lake."""
    for relation, columns in MADE.items():
        con.execute(f"create table {relation} as select {columns}")
    schema = assets.manifest_schema()["properties"]
    kinds = {"string": "varchar", "integer": "integer", "number": "double"}
    typed = ", ".join(f"null::{kinds[r['type']]} as {n}" for n, r in schema.items())
    con.execute(
        f"create table typed as select {typed}, null::json as extra, 0 as line, '' as place"
    )
    con.execute(
        "create table manifest as select *, 1 as well_row, 1 as well_column, [path] as paths,"
        " well as spelling"
        " from typed"
    )
    con.execute(f"create table measured as {assets.sql('register', 'absent')}")
    con.execute(f"create view landed_image as {assets.sql('register', 'landed_image')}")
    for table in assets.names("upgrade"):
        new = "('question', 'question_hash', 'versus_normalization', 'versus_n')"
        con.execute(
            f"create table old_{table} as select columns(lambda c: c not in {new}) from {table}"
        )
    if path.parent.name == "candidates":
        con.unregister("profile")
        con.execute("create table profile as select *, 0 as position from candidate")


@pytest.mark.parametrize("path", EXPLAINED, ids=_id)
def test_every_query_explains_on_an_empty_lake(
    empty: Lake, empty_snapshot: Connection, path: Path, tmp_path: Path
) -> None:
    query = path.read_text(encoding="utf-8")
    file = tmp_path / "embedding.parquet"
    pq.write_table(assets.arrow_schema("embedding").empty_table(), file)
    unregisters = path.parent.name == "candidates"
    with empty.snapshot() if unregisters else _undone(empty_snapshot) as con:
        _relations(con, path)
        values = {
            "seed": 0,
            "epoch": 0,
            "epsilon": None,
            "z": None,
            "timepoint": None,
            "keep_index": False,
            "by_rank": True,
            "rules": [{"plate": "p", "folder": None, "given": "q"}],
            "every_channel": False,
            "whole_repeats": False,
            "parts_of_channels": False,
            "include_controls": False,
            "keep_unlabelled": False,
            "overwrite": False,
            "as_decoys": False,
            "share": 0.5,
            "most": 3.5,
            "num_planes": 10,
            "num_patches": 100,
            "channel_names": ["DNA"],
            "channels": [],
            "plates": ["p"],
            "drop_channels": [],
            "per": None,
            "controls": None,
            "file": str(file),
        }
        wanted = set(re.findall(r"\$([a-z_]+)", re.sub(r"--.*", "", query)))
        parameters = {name: values.get(name, "x") for name in wanted}
        assert con.execute(f"explain {query}", parameters).fetchall()


@pytest.mark.parametrize("path", PATHS, ids=_id)
def test_every_file_opens_with_what_it_is_and_parses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert text.endswith("\n")
    assert duckdb.extract_statements(text)
    if path.parent.name != "macros":
        header = text.partition("\n\n")[0].partition("\nselect")[0]
        assert "Reads:" in header
        # A check has one row per problem, a layout one row per image.
        assert "Grain:" in header or path.parent.name in ("checks", "datasets")


ROWS = sorted(SQL.rglob("*.toml"))


@pytest.mark.parametrize(
    ("path", "case"),
    [
        pytest.param(path, case, id=f"{_id(path)}: {case['name']}")
        for path in ROWS
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ],
)
def test_a_query_answers_given_rows_as_expected(path: Path, case: dict[str, Any]) -> None:
    """The rows beside a query say what it decides: tables that are given, rows that come out."""
    con = scratch()
    try:
        for table, rows in case["given"].items():
            columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
            con.register(f"_{table}", pa.table(columns))
            con.execute(f"create table {table} as from _{table}")
        for table, columns in case.get("columns", {}).items():
            for name, kind in columns.items():
                con.execute(f"alter table {table} add column {name} {kind}")
        query = path.with_suffix(".sql").read_text(encoding="utf-8")
        answer = con.sql(query, params=case.get("parameters", {})).to_arrow_table().to_pylist()
    finally:
        con.close()
    wanted = case["expect"]
    assert len(answer) == len(wanted)
    for got, want in zip(answer, wanted, strict=True):
        missing = want.pop("null", [])
        assert {name: got[name] for name in want} == want
        assert [got[name] for name in missing] == [None] * len(missing)


@pytest.mark.parametrize("name", ["level_profile", "raw_profile"])
def test_queries_that_decide_have_rows_beside_them(name: str) -> None:
    assert (SQL / "queries" / f"{name}.toml") in ROWS
    assert (SQL / "labels" / "reachable.toml") in ROWS


def test_every_table_and_column_of_meaning_is_documented(empty: Lake) -> None:
    with empty.held() as con:
        bare = con.execute(
            "select table_name from duckdb_tables() where comment is null and not temporary"
        ).fetchall()
    assert bare == []


@pytest.mark.parametrize("path", sorted((SQL / "exclude").rglob("*.sql")), ids=_id)
def test_a_rule_gives_one_row_per_profile_and_reason(path: Path) -> None:
    con = scratch()
    con.execute(
        "create table candidate as select range as profile_id, 'c' as compound, 'b' as"
        " batch, 'p' as plate, 'w' as well, 's' as source, 'l' as label from range(5)"
    )
    query = path.read_text(encoding="utf-8").strip()
    rows = con.execute(f"select profile_id, reason, key from ({query})").fetchall()
    con.close()
    assert len(rows) == len({(r[0], r[1]) for r in rows})
    assert {r[0] for r in rows} == set(range(5))
    assert all(r[2] is not None for r in rows)


def test_views_keep_their_grain(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    toy = ModelConfig(
        kind="vit",
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 1},
        num_dims=192,
        crop_size_px=32,
        stride_px=32,
    )
    registry.register(lake, Run("test", {}), "toy", toy, new_encoder(toy))
    embed(lake, "toy", keep="crop")
    project(lake, Selection(["gaussian"]), method="pca")
    project(lake, Selection(["gaussian"], where="moa is not null"), method="pca")
    for view, key, num_rows in (
        ("embedding", "model, plate, well, field, channel", 144),
        ("crop_embedding", "model, plate, well, field, channel, top_px, left_px", 72 * 9),
        ("located_image", "plate, well, field, channel", 72),
        ("training_sample", "plate, well, field, channel", 72),
        ("labelled_sample", "plate, well, field, channel", 48),
        ("profile", "model, normalization, level, dataset, profile_id", 12),
        ("statistic", "model, normalization, level, dataset, step, unit", 2),
        (
            "projection",
            "model, normalization, level, dataset, method, seed, condition, profile_id",
            12 + 8,
        ),
    ):
        twice = lake.query(f"select {key} from {view} group by all having count(*) > 1")
        assert twice.is_empty()
        assert lake.query(f"select count(*) from {view}").item() == num_rows
    assert {*OVER_PARTS, *OVER_TABLES} == set(assets.names("views"))


def test_the_manifests_schema_is_a_schema() -> None:
    schema = assets.manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    row = {"path": "a.tif", "plate": "p", "well": "A01", "field": 1, "channel": "DNA"}
    jsonschema.validate(row, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row | {"well": "A"}, schema)


def test_arrow_schemas_describe_what_is_written(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    uri = lake.query("select uri from part limit 1").item()
    written = pq.read_schema(lake.resolve(uri))
    want = assets.arrow_schema("embedding", 384)
    assert written.names == want.names
    assert written.field("embedding").type.list_size == 384
    for path in (assets.ROOT / "schemas").glob("*.arrow.json"):
        assert json.loads(path.read_text())["description"]
