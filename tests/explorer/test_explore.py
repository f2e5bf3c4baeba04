"""The page over a lake: what it shows, and what it refuses; test_explore_page has the browser."""

import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import polars as pl
import pytest
from flask.testing import FlaskClient

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.explorer import query
from unidino.explorer.address import first_state, plates_and_columns, read_address
from unidino.explorer.close_up import neighbours_view, well_view
from unidino.explorer.colors import CATEGORIES, NONE, OTHER, colors_of
from unidino.explorer.explore import explore
from unidino.explorer.figures import plate_figure, plate_mark, row_name
from unidino.explorer.held import Held
from unidino.explorer.images import Images, nearest_size, shrunk, windowed
from unidino.explorer.query import examples, file_of, run_query, shown
from unidino.explorer.server import make_app
from unidino.explorer.vectors import principal_points
from unidino.explorer.where import map_view, plate_view
from unidino.insight.projection import projection
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest, nearest_to
from unidino.scores.rules import candidates, metrics, rule_sql

NAMES = ("gaussian", "mad_robustize", "tiny")


@pytest.fixture(scope="module")
def held(profiled: Path) -> Held:
    return Held(Lake.open(profiled))


@pytest.fixture
def own(profiled: Path, tmp_path: Path) -> Lake:
    """A copy of that lake, to be changed."""
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture(scope="module")
def client(held: Held) -> FlaskClient:
    client: FlaskClient = make_app(held).server.test_client()
    return client


def _first(held: Held) -> tuple[str, str]:
    row = held.wells("tiny").table.row(0, named=True)
    return row["plate"], row["well"]


# Neighbours


@pytest.mark.parametrize("seed", range(6))
def test_one_profiles_neighbours_are_those_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (60, 4)).astype(np.float32)  # many ties
    vectors[~vectors.any(axis=1)] = 1
    ids = np.arange(60)
    keys = pl.DataFrame(
        {
            "profile_id": np.concatenate([ids, ids]),
            "reason": ["a"] * 60 + ["b"] * 60,
            "key": [str(v) if v else None for v in rng.integers(0, 9, 120)],
        }
    )
    codes = encode_keys(keys, ids)
    k = int(rng.integers(1, 70))
    found = nearest(vectors, codes, np.zeros(60, np.int64), k=k)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    for i in range(60):
        index, similarity = nearest_to(vectors, norms, codes, i, k=k)
        is_there = found.index[i] >= 0
        assert index.tolist() == found.index[i][is_there].tolist()
        np.testing.assert_allclose(similarity, found.similarity[i][is_there], atol=1e-12)


def test_neighbours_among_some_are_those_of_these_alone() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 5))
    norms = np.linalg.norm(vectors, axis=1)
    some = np.array([1, 3, 4, 8, 20, 21, 39])
    alone = nearest(vectors[some], [], np.zeros(7, np.int64), k=3)
    for nth, position in enumerate(some):
        index, _ = nearest_to(vectors, norms, [], int(position), k=3, among=some)
        assert index.tolist() == some[alone.index[nth]].tolist()


@pytest.mark.parametrize("rules", ["text", "published"])
@pytest.mark.parametrize("rule", [*metrics(), "not same compound,plate", "not same batch"])
def test_neighbours_shown_are_the_scored_ones(held: Held, rule: str, rules: str) -> None:
    (profiles,) = held.sets(held.file(*NAMES))
    label = "moa"

    def naively() -> dict[tuple[str, str], list[tuple[str, str]]]:
        scored = candidates(profiles.metadata, profiles.vectors, label, rule_sql(rule, rules))
        found = nearest(profiles.vectors[scored.positions], scored.keys, scored.labels, k=3)
        names = list(profiles.row)
        return {
            names[scored.positions[i]]: [
                names[scored.positions[j]] for j in found.index[i] if j >= 0
            ]
            for i in range(len(scored.positions))
        }

    try:
        expected = naively()
    except ProfileError as error:
        with pytest.raises(ProfileError, match=str(error).split("(")[0].split("'")[0]):
            profiles.neighbours(*_first(held), rule, rules=rules, label=label, among="scored", k=3)
        return
    assert expected
    for (plate, well), neighbours in expected.items():
        found = profiles.neighbours(
            plate, well, rule, rules=rules, label=label, among="scored", k=3
        )
        assert found.select("plate", "well").rows() == neighbours


