"""Every SQL file parses, explains on an empty lake, and keeps its header and grain."""

import json
import re
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from unidino.core import assets
from unidino.core.sql import scratch
from unidino.embeddings.embed import How, embed
from unidino.insight.projection import projection
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import baselines, registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder
from unidino.profiles.profile import profile

ROOMS = (
    "views",
    "queries",
    "checks",
    "register",
    "normalize",
    "exclude",
    "exclude/published",
    "labels",
    "wells",
    "examples",
)
# Views over files of vectors exist once there are files: test_views_keep_their_grain reads them.
OVER_FILES = {
    ("views", name)
    for name in ("embedding", "crop_embedding", "profile", "statistic", "projection")
}
FILES = [(room, n) for room in ROOMS for n in assets.names(room) if (room, n) not in OVER_FILES]
# Relations that a step makes before it runs the query, with the columns that it reads.
MADE = {
    "sample": "0 as image_id, '' as dataset, '' as plate, '' as well, 0 as field,"
    " 0 as channel_index, '' as channel, '' as control_type, 0.0 as p0_1, 0.0 as p99_9",
    "candidate": "0 as profile_id, '' as compound, '' as batch, '' as plate, '' as well,"
    " '' as source, '' as label",
    "key": "0 as profile_id, '' as reason, '' as key",
    **dict.fromkeys(
        ("raw_profile", "member"),
        "0 as row_id, '' as dataset, '' as plate, '' as well, 0 as field, '' as source,"
        " '' as batch, '' as perturbation, '' as compound, 0.0 as concentration_um,"
        " '' as control_type, '' as moa, '' as target, '' as cell_line, null::json as extra,"
        " [''] as channels",
    ),
    "typed": None,
    "known": "'' as plate_id, '' as dataset",
    "landed": "'' as plate, '' as uri, '' as fingerprint, '' as content_hash, '' as run_id",
    "illuminated": "'' as plate, 0 as channel_index, '' as uri",
    "image_list": "'' as plate, '' as well, 0 as field, 0 as channel_index, [''] as paths",
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.create(tmp_path_factory.mktemp("empty") / "lake")


@pytest.mark.parametrize(("room", "name"), FILES)
def test_every_query_explains_on_an_empty_lake(
    empty: Lake, room: str, name: str, tmp_path: Path
) -> None:
    query = assets.sql(room, name)
    file = tmp_path / "embedding.parquet"
    pq.write_table(assets.arrow_schema("embedding").empty_table(), file)
    with empty.snapshot() as con:
        for relation, columns in MADE.items():
            if columns:
                con.execute(f"create table {relation} as select {columns}")
        schema = assets.manifest_schema()["properties"]
        kinds = {"string": "varchar", "integer": "integer", "number": "double"}
        typed = ", ".join(f"null::{kinds[r['type']]} as {n}" for n, r in schema.items())
        con.execute(
            f"create table typed as select {typed}, null::json as extra, 0 as line, '' as place"
        )
        con.execute(
            "create table manifest as select *, 1 as well_row, 1 as well_column, [path] as paths"
            " from typed"
        )
        con.execute(f"create table measured as {assets.sql('register', 'absent')}")
        values = {
            "seed": 0,
            "epoch": 0,
            "epsilon": None,
            "z": None,
            "timepoint": None,
            "keep_index": False,
            "every_channel": False,
            "whole_repeats": False,
            "share": 0.5,
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
        plan = con.execute(f"explain {query}", parameters).fetchall()
        assert plan


@pytest.mark.parametrize("path", sorted((assets.ROOT / "sql").rglob("*.sql")), ids=lambda p: p.stem)
def test_every_file_opens_with_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("-- ")
    assert text.endswith("\n")
    if "macros" not in path.parts:
        assert "Reads:" in text.split("\nselect")[0].split("\nwith")[0]


def test_every_table_and_column_of_meaning_is_documented(empty: Lake) -> None:
    with empty.read() as con:
        bare = con.execute(
            "select table_name from duckdb_tables() where comment is null and not temporary"
        ).fetchall()
    assert bare == []


@pytest.mark.parametrize("name", assets.names("exclude") + assets.names("exclude/published"))
def test_a_rule_gives_one_row_per_profile_and_reason(name: str) -> None:
    room = "exclude" if name in assets.names("exclude") else "exclude/published"
    con = scratch()
    con.execute(
        "create table candidate as select range as profile_id, 'c' as compound, 'b' as"
        " batch, 'p' as plate, 'w' as well, 's' as source, 'l' as label from range(5)"
    )
    for folder in ("exclude", "exclude/published", "labels", "wells"):
        if name in assets.names(folder):
            rows = con.execute(assets.sql(folder, name)).fetchall()
            assert len(rows) == len({(r[0], r[1]) for r in rows})
            assert {r[0] for r in rows} == set(range(5))
            assert all(r[2] is not None for r in rows)
    assert room


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
    embed(lake, "toy", how=How(keep="crop"))
    projection(lake, "gaussian", method="pca")
    projection(lake, "gaussian", method="pca", where="moa is not null")
    for view, key, num_rows in (
        ("embedding", "model, plate, well, field, channel", 144),
        ("crop_embedding", "model, plate, well, field, channel, top_px, left_px", 72 * 9),
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
    assert {name for _, name in OVER_FILES} | {"training_sample", "labelled_sample"} == set(
        assets.names("views")
    )


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
