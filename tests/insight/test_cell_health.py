"""The published files of Cell Health are known by their names; the tests write their layout."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import InputError, UnidinoError
from unidino.insight.cell_health import features_beside, is_published
from unidino.insight.readouts import predict_readouts
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection

NUM_GUIDES = 12
LINES = ("A549", "ES2", "HCC44")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pair of files: 12 guides in each of three cell lines, 3 readouts."""
    folder = tmp_path_factory.mktemp("consensus")
    rng = np.random.default_rng(0)
    num = NUM_GUIDES * len(LINES)
    keys = {
        "Metadata_profile_id": [f"profile_{i}" for i in range(num)],
        "Metadata_pert_name": [f"GENE{g // 2}-{g % 2 + 1}" for g in range(NUM_GUIDES)] * 3,
        "Metadata_cell_line": [line for line in LINES for _ in range(NUM_GUIDES)],
    }
    state = rng.normal(size=num)
    features = {f"Cells_AreaShape_F{i}": state + 0.1 * rng.normal(size=num) for i in range(4)}
    pl.DataFrame(keys | features).write_csv(folder / "painting.tsv", separator="\t")
    readouts = {
        "cc_all_n_objects": 5 * state + 2,
        "vb_percent_dead": -state,
        "vb_ros_mean": rng.normal(size=num),
    }
    pl.DataFrame(keys | readouts).write_csv(folder / "health.tsv", separator="\t")
    for kind in ("painting", "health"):
        (folder / f"{kind}.tsv").rename(folder / f"cell_{kind}_median.tsv")
    return folder


def test_one_call_scores_the_features_that_lie_beside(published: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    scores = predict_readouts(lake, published / "cell_health_median.tsv", num_folds=2, jobs=1)
    assert [(s.model, s.stratum) for s in scores] == [
        (model, line) for model in ("cellprofiler_median", "gaussian_median") for line in LINES
    ]
    assert {s.num_profiles for s in scores} == {NUM_GUIDES}
    assert scores[0].by == ("cell_line", "perturbation")
    r2 = {(s.model, r["readout"]): r["r2"] for s in scores for r in s.readouts.to_dicts()}
    assert r2["cellprofiler_median", "vb_percent_dead"] > 0.5
    assert r2["cellprofiler_median", "vb_ros_mean"] < 0.3
    assert r2["gaussian_median", "vb_percent_dead"] < 0.3
    landed = lake.query(
        "select distinct model, dataset, num_profiles from readout_score order by 1"
    )
    assert landed.rows() == [
        ("cellprofiler_median", "cell-health", NUM_GUIDES),
        ("gaussian_median", "cell-health", NUM_GUIDES),
    ]


def test_profiles_of_the_lake_match_by_guide_and_cell_line(published: Path, tmp_path: Path) -> None:
    wells = pl.read_csv(published / "cell_painting_median.tsv", separator="\t")
    wells = wells.select(
        pl.col("Metadata_cell_line").alias("plate"),
        pl.Series("well", [f"A{i % NUM_GUIDES + 1:02d}" for i in range(len(wells))]),
        pl.col("Metadata_cell_line").alias("cell_line"),
        pl.col("Metadata_pert_name").alias("perturbation"),
        pl.col("^Cells_.*$"),
    )
    wells.write_csv(tmp_path / "wells.csv")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "wells.csv", "mine", dataset="cell-health", features="^Cells")
    table = published / "cell_health_median.tsv"
    raw = Selection(["mine"], normalize="none")
    scores = predict_readouts(lake, table, raw, num_folds=2, jobs=1, pattern="percent")
    assert [s.model for s in scores] == ["mine"] * 3
    published_too = predict_readouts(
        lake, table, Selection(normalize="none"), num_folds=2, jobs=1, pattern="percent"
    )
    models = list(dict.fromkeys(s.model for s in published_too))
    assert models == ["cellprofiler_median", "gaussian_median", "mine"]
    # The same vectors by way of the lake, in the same folds.
    assert [s.auc for s in published_too if s.model == "mine"] == [s.auc for s in scores]
    assert published_too[0].auc == pytest.approx(scores[0].auc)


def test_names_that_are_not_the_readouts_are_said(published: Path, tmp_path: Path, run_cli) -> None:
    with pytest.raises(
        InputError, match=r"features of Cell Health; give .* cell_health_median.tsv"
    ):
        is_published(published / "cell_painting_median.tsv")
    assert is_published(Path("cell_health_modz.tsv.gz"))
    assert not is_published(Path("cell_health.csv"))
    assert features_beside(published / "cell_health_modz.tsv") is None
    for name, text in (
        ("cell_health_modz.tsv", "Metadata_pert_name\tMetadata_cell_line\tr\ng\tA549\t1\n"),
        ("cell_painting_modz.tsv", "Metadata_pert_name\tr\ng\t1\n"),
    ):
        (tmp_path / name).write_text(text)
    with pytest.raises(UnidinoError, match="has no column for the cell_line; the"):
        predict_readouts(Lake.create(tmp_path / "lake"), tmp_path / "cell_health_modz.tsv")
    (tmp_path / "cell_painting_modz.tsv").unlink()
    at = ("--table", tmp_path / "cell_health_modz.tsv", "--lake", tmp_path / "none")
    status, _, err = run_cli("readouts", *at)
    assert (status, err.count("\n")) == (1, 1)
