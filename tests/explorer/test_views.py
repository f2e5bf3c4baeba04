"""What the page shows of plates, maps, wells and neighbours."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from flask.testing import FlaskClient

from unidino.core.errors import UnidinoError
from unidino.core.wells import row_letters
from unidino.explorer.address import first_state, plates_and_columns, read_address
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.colours import colours_of
from unidino.explorer.figures import plate_figure, plate_mark
from unidino.explorer.profile_sets import principal_points
from unidino.explorer.server import make_app
from unidino.explorer.views import map_view, neighbours_view, plate_view, question_of, well_view
from unidino.insight.projection import project
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.question import Question

NAMES = ("gaussian", "mad_robustize", "tiny")


def first_well(cached: CachedLake) -> tuple[str, str]:
    row = cached.wells("tiny").table.row(0, named=True)
    return row["plate"], row["well"]


def test_a_plate_shows_each_well_where_it_is(cached: CachedLake) -> None:
    plate, well = first_well(cached)
    view = plate_view(cached, "tiny", plate, "compound", "", {"plate": plate, "well": well})
    (trace,) = view["figure"]["data"]
    own = cached.wells("tiny").of_plate(plate)
    colours = cached.colours("tiny", "compound")
    shown_at = {
        (r, c): v for r, row in enumerate(trace["z"]) for c, v in enumerate(row) if v is not None
    }
    assert shown_at == {
        (r["well_row"] - 1, r["well_column"] - 1): colours.codes[r["position"]]
        for r in own.iter_rows(named=True)
    }
    assert view["figure"]["layout"]["shapes"] == plate_mark(well)
    faded = plate_view(cached, "tiny", plate, "compound", "well_row = 2", None)["figure"]["data"]
    assert len(faded) == 2


def test_rows_beyond_z() -> None:
    assert [row_letters(r) for r in (1, 26, 27, 32)] == ["A", "Z", "AA", "AF"]
    (frame,) = plate_mark("AF48")
    assert (frame["y0"], frame["x0"]) == (31.5, 47.5)
    wells = pl.DataFrame({"position": [0], "well_row": [32], "well_column": [48]})
    figure = plate_figure(32, 48, wells, colours_of(pl.Series([1.0])), np.array([True]), None)
    assert figure["data"][0]["z"][31][47] == 0.5


def test_the_map_has_a_point_for_each_well_that_fits(cached: CachedLake) -> None:
    view = map_view(cached, NAMES, None, "umap", "moa", "control_type = 'trt'")
    assert view["count"] == "8 wells"
    assert view["note"] == "No UMAP of these profiles yet; this is PCA."
    assert view["can_make"]


def test_points_in_the_lake_are_shown_and_those_of_other_profiles_are_not(copied: Lake) -> None:
    cached = CachedLake(copied)
    file = cached.file(*NAMES)
    computed = principal_points(cached.sets(file)[0])
    cached.make_map(file, "pca")
    while cached.map_state(file) == "making":
        time.sleep(0.1)
    assert cached.map_state(file) is None
    assert copied.query("select count(*) from part where kind = 'projection'").item() == 1
    fresh = CachedLake(copied)
    mapped = fresh.map(fresh.file(*NAMES), None, "pca")
    assert fresh._sets._values == {}, "points that are cached need no vectors"
    np.testing.assert_allclose(mapped.points["x"].to_numpy(), computed["x"].to_numpy(), atol=1e-6)
    (projected,) = project(copied, Selection(["gaussian"]), method="pca")
    assert mapped.points["y"].to_list() == projected.points["y"].to_list()
    cached.close()


def test_a_map_that_fails_says_why(copied: Lake) -> None:
    cached = CachedLake(copied)
    file = cached.file(*NAMES)
    cached.make_map(file, "tsne")
    while cached.map_state(file) == "making":
        time.sleep(0.1)
    assert str(cached.map_state(file)).startswith("the map failed: unknown method of projection")
    cached.close()


def test_the_catalog_is_free_between_requests_and_changes_are_seen(copied: Lake) -> None:
    cached = CachedLake(copied)
    client = make_app(cached).server.test_client()
    plate, well = first_well(cached)
    client.get(f"/image?plate={plate}&well={well}&field=1&channel=DNA")
    cached.run("from plate")
    map_view(cached, NAMES, plate, "pca", "moa", "")
    copied.execute(f"update well set moa = 'new' where plate = '{plate}' and well = '{well}'")
    assert (cached.wells("tiny").row(plate, well) or {})["moa"] == "new"
    assert "new" in [e.name for e in cached.colours("tiny", "moa").entries]


def test_the_state_is_in_the_address(cached: CachedLake) -> None:
    plate, well = first_well(cached)
    address = read_address(f"?plate={plate}&well={well}&colour=focus_DNA&model=gaussian&x=1")
    assert "x" not in address
    state = first_state(cached, None, address)
    assert state["dataset"] == "tiny"
    assert state["chosen"] == {"plate": plate, "well": well}
    chosen = plates_and_columns(cached, "tiny", address, None)
    assert (chosen["plate"], chosen["colour"], chosen["label"]) == (plate, "focus_DNA", "moa")
    nothing = first_state(
        cached, None, read_address("?plate=gone&well=A01&dataset=gone&model=gone")
    )
    assert (nothing["dataset"], nothing["model"], nothing["chosen"]) == ("tiny", "gaussian", None)


def _sentences(cached: CachedLake, dataset: str) -> str:
    """What the page says about a lake's first well and its profiles."""
    said = []
    plate, well = cached.wells(dataset).table.select("plate", "well").row(0)
    plate_view(cached, dataset, plate, "well", "", None)
    said.append(well_view(cached, dataset, plate, well, None)["note"])
    names = (next(iter(cached.models()), ""), "none", dataset)
    for view in (
        lambda: map_view(cached, names, plate, "umap", "well", "")["note"],
        lambda: neighbours_view(
            cached, names, {"plate": plate, "well": well}, None, Question("nsc"), "all"
        )[1],
    ):
        try:
            said.append(view())
        except UnidinoError as error:
            said.append(str(error))
    return " | ".join(said)


