"""Cells counted in images, the count alone as a system, and its regression out of profiles."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk
from sklearn.linear_model import LinearRegression

import unidino as ud
from unidino.models.counting import count_nuclei
from unidino.profiles.compute import on_half_circle


def drawn(num: int, diameter: int, side: int) -> np.ndarray:
    """A plane of `num` discs that do not touch, on noise."""
    plane = np.random.default_rng(0).normal(200, 20, (side, side))
    step = 2 * diameter
    places = [
        (y, x) for y in range(step, side - step, step) for x in range(step, side - step, step)
    ]
    for y, x in places[:num]:
        plane[disk((y, x), diameter / 2, shape=plane.shape)] += 3000
    assert len(places) >= num
    return plane.clip(0, 65535).astype(np.uint16)


@pytest.mark.parametrize(("diameter", "side"), [(12, 300), (30, 512), (60, 900)])
def test_nuclei_of_every_size_are_counted(diameter: int, side: int) -> None:
    assert count_nuclei(drawn(20, diameter, side)) == 20


def test_a_plane_without_nuclei_has_none() -> None:
    noise = np.random.default_rng(0).normal(200, 20, (256, 256)).astype(np.uint16)
    assert count_nuclei(noise) == 0
    assert count_nuclei(np.zeros((64, 64), np.uint16)) == 0


def test_counts_of_real_fields_are_those_of_the_full_segmentation(data: Path) -> None:
    import tifffile

    from unidino.models.cellprofiler import segment_nuclei

    files = sorted((data / "bbbc021_montage").rglob("*_w1*.tif"))[:4]
    planes = [tifffile.imread(file) for file in files]
    whole = np.array([segment_nuclei(plane)[0].max() for plane in planes])
    ours = np.array([count_nuclei(plane) for plane in planes])
    assert (whole > 50).all()
    assert np.abs(ours.sum() / whole.sum() - 1) < 0.1


@pytest.fixture(scope="module")
def counted(profiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny lake with its cells counted and the count as a model."""
    folder = tmp_path_factory.mktemp("counted") / "lake"
    shutil.copytree(profiled, folder)
    lake = ud.Lake.open(folder)
    done = ud.count_cells(lake)
    assert (len(done.plates), done.num_images) == (2, 24)
    ud.create_model(lake, "cell_count")
    ud.embed(lake, "cell_count")
    return folder


@pytest.fixture
def lake(counted: Path, tmp_path: Path) -> ud.Lake:
    shutil.copytree(counted, tmp_path / "lake")
    return ud.Lake.open(tmp_path / "lake")


def test_fields_and_wells_have_counts_and_the_lake_is_whole(lake: ud.Lake) -> None:
    rows = lake.query(
        "select any_value(well.num_cells) as num, sum(field.num_cells) as total from well"
        " inner join field using (plate, well) group by plate, well"
    )
    assert rows["num"].to_list() == rows["total"].to_list()
    assert rows["num"].to_numpy().min() > 0
    assert ud.check(lake, deep=True) == []
    again = ud.count_cells(lake)
    assert again.plates == ()
    assert len(again.skipped) == 2
    copy = lake.path.parent / "copy"
    shutil.copytree(lake.path, copy)
    (copy / "catalog.duckdb").unlink()
    from unidino.lake.rebuild import rebuild

    rebuild(copy)
    query = "select plate, well, num_cells from well order by all"
    assert ud.Lake.open(copy).query(query).equals(lake.query(query))


def test_a_count_that_a_table_states_is_kept_until_it_is_overwritten(lake: ud.Lake) -> None:
    lake.execute("update well set num_cells = 7; update field set num_cells = null")
    ud.count_cells(lake, "DNA")
    assert lake.query("select distinct num_cells from well")["num_cells"].to_list() == [7]
    ud.count_cells(lake, "DNA", overwrite=True)
    assert 7 not in lake.query("select num_cells from well")["num_cells"].to_list()


