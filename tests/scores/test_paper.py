"""The paper's tables: which wells, labels and compounds they score."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.importing import import_profiles
from unidino.scores.paper import preset_table, score_preset

NUM_FEATURES = 40


def _jump(num_compounds: int = 8) -> pl.DataFrame:
    """2 laboratories, 2 batches each, a plate in each; compounds 0 and 1 change nothing."""
    rng = np.random.default_rng(0)
    phenotype = rng.normal(0, 3, (num_compounds // 2, NUM_FEATURES))
    rows, values = [], []
    for source in ("source_1", "source_2"):
        for batch in "12":
            for c in range(num_compounds + 8):
                is_control = c >= num_compounds
                rows.append(
                    {
                        "Metadata_Source": source,
                        "Metadata_Batch": f"{source}_{batch}",
                        "Metadata_Plate": f"{source}_{batch}",
                        "Metadata_Well": f"A{c + 1:02d}",
                        "compound": "DMSO" if is_control else f"c{c}",
                        "target": None if is_control else f"t{c // 2}",
                    }
                )
                shift = phenotype[c // 2] if 2 <= c < num_compounds else 0
                values.append(shift + rng.normal(0, 0.05 if c < 2 else 1, NUM_FEATURES))
    return pl.DataFrame(rows).hstack(
        [pl.Series(f"f{i}", np.array(values)[:, i]) for i in range(NUM_FEATURES)]
    )


def test_jump_scores_active_compounds_only(tmp_path: Path) -> None:
    _jump().write_csv(tmp_path / "jump.csv")
    lake = Lake.create(tmp_path / "lake")
    for model in ("cellprofiler", "other"):
        import_profiles(lake, tmp_path / "jump.csv", model, dataset="jump")
    scores = score_preset(lake, "jump-target2", models=["other"])
    # 6 of 8 compounds in 4 batches; wells of the two that change nothing are no decoys either.
    assert [(s.metric, s.label, s.level, s.n) for s in scores] == [
        ("nsc", "target", "batch", 24),
        ("nscb", "target", "batch", 24),
        ("nsb", "compound", "well", 24),
        ("nss", "compound", "well", 24),
    ]
    assert scores[0].accuracy == 1
    assert scores[0].normalization.startswith("mad_robustize,select=na+variance")
    assert len(score_preset(lake, "jump-target2")) == 8


def test_jump_needs_measured_features_to_tell_who_is_active(tmp_path: Path) -> None:
    _jump().write_csv(tmp_path / "jump.csv")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "jump.csv", "other", dataset="jump")
    with pytest.raises(ProfileError, match="the lake has no model 'cellprofiler'"):
        score_preset(lake, "jump-target2")
    import_profiles(lake, tmp_path / "jump.csv", "cellprofiler", dataset="jump")
    lake.execute("update plate set source = 'source_9' where source = 'source_1'")
    with pytest.raises(ProfileError, match=r"no compound is active by .* of source_1 in 'jump'"):
        score_preset(lake, "jump-target2")


def test_insect_merges_complexes_and_takes_active_concentrations(tmp_path: Path) -> None:
    moas = [
        "Complex I inhibitor",
        "complex II inhibitors",
        "Mitochondrial Complex III inhibitor",
        "Complex IV inhibitor",
        "actin",
        "actin",
    ]
    rng = np.random.default_rng(0)
    rows = [
        {
            "plate": f"p{p}",
            "well": f"{'ABCDEF'[c]}{d + 1}",
            "compound": f"c{c}",
            "moa": moas[c],
            "concentration_um": float(d),
            "active": str(d > 0).lower(),
            "batch": "Batch3",
            **{f"f{i}": float(x) for i, x in enumerate(rng.normal(size=5))},
        }
        for p in range(2)
        for c in range(6)
        for d in range(3)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "insect.csv")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "insect.csv", "m", features="^f")
    scores = score_preset(lake, "insect")
    # Complex IV is alone: 5 compounds are left, at 2 active concentrations of 3, on 2 plates.
    assert [(s.metric, s.level, s.n, s.num_classes) for s in scores] == [
        ("nsc", "treatment", 10, 2),
        ("nsc", "well", 20, 2),
        ("nscp", "well", 20, 2),
        ("nspw", "well", 20, 5),
    ]
    assert scores[1].dropped["not_chosen"] == 16


def test_embeddings_are_not_selected_and_models_stand_side_by_side(lake: Lake) -> None:
    lake.execute("update plate set dataset = 'bbbc021'")
    for seed, name in enumerate(("gaussian", "noise")):
        baselines.create_model(lake, "gaussian", name, seed=seed)
        embed(lake, name)
    scores = score_preset(lake, "bbbc021")
    assert {s.normalization for s in scores} == {"mad_robustize,wells=bbbc021"}
    table = preset_table("bbbc021", scores)
    assert table["model"].to_list() == ["gaussian", "noise"]
    assert len(table.columns) == 5
    assert scores[4].versus.model == "gaussian"


def test_what_cannot_be_a_table_is_one_line(lake: Lake, run_cli) -> None:
    with pytest.raises(UnidinoError, match="unknown preset 'hpa'; choose one of bbbc021, jump"):
        score_preset(lake, "hpa")
    with pytest.raises(ProfileError, match="dataset 'bbbc021' has no embeddings"):
        score_preset(lake, "bbbc021")
    at = ("--lake", lake.path)
    status, _, err = run_cli("score", "--preset", "bbbc021", "--metric", "nsc", *at)
    assert (status, err.count("\n")) == (1, 1)
    assert "sets the metrics" in err


def test_the_command_prints_the_layout(lake: Lake, run_cli) -> None:
    lake.execute("update plate set dataset = 'bbbc021'")
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    status, out, err = run_cli("score", "--preset", "bbbc021", "--lake", lake.path)
    assert status == 0, err
    assert "NSCB moa/well n=8" in out
    status, out, err = run_cli("score", "--preset", "bbbc021", "--json", "--lake", lake.path)
    assert [json.loads(line)["metric"] for line in out.splitlines()] == [
        "nsc",
        "nsc",
        "nscb",
        "nspw",
    ]
