"""Anybody's features come in, profiles go out, and the packages of others read them back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.feather
import pytest

from unidino.core.errors import InputError, ModelError, ProfileError
from unidino.lake.lake import Lake
from unidino.profiles import wide
from unidino.profiles.export import SUFFIXES, export_profiles
from unidino.profiles.files import load
from unidino.profiles.groups import groups
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.question import Question

FEATURES = ["Cells_AreaShape_Area", "Nuclei_Texture_Mean"]


def _table(plates: tuple[str, ...] = ("p1", "p2")) -> pl.DataFrame:
    """Two plates of 6 wells: a DMSO and 5 compounds, 2 features."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "Metadata_Plate": plate,
            "Metadata_Well": f"A{w}",
            "Metadata_batch": f"b{plate[-1]}",
            "Metadata_compound": f"c{w}" if w > 1 else "DMSO",
            "Metadata_moa": f"m{w % 2}",
            "Metadata_note": f"n{w}",
        }
        for plate in plates
        for w in range(1, 7)
    ]
    return pl.DataFrame(rows).hstack(
        [pl.Series(name, rng.normal(10, 2, len(rows))) for name in FEATURES]
    )


def _write(table: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.write_parquet(path)
    elif path.suffix == ".arrow":
        pyarrow.feather.write_feather(table.to_arrow(), path)
    elif path.suffix == ".h5ad":
        import anndata

        frame = table.to_pandas()
        frame.index = frame.index.astype(str).astype(object)
        names = [c for c in frame.columns if c not in FEATURES]
        var = pd.DataFrame(index=pd.Index(FEATURES, dtype=object))
        anndata.AnnData(frame[FEATURES].to_numpy(), frame[names].astype(object), var).write_h5ad(
            path
        )
    else:
        table.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".h5ad"])
@pytest.mark.sample(3)
def test_every_format_lands_the_same(tmp_path: Path, ending: str) -> None:
    table = _table()
    lake = Lake.create(tmp_path / "lake")
    done = import_profiles(lake, _write(table, tmp_path / f"mine{ending}"), "theirs")
    assert (done.num_rows, done.num_features, done.num_plates, done.num_new_plates) == (12, 2, 2, 2)
    assert done.dataset == "mine"
    rows = lake.query("select plate, well, embedding from embedding order by plate, well")
    assert rows["well"].to_list() == [f"A0{w}" for w in range(1, 7)] * 2
    np.testing.assert_array_equal(
        np.stack(rows["embedding"].to_list()), table.select(FEATURES).to_numpy().astype(np.float32)
    )
    wells = lake.query(
        "select control_type, moa, extra ->> 'note' as note, batch"
        " from well join plate on plate = plate_id order by plate, well"
    )
    assert wells["control_type"].to_list() == (["negcon"] + ["trt"] * 5) * 2
    assert wells["note"].to_list() == [f"n{w}" for w in range(1, 7)] * 2
    assert wells["batch"].unique().sort().to_list() == ["b1", "b2"]
    made = profile(lake, Selection(["theirs"]))[0]
    got = load(lake, "theirs", made.normalization, "well", made.dataset)
    values = table.select(FEATURES).to_numpy()[:6]
    spread = 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    want = (values - np.median(values, axis=0)) / spread
    np.testing.assert_allclose(np.stack(got["embedding"].to_pylist())[:6], want, rtol=1e-13)


def test_vectors_stay_with_their_wells_whatever_is_joined(tmp_path: Path) -> None:
    table = _table().sample(fraction=1, shuffle=True, seed=3)
    bare = table.drop("Metadata_compound", "Metadata_moa", "Metadata_batch")
    about = table.select(
        pl.col("Metadata_compound").alias("drug"),
        pl.col("Metadata_Well").alias("pos"),
        pl.col("Metadata_moa").alias("moa"),
        pl.col("Metadata_Plate").alias("barcode"),
    ).sample(fraction=1, shuffle=True, seed=5)
    about.write_csv(tmp_path / "about.csv")
    lake = Lake.create(tmp_path / "lake")
    mapped = wide.parse_map("plate=barcode,well=pos,compound=drug,batch='b' || right(plate, 1)")
    import_profiles(
        lake,
        _write(bare, tmp_path / "t.csv"),
        "m",
        mapped=mapped,
        metadata=[tmp_path / "about.csv"],
    )
    got = lake.query(
        "select plate, well, compound, moa, batch, embedding from embedding"
        " join well using (plate, well) join plate on plate = plate_id"
    )
    want = {(r["Metadata_Plate"], f"A0{r['Metadata_Well'][1:]}"): r for r in table.to_dicts()}
    assert got.height == 12
    for row in got.to_dicts():
        own = want[row["plate"], row["well"]]
        assert (row["compound"], row["moa"], row["batch"]) == (
            own["Metadata_compound"],
            own["Metadata_moa"],
            own["Metadata_batch"],
        )
        assert row["embedding"] == pytest.approx([own[f] for f in FEATURES], rel=1e-6)