def test_what_cannot_be_counted_is_one_line(lake: ud.Lake, tmp_path: Path) -> None:
    with pytest.raises(ud.UnidinoError, match="unknown channel of plate tiny_b1_p1 'ER'"):
        ud.count_cells(lake, "ER")
    with pytest.raises(ud.UnidinoError, match="unknown plate with images 'x'"):
        ud.count_cells(lake, plates=["x"])
    empty = ud.Lake.create(tmp_path / "empty")
    with pytest.raises(ud.UnidinoError, match="no images to count cells in"):
        ud.count_cells(empty)
    lake.execute("update well set num_cells = null")
    with pytest.raises(ud.UnidinoError, match="no well has num_cells; count cells by"):
        ud.embed(lake, "cell_count", overwrite=True)


@given(st.lists(st.integers(0, 3000), min_size=3, max_size=30))
@settings(max_examples=50)
def test_cosine_neighbours_of_counts_have_the_nearest_count(counts: list[int]) -> None:
    values = np.array(counts, dtype=float)
    points = on_half_circle(values)
    cosines = points @ points.T
    for i in range(len(values)):
        nearer = np.argsort(-cosines[i], kind="stable")
        gaps = np.abs(values - values[i])[nearer]
        assert (np.diff(gaps) >= -1e-6 * (1 + np.ptp(values))).all()


def test_the_count_alone_is_a_system_in_scores(lake: ud.Lake) -> None:
    scores = ud.score(lake, "nsb", ud.Selection(models=["gaussian", "cell_count"]))
    assert [s.model for s in scores] == ["gaussian", "cell_count"]
    assert scores[0].n == scores[1].n
    stored = lake.query("select embedding from profile where model = 'cell_count'")
    assert np.allclose([np.hypot(*v) for v in stored["embedding"].to_list()], 1)
    ud.embed(lake, "cell_count")
    assert ud.embed(lake, "cell_count").plates == ()
    lake.execute("update well set num_cells = num_cells + 1 where plate = 'tiny_b1_p1'")
    assert ud.embed(lake, "cell_count").plates == ("tiny_b1_p1",)
    with pytest.raises(ud.UnidinoError, match="has no use for --nuclei"):
        ud.create_model(lake, "cell_count", "other", nuclei="DNA")


def test_a_line_in_the_count_is_subtracted_as_by_scikit_learn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    num, counts = 40, np.random.default_rng(1).integers(50, 500, 40)
    features = random.standard_normal((num, 3)) + counts[:, None] * np.array([0.1, 0, -2])
    features[3, 1] = np.nan
    table = pl.DataFrame(
        {
            "plate": ["p"] * 20 + ["q"] * 20,
            "well": [f"{'ABCD'[i % 4]}{1 + i % 20 // 4:02d}" for i in range(num)],
            "num_cells": counts,
        }
    ).with_columns(**{f"f{i}": features[:, i] for i in range(3)})
    table.write_parquet(tmp_path / "t.parquet")
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, tmp_path / "t.parquet", "m")
    form = "none,regress=num_cells"
    ud.profile(lake, ud.Selection(normalize=form))
    got = lake.query(f"select plate, well, embedding from profile where normalization = '{form}'")
    table = table.with_row_index("i")
    joined = got.join(table, on=["plate", "well"], maintain_order="left")
    for plate in "pq":
        here = joined.filter(pl.col("plate") == plate)
        ours = np.array(here["embedding"].to_list())
        for k in range(3):
            x, y = here["num_cells"].to_numpy()[:, None], here[f"f{k}"].to_numpy()
            there = np.isfinite(y)
            line = LinearRegression().fit(x[there], y[there])
            np.testing.assert_allclose(ours[there, k], y[there] - line.predict(x[there]), atol=2e-5)
    # Learnt lines are kept and can be applied; new counts make the profiles anew.
    learnt = lake.query("select unit, method, step from statistic")
    assert set(learnt.iter_rows()) == {("p", "line", 0), ("q", "line", 0)}
    assert not ud.profile(lake, ud.Selection(normalize=form))[0].is_new
    lake.execute("update well set num_cells = 100 where well = 'A01'")
    assert ud.profile(lake, ud.Selection(normalize=form))[0].is_new