def test_a_lake_without_models_says_what_makes_one(lake: Lake) -> None:
    assert "the lake has no model; make one with `unidino train`" in _sentences(
        CachedLake(lake), "tiny"
    )


def test_a_model_without_profiles_names_the_commands(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    assert "then `unidino profile --model gaussian`" in _sentences(CachedLake(lake), "tiny")


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
    said = _sentences(CachedLake(lake), "screen")
    assert "p1 has no images in the lake; `unidino ingest` adds them." in said
    assert "make them with `unidino profile --model mine`" in said
    profile(lake, Selection(["mine"], normalize="none"))
    cached = CachedLake(lake)
    assert "no well profiles" not in _sentences(cached, "screen")
    (profiles,) = cached.sets(cached.file("mine", "none", "screen"))
    question = Question("nscp", label="compound")
    found = profiles.neighbours("p1", "A01", question, k=5)
    assert found["plate"].to_list() == ["p2"] * 5
    rows_shown, note = neighbours_view(
        cached, ("mine", "none", "screen"), {"plate": "p1", "well": "A01"}, None, question, "all"
    )
    assert (len(rows_shown), note) == (6, "")


def test_an_empty_lake_has_a_page(tmp_path: Path) -> None:
    cached = CachedLake(Lake.create(tmp_path / "lake"))
    state = first_state(cached, None, {})
    assert (state["datasets"], state["dataset"], state["model"]) == ([], None, None)
    cached.warm(None)


def test_neighbours_of_the_page_read_rules_by_name_only(
    cached: CachedLake, client: FlaskClient, tmp_path: Path
) -> None:
    file = tmp_path / "x.sql"
    file.write_text("select profile_id, 'secret' as reason, compound as key from candidate")
    for rule in (str(file), "nsx", "not same plate"):
        with pytest.raises(UnidinoError, match="unknown rule '") as error:
            question_of(rule, "compound", "text", "moa")
        assert "\n" not in str(error.value)
    with pytest.raises(UnidinoError, match="unknown column 'content'"):
        question_of("columns", "content", "text", "moa")
    with pytest.raises(UnidinoError, match="unknown label 'well'"):
        question_of("nsc", None, "text", "well")
    assert question_of("columns", "compound, plate", "text", "moa").sql.count("select") == 2
    plate, well = first_well(cached)
    outputs = ("neighbours.children", "neighbours-note.children")
    inputs = {
        "chosen.data": {"plate": plate, "well": well},
        "field.value": 1,
        "model.value": "gaussian",
        "normalization.value": "mad_robustize",
        "rule.value": str(file),
        "reading.value": "text",
        "columns.value": "",
        "label.value": "moa",
        "among.value": "all",
    }

    def described(values: dict[str, Any]) -> list[dict[str, Any]]:
        names = [name.split(".") for name in values]
        return [
            {"id": name, "property": of, "value": value}
            for (name, of), value in zip(names, values.values(), strict=True)
        ]

    def note(rule: str) -> str:
        request = {
            "output": f"..{'...'.join(outputs)}..",
            "outputs": [dict(zip(("id", "property"), o.split("."), strict=True)) for o in outputs],
            "inputs": described(inputs | {"rule.value": rule}),
            "state": described({"dataset.value": "tiny"}),
            "changedPropIds": ["rule.value"],
        }
        answer = client.post("/_dash-update-component", json=request)
        assert answer.status_code == 200
        text: str = answer.json["response"]["neighbours-note"]["children"]
        return text

    assert note("nscp") == ""
    assert note(str(file)).startswith(f"unknown rule '{file}'; choose one of any, ns")


def test_a_link_of_an_earlier_version_leads_to_the_same_reading() -> None:
    assert read_address("?rule=nscb&rules=published") == {"rule": "nscb", "reading": "published"}