def test_all_wells_have_neighbours_that_the_rule_allows(held: Held) -> None:
    (profiles,) = held.sets(held.file(*NAMES))
    wells = held.wells("tiny")
    controls = 0
    for plate, well in profiles.row:
        found = profiles.neighbours(plate, well, "not same compound,plate", label="moa", k=12)
        mine = wells.row(plate, well) or {}
        others = [wells.row(*key) or {} for key in found.select("plate", "well").rows()]
        allowed = [
            r
            for r in wells.table.iter_rows(named=True)
            if r["compound"] != mine["compound"] and r["plate"] != plate
        ]
        assert len(others) == len(allowed)
        assert all(o["compound"] != mine["compound"] and o["plate"] != plate for o in others)
        assert found["similarity"].is_sorted(descending=True)
        controls += mine["control_type"] == "negcon"
        for row in found.iter_rows(named=True):
            known = wells.row(row["plate"], row["well"]) or {}
            assert row["label"] == known["moa"]
            both = mine["moa"] is not None and known["moa"] is not None
            assert row["is_same_label"] == (mine["moa"] == known["moa"] if both else None)
    assert controls == 4


def test_a_control_is_not_scored_and_that_is_said(held: Held) -> None:
    (profiles,) = held.sets(held.file(*NAMES))
    control = held.wells("tiny").table.filter(pl.col("control_type") == "negcon")
    plate, well = control.select("plate", "well").row(0)
    with pytest.raises(ProfileError, match=f"{plate} {well} is not scored by moa"):
        profiles.neighbours(plate, well, "nsc", label="moa", among="scored")
    with pytest.raises(UnidinoError, match="unknown metric 'nsx'; choose one of"):
        profiles.neighbours(plate, well, "nsx")


# Wells, colours, plates


def test_an_expression_has_a_value_for_each_well(held: Held) -> None:
    wells = held.wells("tiny")
    assert len(wells.table) == 12
    assert wells.values("compound").to_list() == wells.table["compound"].to_list()
    ratio = wells.values("focus_DNA / mean_Actin").to_numpy()
    expected = wells.table["focus_DNA"].to_numpy() / wells.table["mean_Actin"].to_numpy()
    np.testing.assert_allclose(ratio, expected)
    rank = wells.values("row_number() over (order by mean_DNA desc)").to_numpy()
    assert (np.argsort(rank) == np.argsort(-wells.table["mean_DNA"].to_numpy())).all()


