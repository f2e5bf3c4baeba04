"""What the columns of a user's table become."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.plates import tables
from unidino.plates.meaning import Reading, give_meaning


def _read(folder: Path, text: str | bytes, name: str = "map.csv", **how: Any) -> dict[str, Any]:
    """Values by column of a table of this text, and the account under ''."""
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    con, reading = scratch(), Reading(**how)
    tables.load(con, "given", [file])
    give_meaning(con, "given", reading, name)
    frame = con.sql("select * exclude (_line, _file) from given order by _line").pl()
    return {"": str(reading.account), **frame.to_dict(as_series=False)}


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        ("Conc (nM)", ["300", "7", ""], ["0.3", "0.007", None]),
        ("conc_nm", ["300"], ["0.3"]),
        ("Metadata_Concentration_uM", ["0.1"], ["0.1"]),
        ("Dose [µM]", ["2.5"], ["2.5"]),
        ("final conc in mM", ["0.5"], ["500.0"]),
        ("mmoles_per_liter", ["0.00555"], ["5.55"]),
        ("compound_concentration_pM", ["5"], ["5e-06"]),
        ("dose,unit", ["1,M", "1,mM", "1,nmol/L"], ["1000000.0", "1000.0", "0.001"]),
        ("Dose,Units", ["3,micromolar", "4,NM"], ["3.0", "0.004"]),
        ("pert_dose,pert_dose_unit", ["3,um"], ["3.0"]),
        ("conc", ["2 uM", "300nM", "1e-3 M"], ["2.0", "0.3", "1000.0"]),
        ("conc (mg/ml),molar_mass", ["1,500"], ["2000.0"]),
        ("concentration,unit", ["0,", ",", "NaN,uM"], ["0.0", None, None]),
        ("concentration_um", ["0.30"], ["0.30"]),
        ("concentration_um,unit", ["0.3,uM"], ["0.3"]),
    ],
)
def test_concentrations_become_micromolar(
    tmp_path: Path, header: str, rows: list[str], expected: list[str | None]
) -> None:
    lines = [f"A0{i},{row}" for i, row in enumerate(rows, 1)]
    got = _read(tmp_path, "\n".join([f"well,{header}", *lines]))
    assert got["concentration_um"] == expected
    name = header.split(",")[0]
    assert name == "concentration_um" or f"{name}" in got[""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "well,concentration\nA01,2\nA02,3\n",
            r"line 2, column concentration: 2: no unit .*--unit",
        ),
        ("well,Dose\nA01,x\n", "'x' is not a number with or without a unit"),
        ("well,conc,unit\nA01,2,%\n", "unknown unit '%'; known units are M, mM"),
        ("well,Dose (Gy)\nA01,2\n", "unknown unit 'Gy'"),
        ("well,conc,unit\nA01,2,m\n", "unknown unit 'm'"),
        ("well,conc,unit\nA01,2,mg/ml\n", "no molar mass; add a column molar_mass"),
        ("well,Conc (ug/ml)\nA01,5\n", "no molar mass"),
        ("well,conc\nA01,5 ug/ml\nA02,3 uM\n", "no molar mass"),
        ("well,concentration_um,unit\nA01,5,nM\n", "the value says uM, its row nM"),
        ("well,conc,unit\nA01,2 nM,uM\n", "the value says nM, its row uM"),
        ("well,Conc (nM),unit\nA01,2,uM\n", "the value says nM, its row uM"),
        ("well,conc_nM,dose (uM)\nA01,1,1\n", "2 columns of concentrations: conc_nM, dose"),
        ("well;conc_nM\nA01;1,500\n", "may be a decimal comma or separate thousands"),
    ],
)
def test_a_concentration_that_is_not_certain_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, text)


def test_a_unit_for_the_whole_table_is_named_by_the_user(tmp_path: Path) -> None:
    text = "well,dose\nA01,500\n"
    assert _read(tmp_path, text, unit="nM")["concentration_um"] == ["0.5"]
    kept = _read(tmp_path, text, unit="none")
    assert kept["dose"] == ["500"]
    assert "kept as extra: dose" in kept[""]
    assert _read(tmp_path, "well,dose_group\nA01,low\n")["dose_group"] == ["low"]


@pytest.mark.parametrize("column", ["control_type", "role", "Control", "type", "pert_type"])
def test_words_for_control_types_are_read_and_said(tmp_path: Path, column: str) -> None:
    words = ["compound", "Vehicle", "Positive control", "neg_control", "poscon_cp", "EMPTY", ""]
    text = f"well,{column}\n" + "".join(f"A0{i},{word}\n" for i, word in enumerate(words, 1))
    got = _read(tmp_path, text)
    con = scratch()
    con.register("word", pl.DataFrame({"word": got["control_type"]}, {"word": pl.String}))
    read_as = con.sql("select canonical_control_type(word) from word").fetchall()
    assert [r for (r,) in read_as] == [
        "trt", "negcon", "poscon", "negcon", "poscon", "empty", None,
    ]  # fmt: skip
    assert "Vehicle is negcon" in got[""]


def test_a_column_of_other_words_is_no_control_type(tmp_path: Path) -> None:
    got = _read(tmp_path, "well,type\nA01,U2OS\nA02,vehicle\n")
    assert got["type"] == ["U2OS", "vehicle"]
    assert "type is not read as control types, because of 'U2OS'" in got[""]
    yes = _read(tmp_path, "well,Control\nA01,yes\nA02,no\n")
    assert "control_type" not in yes


def test_texts_are_trimmed_composed_and_missing_if_they_say_so(tmp_path: Path) -> None:
    words = [
        "NA",
        "n/a",
        "NaN",
        "NULL",
        "nan",
        "#N/A",
        "<NA>",
        " ",
        "Na",
        "  DMSO\u00a0",
        "e\u0301",
    ]
    text = "well,compound\n" + "".join(f"A{i:02d},{word}\n" for i, word in enumerate(words, 1))
    assert _read(tmp_path, text)["compound"] == [None] * 8 + ["Na", "DMSO", "\u00e9"]


def test_the_same_words_are_missing_in_parquet(tmp_path: Path) -> None:
    file = tmp_path / "map.parquet"
    frame = pl.DataFrame(
        {"well": ["A01", "A02"], "compound": [" x", "N/A"], "concentration_um": [1.0, float("nan")]}
    )
    frame.write_parquet(file)
    con = scratch()
    tables.load(con, "given", [file])
    assert con.sql("select compound, concentration_um from given").fetchall() == [
        ("x", "1.0"),
        (None, None),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_spreadsheets_of_any_country_are_read(
    tmp_path: Path, encoding: str, separator: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [["well", "compound", "conc (µM)"], ["A01", "café", '"0,3"'], ["A02", "x", "10"]]
    text = "\r\n".join(separator.join(row) for row in [*rows, ["", "", ""], ["", "", ""]])
    got = _read(tmp_path, text.encode(encoding))
    assert got["compound"] == ["café", "x"]
    assert got["concentration_um"] == ["0.3", "10.0"]
    assert ("read as Windows-1252, with texts such as" in caplog.text) == (encoding == "cp1252")


def test_the_line_that_names_the_separator_is_obeyed(tmp_path: Path) -> None:
    got = _read(tmp_path, "sep=;\r\nwell;compound\r\nA01;a,b\r\n")
    assert got["compound"] == ["a,b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"well,compound,moa\nA01,x,y\nA02,x\n", "line 3: Expected Number of Columns: 3 Found: 2"),
        (b'well,compound\nA01,"x\n', "line 2: Value with unterminated quote found"),
        (b"Plates of May,,\n,,\nwell,compound,moa\nA01,x,y\n", "'Plates of May', which is a title"),
        (b"well,compound,Compound\nA01,x,y\n", "two columns named 'compound'"),
        (b"well,c\xff\x81\nA01,x\n", "neither UTF-8 nor Windows-1252"),
        (b"", "has no header"),
        (b"w\0e\0l\0l\0", "no text of UTF-8 or UTF-16"),
    ],
)
def test_a_text_that_is_no_table_is_refused_in_one_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_headers_of_any_length_and_form_are_read(tmp_path: Path) -> None:
    long = [f"Cells_Texture_Long_Feature_Name_{number:06d}" for number in range(800)]
    got = _read(tmp_path, ",".join(["well", *long]) + "\n" + ",".join(["A01", *["1"] * 800]))
    assert list(got)[1:] == ["well", *long]
    got = _read(tmp_path, "well,Größe,Conc (µM)\nA01,3,5\n".encode("cp1252"))
    assert (got["Größe"], got["concentration_um"]) == (["3"], ["5.0"])
    got = _read(tmp_path, 'well,"conc\n(uM)",compound;a;b\nA01,1,x\n')
    assert (got["concentration_um"], got["compound;a;b"]) == (["1"], ["x"])


def test_decimal_commas_of_concentrations_are_said(tmp_path: Path) -> None:
    got = _read(tmp_path, "well;concentration_um\nA01;1,500\nA02;2,25\n")
    assert got["concentration_um"] == ["1.500", "2.25"]
    assert "decimal commas in concentration_um" in got[""]


def test_units_that_are_none_are_left_if_asked(tmp_path: Path) -> None:
    assert _read(tmp_path, "well,conc (%)\nA01,5\n", unit="none")["conc (%)"] == ["5"]
    assert _read(tmp_path, 'well,dose\nA01,"1,500"\n', unit="none")["dose"] == ["1,500"]


def test_a_row_with_a_path_alone_is_not_dropped(tmp_path: Path) -> None:
    got = _read(tmp_path, "path,plate,well\na.tif,p,A01\nb.tif,,\n,,\n")
    assert got["path"] == ["a.tif", "b.tif"]


def test_concentrations_that_a_name_makes_improbable_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    got = _read(tmp_path, "well,mmoles_per_liter\nA01,0.5\nA02,10\n")
    assert got["concentration_um"] == ["500.0", "10000.0"]
    said = "the highest concentration is 10,000 uM, because mmoles_per_liter is read in"
    assert said in caplog.text
    caplog.clear()
    _read(tmp_path, "well,Dose (nM)\nA01,500\n")
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("well;Dose (nM)\nA01;0\nA02;0,3\nA03;1.000\n", "'0,3' has a comma and '1.000' a point"),
        ('well,Dose (nM)\nA01,"0,3"\nA02,2.5\n', "'0,3' has a comma and '2.5' a point"),
        ("well;Dose (nM);od\nA01;0;0,31\nA02;1.000;2,5\n", "'1.000' may be .* in column od"),
        ("well,Dose\nA01,0 xyz\nA02,3 nM\n", "line 2, column Dose: 0 xyz: unknown unit 'xyz'"),
        ("well,Dose\nA01,0foo\n", "unknown unit 'foo'"),
        ("well,Dose\nA01,0x10 nM\n", "unknown unit 'x10 nM'"),
        ("well,Dose\nA01,1'000 nM\n", "is not a number with or without a unit"),
        ("well,Dose\nA01,1.000.000 nM\n", "is not a number with or without a unit"),
        ("well,Dose\nA01,1 000 nM\n", "is not a number with or without a unit"),
        ("well,Dose (nM)\nA01,1e999\n", "'1e999' is not a possible concentration"),
        ("well,concentration_um\nA01,1e999\n", "'1e999 uM' is not a possible concentration"),
        ("well,concentration_um\nA01,inf\n", "'inf uM' is not a number"),
        ("well,Conc (nM)\nA01,300 uM\n", "the value says uM, the name of its column nM"),
    ],
)
def test_a_concentration_is_read_as_a_whole_or_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, text)


def test_none_of_any_unit_and_a_unit_of_its_own_are_read(tmp_path: Path) -> None:
    got = _read(tmp_path, "well,Conc (nM)\nA01,0 uM\nA02,300 nM\nA03,0 %\nA04,7\n")
    assert got["concentration_um"] == ["0.0", "0.3", "0.0", "0.007"]
    got = _read(tmp_path, "well,concentration_um\nA01,100 nM\nA02,3\n")
    assert got["concentration_um"] == ["0.1", "3.0"]
    assert "concentration_um, in nM, uM" in got[""]


@pytest.mark.parametrize(
    ("header", "value", "how", "expected"),
    [
        ("dose", "100", {"unit": "nM"}, "0.1"),
        ("dose,unit", "100,nM", {}, "0.1"),
        ("dose,unit", "100,", {"unit": "nM"}, "0.1"),
        ("dose", "100", {}, "100"),
        ("dose", "100", {"unit": "none"}, "100"),
        ("dose_nM", "100", {"unit": "uM"}, "0.1"),
        ("concentration_um", "100", {"unit": "nM"}, "100"),
    ],
)
def test_a_concentration_that_the_user_names_has_the_unit_that_is_stated(
    tmp_path: Path, header: str, value: str, how: dict[str, str], expected: str
) -> None:
    file = tmp_path / "map.csv"
    file.write_text(f"well,{header}\nA01,{value}\n")
    con = scratch()
    tables.load(con, "given", [file])
    give_meaning(con, "given", Reading(**how), given={"concentration_um": header.split(",")[0]})
    assert con.sql("select concentration_um from given").fetchall() == [(expected,)]


@pytest.mark.parametrize("blank", ["\u00a0", "\u2009", "\u2003", "\u2007", "\u0085", "\u200e"])
def test_blanks_of_every_alphabet_are_blanks(tmp_path: Path, blank: str) -> None:
    text = f"well,compound,dose,role\nA{blank}01,{blank}DMSO{blank},5{blank}uM,neg{blank}control\n"
    got = _read(tmp_path, text)
    assert (got["compound"], got["concentration_um"]) == (["DMSO"], ["5.0"])
    con = scratch()
    asked = "select canonical_well($well), canonical_control_type($role)"
    given = {"well": got["well"][0], "role": got["control_type"][0]}
    assert con.execute(asked, given).fetchall() == [("A01", "negcon")]


def test_errors_of_spreadsheets_are_missing_values(tmp_path: Path) -> None:
    words = ["#NV", "#REF!", "#WERT!", "#N/D", "#VALUE!", "(null)", "Nan", "N/a", "-", "None", "#1"]
    text = "well,compound,sign\n" + "".join(
        f"A{i:02d},{word},{'-+'[i % 2]}\n" for i, word in enumerate(words, 1)
    )
    got = _read(tmp_path, text)
    assert got["compound"] == [None] * 9 + ["None", "#1"]
    assert set(got["sign"]) == {"+", "-"}


def test_an_unknown_word_and_what_it_hides_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _read(tmp_path, "well,pert_type\nA01,trt_poscon\nA02,ctl_untrt\nA03,control\n")
    assert "because of 'control'; 'ctl_untrt', 'trt_poscon' say nothing of controls" in caplog.text


def test_every_word_for_a_control_is_said(tmp_path: Path) -> None:
    words = ["vehicle", "pos", "pc", "nc", "blank", "mock", "sample", "solvent", "untreated"]
    text = "well,role\n" + "".join(f"A0{i},{word}\n" for i, word in enumerate(words, 1))
    assert "untreated is negcon, vehicle is negcon" in _read(tmp_path, text)[""]


@pytest.mark.parametrize(
    "text", ["well,a\nA01,x\r\nA02,y\r\n", "well,a\r\nA01,x\nA02,y\r\n", "well,a\nA01,x\rA02,y\n"]
)
def test_line_ends_of_several_systems_are_read(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, text)["a"] == ["x", "y"]
