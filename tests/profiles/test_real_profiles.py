"""Measured features of real screens give the accuracies that others published for them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.lake.lake import Lake
from unidino.profiles import wide
from unidino.profiles.export import export_profiles
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.paper import preset_table, score_preset
from unidino.scores.question import Question


@pytest.fixture(scope="module")
def ljosa(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """BBBC021's wells with the CellProfiler features of Ljosa et al. 2013."""
    lake = Lake.create(tmp_path_factory.mktemp("ljosa") / "lake")
    folder = data / "bbbc021"
    done = import_profiles(
        lake,
        folder / "ljosa_jbiomolscreen_2013_per_well_mean.csv.gz",
        "ljosa",
        dataset="bbbc021",
        mapped=wide.parse_map(
            "plate=Image_Metadata_Plate_DAPI,well=Image_Metadata_Well_DAPI,"
            "batch=split_part(plate, '_', 1)"
        ),
        unit="uM",
        metadata=[folder / "BBBC021_v1_image.csv.gz", folder / "BBBC021_v1_moa.csv"],
    )
    assert (done.num_rows, done.num_features, done.num_plates) == (632, 516, 55)
    return lake


def test_treatments_find_their_mechanism_as_often_as_published(ljosa: Lake) -> None:
    """.82 by Ljosa et al. 2013 (95 % interval .73-.89); 84 of 103 reproduced by others."""
    plain, chosen = (
        score(ljosa, "nsc", Selection(level="treatment", normalize=form))[0]
        for form in ("standardize", "standardize,select=variance+correlation")
    )
    assert (plain.n, plain.num_classes) == (103, 12)
    assert (round(plain.accuracy * 103), round(chosen.accuracy * 103)) == (85, 84)
    assert plain.interval_95[0] < 0.82 < plain.interval_95[1]


def test_the_papers_counts_are_those_of_its_table(ljosa: Lake) -> None:
    scores = score_preset(ljosa, "bbbc021")
    assert [s.n for s in scores] == [103, 302, 274, 302]
    assert scores[2].dropped["label_in_one_batch"] == 28
    assert {s.rules for s in scores} == {"published"}
    assert scores[0].normalization.endswith("wells=bbbc021")
    table = preset_table("bbbc021", scores)
    assert table.columns == [
        "model",
        "NSC moa/treatment n=103",
        "NSC moa/well n=302",
        "NSCB moa/well n=274",
        "NSPW compound/well n=302",
    ]
    assert table.row(0)[0] == "ljosa"
    assert table.row(0)[1:] == tuple(s.accuracy for s in scores)


def test_the_morpheus_table_is_reproduced(ljosa: Lake, data: Path, tmp_path: Path) -> None:
    """Its settings: median and scaled MAD of all wells, not plate by plate; epsilon 1e-18."""
    file = data / "bbbc021_morpheus" / "BBBC021_feature_selected_mad_robustize.csv.gz"
    theirs = pl.read_csv(file).sort("Metadata_Plate", "Metadata_Well")
    export_profiles(
        ljosa,
        tmp_path / "ours.parquet",
        Selection(["ljosa"], normalize="mad_robustize,per=dataset,epsilon=1e-18"),
    )
    ours = pl.read_parquet(tmp_path / "ours.parquet").sort("Metadata_plate", "Metadata_well")
    features = [c for c in theirs.columns if not c.startswith("Metadata_")]
    assert len(features) == 189
    assert ours["Metadata_compound"].to_list() == theirs["Metadata_Compound"].to_list()
    np.testing.assert_allclose(
        ours.select(features).to_numpy(), theirs.select(features).to_numpy(), rtol=0, atol=1e-9
    )


def test_jump_compounds_find_their_mechanism_as_often_as_published(
    data: Path, tmp_path: Path
) -> None:
    """.138: compounds whose mechanism another one has, among all 306."""
    vectors = np.load(data / "jump_dino" / "compound_embeddings.npy")
    table = pl.read_parquet(data / "jump_dino" / "compounds.parquet").select(
        pl.col("compound_id").alias("compound"),
        pl.col("dominant_moa").alias("moa"),
        pl.Series("embedding", vectors.tolist()),
    )
    table.write_parquet(tmp_path / "jump.parquet")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "jump.parquet", "dino", level="compound")
    (got,) = score(
        lake,
        Question("nsc", label_filter="decoys"),
        Selection(level="compound", normalize="none"),
    )
    assert (got.n, round(got.accuracy, 3)) == (159, 0.138)
    assert got.dropped == {"label_in_one_compound": 147}


def test_one_command_each(ljosa: Lake, data: Path, run_cli, tmp_path: Path) -> None:
    folder = data / "bbbc021"
    status, out, err = run_cli(
        "import-profiles",
        folder / "ljosa_jbiomolscreen_2013_per_well_mean.csv.gz",
        "--model",
        "ljosa",
        "--dataset",
        "bbbc021",
        "--lake",
        tmp_path / "lake",
        "--json",
        "--map",
        "plate=Image_Metadata_Plate_DAPI,well=Image_Metadata_Well_DAPI,"
        "batch=split_part(plate, '_', 1)",
        "--metadata",
        folder / "BBBC021_v1_image.csv.gz",
        "--metadata",
        folder / "BBBC021_v1_moa.csv",
        "--unit",
        "uM",
    )
    assert status == 0, err
    assert json.loads(out)["num_rows"] == 632
    assert "632 of 632 matched" in err
    status, out, err = run_cli(
        "score",
        "--metric",
        "nsc,nscb",
        "--label",
        "moa",
        "--level",
        "well",
        "--normalize",
        "standardize",
        "--json",
        "--lake",
        tmp_path / "lake",
    )
    assert status == 0, err
    assert [(s["metric"], s["n"]) for s in map(json.loads, out.splitlines())] == [
        ("nsc", 302),
        ("nscb", 274),
    ]
