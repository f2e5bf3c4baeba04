"""Tables with a row a cell: aggregated as pycytominer does it, counted, kept, and refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycytominer import aggregate
from pycytominer.cyto_utils.cells import SingleCells

import unidino as ud
from unidino.core.errors import InputError

KEYS = ["plate", "well"]
FEW = "_(AreaShape_(Area|Zernike)|Intensity_M)"
pytestmark = [
    pytest.mark.filterwarnings("ignore:The SingleCells class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:DataFrame is highly fragmented"),
]


def profiles(lake: ud.Lake, model: str) -> pd.DataFrame:
    """Raw well profiles as a wide frame, indexed by plate and well."""
    uris = lake.query(f"select uri from part where kind = 'embedding' and model = '{model}'")
    rows = pl.concat([pl.read_parquet(lake.path / uri) for uri in uris["uri"]]).sort(KEYS)
    names = lake.query(
        f"select preprocessing ->> 'features' as f from model where model = '{model}'"
    )["f"].item()
    frame = pd.DataFrame(np.array(rows["embedding"].to_list()), columns=json.loads(names))
    frame.index = pd.MultiIndex.from_frame(rows.select(KEYS).to_pandas())
    return frame


def assert_same(ours: pd.DataFrame, oracle: pd.DataFrame, least: int) -> None:
    """Both have the wells, and the features of ours have the oracle's values to 1e-9."""
    shared = [c for c in ours.columns if c in oracle.columns]
    assert len(shared) == len(ours.columns) >= least
    assert list(ours.index) == list(oracle.index)
    np.testing.assert_allclose(
        ours[shared].to_numpy(float), oracle[shared].to_numpy(float), rtol=1e-9, atol=1e-12
    )


@pytest.fixture(scope="session")
def object_tables(data: Path) -> Path:
    return data / "single_cell_tables"


def test_of_several_tables_the_bad_one_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        cells = pl.DataFrame({"plate": ["p"], "well": ["A01"], "area": [float(number)]})
        cells.write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    paths = sorted(tmp_path.glob("*.parquet"))
    with pytest.raises(InputError, match=r"^cannot read '[^']*/b\.parquet'"):
        ud.import_profiles(ud.Lake.create(tmp_path / "lake"), paths, "cells", objects=True)


@pytest.mark.parametrize("how", ["median", "mean"])
@pytest.mark.sample(1)
def test_sqlite_is_aggregated_as_by_pycytominer(
    object_tables: Path, tmp_path: Path, how: str
) -> None:
    file = object_tables / "cytominer-database/Cell-Health/test-SQ00014613.sqlite"
    strata = ["Image_Metadata_Plate", "Image_Metadata_Well"]
    copy = shutil.copy(file, tmp_path / "plate.sqlite")
    cells = SingleCells(
        f"sqlite:///{copy}",
        strata=strata,
        image_cols=["TableNumber", "ImageNumber"],
        aggregation_operation=how,
    )
    parts = [cells.aggregate_compartment(what).set_index(strata) for what in cells.compartments]
    oracle = pd.concat(parts, axis=1).sort_index()
    lake = ud.Lake.create(tmp_path / "lake")
    done = ud.import_profiles(lake, file, "ch", objects=True, aggregate=how)
    assert_same(profiles(lake, "ch"), oracle, 1690)
    assert done.num_cells == 12
    assert lake.query("select num_cells from well order by well")["num_cells"].to_list() == [6, 6]


def _merged(folder: Path) -> pd.DataFrame:
    """The cells of CellProfiler's CSV files by plain joins of pandas."""
    frames = []
    for image in sorted(folder.glob("*/Image.csv")):
        tables = {"Image": pd.read_csv(image)}
        for what in ("Cytoplasm", "Cells", "Nuclei"):
            file = image.parent / f"{what}.csv"
            if not file.stat().st_size:
                break
            tables[what] = pd.read_csv(file).rename(
                columns=lambda c, what=what: c if c == "ImageNumber" else f"{what}_{c}"
            )
        else:
            joined = tables["Cytoplasm"]
            for what in ("Cells", "Nuclei"):
                joined = joined.merge(
                    tables[what],
                    left_on=["ImageNumber", f"Cytoplasm_Parent_{what}"],
                    right_on=["ImageNumber", f"{what}_ObjectNumber"],
                )
            frames.append(joined.merge(tables["Image"], on="ImageNumber"))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def sets_of_images(object_tables: Path, tmp_path: Path) -> Path:
    """Folders of an image each, without the one whose file is truncated."""
    folder = tmp_path / "data_b"
    shutil.copytree(
        object_tables / "cytominer-database/data_b", folder, ignore=shutil.ignore_patterns("J21*")
    )
    return folder


