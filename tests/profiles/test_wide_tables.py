"""What is a feature of a wide table, what is a number, and what is said of the rest."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sampled import slow

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.profiles import wide
from unidino.profiles.importing import import_profiles
from unidino.profiles.landing import Imported
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score

FEATURES = [f"Cells_F{i}" for i in range(4)]
NUM_WELLS = 24  # of each of two plates: rows A to D, columns 1 to 6


_BLANKS = (",", " ", "\u00a0", "'", "\u202f")  # between thousands


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    places = [(plate, well) for plate in ("P1", "P2") for well in range(NUM_WELLS)]
    table = pd.DataFrame(
        {
            "Metadata_Plate": [plate for plate, _ in places],
            "Metadata_Well": [f"{'ABCD'[w // 6]}{w % 6 + 1:02d}" for _, w in places],
            "Metadata_Compound": [f"c{w % 5}" if w % 6 else "DMSO" for _, w in places],
            "Metadata_moa": [f"m{w % 3}" for _, w in places],
        }
    )
    return table.assign(**{name: rng.normal(size=len(places)) for name in FEATURES})


def _import(folder: Path, table: pd.DataFrame, ending: str = ".csv", **options: Any) -> Imported:
    folder.mkdir(exist_ok=True)
    file = folder / f"t{ending}"
    if ending == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep=options.pop("sep", ","))
    return import_profiles(Lake.create(folder / "lake"), file, "m", **options)


def _column(folder: Path, number: int) -> list[float]:
    """Values of a feature, in the order of the table."""
    rows = Lake.open(folder / "lake").query("select embedding from embedding order by plate, well")
    return [vector[number] for vector in rows["embedding"].to_list()]


def test_an_index_that_pandas_writes_is_no_feature(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _table().sample(frac=0.9, random_state=1)
    scores = []
    for name, one in (("with", table), ("without", table.reset_index(drop=True))):
        done = _import(tmp_path / name, one, ".parquet")
        assert done.features == tuple(FEATURES)
        lake = Lake.open(tmp_path / name / "lake")
        (got,) = score(lake, "nsc", Selection(normalize="none"))
        scores.append(got.accuracy)
        assert lake.query("select extra from well").unique().item() in (None, "{}")
    assert "__index_level_0__ (index)" in caplog.text
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    "name", ["", "Unnamed: 0.1", "level_0", *slow("Unnamed: 0", "index", "...1")]
)
def test_an_index_of_a_text_file_is_no_feature(tmp_path: Path, name: str) -> None:
    table = _table()
    table.insert(0, name, np.random.default_rng(1).permutation(len(table)) + 1000)
    done = _import(tmp_path, table)
    assert done.features == tuple(FEATURES)
    assert len(done.left_out) == 1
    assert done.extra == ()


def test_a_named_index_of_pandas_is_no_feature(tmp_path: Path) -> None:
    table = _table().sample(frac=0.7, random_state=2)
    table.index.name = "ImageNr"
    assert _import(tmp_path, table, ".parquet").features == tuple(FEATURES)


def test_an_index_of_plates_and_wells_stays_metadata(tmp_path: Path) -> None:
    done = _import(tmp_path, _table().set_index(["Metadata_Plate", "Metadata_Well"]), ".parquet")
    assert (done.num_rows, done.num_plates, done.left_out) == (48, 2, ())


NUMBERING = {
    "Row": "place",
    "Column": "place",
    "well_col": "place",
    "Well Number": "place",
    "PlateNo": "place",
    "ImageNumber": "numbering",
    "ObjectNumber": "numbering",
    "Site_Number": "numbering",
    "Replicate": "numbering",
    "biological_replicate": "numbering",
    "Group_Index": "numbering",
    "Count": "count",
    "n_wells": "count",
    "Site_Count": "count",
    "Conc (nM)": "dose",
    "pubchem_cid": "identifier",
    "CompoundID": "identifier",
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_columns_that_number_count_or_place_are_features_only_if_asked_for(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(1)
    extra = {name: rng.integers(1, 50, 48) for name in NUMBERING}
    done = _import(tmp_path / "a", _table().assign(**extra), ending)
    assert done.features == tuple(FEATURES)
    assert set(done.left_out) == set(NUMBERING)
    (said,) = [r.getMessage() for r in caplog.records if "not features" in r.getMessage()]
    for reason in set(NUMBERING.values()):
        names = ", ".join(n for n, why in NUMBERING.items() if why == reason)
        assert f"{names} ({reason})" in said
    lake = Lake.open(tmp_path / "a" / "lake")
    kept = lake.query("select extra ->> 'Count' as count from well order by plate, well")
    assert kept["count"].cast(pl.Int64).to_list() == extra["Count"].tolist()
    asked = _import(tmp_path / "b", _table().assign(**extra), ending, features="^Cells|^Count$")
    assert asked.features == (*FEATURES, "Count")


def test_counts_of_cells_and_measures_with_like_names_stay_features(tmp_path: Path) -> None:
    names = ["Cells_Count", "Nuclei_Number_Object_Number", "Mitotic_Index", "ID2"]
    names += ["Cells_Children_Cytoplasm_Count", "Grid", "Texture_Column_Mean", "Rowdiness"]
    rng = np.random.default_rng(1)
    done = _import(tmp_path, _table().assign(**{n: rng.integers(1, 50, 48) for n in names}))
    assert done.features == (*FEATURES, *names)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (range(48), "numbers the rows"),
        ([i % 24 + 1 for i in range(48)], "numbers the rows"),
        ([i % 24 // 6 + 1 for i in range(48)], "is the row of the well"),
        ([i % 6 for i in range(48)], "is the column of the well"),
    ],
)
@pytest.mark.sample(2)
def test_a_counter_of_any_name_is_no_feature(
    tmp_path: Path, values: list[int], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    done = _import(tmp_path / "a", _table().assign(Nummer=values))
    assert done.left_out == ("Nummer",)
    assert f"Nummer ({why})" in caplog.text
    # Ranks and numbers with a point are measured values.
    shuffled = np.random.default_rng(0).permutation(np.array(values)) + 3
    other = _table().assign(Rank=shuffled, Nummer=np.array(values) * 1.0)
    assert _import(tmp_path / "b", other).features == (*FEATURES, "Rank", "Nummer")


def test_a_result_names_its_features_and_shows_the_first_and_last(tmp_path: Path) -> None:
    more = {f"Nuclei_F{i}": np.arange(48) * 0.5 for i in range(20)}
    done = _import(tmp_path, _table().assign(**more, Batch="b", note="x", Row=1))
    assert len(done.features) == done.num_features == 24
    shown = "Cells_F0, Cells_F1, Cells_F2, ..., Nuclei_F17, Nuclei_F18, Nuclei_F19"
    assert done.frame["features"].item() == shown
    assert (done.left_out, done.extra) == (("Row",), ("note", "Row"))


def _commas(table: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    texts = {n: [f"{v:.{digits}f}".replace(".", ",") for v in table[n]] for n in FEATURES}
    return table.assign(**texts)


@pytest.mark.parametrize(("ending", "sep"), [(".csv", ";"), (".csv", ","), (".tsv", "\t")])
def test_decimal_commas_are_numbers(
    tmp_path: Path, ending: str, sep: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = _table()
    done = _import(tmp_path, _commas(table).assign(area=range(100, 148)), ending, sep=sep)
    assert done.features[:4] == tuple(FEATURES)
    np.testing.assert_allclose(_column(tmp_path, 2), table["Cells_F2"].round(4), rtol=1e-6)
    assert "decimal commas in 4 columns" in caplog.text or ending == ".tsv"


def test_decimal_commas_of_a_parquet_file_are_numbers(tmp_path: Path) -> None:
    table = _table()
    assert _import(tmp_path, _commas(table, 2), ".parquet").num_features == 4
    np.testing.assert_allclose(_column(tmp_path, 0), table["Cells_F0"].round(2), rtol=1e-6)


def test_commas_that_may_mean_two_things_are_refused(tmp_path: Path) -> None:
    table = _table().drop(columns=FEATURES).assign(a="1,234", b="2,500", cells=7)
    with pytest.raises(InputError, match=r"the comma in 2 columns \(a, b\), as in '1,234', may be"):
        _import(tmp_path / "a", table)
    assert _import(tmp_path / "b", table, features="^cells$").features == ("cells",)


def test_points_between_thousands_are_refused_beside_decimal_commas(tmp_path: Path) -> None:
    table = _commas(_table()).assign(area="1.234")
    with pytest.raises(InputError, match=r"the point in column 'area', as in '1\.234', may be"):
        _import(tmp_path, table, sep=";")


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        *(("{:,.2f}", blank) for blank in _BLANKS),
        *((text, ",") for text in ("{:,.2f}|{}", " {:.2f} ", "{:.3e}")),
        *slow(*(("{:,.1f}", blank) for blank in _BLANKS)),
    ],
)
def test_thousands_and_blanks_are_understood(tmp_path: Path, text: str, blank: str) -> None:
    table = _table()
    values = np.abs(table["Cells_F1"]) * 1e5 + 1000
    texts = [text.split("|")[0].format(v).replace(",", blank) for v in values]
    done = _import(tmp_path, table.assign(Cells_F1=texts))
    assert done.features == tuple(FEATURES)
    np.testing.assert_allclose(_column(tmp_path, 1), values, rtol=1e-3)


@pytest.mark.parametrize("word", ["#DIV/0!", "-", "1.#IND", *slow("n/a", "#N/A", "?", "#WERT!")])
def test_words_for_missing_values_do_not_cost_a_feature(tmp_path: Path, word: str) -> None:
    table = _table().astype({"Cells_F0": object})
    table.loc[[3, 30], "Cells_F0"] = word
    done = _import(tmp_path, table)
    assert (done.features, done.num_missing) == (tuple(FEATURES), 2)


def test_values_below_a_limit_are_never_taken_as_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _table().astype(dict.fromkeys(FEATURES, object))
    table.loc[3, "Cells_F0"] = "<LOD"
    assert _import(tmp_path / "a", table).features == tuple(FEATURES[1:])
    assert "column 'Cells_F0' is not a feature: row 4 has '<LOD'" in caplog.text
    table.loc[5, FEATURES[1:3]] = "<0.5"
    with pytest.raises(InputError, match=r"row 4 has '<LOD'.*Cells_F1, Cells_F2; mend the values"):
        _import(tmp_path / "b", table)


def test_no_column_of_near_numbers_is_left_out_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = _table().assign(pct="12.5%", pair="1,2", date="01.02.2024", name="x1")
    assert _import(tmp_path, table).features == tuple(FEATURES)
    assert "column 'pct' is not a feature: row 1 has '12.5%'" in caplog.text
    assert "the same holds for pair" in caplog.text
    assert "column 'date'" not in caplog.text


def test_every_type_of_numbers_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    num = 12
    whole = pa.array([(i * 7) % 11 for i in range(num)])
    columns = {
        "plate": pa.array(["p"] * num, pa.large_string()),
        "well": pa.array([f"A{i + 1:02d}" for i in range(num)], pa.string_view()),
        "compound": pa.array(["c"] * num).dictionary_encode(),
        "decimal": pa.array([Decimal("1.250")] * num, pa.decimal128(12, 3)),
        "half": pa.array(np.ones(num, np.float16)),
        "int8": whole.cast(pa.int8()),
        "text": pa.array(["2.5"] * num, pa.string_view()),
        "coded": whole.cast(pa.float32()).dictionary_encode(),
        "flag": pa.array([True, False] * 6),
        "void": pa.nulls(num),
        "empty": pa.nulls(num, pa.float64()),
        "nan": pa.array([np.nan] * num),
        "hash": pa.array([2**60 + 7 * i for i in range(num)]),
        "when": pa.array([0] * num, pa.timestamp("ms")),
        "targets": pa.array([["a", "b"]] * num),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    done = import_profiles(Lake.create(tmp_path / "lake"), tmp_path / "t.parquet", "m")
    assert done.features == ("decimal", "half", "int8", "text", "coded")
    assert done.left_out == ("flag", "void", "empty", "hash", "nan")
    assert "flag (true or false), void, empty, nan (no values), hash (whole" in caplog.text
    assert "neither numbers nor text are lost: targets" in caplog.text
    vector = Lake.open(tmp_path / "lake").query("select embedding from embedding").row(1)[0]
    assert vector == [1.25, 1.0, 7.0, 2.5, 7.0]


def test_a_feature_without_values_is_kept_if_it_is_asked_for(tmp_path: Path) -> None:
    table = _table().assign(dead=np.nan, inf=np.inf)
    assert _import(tmp_path / "a", table, ".parquet").left_out == ("dead", "inf")
    done = _import(tmp_path / "b", table, ".parquet", features="^Cells|dead|inf")
    assert (done.num_features, done.num_missing) == (6, 96)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("Plate,Well,area\n", "has no rows, only the names of 3 columns"),
        ("Plate,Well,moa\np,A01,x\n", "has no features: no column of numbers that is not metadata"),
        (
            "Plate,Well,Count\np,A01,5\n",
            r"has no features: .*--features would take Count \(count\)",
        ),
        ("Plate,Well,area\np,A01,1.5\np,A01,2.5\n", "two rows for plate p, well A01"),
        ("Plate,Well,area\n" + "p" * 300 + ",A01,1.5\n", "300 bytes; 150 are allowed"),
        ("Plate,Metadata_Plate,Well,a\np,q,A01,1.5\n", "both name the plate, and differ"),
    ],
)
def test_a_table_that_is_none_is_one_plain_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        import_profiles(Lake.create(tmp_path / "lake"), tmp_path / "t.csv", "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({}), "has no columns"),
        (pa.table([[1.5], [2.5]], names=["a", "a"]), "has 2 columns named 'a'"),
        (pa.table({"Plate": ["p"], "plate": ["q"], "a": [1.5]}), "columns 'Plate' and 'plate'"),
        (pa.table({"v": [[1.5, 2.0]], "v_1": [3.0]}), "has 2 columns named 'v_1'"),
    ],
)
def test_columns_of_one_name_are_refused(tmp_path: Path, table: pa.Table, message: str) -> None:
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        import_profiles(Lake.create(tmp_path / "lake"), tmp_path / "t.parquet", "m")


def test_a_column_that_repeats_the_plate_is_dropped(tmp_path: Path) -> None:
    done = _import(tmp_path, _table().assign(Plate=_table()["Metadata_Plate"]))
    assert (done.num_plates, done.extra) == (2, ())


def test_many_thousand_columns_are_read(tmp_path: Path) -> None:
    num = 20_000
    names = [f"F{i}" for i in range(num)]
    table = pa.table(
        [pa.array(["p", "p"]), pa.array(["A01", "A02"]), *[pa.array([0.5, 1.5])] * num],
        names=["plate", "well", *names],
    )
    pq.write_table(table, tmp_path / "t.parquet")
    done = import_profiles(Lake.create(tmp_path / "lake"), tmp_path / "t.parquet", "m")
    assert done.num_features == num


def test_numbers_that_are_missing_are_null_in_the_lake(tmp_path: Path, run_cli) -> None:
    doses = [np.nan if i % 6 == 0 else np.inf if i == 1 else 10.0 for i in range(48)]
    table = _table().assign(Metadata_concentration_um=doses, Metadata_age=doses)
    _import(tmp_path, table, ".parquet")
    at = ("--lake", tmp_path / "lake")
    status, out, _ = run_cli(
        "sql", "--json", "select avg(concentration_um) as a, count(*) as n from well", *at
    )
    assert (status, json.loads(out)) == (0, {"a": 10.0, "n": 48})
    query = "select concentration_um, extra from well where well = 'A01'"
    status, out, _ = run_cli("sql", "--json", query, *at)
    assert "nan" not in out.lower()
    assert run_cli("export", tmp_path / "o.csv", "--model", "m", *at)[0] == 0
    assert "nan" not in (tmp_path / "o.csv").read_text().lower()


def test_plates_that_a_missing_value_made_floats_keep_their_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake.create(tmp_path / "lake")
    names = np.repeat([1053601756, 1053601757], NUM_WELLS)
    for kind, ending in ((int, ".csv"), (float, ".parquet")):
        _import(tmp_path, _table().assign(Metadata_Plate=names.astype(kind)), ending)
    assert lake.query("select count(*) from plate").item() == 2
    assert "beside a plate" not in caplog.text
    _import(tmp_path, _table().assign(Metadata_Plate=names.astype(float)))
    assert "such as 1053601756.0; it is read as 1053601756" in caplog.text
    assert lake.query("select count(*) from plate").item() == 2


@pytest.mark.parametrize(
    ("plates", "said"),
    [
        (["P1", "p1"], "plate 'p1' is new, beside a plate 'P1'"),
        (["007", "7"], "plate '7' is new, beside a plate '007'"),
        (["8.0", "9.0"], "every plate is a number with a fraction, such as 8.0; it is read as 8"),
        (["8.0", "x"], "plate '8.0' is named as a number with a point"),
        (
            ["1.05E+09", "x"],
            "plate '1.05E+09' is a number whose last digits a spreadsheet left out",
        ),
    ],
)
@pytest.mark.sample(3)
def test_odd_names_of_plates_are_said(
    tmp_path: Path, plates: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    _import(tmp_path, _table().assign(Metadata_Plate=np.repeat(plates, NUM_WELLS)))
    assert said in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        'plate=Plate ID.x,well=the "well",compound=Plate\'s cpd',
        'plate="Plate ID.x",well="the ""well""",compound="Plate\'s cpd"',
        'plate=plate id.X,well=THE "WELL",compound=plate\'s CPD',
        'plate="Plate ID.x" || \'\',well=left("the ""well""", 3),compound=trim("Plate\'s cpd")',
    ],
)
@pytest.mark.sample(2)
def test_a_map_takes_every_name_of_a_column(tmp_path: Path, text: str) -> None:
    names = {
        "Metadata_Plate": "Plate ID.x",
        "Metadata_Well": 'the "well"',
        "Metadata_Compound": "Plate's cpd",
    }
    mapped = wide.parse_map(text)
    done = _import(tmp_path, _table().rename(columns=names), mapped=mapped)
    assert (done.num_rows, done.num_plates) == (48, 2)
    wells = Lake.open(tmp_path / "lake").query("select compound from well order by plate, well")
    assert wells["compound"].to_list() == _table()["Metadata_Compound"].to_list()


