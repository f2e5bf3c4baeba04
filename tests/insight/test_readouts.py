"""Readouts that profiles tell are predicted, others are not."""

import inspect
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from unidino.core import assets
from unidino.core.errors import ProfileError, UnidinoError
from unidino.insight.readouts import predict_readouts
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection

NUM_GUIDES = 30
RAW = Selection(normalize="none")
Cli = Callable[..., tuple[int, str, str]]


def _plain_forest(vectors: np.ndarray, values: np.ndarray, seed: int) -> list[float]:
    """The published recipe as anyone would write it."""
    scores = []
    for train, test in KFold(n_splits=5, shuffle=True, random_state=seed).split(vectors):
        forest = RandomForestRegressor(n_estimators=100, min_samples_leaf=0.01, random_state=seed)
        forest.fit(vectors[train], values[train])
        scores.append(r2_score(values[test], forest.predict(vectors[test])))
    return scores


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pd.DataFrame]:
    """A lake of two cell lines by 30 guides by two wells, measured readouts, and the wells."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(1)
    wells, table = [], []
    for line in ("A549", "ES2"):
        for guide in range(NUM_GUIDES):
            state = rng.normal(size=3)
            for replicate in range(2):
                wells.append(
                    {
                        "Metadata_Plate": f"{line}-{replicate}",
                        "Metadata_Well": f"{'ABCDE'[guide // 6]}{guide % 6 + 1:02d}",
                        "cell_line": line,
                        "perturbation": f"g{guide}",
                    }
                    | {f"f{i}": s + 0.05 * rng.normal() for i, s in enumerate(state)}
                )
            # In ES2 nothing that was measured has to do with the cells' state.
            told = state[0] if line == "A549" else rng.normal()
            table.append(
                {
                    "cell_line": line,
                    "guide": f"g{guide}",
                    "vb_told": 3 * told + 1,
                    "vb_noise": rng.normal(),
                    "vb_same": 4.0,
                    "cc_holes": told,
                    "vb_rare": 1.0 if guide < 3 else None,
                }
            )
    table[0]["cc_holes"] = None
    table.append({"cell_line": "HCC44", "guide": "g0", "vb_told": 0.0})
    frame = pd.DataFrame(wells)
    frame.to_csv(folder / "wells.csv", index=False)
    pd.DataFrame(table).to_csv(folder / "health.csv", index=False)
    lake = Lake.create(folder / "lake")
    import_profiles(lake, folder / "wells.csv", "measured", dataset="screen")
    return folder / "lake", folder / "health.csv", frame


def test_every_readout_is_scored_by_cell_line(
    cells: tuple[Path, Path, pd.DataFrame], caplog: pytest.LogCaptureFixture
) -> None:
    folder, table, frame = cells
    lake = Lake.open(folder)
    first, second = predict_readouts(
        lake, table, RAW, mapped={"perturbation": "guide"}, jobs=1, seed=3
    )
    assert (first.stratum, second.stratum) == ("A549", "ES2")
    assert first.by == ("cell_line", "perturbation")
    assert first.num_profiles == NUM_GUIDES
    by_name = {row["readout"]: row for row in first.readouts.to_dicts()}
    assert set(by_name) == {"vb_told", "vb_noise", "cc_holes"}
    assert by_name["vb_told"]["r2"] > 0.6
    assert by_name["vb_noise"]["r2"] < 0.2
    assert by_name["cc_holes"]["num_profiles"] == NUM_GUIDES - 1
    assert first.dropped == {
        "no_profile": 1,
        "readout_with_few_profiles": 1,
        "constant_readout": 1,
        "missing_value": 1,
    }
    assert second.readouts["r2"].max() < 0.3
    assert first.auc > second.auc
    assert first.interval_95[0] <= first.auc <= first.interval_95[1]
    assert "1 readouts without a profile: HCC44 / g0" in caplog.text

    a549 = frame[frame["cell_line"] == "A549"]
    means = a549.groupby("perturbation")[["f0", "f1", "f2"]].mean().sort_index()
    measured = pd.read_csv(table, float_precision="round_trip")
    measured = measured.query("cell_line == 'A549'").set_index("guide")
    plain = _plain_forest(means.to_numpy(), measured.loc[means.index, "vb_noise"].to_numpy(), 3)
    assert by_name["vb_noise"]["r2"] == pytest.approx(np.mean([max(0, r) for r in plain]))
    assert by_name["vb_noise"]["r2_unclipped"] == pytest.approx(np.mean(plain))

    landed = lake.query("select * from readout_score order by stratum, readout")
    assert landed.height == 3 + 3
    assert landed["r2"].to_list() == pytest.approx(
        pl.concat([s.readouts.sort("readout") for s in (first, second)])["r2"].to_list()
    )
    (run,) = lake.query("select run_id from run where command = 'readouts'")["run_id"]
    assert set(landed["run_id"]) == {run}
    (arguments,) = lake.query("select arguments from run where command = 'readouts'")["arguments"]
    parameters = inspect.signature(predict_readouts).parameters
    assert set(json.loads(arguments)) == set(parameters) - {"lake"}
    (question,) = set(landed["question"])
    assert json.loads(question) == {
        "kind": "readouts",
        "table": "health.csv",
        "level": "well",
        "normalize": "none",
        "regressor": "random_forest",
        "seed": 3,
    }


def test_the_newest_standard_answer_is_the_one_shown(
    cells: tuple[Path, Path, pd.DataFrame], tmp_path: Path
) -> None:
    folder, table, _ = cells
    shutil.copytree(folder, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    query = assets.sql("queries", "shown_readout_score")
    answers = "select count(distinct question_hash) as n from latest"
    before = lake.look_up(answers)["n"].item()
    options: dict[str, Any] = {"mapped": {"perturbation": "guide"}, "num_folds": 5, "jobs": 1}
    predict_readouts(lake, table, RAW, pattern="^vb_(told|noise)$", **options)
    assert set(lake.look_up(query)["readout"]) == {"vb_told", "vb_noise"}
    predict_readouts(lake, table, RAW, pattern="^vb_told$", **options)
    a549 = replace(RAW, where="cell_line = 'A549'")
    predict_readouts(lake, table, a549, pattern="^vb_noise$", **options)
    shown = lake.look_up(query)
    assert shown.select("stratum", "readout").rows() == [("A549", "vb_told"), ("ES2", "vb_told")]
    assert lake.look_up(answers)["n"].item() == before + 3


def test_processes_and_options_change_no_digit(
    cells: tuple[Path, Path, pd.DataFrame], run_cli: Cli, tmp_path: Path
) -> None:
    folder, table, _ = cells
    options = (
        "readouts",
        "--lake",
        folder,
        "--table",
        table,
        "--map",
        "perturbation=guide",
        "--normalize",
        "none",
        "--readouts",
        "^vb_(told|noise)$",
        "--folds",
        2,
        "--where",
        "cell_line = 'A549'",
    )
    status, out, _ = run_cli(*options, "--jobs", 2, "--json")
    assert status == 0
    (score,) = (json.loads(line) for line in out.splitlines())
    status, out, _ = run_cli(*options, "--jobs", 1, "-o", tmp_path / "r2.csv")
    assert status == 0
    assert "AUC_S" in out
    written = pl.read_csv(tmp_path / "r2.csv")
    assert written["readout"].to_list() == ["vb_told", "vb_noise"]
    assert written["r2"].to_list() == [r["r2"] for r in score["readouts"]]
    status, _, _ = run_cli(
        *options, "--stratum", "none", "--by", "perturbation", "-o", tmp_path / "r2.parquet"
    )
    assert status == 0
    assert pl.read_parquet(tmp_path / "r2.parquet")["stratum"].to_list() == ["", ""]


def test_rows_of_one_group_are_averaged_and_numbers_are_keys(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wells, rows = [], []
    for i in range(20):
        value = rng.normal()
        well = {"plate": "p", "well": f"A{i + 1:02d}", "compound": f"c{i // 2}"}
        wells.append(well | {"concentration_um": [0.1, 10][i % 2], "f0": value, "f1": i % 3})
        row = {"compound": f"c{i // 2}", "concentration": ["1e-1", "10.0"][i % 2]}
        rows += [row | {"signal": value + shift} for shift in (-1, 1)]
    pd.DataFrame(wells).to_csv(tmp_path / "wells.csv", index=False)
    pd.DataFrame(rows).to_csv(tmp_path / "signal.tsv", index=False, sep="\t")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "wells.csv", "m")
    (score,) = predict_readouts(lake, tmp_path / "signal.tsv", RAW, jobs=1, unit="uM")
    assert score.by == ("compound", "concentration_um")
    assert (score.num_profiles, score.dropped) == (20, {})
    assert score.readouts["r2"][0] > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": ["compound"], "mapped": {"compound": "guide"}}, "the profiles have no compound"),
        ({"by": ["plate"]}, "has no column for the plate"),
        ({"by": ["colour"]}, "unknown column to group --by 'colour'; choose one of source"),
        ({"regressor": "svm"}, "unknown regressor 'svm'; choose one of random_forest, elastic_net"),
        ({"num_folds": 1}, "--folds is 1; it must be at least 2"),
        ({"num_folds": 16}, "30 profiles have readouts, 16 folds need 32; choose fewer --folds"),
        ({"pattern": "zz"}, "matches 'zz'; it has vb_told, vb_noise"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "same"}, "every readout is constant over 30 profiles"),
        (
            {"stratum": "well"},
            "unknown stratum 'well'; choose one of cell_line, perturbation, none",
        ),
        ({"selection": replace(RAW, where="cell_line = 'HeLa'")}, "no profile fits --where"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(
    cells: tuple[Path, Path, pd.DataFrame], options: dict[str, object], message: str
) -> None:
    folder, table, _ = cells
    given: dict[str, Any] = {
        "selection": RAW,
        "mapped": {"perturbation": "guide"},
        "jobs": 1,
    }
    with pytest.raises(UnidinoError) as caught:
        predict_readouts(Lake.open(folder), table, **(given | options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_without_keys_are_named(
    cells: tuple[Path, Path, pd.DataFrame], tmp_path: Path, run_cli: Cli
) -> None:
    folder, table, _ = cells
    lake = Lake.open(folder)
    strange = pd.read_csv(table).rename(columns={"guide": "sirna", "cell_line": "cells"})
    strange.to_csv(tmp_path / "strange.csv", index=False)
    with pytest.raises(
        UnidinoError, match=r"has none of the profiles' columns .*it has cells, sirna"
    ):
        predict_readouts(lake, tmp_path / "strange.csv", RAW)
    pd.read_csv(table).assign(guide="x").to_csv(tmp_path / "others.csv", index=False)
    with pytest.raises(ProfileError, match=r"it has A549 / x, ES2 / x.*profiles have A549 / g0"):
        predict_readouts(lake, tmp_path / "others.csv", RAW, mapped={"perturbation": "guide"})
    status, _, err = run_cli("readouts", "--lake", folder, "--table", table, "-o", "r2.xlsx")
    assert (status, err.strip()) == (
        1,
        "error: 'r2.xlsx' is neither .csv nor .parquet; choose one of these endings",
    )


@pytest.mark.slow
def test_transcripts_of_real_compounds(data: Path, tmp_path: Path) -> None:
    folder = data / "readouts"
    morphology = folder / "cell_morphology_162x812.csv.gz"
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, morphology, "cmea", mapped={"compound": "column000"}, level="compound")
    table = folder / "transcriptomic_162x978.csv.gz"
    (score,) = predict_readouts(
        lake,
        table,
        replace(RAW, level="compound"),
        mapped={"compound": "column000"},
        pattern="^RALA$",
        num_folds=2,
        jobs=1,
    )
    assert (score.num_profiles, score.num_readouts, score.dropped) == (162, 1, {})
    vectors = pd.read_csv(morphology, index_col=0).sort_index()
    values = pd.read_csv(table, index_col=0).loc[vectors.index, "RALA"].to_numpy()
    want = []
    for train, test in KFold(2, shuffle=True, random_state=0).split(vectors):
        forest = RandomForestRegressor(100, min_samples_leaf=0.01, random_state=0)
        forest.fit(vectors.to_numpy()[train], values[train])
        want.append(r2_score(values[test], forest.predict(vectors.to_numpy()[test])))
    assert score.readouts["r2_unclipped"][0] == pytest.approx(np.mean(want))