def test_statistics_of_a_regression_apply_to_new_wells(lake: ud.Lake) -> None:
    form = "mad_robustize,regress=num_cells"
    done = ud.profile(lake, ud.Selection(models=["gaussian"], normalize=form))
    file = next((lake.path / "profiles/gaussian").rglob("*regress*/statistics/well/*.parquet"))
    ud.profile(lake, ud.Selection(models=["gaussian"], normalize=f"{form},statistics={file}"))
    rows = lake.query(
        "select normalization like '%statistics%' as applied, well, plate, embedding from profile"
        " where model = 'gaussian' and normalization like '%regress%' order by all"
    )
    halves = [rows.filter(pl.col("applied") == a)["embedding"].to_list() for a in (False, True)]
    np.testing.assert_allclose(*halves, atol=1e-6)
    assert done[0].num_profiles == 12


def test_profiles_without_counts_cannot_be_regressed(lake: ud.Lake) -> None:
    lake.execute("update well set num_cells = null where well = 'B02'")
    with pytest.raises(ud.UnidinoError, match="2 of 12 wells have no num_cells, such as one of"):
        ud.profile(lake, ud.Selection(["gaussian"], normalize="none,regress=num_cells"))
    with pytest.raises(ud.UnidinoError, match="choose one of num_cells"):
        ud.Selection(normalize="none,regress=age")


def test_cells_are_counted_at_ingest(
    tiny_export: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    given = ("--layout", "harmony", "--platemap", tiny_export / "platemap.csv")
    names = ("--channel-names", "DNA,Actin,Tubulin", "--lake", tmp_path / "lake")
    status, _, err = run_cli("ingest", tiny_export, *given, *names, "--count-cells", "DNA")
    assert status == 0
    assert "cells in 24 images of DNA" in err
    status, out, _ = run_cli("count-cells", "--lake", tmp_path / "lake", "--json")
    assert status == 0
    assert '"num_images": 0' in out


def test_the_count_stands_beside_the_models_that_nobody_named(
    lake: ud.Lake, profiled: Path, tmp_path: Path
) -> None:
    shutil.copytree(profiled, tmp_path / "uncounted")
    bare = ud.Lake.open(tmp_path / "uncounted")
    assert [s.model for s in ud.score(bare, "nsb")] == ["gaussian"]
    bare.execute("update well set num_cells = 10 + well_row * 3 + well_column")
    scores = ud.score(bare, "nsb")
    assert [s.model for s in scores] == ["gaussian", "cell_count"]
    assert scores[1].versus is not None
    assert scores[1].versus.model == "gaussian"
    bare.execute("update well set num_cells = num_cells + 5 * well_row")
    before = bare.query("select sha256 from part where model = 'cell_count' order by all")
    labels = ud.score_labels(bare, "map", "nsb")
    assert [s.model for s in labels] == ["gaussian", "cell_count"]
    assert not bare.query("select sha256 from part where model = 'cell_count' order by all").equals(
        before
    )
    for narrow in (
        ud.Selection(channels=["DNA"]),
        ud.Selection(level="field"),
        ud.Selection(normalize="mad_robustize,regress=num_cells"),
        ud.Selection(normalize="mad_robustize,select=variance"),
        ud.Selection(models=["gaussian"]),
    ):
        assert [s.model for s in ud.score(bare, "nsb", narrow)] == ["gaussian"]


def test_a_table_of_the_paper_has_the_count(lake: ud.Lake) -> None:
    lake.execute("update plate set dataset = 'jump', source = 'source_1' where true")
    from unidino.scores.paper import PRESETS, preset_table

    assert "insect" in PRESETS
    found = ud.score(lake, ["nsc", "nspw"], ud.Selection(level="well"))
    assert {s.model for s in found} == {"gaussian", "cell_count"}
    assert preset_table("insect", found)["model"].to_list() == ["gaussian", "cell_count"]
