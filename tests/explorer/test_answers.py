"""Dose, quality, single cells, picked wells and wells beside the chosen one, without a browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from flask.testing import FlaskClient

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.explorer import cells, dose, picked, quality
from unidino.explorer.address import first_rule, first_state, picked_wells, unknown_words
from unidino.explorer.beside import beside_view, wells_beside
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.composite import COLOURS, bar_um, blended, stain_colours
from unidino.explorer.pictures import image_row
from unidino.explorer.views import neighbours_view, question_of
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles


@pytest.fixture(scope="module")
def answered(full: Lake) -> Iterator[CachedLake]:
    cached = CachedLake(full)
    yield cached
    cached.close()


def test_stains_have_their_usual_colours_each_its_own() -> None:
    painting = stain_colours(["DNA", "RNA", "ER", "AGP", "Mito"])
    assert painting == {
        "DNA": "blue",
        "RNA": "magenta",
        "ER": "green",
        "AGP": "yellow",
        "Mito": "red",
    }
    assert len(set(stain_colours([f"w{i}" for i in range(8)]).values())) == len(COLOURS)
    assert stain_colours(["Hoechst", "DAPI"])["Hoechst"] == "blue"


def test_a_composite_is_the_sum_of_its_colours() -> None:
    left = np.zeros((4, 6), np.float32)
    left[:, :3] = 100
    right = 100 - left
    picture = blended([left, right], [(0, 100), (0, 100)], ["red", "white"])
    assert picture[0, 0].tolist() == list(COLOURS["red"])
    assert picture[0, 5].tolist() == [255, 255, 255]
    with pytest.raises(InputError, match="colour 'pink' is unknown; choose one of blue"):
        blended([left], [(0, 1)], ["pink"])
    with pytest.raises(InputError, match="different sizes"):
        blended([left, left[:2]], [(0, 1)] * 2, ["red", "blue"])


def test_a_composite_is_served_and_a_wrong_one_is_said(
    client: FlaskClient, cached: CachedLake
) -> None:
    plate, well = next(iter(cached.wells("tiny").position))
    at = f"/composite?plate={plate}&well={well}&field=1&size=96"
    field = cached.images.of_well(plate, well)["field"][0]
    at = at.replace("field=1", f"field={field}")
    good = client.get(f"{at}&layer=blue:::DNA&layer=green:10:900:Actin")
    assert (good.status_code, good.mimetype) == (200, "image/png")
    assert good.data != client.get(f"{at}&layer=blue:::DNA&layer=red:10:900:Actin").data
    for layers, said in (
        ("", "choose a colour"),
        ("&layer=pink:::DNA", "colour 'pink' is unknown"),
        ("&layer=blue:::Nope", "no image"),
        ("&layer=blue:a:b:DNA", "no window of numbers"),
    ):
        answer = client.get(at + layers)
        assert answer.status_code in (400, 404)
        assert said in answer.text


@pytest.mark.parametrize(("width", "bar"), [(500.0, 100.0), (55.0, 10.0), (260.0, 50.0)])
def test_a_scale_bar_is_round_and_about_a_fifth(width: float, bar: float) -> None:
    assert bar_um(width) == bar


def test_a_row_has_a_scale_bar_where_pixels_have_a_size(cached: CachedLake) -> None:
    plate, well = next(iter(cached.wells("tiny").position))
    images = cached.images.of_well(plate, well)
    sized = images.with_columns(pixel_size_um=pl.lit(0.65))
    texts = [
        json.dumps(
            image_row([], plate, well, of, None, ["DNA", "Actin"]).to_plotly_json(), default=str
        )
        for of in (images, sized)
    ]
    assert ["bar-um" in text for text in texts] == [False, True]
    assert "data-layers" in texts[0]


def test_controls_and_replicates_stand_beside_a_well(cached: CachedLake) -> None:
    table = cached.wells("tiny").table
    row = table.filter(control_type="trt").row(0, named=True)
    beside = wells_beside(table, row)
    of = {(plate, well): what for what, plate, well in beside}
    assert list(of.values()) == ["negative control"] * 2 + ["replicate"]
    for (plate, well), what in of.items():
        other = cached.wells("tiny").row(plate, well)
        assert other is not None
        if what == "replicate":
            assert (other["compound"], other["concentration_um"]) == (
                row["compound"],
                row["concentration_um"],
            )
        else:
            assert (other["plate"], other["control_type"]) == (row["plate"], "negcon")
    assert len(beside_view(cached, "tiny", row, 1)) == 4
    assert wells_beside(table, {"plate": "x", "well": "A01"}) == []


def test_the_first_rule_is_the_strictest_that_leaves_neighbours(copied: Lake) -> None:
    def first() -> str:
        return first_rule(CachedLake(copied), "tiny")

    assert first() == "nscb"
    copied.execute("update plate set batch = 'one'")
    assert first() == "nscp"
    copied.execute("delete from well where plate <> (select min(plate_id) from plate)")
    cached = CachedLake(copied)
    assert first_rule(cached, "tiny") == "nsc"
    plate, well = next(iter(cached.wells("tiny").position))
    names = ("gaussian", "mad_robustize", "tiny")
    chosen = {"plate": plate, "well": well}
    question = question_of("nsc", None, "text", "moa")
    assert len(neighbours_view(cached, names, chosen, 1, question, "all")[0]) > 0
    copied.execute("update well set compound = 'one'")
    assert first() == "any"


def test_unknown_words_of_a_link_are_said(cached: CachedLake) -> None:
    said = unknown_words(
        cached, "?model=nope&plate=tiny_b1_p1&well=Z99&colr=moa&rule=nsc&view=maps"
    )
    assert [line.split(";")[0] for line in said] == [
        "colr is no part of a link",
        "model 'nope' is unknown",
        "view 'maps' is unknown",
        "tiny_b1_p1 has no well 'Z99'",
    ]
    assert unknown_words(cached, "?model=gaussian&token=x&condition=a") == []


def test_the_page_starts_with_the_model_that_is_no_baseline(copied: Lake) -> None:
    copied.execute(
        "insert into model by name select * replace ('mine' as model, 'codebook' as kind)"
        " from model"
    )
    copied.execute(
        "insert into part by name select * replace (replace(uri, 'gaussian', 'mine') as uri,"
        " 'mine' as model) from part where kind = 'profile'"
    )
    assert first_state(CachedLake(copied), None, {})["model"] == "mine"


def test_doses_are_listed_and_drawn(answered: CachedLake) -> None:
    rows = dose.dose_rows(answered.lake, "first", "mad_robustize", "tiny")
    listed = dose.compounds_of(rows)
    assert listed["compound"].to_list() == ["a", "b"]
    assert listed["EC50_µM"].to_list() == ["3", "inactive"]
    assert listed["95_%"].to_list() == ["above 1", ""]
    figure = dose.dose_figure(rows, "a")
    assert len(figure["data"]) == 4 * 4
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert titles[0] == "<b>all</b>"
    with pytest.raises(UnidinoError, match="unknown compound 'z'; choose one of a, b"):
        dose.dose_figure(rows, "z")
    with pytest.raises(InputError, match="run `unidino dose --model second`"):
        dose.dose_rows(answered.lake, "second", "mad_robustize", "tiny")


def test_flags_are_at_their_wells(answered: CachedLake, cached: CachedLake) -> None:
    rows, model = quality.rows_of(answered, "tiny", None)
    assert model == "first"
    plate = rows["plate"][0]
    flagged = rows.head(3).with_columns(
        is_flagged=pl.lit(value=True),
        plate=pl.lit(plate),
        well=pl.Series(["B02", "B02", "C03"]),
        measure=pl.Series(["dim", "blurred", "dim"]),
    )
    assert quality.flags_of(flagged, plate, quality.ANY) == {"B02": 2, "C03": 1}
    assert quality.flags_of(flagged, plate, "blurred") == {"B02": 1}
    figure, legend = quality.quality_map(answered, "tiny", flagged, plate, "dim")
    named = [entry.children[1:] for entry in legend]
    assert [(name, of.children) for name, of in named] == [("1 flag", "2"), ("no flag", "4")]
    assert legend[0].children[0].style != legend[1].children[0].style
    shown = figure["data"][0]["z"]
    assert shown[1][1] == shown[2][2] != shown[1][2]
    with pytest.raises(ProfileError, match="run `unidino quality`"):
        quality.rows_of(cached, "tiny", None)


def test_picked_wells_are_kept_once_and_taken_home(cached: CachedLake) -> None:
    wells = picked_wells("tiny_b1_p1:B02;tiny_b2_p1:C03;tiny_b1_p1:B02;broken")
    kept = picked.added([], wells)
    assert len(kept) == 2
    rows = picked.rows_of(cached, [*kept, {"plate": "it's", "well": "A01"}])
    assert rows["well"].to_list() == ["B02", "C03"]
    result = cached.run(picked.query_of(rows))
    assert result.num_rows == 2
    assert cached.rows_file(result.token, "csv").read_text().count("tiny_b") == 2
    assert len(picked.contact_sheet(cached, rows)) == 1 + 2  # names of the channels, then the wells


def test_single_cells_have_distributions(
    cached: CachedLake, profiled: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="keeps no single cells"):
        cells.features(cached.lake)
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "Metadata_plate": ["tiny_b1_p1"] * 40,
            "Metadata_well": ["B02"] * 30 + ["B03"] * 10,
            "Cells_Area": rng.normal(50, 5, 40),
            "Cells_Mean": rng.normal(5, 1, 40),
        }
    )
    frame.write_parquet(tmp_path / "cells.parquet")
    import_profiles(lake, tmp_path / "cells.parquet", "seen", objects=True, keep_cells=True)
    assert set(cells.features(lake)) == {"Cells_Area", "Cells_Mean"}
    wells = [("chosen", "tiny_b1_p1", "B02"), ("replicate", "tiny_b1_p1", "B03")]
    figure = cells.cells_figure(lake, "Cells_Area", wells)
    assert [len(trace["y"]) for trace in figure["data"]] == [30, 10]
    again = cells.cells_figure(lake, "Cells_Area", [*wells, ("picked", "tiny_b1_p1", "B02")])
    assert [trace["name"] for trace in again["data"]] == [t["name"] for t in figure["data"]]
    with pytest.raises(InputError, match="no single cells"):
        cells.cells_figure(lake, "Cells_Area", [("x", "tiny_b1_p1", "C02")])