def test_csv_of_cellprofiler_is_aggregated_as_by_pycytominer(
    sets_of_images: Path, tmp_path: Path
) -> None:
    merged = _merged(sets_of_images)
    features = [c for c in merged if c.split("_")[0] in ("Cells", "Nuclei", "Cytoplasm")]
    oracle = aggregate(
        merged, ["Metadata_Plate", "Metadata_Well"], features=features, operation="median"
    )
    oracle = oracle.set_index(["Metadata_Plate", "Metadata_Well"])
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, sets_of_images, "db", objects=True, keep_cells=True, features=FEW)
    assert_same(profiles(lake, "db"), oracle, 200)
    counts = dict(lake.query("select well, num_cells from well").iter_rows())
    assert counts == {"A01": 20, "B01": 20, "E17": 0}  # the nuclei of E17 are an empty file
    kept = lake.query("select Cells_AreaShape_Area as a from cell order by a")["a"].to_numpy()
    np.testing.assert_array_equal(kept, np.sort(merged["Cells_AreaShape_Area"]))


def test_a_truncated_file_is_named(object_tables: Path, tmp_path: Path) -> None:
    lake = ud.Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=r"J21-2/Cells.csv' is not a whole table"):
        ud.import_profiles(lake, object_tables / "cytominer-database/data_b", "db", objects=True)
    assert lake.query("select count(*) as n from well")["n"].item() == 0


def test_in_carta_of_several_files_is_aggregated_as_by_pycytominer(
    object_tables: Path, tmp_path: Path
) -> None:
    files = sorted((object_tables / "in-carta/colas-lab").glob("*.csv"))
    frames = [pd.read_csv(f).assign(plate=f"Day{i}") for i, f in enumerate(files)]
    merged = pd.concat(frames, ignore_index=True)
    merged["well"] = merged["Row"] + merged["Column"].map("{:02d}".format)
    lake = ud.Lake.create(tmp_path / "lake")
    mapped = {"plate": "regexp_extract(filename, 'Day[0-9]')"}
    done = ud.import_profiles(lake, files, "ic", objects=True, mapped=mapped)
    ours = profiles(lake, "ic")
    oracle = aggregate(merged, KEYS, features=list(ours.columns), operation="median")
    assert_same(ours, oracle.set_index(KEYS), 130)
    assert done.num_plates == 4
    assert done.num_cells == len(merged) == 576


def test_parquet_of_cytotable_needs_no_join(object_tables: Path, tmp_path: Path) -> None:
    """CytoTable writes one row a cell, with the columns of all compartments."""
    folder = tmp_path / "data_b"
    shutil.copytree(
        object_tables / "cytominer-database/data_b",
        folder,
        ignore=shutil.ignore_patterns("J21*", "E17*", "N23*"),
    )
    merged = _merged(folder).rename(
        columns={"Metadata_Plate": "Image_Metadata_Plate", "Metadata_Well": "Image_Metadata_Well"}
    )
    merged.columns = [
        f"Metadata_{c}" if c.endswith(("ImageNumber", "ObjectNumber")) else c for c in merged
    ]
    merged.to_parquet(tmp_path / "cells.parquet")
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, tmp_path / "cells.parquet", "flat", objects=True, features=FEW)
    ud.import_profiles(lake, folder, "joined", objects=True, features=FEW)
    pd.testing.assert_frame_equal(
        profiles(lake, "flat").sort_index(axis=1), profiles(lake, "joined").sort_index(axis=1)
    )