def test_figures_of_images_are_means_over_fields(held: Held) -> None:
    images = held.lake.query("select plate, well, channel, avg(focus) as f from image group by all")
    wells = held.wells("tiny")
    for plate, well, channel, focus in images.iter_rows():
        assert (wells.row(plate, well) or {})[f"focus_{channel}"] == pytest.approx(focus)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nothing", "nothing"),
        ("count(*)", "."),
        ("compound) as value from well; drop table well; --", "expected one SQL statement"),
        ("(select content from read_text('/etc/hostname'))", "disabled by configuration"),
        ("1) as value from well, well as other --", "."),
    ],
)
def test_a_bad_expression_is_one_line(held: Held, expression: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        held.wells("tiny").values(expression)
    assert "\n" not in str(error.value)


def test_a_condition_keeps_wells_and_null_does_not_fit(held: Held) -> None:
    wells = held.wells("tiny")
    fits = wells.fits("moa = 'actin disruptor'")
    assert fits.tolist() == [m == "actin disruptor" for m in wells.table["moa"]]
    assert wells.fits("").all()
    with pytest.raises(InputError):
        wells.fits("moa =")


def test_what_a_dataset_says_besides_is_a_column(own: Lake) -> None:
    own.execute("""update well set extra = '{"passage": "' || well_column || '", "note": "x"}'""")
    wells = Held(own).wells("tiny")
    assert wells.values("passage").to_list() == wells.table["well_column"].to_list()
    assert wells.table["note"].unique().to_list() == ["x"]


def test_categories_have_colours_of_their_own_and_the_rest_is_grey() -> None:
    names = [f"c{i:02d}" for i in range(30) for _ in range(30 - i)]
    found = colors_of(pl.Series([*names, None, None]))
    assert [e.name for e in found.entries] == [
        *(f"c{i:02d}" for i in range(9)),
        "21 others",
        "none",
    ]
    assert sum(e.num for e in found.entries) == len(names) + 2
    assert [e.color for e in found.entries[-2:]] == [OTHER, NONE]
    assert len({e.color for e in found.entries}) == 11
    assert found.codes[0] == 0
    assert found.codes[-1] == 10
    assert found.codes[names.index("c20")] == 9


def test_numbers_are_a_scale_and_missing_ones_are_apart() -> None:
    found = colors_of(pl.Series([0.0, 5.0, 10.0, None, float("nan")]))
    assert found.codes.tolist() == [0, 0.5, 1, -0.25, -0.25]
    assert found.ends == ("0", "10")
    assert found.entries[0].num == 2
    assert found.colorscale[0][0] == 0
    assert found.colorscale[-1][0] == 1
    doses = colors_of(pl.Series([0.0, 0.1, 1.0, 100.0]))
    assert doses.is_log
    assert doses.ends == ("≤ 0.1", "100")
    np.testing.assert_allclose(doses.codes, [0, 0, 1 / 3, 1], atol=1e-6)
    assert colors_of(pl.Series([3, 3, 3])).codes.tolist() == [0.5] * 3
    assert colors_of(pl.Series([None, None])).entries[0].name == "none"
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 10


def test_a_plate_shows_each_well_where_it_is(held: Held) -> None:
    plate, well = _first(held)
    view = plate_view(held, "tiny", plate, "compound", "", {"plate": plate, "well": well})
    (trace,) = view["figure"]["data"]
    own = held.wells("tiny").of_plate(plate)
    colors = held.colors("tiny", "compound")
    shown_at = {
        (r, c): v for r, row in enumerate(trace["z"]) for c, v in enumerate(row) if v is not None
    }
    assert shown_at == {
        (r["well_row"] - 1, r["well_column"] - 1): colors.codes[r["position"]]
        for r in own.iter_rows(named=True)
    }
    assert view["figure"]["layout"]["shapes"] == plate_mark(well)
    faded = plate_view(held, "tiny", plate, "compound", "well_row = 2", None)["figure"]["data"]
    assert len(faded) == 2


def test_rows_beyond_z() -> None:
    assert [row_name(r) for r in (1, 26, 27, 32)] == ["A", "Z", "AA", "AF"]
    (frame,) = plate_mark("AF48")
    assert (frame["y0"], frame["x0"]) == (31.5, 47.5)
    wells = pl.DataFrame({"position": [0], "well_row": [32], "well_column": [48]})
    figure = plate_figure(32, 48, wells, colors_of(pl.Series([1.0])), np.array([True]), None)
    assert figure["data"][0]["z"][31][47] == 0.5


def test_the_map_has_a_point_for_each_well_that_fits(held: Held) -> None:
    view = map_view(held, NAMES, None, "umap", "moa", "control_type = 'trt'")
    assert view["count"] == "8 wells"
    assert view["note"] == "No UMAP of these profiles yet; this is PCA."
    assert view["can_make"]


def test_points_in_the_lake_are_shown_and_those_of_other_profiles_are_not(own: Lake) -> None:
    held = Held(own)
    file = held.file(*NAMES)
    computed = principal_points(held.sets(file)[0])
    held.make_map(file, "pca")
    while held.map_state(file) == "making":
        time.sleep(0.1)
    assert held.map_state(file) is None
    assert own.query("select count(*) from part where kind = 'projection'").item() == 1
    fresh = Held(own)
    mapped = fresh.map(fresh.file(*NAMES), None, "pca")
    assert fresh._sets._values == {}, "points that are held need no vectors"
    np.testing.assert_allclose(mapped.points["x"].to_numpy(), computed["x"].to_numpy(), atol=1e-6)
    (projected,) = projection(own, "gaussian", method="pca")
    assert mapped.points["y"].to_list() == projected.points["y"].to_list()
    held.close()


def test_a_map_that_fails_says_why(own: Lake) -> None:
    held = Held(own)
    file = held.file(*NAMES)
    held.make_map(file, "tsne")
    while held.map_state(file) == "making":
        time.sleep(0.1)
    assert str(held.map_state(file)).startswith("no map was made: unknown method of projection")
    held.close()


# Images


def test_an_image_is_its_plane_within_the_window(held: Held) -> None:
    plate, well = _first(held)
    images = Images(held.lake)
    row = images.of_well(plate, well).row(1, named=True)
    plane = pixels.read_plane(held.lake.resolve(row["uri"]), row["channel_index"])
    png = images.png(plate, well, row["field"], row["channel"], size=256, low=300, high=900)
    expected = np.clip((plane.astype(float) - 300) * 255 / 600 + 0.5, 0, 255).astype(np.uint8)
    assert (imagecodecs.png_decode(png) == expected).all()
    usual = imagecodecs.png_decode(images.png(plate, well, row["field"], row["channel"], size=256))
    assert (usual == 0).mean() >= 0.001
    assert (usual == 255).mean() >= 0.001


def test_a_small_image_is_made_of_means() -> None:
    plane = np.arange(64, dtype=np.uint16).reshape(8, 8)
    expected = plane.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk(plane, 4), expected)
    assert shrunk(np.ones((10, 40), np.uint16), 20).shape == (5, 20)
    assert windowed(np.array([[5.0]], np.float32), 5, 5)[0, 0] == 0
    assert [nearest_size(p) for p in (1, 97, 5000)] == [96, 160, 2160]