def test_a_map_takes_names_of_the_file_and_constants(tmp_path: Path) -> None:
    mapped = wide.parse_map(
        "batch=left(trim(Metadata_Plate, ' '), 1),source=7,dataset='x',barcode=007,"
        "cell_line=metadata_MOA || '!',moa=(Cells_F0 > 0)"
    )
    done = _import(tmp_path, _table(), mapped=mapped)
    lake = Lake.open(tmp_path / "lake")
    assert done.dataset == "x"
    plate = lake.query("select distinct batch, source, barcode from plate").row(0)
    assert plate == ("P", "7", "007")
    wells = lake.query("select cell_line, moa from well order by plate, well")
    assert wells["cell_line"].to_list() == [f"{m}!" for m in _table()["Metadata_moa"]]
    assert wells["moa"].to_list() == [str(v > 0).lower() for v in _table()["Cells_F0"]]


def test_a_map_may_swap_and_repeat_columns(tmp_path: Path) -> None:
    swapped = {"Metadata_Plate": "well", "Metadata_Well": "plate"}
    mapped = {"plate": "well", "well": "plate", "batch": "well"}
    done = _import(tmp_path, _table().rename(columns=swapped), mapped=mapped)
    assert done.num_plates == 2
    plates = Lake.open(tmp_path / "lake").query("select plate_id, batch from plate order by all")
    assert plates.rows() == [("P1", "P1"), ("P2", "P2")]


@pytest.mark.parametrize(
    ("mapped", "message"),
    [
        ({"batch": "left(plate)"}, "neither a column nor .*No function matches"),
        ({"source": "broad"}, "column \"broad\" not found .*a text needs quotes: source='broad'"),
        ({"batch": "plate +"}, "neither a column nor an expression .*syntax error"),
    ],
)
def test_a_map_that_fails_says_why(tmp_path: Path, mapped: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _import(tmp_path, _table(), mapped=mapped)
    assert "\n" not in str(caught.value)


def test_a_pattern_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--features '\(' is no"):
        _import(tmp_path, _table(), features="(")
