"""The paper's tables: which wells, labels and compounds they score."""

import json
import re
from pathlib import Path
from zipfile import ZipFile

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


INSECT = {  # rows and columns of a plate, by the names in the metadata of the images
    "P1": {
        "Antimycin A": ("EF", 7, 7),
        "Atpenin": ("GH", 6, 7),
        "Colchicine": ("MN", 2, 7),
        "Latruculin B": ("GH", 10, 14),
        "Taxol": ("CD", 13, 14),
        "Rotenone": ("IJ", 4, 7),
    },
    "P4": {
        "Bafilomycin": ("CD", 19, 21),
        "Concanamycin A": ("EF", 3, 7),
        "Cytocalasin D": ("IJ", 3, 7),
        "Diafenthiuron": ("EF", 17, 21),
        "Fenbutationoxid": ("EF", 13, 14),
        "Oligomycin A": ("GH", 5, 7),
    },
}


def _insect(path: Path, **changed: str) -> Path:
    """A table of the six plates of 384 wells, filled as the authors' and with others elsewhere.

    changed: compound by well, on every plate.
    """
    rng = np.random.default_rng(0)
    rows = []
    for number in range(1, 7):
        layout = INSECT["P1" if number < 4 else "P4"]
        placed = {
            f"{row}{column:02d}": (name, column)
            for name, (letters, first, last) in layout.items()
            for row in letters
            for column in range(first, last + 1)
        }
        for row in "ABCDEFGHIJKLMNOP":
            for column in range(1, 25):
                well = f"{row}{column:02d}"
                name, dose = placed.get(well, ("DMSO" if row in "ABOP" else "other", column))
                features = {f"f{i}": float(x) for i, x in enumerate(rng.normal(size=4))}
                rows.append(
                    {
                        "plate": f"220824_P{number}",
                        "well": well,
                        "compound": changed.get(well, name),
                        "concentration_um": float(dose),
                        "batch": "Batch3",
                        **features,
                    }
                )
    pl.DataFrame(rows).write_csv(path)
    return path


def test_insect_takes_the_wells_that_the_authors_chose(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, _insect(tmp_path / "insect.csv"), "m", dataset="insect", features="^f")
    scores = score_preset(lake, "insect")
    # The counts of Table 4, and the compounds of Fig. 3c that share a mechanism.
    assert [(s.metric, s.level, s.n, s.num_classes) for s in scores] == [
        ("nsc", "treatment", 43, 5),
        ("nsc", "well", 258, 5),
        ("nscp", "well", 258, 5),
        ("nspw", "well", 258, 12),
    ]
    assert scores[1].dropped["not_chosen"] == 6 * 384 - 258
    found = lake.query(
        "select moa, count(distinct compound) from profile"
        " where level = 'well' group by all order by 1"
    )
    assert found.rows() == [
        ("Actin polymerization inhibitor", 2),
        ("Mitochondrial ATPase inhibitor", 3),
        ("Mitochondrial complex inhibitor", 3),
        ("Mitosis inhibitor / Tubulin disruptor", 2),
        ("V-ATPase inhibitor", 2),
    ]


def test_insect_refuses_plates_that_are_filled_otherwise(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    table = _insect(tmp_path / "insect.csv", G05="Rotenone")
    import_profiles(lake, table, "m", dataset="insect", features="^f")
    with pytest.raises(UnidinoError, match=r"_P[456] has Rotenone in well G05, where .* Oligomyc"):
        score_preset(lake, "insect")


def test_insect_wells_are_those_of_the_published_files(data: Path) -> None:
    for half, plate in (("P1-P3", "P1"), ("P4-P6", "P4")):
        rows = _sheet(data / "insect" / f"cluster_selected_conc_{half}.xlsx")
        published: dict[str, set[str]] = {}
        for well, compound in rows[1:]:
            published.setdefault(compound, set()).add(well)
        wells = {
            frozenset(f"{r}{c:02d}" for r in letters for c in range(first, last + 1))
            for letters, first, last in INSECT[plate].values()
        }
        assert wells <= {frozenset(chosen) for chosen in published.values()}


def _sheet(path: Path) -> list[list[str]]:
    """The cells of the first sheet of a workbook, which are all texts."""
    with ZipFile(path) as book:
        shared = book.read("xl/sharedStrings.xml").decode()
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    texts = re.findall(r"<si><t[^>]*>([^<]*)</t></si>", shared)
    rows = re.findall(r"<row.*?</row>", sheet, re.S)
    return [[texts[int(i)] for i in re.findall(r"<v>(\d+)</v>", row)] for row in rows]


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