def test_an_image_route_serves_pixels(held: Held, client: FlaskClient) -> None:
    plate, well = _first(held)
    answer = client.get(f"/image?plate={plate}&well={well}&field=1&channel=DNA&size=96&v=1")
    assert answer.status_code == 200
    assert answer.mimetype == "image/png"
    assert imagecodecs.png_decode(answer.data).shape == (96, 96)
    assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plate": "nowhere"}, "the lake has no image nowhere"),
        ({"plate": "../../catalog.duckdb"}, "the lake has no image"),
        ({"well": "../B02"}, "the lake has no image"),
        ({"field": "../1"}, "field '../1' is not a number"),
        ({"field": "99"}, "field 99 DNA"),
        ({"channel": "GFP"}, "field 1 GFP"),
        ({"low": "nan"}, "low 'nan' is not a number"),
        ({"plate": ""}, "the address lacks plate"),
    ],
)
def test_what_is_no_image_is_one_line(
    held: Held, client: FlaskClient, change: dict[str, str], message: str
) -> None:
    plate, well = _first(held)
    given = {"plate": plate, "well": well, "field": "1", "channel": "DNA"} | change
    answer = client.get("/image", query_string=given)
    assert answer.status_code == 404
    assert message in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/assets/../server.py", "/assets/..%2f..%2fcatalog.py", "/image/x"],
)
def test_no_path_leads_out_of_the_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.text.count("\n") == 1