def test_wells_of_registered_plates_keep_their_metadata(lake: Lake, tmp_path: Path) -> None:
    before = lake.query("from well order by all")
    known = lake.query("select plate, well from well order by all")
    table = known.rename({"plate": "Metadata_Plate", "well": "Metadata_Well"}).with_columns(
        f=pl.int_range(12) * 1.0, Metadata_moa=pl.lit("wrong")
    )
    extra = pl.DataFrame(
        {
            "Metadata_Plate": ["tiny_b1_p1"],
            "Metadata_Well": ["H12"],
            "f": [1.0],
            "Metadata_moa": ["x"],
        }
    )
    file = _write(pl.concat([table, extra.select(table.columns)]), tmp_path / "t.parquet")
    done = import_profiles(lake, file, "theirs")
    assert (done.num_rows, done.num_new_plates) == (12, 0)
    assert (done.dataset, done.dropped) == ("tiny", {"well_not_registered": 1})
    assert lake.query("from well order by all").equals(before)


def test_a_table_that_names_its_dataset_is_imported_again_with_another_option(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake.create(tmp_path / "lake")
    table = tmp_path / "t.csv"
    table.write_text("Metadata_dataset,Metadata_Plate,Metadata_Well,f1\nd,q0,A01,1.5\n")
    for _ in range(2):
        assert import_profiles(lake, table, "cp", dataset="x").dataset == "d"
        assert "belong to dataset 'd', which counts; --dataset x is for rows" in caplog.text
    table.write_text("Metadata_Plate,Metadata_Well,f1\nq0,A01,1.5\n")
    with pytest.raises(InputError, match="plate 'q0' belongs to dataset 'd'; pass --dataset d"):
        import_profiles(lake, table, "cp", dataset="x")


def test_more_plates_add_to_a_model_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    first = _write(_table(("p1",)), tmp_path / "a.csv")
    import_profiles(lake, first, "m", dataset="d")
    import_profiles(lake, _write(_table(("p2",)), tmp_path / "b.csv"), "m", dataset="d")
    assert lake.query("select count(*) from embedding").item() == 12
    rows = lake.query("from embedding order by all")
    import_profiles(lake, first, "m", dataset="d")
    assert lake.query("from embedding order by all").equals(rows)
    assert score(lake, Question("nsb", include_controls=True))[0].n == 12


def test_profiles_without_wells_are_scored_as_they_are(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 4))
    table = pl.DataFrame(
        {"name": [f"c{i}" for i in range(6)], "moa": list("xxyyzz"), "v": vectors.tolist()}
    )
    done = import_profiles(
        lake,
        _write(table, tmp_path / "t.parquet"),
        "vec",
        mapped={"compound": "name"},
        level="compound",
    )
    assert (done.level, done.num_rows, done.num_features, done.num_plates) == ("compound", 6, 4, 0)
    (got,) = score(lake, "nsc", Selection(level="compound", normalize="none"))
    assert got.n == 6
    (group,) = groups(lake, Selection(["vec"], level="compound", normalize="none"))
    np.testing.assert_array_equal(group.vectors, vectors)
    with pytest.raises(ProfileError, match="--level compound --normalize none"):
        score(lake, ["nsc"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t.drop("Metadata_Well"), {}, "no column for the well .*--map well=ITS_NAME"),
        (lambda t: t.drop(FEATURES), {}, "has no features: no column of numbers that is not metad"),
        (lambda t: t, {"features": "^Zernike"}, "no column of numbers matches '\\^Zernike'"),
        (lambda t: t.with_columns(Metadata_Well=pl.lit("Z99")), {}, "line 2: .*'Z99'"),
        (lambda t: pl.concat([t, t]), {}, "two rows for plate p1, well A01 .*--level field"),
        (lambda t: t.with_columns(Metadata_control_type=pl.lit("dmso")), {}, "'dmso'"),
        (lambda t: t, {"level": "treatment"}, "rows 1 and 7 have the same treatment"),
        (lambda t: t, {"level": "gene"}, "unknown level 'gene'; choose one of well, field"),
        (
            lambda t: t,
            {"mapped": {"batch": "nothing + 1"}},
            "--map batch=nothing \\+ 1: this is neither",
        ),
        (lambda t: t.with_columns(Metadata_Plate=pl.lit("../p")), {}, "'../p'"),
    ],
)
@pytest.mark.sample(5)
def test_what_cannot_be_imported_is_one_line_and_lands_nothing(
    tmp_path: Path, change, options: dict, message: str
) -> None:
    lake = Lake.create(tmp_path / "lake")
    file = _write(change(_table()), tmp_path / "t.csv")
    with pytest.raises(Exception, match=message) as caught:
        import_profiles(lake, file, "m", **options)
    assert type(caught.value).__module__ == "unidino.core.errors"
    assert "\n" not in str(caught.value)
    for table in ("plate", "well", "part", "model"):
        assert lake.query(f"from {table}").is_empty(), table


