"""Columns of imported tables: which are features, which tell of wells, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.profiles import wide
from unidino.profiles.importing import import_profiles
from unidino.profiles.landing import Imported


def _import(folder: Path, text: str, *metadata: str, **options: Any) -> Imported:
    (folder / "t.csv").write_text(text)
    files = []
    for number, table in enumerate(metadata):
        files.append(folder / f"m{number}.csv")
        files[-1].write_text(table)
    lake = Lake.create(folder / "lake")
    if "map" in options:
        options["mapped"] = wide.parse_map(options.pop("map"))
    return import_profiles(lake, folder / "t.csv", "m", metadata=files, dry_run=True, **options)


TWO = "Plate,Well,compound,area\nP,A01,x,1.5\nP,A02,y,2.5\n"
NO_FEATURES = [
    "MW", "Molecular Weight", "Concentration_1", "conc_group", "conc_um_log10", "log_conc", "µM",
    "passage_number", "Passage", "Day", "Seeding density", "Time", "Date", "Timestamp",
    "Time (h)", "acquisition_time", "Treatment Time", "Week", "Exposure Time (ms)", "Quadrant",
    "MOI", "DMSO (%)", "dilution_factor", "Stock concentration (mM)", "drug1_conc", "pConc",
]  # fmt: skip


def test_what_was_done_to_wells_is_no_feature(tmp_path: Path) -> None:
    header = ",".join(["Plate", "Well", *NO_FEATURES, "area"])
    rows = [f"P,A0{n}," + ",".join([f"{n}.5"] * (len(NO_FEATURES) + 1)) for n in (1, 2)]
    done = _import(tmp_path, "\n".join([header, *rows]), unit="none")
    assert done.features == ("area",)
    assert set(done.left_out) == set(NO_FEATURES)
    assert set(NO_FEATURES) <= set(done.extra)


def test_features_with_like_names_stay(tmp_path: Path) -> None:
    names = ["Mean_Time_Lag", "Daylight", "Timeliness", "Density", "Concentration_Index_Ratio"]
    rows = "\n".join(f"P,A0{n}," + ",".join([f"{n}.5"] * len(names)) for n in (1, 2))
    assert _import(tmp_path, f"Plate,Well,{','.join(names)}\n{rows}\n").features == tuple(names)


def test_columns_of_images_are_no_features_and_no_errors(tmp_path: Path) -> None:
    text = "Plate,Well,x,z,plane,timepoint\nP,A01,0.5,0.5,1,24h\nP,A02,0.7,2,3,48h\n"
    done = _import(tmp_path, text)
    assert done.features == ("x",)
    assert "z, plane (of images)" in done.account["not features"][0]
    assert done.extra == ("well_z", "plane", "well_timepoint")
    assert _import(tmp_path, text, features="^[xz]$").features == ("x", "z")


def test_rows_of_a_metadata_table_that_differ_in_a_well_are_refused(tmp_path: Path) -> None:
    table = "plate,well,compound\nP,A01,a\nP,a1,b\n"
    with pytest.raises(
        InputError, match="plate P well A01 differ in compound: line 2 has 'a', line"
    ):
        _import(tmp_path, "Plate,Well,area\nP,A01,1.5\n", table)
    table = "plate,well,compound,Image\nP,A01,a,1\nP,A01,a,2\nQ,A01,a,3\nQ,A01,a,4\n"
    done = _import(tmp_path, "Plate,Well,area\nP,A01,1.5\n", table)
    assert "m0.csv: columns that differ within a well are left out: Image" in done.account["tables"]
    assert "wells: 1 of 1 matched, 2 rows not used" in done.account["tables"][1]
    assert done.extra == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Plate,Well,Site,area\nP,A01,-1,1\nP,A02,1,2\n", "column field: '-1' is not possible"),
        ("Plate,Well,Site,area\nP,A01,1,1\nP,A02,,2\n", "line 3: the field is missing"),
        (
            "Plate,Well,Site,compound,area\nP,A01,1,x,1\nP,A01,2,y,2\n",
            "line 3, column compound: 'y' for well A01 of plate P, but 'x' in .*line 2",
        ),
        (
            "Plate,Well,Site,batch,area\nP,A01,1,x,1\nP,A02,2,y,2\n",
            "line 3, column batch: 'y' for plate P, but 'x' in .*line 2",
        ),
    ],
)
def test_rows_of_fields_are_checked(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _import(tmp_path, text, level="field")


def test_a_molar_mass_of_numbers_is_that_of_the_concentration(tmp_path: Path) -> None:
    text = "Plate,Well,conc (mg/ml),MW,area\nP,A01,1,500,0.5\nP,A02,2,500,1.5\n"
    assert _import(tmp_path, text).account["doses"] == ["2000 to 4000 uM"]


def test_columns_of_the_programs_names_keep_their_values(tmp_path: Path) -> None:
    done = _import(tmp_path, "Plate,Well,_line,_file,area\nP,A01,7.5,f,1.5\nP,A02,9,g,2.5\n")
    assert (done.features, done.extra) == (("_line_1", "area"), ("_file_1",))


def test_a_column_may_be_mapped_twice(tmp_path: Path) -> None:
    assert (
        "Plate -> batch, plate" in _import(tmp_path, TWO, map="batch=Plate").account["columns"][0]
    )


def test_an_expression_gives_one_value_for_each_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives 4 rows for 2; write an expression with one value"):
        _import(tmp_path, TWO, map="plate=unnest(['a', 'b'])")


def test_an_expression_over_text_is_told_how_to_cast(tmp_path: Path) -> None:
    text = "Plate,Well,dose_nm,area\nP,A01,500,1.5\nP,A02,7,2.5\n"
    with pytest.raises(InputError, match="columns are text here: write a number as COLUMN::double"):
        _import(tmp_path, text, map="concentration_um=dose_nm/1000")
    done = _import(tmp_path, text, map="concentration_um=dose_nm::double/1000")
    assert done.account["doses"] == ["0.007 to 0.5 uM"]


def test_a_mapped_concentration_is_in_the_unit_of_the_option(tmp_path: Path) -> None:
    text = "Plate,Well,dose,area\nP,A01,100,1.5\nP,A02,100,2.5\n"
    done = _import(tmp_path, text, map="concentration_um=dose", unit="nM")
    assert done.account["doses"] == ["0.1 uM"]


@pytest.mark.parametrize(
    ("name", "highest_um"),
    [
        ("Concentration (nanomolar)", 0.02),
        ("Concentration (micromolar)", 20),
        ("umol_per_liter", 20),
        ("conc_fM", 2e-8),
        ("dose (pg/ml)", 0.02 / 300),
    ],
)
def test_a_dose_is_read_in_any_unit_that_is_known(
    tmp_path: Path, name: str, highest_um: float
) -> None:
    text = f"Plate,Well,compound,{name},molar_mass,area\nP,A01,x,10,300,1.5\nP,A02,x,20,300,2.5\n"
    (tmp_path / "t.csv").write_text(text)
    lake = Lake.create(tmp_path / "lake")
    assert import_profiles(lake, tmp_path / "t.csv", "m").features == ("area",)
    found = lake.query("select max(concentration_um) from well").item()
    assert found == pytest.approx(highest_um)


def test_names_that_are_errors_of_a_spreadsheet_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "Plate,Well,compound,area\nP,A01,#REF!,1.5\nP,A02,#NAME?,2.5\nP,A03,x,3.5\n"
    _import(tmp_path, text)
    assert "t.csv: compound: 2 values are errors of a spreadsheet (#REF!): missing" in caplog.text