# Guards


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8050"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8050"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost:8050", "Origin": "http://localhost:9000"}, 403),
        ({"Host": "localhost:8050", "Origin": "http://localhost:8050"}, 200),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_only_this_machines_own_page_is_answered(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/", headers=headers)
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["X-Frame-Options"] == "DENY"
    if status == 403:
        assert answer.text.count("\n") == 1


def test_other_sites_get_neither_images_nor_files(client: FlaskClient) -> None:
    for path in ("/image", "/download", "/_dash-layout"):
        answer = client.get(
            path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        )
        assert answer.status_code == 403


def test_the_page_needs_no_other_host(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "https://" not in page
    assert "http://" not in page
    for name in ("explore.css", "explore.js"):
        assert f"assets/{name}" in page


# SQL


def test_rows_are_counted_and_the_first_are_shown(held: Held) -> None:
    result = run_query(held.lake, "select range as n from range(25000)")
    assert (len(result.rows), result.num_rows) == (10_000, 25_000)
    assert result.rows["n"].to_list() == list(range(10_000))
    profiles = run_query(held.lake, "select embedding, 0 / 0 as nan from profile limit 2")
    assert profiles.num_rows == 2
    cells = shown(profiles.rows)[0]
    assert cells["c0"].endswith("... 108 values]") or "values]" in cells["c0"]
    json.dumps(cells, allow_nan=False)
    assert run_query(held.lake, "explain from plate").num_rows >= 1


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
def test_what_writes_is_refused_as_on_the_command_line(held: Held, statement: str) -> None:
    with pytest.raises(InputError) as of_cli:
        held.lake.query(statement)
    with pytest.raises(InputError) as of_page:
        run_query(held.lake, statement)
    assert str(of_page.value) == str(of_cli.value)
    assert "\n" not in str(of_page.value)


def test_a_query_sees_the_lake_and_nothing_else(held: Held, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for statement in (f"from '{tmp_path}/secret.csv'", "from read_text('/etc/hostname')"):
        with pytest.raises(InputError, match="disabled by configuration"):
            run_query(held.lake, statement)
    result: Any = pl.DataFrame({"variable": [1]})
    with pytest.raises(InputError, match="result does not exist"):
        run_query(held.lake, "from result")
    assert len(result) == 1
    assert run_query(held.lake, "select count(*) from embedding").rows.item() == 72


def test_a_query_that_takes_too_long_is_stopped(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_PATIENCE_S", 0.5)
    with pytest.raises(InputError, match="stopped after"):
        run_query(held.lake, "select sum(a.range * b.range) from range(1000000) a, range(100000) b")


def test_files_have_all_rows(held: Held, client: FlaskClient) -> None:
    statement = "select plate, well, embedding, concentration_um from profile order by all"
    token = held.run(statement).token
    csv = client.get(f"/download?query={token}&format=csv")
    assert csv.status_code == 200
    assert "attachment" in csv.headers["Content-Disposition"]
    rows = held.lake.query(statement)
    read = pl.read_csv(io.BytesIO(csv.data))
    assert read["well"].to_list() == rows["well"].to_list()
    assert json.loads(read["embedding"][3]) == rows["embedding"][3].to_list()
    parquet = client.get(f"/download?query={token}&format=parquet")
    assert pl.read_parquet(io.BytesIO(parquet.data)).equals(rows)
    many = b"".join(file_of(held.lake, "from range(120000)", "parquet"))
    assert len(pl.read_parquet(io.BytesIO(many))) == 120_000
    assert client.get("/download?query=abc&format=csv").status_code == 404
    assert client.get(f"/download?query={token}&format=xml").status_code == 404


def test_examples_run(held: Held) -> None:
    for question, statement in examples().items():
        assert question.endswith("?")
        run_query(held.lake, statement)
    assert len(examples()) >= 5


# The lake meanwhile


def test_the_catalog_is_free_between_requests_and_changes_are_seen(own: Lake) -> None:
    held = Held(own)
    client = make_app(held).server.test_client()
    plate, well = _first(held)
    client.get(f"/image?plate={plate}&well={well}&field=1&channel=DNA")
    held.run("from plate")
    map_view(held, NAMES, plate, "pca", "moa", "")
    own.execute(f"update well set moa = 'new' where plate = '{plate}' and well = '{well}'")
    assert (held.wells("tiny").row(plate, well) or {})["moa"] == "new"
    assert "new" in [e.name for e in held.colors("tiny", "moa").entries]


def test_the_state_is_in_the_address(held: Held) -> None:
    plate, well = _first(held)
    address = read_address(f"?plate={plate}&well={well}&colour=focus_DNA&model=gaussian&x=1")
    assert "x" not in address
    state = first_state(held, None, address)
    assert state["dataset"] == "tiny"
    assert state["chosen"] == {"plate": plate, "well": well}
    chosen = plates_and_columns(held, "tiny", address, None)
    assert (chosen["plate"], chosen["colour"], chosen["label"]) == (plate, "focus_DNA", "moa")
    nothing = first_state(held, None, read_address("?plate=gone&well=A01&dataset=gone&model=gone"))
    assert (nothing["dataset"], nothing["model"], nothing["chosen"]) == ("tiny", "gaussian", None)


def _sentences(held: Held, dataset: str) -> str:
    """What the page says about a lake's first well and its profiles."""
    said = []
    plate, well = held.wells(dataset).table.select("plate", "well").row(0)
    plate_view(held, dataset, plate, "well", "", None)
    said.append(well_view(held, dataset, plate, well, None)["note"])
    names = (next(iter(held.models()), ""), "none", dataset)
    for view in (
        lambda: map_view(held, names, plate, "umap", "well", "")["note"],
        lambda: neighbours_view(
            held, names, {"plate": plate, "well": well}, None, "nsc", "text", "moa", "all"
        )[1],
    ):
        try:
            said.append(view())
        except UnidinoError as error:
            said.append(str(error))
    return " | ".join(said)


def test_a_lake_without_models_says_what_makes_one(lake: Lake) -> None:
    assert "no model has seen these wells; make one with `unidino train`" in _sentences(
        Held(lake), "tiny"
    )


def test_a_model_without_profiles_names_the_commands(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    assert "then `unidino profile --model gaussian`" in _sentences(Held(lake), "tiny")


def test_imported_profiles_without_images_are_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (p, f"{r}{c:02d}", f"c{(c + i) % 7}", *rng.normal(size=4))
        for i, p in enumerate(("p1", "p2"))
        for r in "ABCDEFGHIJKLMNOP"
        for c in range(1, 25)
    ]
    names = ["Metadata_plate", "Metadata_well", "Metadata_compound", "a", "b", "c", "d"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    table.write_csv(tmp_path / "wide.csv")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(
        lake,
        tmp_path / "wide.csv",
        "mine",
        dataset="screen",
        features="^[a-d]$",
        mapped={
            "plate": "Metadata_plate",
            "well": "Metadata_well",
            "compound": "Metadata_compound",
        },
    )
    said = _sentences(Held(lake), "screen")
    assert "p1 has no images in the lake; `unidino ingest` adds them." in said
    assert "make them with `unidino profile --model mine`" in said
    profile(lake, ["mine"], normalize="none")
    held = Held(lake)
    assert "no well profiles" not in _sentences(held, "screen")
    (profiles,) = held.sets(held.file("mine", "none", "screen"))
    found = profiles.neighbours("p1", "A01", "nscp", label="compound", k=5)
    assert found["plate"].to_list() == ["p2"] * 5
    rows_shown, note = neighbours_view(
        held,
        ("mine", "none", "screen"),
        {"plate": "p1", "well": "A01"},
        None,
        "nscp",
        "text",
        "compound",
        "all",
    )
    assert (len(rows_shown), note) == (6, "")


def test_an_empty_lake_has_a_page(tmp_path: Path) -> None:
    held = Held(Lake.create(tmp_path / "lake"))
    state = first_state(held, None, {})
    assert (state["datasets"], state["dataset"], state["model"]) == ([], None, None)
    held.warm(None)


def test_one_channel_has_figures(own: Lake) -> None:
    own.execute("delete from image where channel <> 'DNA'")
    wells = Held(own).wells("tiny")
    assert wells.table["focus_DNA"].null_count() == 0
    assert "focus_Actin" not in wells.table.columns


def test_damaged_and_absent_images_are_said(own: Lake) -> None:
    held = Held(own)
    plate, well = _first(held)
    own.execute(
        "update image set qc = 'damaged', problem = 'truncated', p0_1 = null, p99_9 = null"
        f" where plate = '{plate}' and well = '{well}' and channel = 'DNA'"
    )
    with pytest.raises(InputError, match="DNA is damaged: truncated"):
        held.images.png(plate, well, 1, "DNA", size=96)
    own.execute(f"update plate set uri = null where plate_id = '{plate}'")
    with pytest.raises(InputError, match="registered without its pixels"):
        held.images.png(plate, well, 1, "Actin", size=96)


# The command


def test_the_command_says_what_is_wrong(
    profiled: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, error = run_cli("explore", "--lake", profiled, "--model", "none", "--no-browser")
    assert status == 1
    assert "unknown model 'none'; choose one of gaussian" in error
    server = explore(Lake.open(profiled), port=0)
    try:
        port = server.url.rstrip("/").rsplit(":", 1)[1]
        status, _, error = run_cli("explore", "--lake", profiled, "--port", port, "--no-browser")
        assert status == 1
        assert f"port {port} cannot be served" in error
        assert server.url.startswith("http://127.0.0.1:")
    finally:
        server.close()