def test_features_that_differ_want_another_model(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, _write(_table(), tmp_path / "t.csv"), "m")
    other = _write(_table(("p3",)).drop(FEATURES[0]), tmp_path / "u.csv")
    with pytest.raises(ModelError, match="the 1 features of the table differ from the 2 of model"):
        import_profiles(lake, other, "m")


@pytest.mark.parametrize("text", ["plate", "colour=x", "=x"])
def test_a_map_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="write COLUMN=ITS NAME"):
        wide.parse_map(text)


def test_a_map_keeps_commas_inside_expressions() -> None:
    assert wide.parse_map("plate=left(p, 5),batch=split_part(p, ',', 1)") == {
        "plate": "left(p, 5)",
        "batch": "split_part(p, ',', 1)",
    }


@pytest.fixture
def embedded(profiled: Path, tmp_path: Path) -> Lake:
    shutil.copytree(profiled, tmp_path / "embedded")
    return Lake.open(tmp_path / "embedded")


@pytest.mark.parametrize("ending", SUFFIXES)
@pytest.mark.sample(3)
def test_every_format_comes_back_as_it_went(embedded: Lake, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"out{ending}"
    done = export_profiles(
        embedded, file, Selection(["gaussian"], normalize="none", channels=["DNA", "Tubulin"])
    )
    assert (done.num_profiles, done.num_features) == (12, 768)
    other = Lake.create(tmp_path / "other")
    import_profiles(other, file, "back")
    (went,) = groups(
        embedded, Selection(["gaussian"], normalize="none", channels=["DNA", "Tubulin"])
    )
    (came,) = groups(other, Selection(["back"], normalize="none"))
    assert came.profiled.dataset == "tiny"
    np.testing.assert_allclose(came.vectors, went.vectors, rtol=1e-6)
    for column in ("plate", "well", "batch", "compound", "concentration_um", "control_type", "moa"):
        assert came.metadata[column].to_pylist() == went.metadata[column].to_pylist(), column
    names = json.loads(other.query("select details from part where kind = 'profile'").item())
    assert names["features"][0] == "DNA_0"
    assert names["features"][-1] == "Tubulin_383"


def test_pycytominer_and_copairs_read_what_was_exported(embedded: Lake, tmp_path: Path) -> None:
    from copairs.map import average_precision
    from pycytominer import normalize
    from pycytominer.cyto_utils import infer_cp_features, load_profiles

    export_profiles(embedded, tmp_path / "raw.parquet", Selection(["gaussian"], normalize="none"))
    table = load_profiles(str(tmp_path / "raw.parquet"))
    meta = infer_cp_features(table, metadata=True)
    features = [c for c in table.columns if c not in meta]
    assert len(features) == 3 * 384
    on_plate = table[table.Metadata_plate == "tiny_b1_p1"]
    theirs = normalize(
        on_plate,
        features=features,
        meta_features=meta,
        samples="all",
        method="mad_robustize",
        mad_robustize_epsilon=0,
    )
    (ours,) = groups(embedded, Selection(["gaussian"], where="plate = 'tiny_b1_p1'"))
    np.testing.assert_allclose(theirs[features].to_numpy(), ours.vectors, rtol=2e-4, atol=1e-4)
    precisions = average_precision(
        table[meta],
        table[features].to_numpy(),
        ["Metadata_compound"],
        ["Metadata_batch"],
        [],
        ["Metadata_compound", "Metadata_batch"],
        progress_bar=False,
    )
    assert len(precisions) == 12


def test_anndata_has_observations_and_named_channels(embedded: Lake, tmp_path: Path) -> None:
    import anndata

    export_profiles(
        embedded, tmp_path / "o.h5ad", Selection(["gaussian"], where="control_type = 'trt'")
    )
    data = anndata.read_h5ad(tmp_path / "o.h5ad")
    assert data.shape == (8, 3 * 384)
    assert data.var["channel"].unique().tolist() == ["DNA", "Actin", "Tubulin"]
    assert set(data.obs.columns) >= {"plate", "well", "compound", "moa", "batch"}
    assert set(data.obs["control_type"]) == {"trt"}


def test_what_cannot_be_exported_is_named(embedded: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its name must end in \.parquet, \.csv"):
        export_profiles(embedded, tmp_path / "o.xlsx", Selection(["gaussian"]))
    with pytest.raises(ProfileError, match="no profile fits"):
        export_profiles(
            embedded, tmp_path / "o.csv", Selection(["gaussian"], where="plate = 'none'")
        )
    embedded.execute("update plate set dataset = 'other' where plate_id = 'tiny_b2_p1'")
    embedded.execute(
        "update channel set channel = 'Mito' where plate = 'tiny_b2_p1' and channel = 'Actin'"
    )
    assert not list(tmp_path.glob("o.*"))


def test_plates_that_are_there_keep_their_annotation_until_it_is_overwritten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake.create(tmp_path / "lake")
    bare = _table().drop("Metadata_compound", "Metadata_moa")
    import_profiles(lake, _write(bare, tmp_path / "bare.csv"), "m", dataset="d")
    whole = _write(_table(), tmp_path / "whole.csv")
    import_profiles(lake, whole, "m", dataset="d")
    assert lake.query("select count(compound) from well").item() == 0
    said = caplog.text
    assert "2 plates are in the lake already (dataset d)" in said
    assert "--overwrite replaces it" in said
    done = import_profiles(lake, whole, "m", dataset="d", overwrite=True)
    assert done.num_new_plates == 2
    assert lake.query("select count(compound), count(*) from well").row(0) == (12, 12)
    assert lake.query("select count(*) from plate").item() == 2
    with pytest.raises(InputError, match=r"plate 'p1' belongs to dataset 'd'; pass --dataset d"):
        import_profiles(lake, whole, "m", dataset="other")


def test_plates_with_images_are_never_overwritten(lake: Lake, tmp_path: Path) -> None:
    wells = lake.query("from well order by all")
    table = wells.select(pl.col("plate"), pl.col("well"), moa=pl.lit("x"), f=pl.lit(1.5))
    done = import_profiles(lake, _write(table, tmp_path / "t.csv"), "m", overwrite=True)
    assert (done.num_rows, done.num_new_plates) == (12, 0)
    assert lake.query("from well order by all").equals(wells)


def test_a_column_that_is_nearly_numbers_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _table().with_columns(
        f3=pl.Series(["1.5", "-2e3", "low", *["4"] * 9]),
        note=pl.lit("text"),
        f4=pl.Series(["inf", "na", *["0.1"] * 10]),
    )
    done = import_profiles(Lake.create(tmp_path / "lake"), _write(table, tmp_path / "t.csv"), "m")
    assert (done.num_features, done.num_missing) == (3, 2)
    said = caplog.text
    assert "column 'f3' is not a feature: row 3 has 'low', which is not a number" in said
    assert "'note'" not in said


def test_kinds_of_controls_are_in_the_vocabulary(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    table = tmp_path / "wells.csv"
    table.write_text(
        "plate,well,control_type,f\np,A01,poscon_cp,1.5\np,A02,NEGCON ,2.5\np,A03,,3.5\n"
    )
    import_profiles(lake, table, "mine")
    kinds = lake.query("select well, control_type from well order by well")["control_type"]
    assert kinds.to_list() == ["poscon", "negcon", None]
    table.write_text("plate,well,control_type,f\nq,A01,sometimes,1.5\n")
    with pytest.raises(InputError, match="'sometimes' is none of trt, negcon, poscon, empty"):
        import_profiles(lake, table, "other")
    assert lake.query("select model from model")["model"].to_list() == ["mine"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.sample(2)
def test_texts_like_formulas_are_guarded_in_csv_and_come_back(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = ["=1+1", "-x", "+/-y", "@z", "'=w", "-5"]
    table = _table().with_columns(Metadata_compound=pl.Series(odd * 2))
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, _write(table, tmp_path / "t.parquet"), "theirs")
    export_profiles(lake, tmp_path / f"out{ending}", Selection(["theirs"], normalize="none"))
    if ending == ".csv":
        read = pl.read_csv(tmp_path / "out.csv", infer_schema=False)["Metadata_compound"]
        assert set(read) == {"'=1+1", "'-x", "'+/-y", "'@z", "''=w", "-5"}
    assert ("get an apostrophe" in caplog.text) == (ending != ".parquet")
    again = Lake.create(tmp_path / "again")
    import_profiles(again, tmp_path / f"out{ending}", "theirs")
    assert set(again.query("select compound from well")["compound"]) == set(odd)
    assert ("lose the apostrophe" in caplog.text) == (ending != ".parquet")