def cell_table(path: Path, **columns: object) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf])),
        min_size=1,
        max_size=40,
    ),
    data=st.data(),
)
@settings(max_examples=4)
def test_missing_and_infinite_values_are_left_out(
    values: list[float | None], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A naive loop over wells; a well whose values are all missing has a missing median."""
    folder = tmp_path_factory.mktemp("cells")
    wells = data.draw(st.lists(st.sampled_from(["A01", "B02"]), min_size=len(values),
                               max_size=len(values)))  # fmt: skip
    table = cell_table(
        folder / "cells.parquet",
        Metadata_Plate=["p"] * len(values),
        Metadata_Well=wells,
        size=pl.Series(values, dtype=pl.Float64, strict=False),
        one=[1.0] * len(values),
    )
    lake = ud.Lake.create(folder / "lake")
    ud.import_profiles(lake, table, "m", objects=True, features="size|one")
    ours = profiles(lake, "m")
    for (_, well), row in ours.iterrows():
        there = [v for v, w in zip(values, wells, strict=True) if w == well]
        finite = [v for v in there if v is not None and np.isfinite(v)]
        want = np.median(finite) if finite else np.nan
        np.testing.assert_allclose(row["size"], want, rtol=1e-12)
    assert set(ours.index.get_level_values(1)) == set(wells)


def test_columns_and_wells_in_pieces_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unidino.profiles import objects

    random = np.random.default_rng(0)
    num = 500
    table = cell_table(
        tmp_path / "cells.parquet",
        plate=[f"p{i % 3}" for i in range(num)],
        well=[f"{'ABCD'[i % 4]}0{1 + i % 5}" for i in range(num)],
        **{f"f{k}": random.standard_normal(num) for k in range(7)},
    )
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, table, "whole", objects=True)
    monkeypatch.setattr(objects, "_BUDGET_BYTES", 16 * 60)  # a column of 60 cells
    ud.import_profiles(lake, table, "pieces", objects=True)
    pd.testing.assert_frame_equal(profiles(lake, "whole"), profiles(lake, "pieces"))


def test_cells_join_wells_and_images(lake: ud.Lake, tmp_path: Path) -> None:
    """Cells of a plate with images get its wells, and are found beside its images by SQL."""
    (plate,) = lake.query("select min(plate_id) from plate").row(0)
    fields = lake.query(
        f"select distinct well, field from image where plate = '{plate}' order by all"
    )
    rows = [(w, f, i) for w, f in fields.iter_rows() for i in range(3)]
    table = cell_table(
        tmp_path / "cells.parquet",
        Metadata_Plate=[plate] * len(rows),
        Metadata_Well=[w for w, *_ in rows],
        Metadata_Site=[f for _, f, _ in rows],
        ObjectNumber=[i + 1 for *_, i in rows],
        Location_Center_X=[10.0 * i for *_, i in rows],
        area=[float(i) for *_, i in rows],
    )
    done = ud.import_profiles(lake, table, "mine", objects=True, keep_cells=True)
    assert (done.num_rows, done.num_new_plates, done.num_cells) == (6, 0, len(rows))
    joined = lake.query(
        "select well.control_type, count(*) as n, avg(area) as area, max(location_center_x) as x"
        " from cell inner join well using (plate, well)"
        " inner join image using (plate, well, field) where channel = 'DNA' group by all"
    )
    assert joined["n"].sum() == len(rows)
    assert joined["area"].to_list() == [1.0] * len(joined)
    assert joined["x"].max() == 20.0
    counts = lake.query(f"select num_cells from well where plate = '{plate}'")["num_cells"]
    assert counts.to_list() == [6] * 6
    assert ud.check(lake, deep=True) == []
    (lake.path / f"cells/mine/{plate}.parquet").unlink()
    (lost,) = {problem.mend for problem in ud.check(lake)}
    assert f"import-profiles {table} --model mine --objects --keep-cells" in lost


def _refusals(folder: Path) -> dict[str, tuple[Callable[[ud.Lake], object], str]]:
    cells = {"plate": ["p"] * 2, "well": ["A01"] * 2, "area": [1.0, 2.0]}
    table = cell_table(folder / "t.parquet", **cells)
    nowhere = cell_table(folder / "nowhere.parquet", area=[1.0])
    texts = cell_table(folder / "texts.parquet", plate=["p"], well=["A01"], shape=["round"])
    taken = cell_table(folder / "taken.parquet", **cells, model=[1.0, 2.0])
    (folder / "empty").mkdir()
    (folder / "x.xlsx").write_text("x")

    def run(path: Path, **options: object) -> Callable[[ud.Lake], object]:
        return lambda lake: ud.import_profiles(lake, path, "m", **{"objects": True} | options)

    return {
        "no plate": (run(nowhere), "has no column for the plate of its cells"),
        "no features": (run(texts), "has no features: no column of numbers"),
        "level": (run(table, level="compound"), "aggregated to wells or fields"),
        "keep without objects": (run(table, objects=False, keep_cells=True), "needs --objects"),
        "aggregation": (run(table, aggregate="mode"), "choose one of median, mean"),
        "folder": (run(folder / "empty"), "no Image.csv of CellProfiler"),
        "kind": (run(folder / "x.xlsx"), "expected one kind of .parquet"),
        "absent": (run(folder / "absent.csv"), "no such table"),
        "name": (run(taken, keep_cells=True), "needs the column name 'model' for itself"),
        "layer": (run(table, layer="X"), "--objects reads none"),
    }


@pytest.mark.parametrize(
    "case",
    ["no plate", "no features", "level", "keep without objects", "aggregation", "folder", "kind",
     "absent", "name", "layer"],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, case: str) -> None:
    lake = ud.Lake.create(tmp_path / "lake")
    call, said = _refusals(tmp_path)[case]
    with pytest.raises(ud.UnidinoError, match=said) as error:
        call(lake)
    assert "\n" not in str(error.value)
    assert lake.query("select count(*) as n from plate")["n"].item() == 0


def test_the_command_says_what_it_understood(
    tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    table = cell_table(
        tmp_path / "t.parquet", plate=["p"] * 3, well=["A01", "A01", "a2"], area=[1.0, 3.0, 9.0]
    )
    given = ("import-profiles", "--objects", table, "--model", "m", "--lake", tmp_path / "lake")
    status, out, err = run_cli(*given, "--dry-run")
    assert (status, out) == (0, "")
    assert "cells: 3 cells of 2 wells, 1 to 2 each" in err
    assert not (tmp_path / "lake").exists()
    status, out, _ = run_cli(*given, "--json")
    assert status == 0
    assert '"num_cells": 3' in out
