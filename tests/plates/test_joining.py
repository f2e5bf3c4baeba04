"""Tables that are joined to images: which rows match, which values they give, and what is said."""

from pathlib import Path

import pytest

from unidino.core.account import Account
from unidino.core.errors import InputError
from unidino.core.sql import Connection, scratch
from unidino.plates import manifest, tables
from unidino.plates.identifiers import clean_identifiers
from unidino.plates.joining import join
from unidino.plates.meaning import Reading, give_meaning

WELLS = "plate,well,field,channel\nP1,A01,1,DNA\nP1,A02,1,DNA\nP1,A03,1,DNA\n"
TWO_PLATES = "plate,well\nP1,A01\nP2,A01\n"


def _loaded(con: Connection, folder: Path, name: str, text: str, reading: Reading) -> None:
    (folder / f"{name}.csv").write_text(text)
    tables.load(con, name, [folder / f"{name}.csv"])
    of_wells = reading.of_wells(tables.columns(con, name)) if name != "images" else reading
    give_meaning(con, name, of_wells, f"{name}.csv" if name != "images" else None)
    clean_identifiers(con, name)
    if name != "images":
        manifest.check_metadata(con, name, folder / f"{name}.csv")


def _join(
    folder: Path, *texts: str, images: str = WELLS, states: bool = False
) -> tuple[Connection, str]:
    """The table `images` with tables of these texts joined, and the account."""
    con, reading = scratch(), Reading(account=Account())
    _loaded(con, folder, "images", images, reading)
    for number, text in enumerate(texts):
        _loaded(con, folder, f"t{number}", text, reading)
        join(con, "images", f"t{number}", f"t{number}.csv", reading.account, states=states)
    return con, str(reading.account)


def test_an_empty_key_matches_only_wells_that_a_table_names_with_an_empty_key(
    tmp_path: Path,
) -> None:
    wells = "well,broad_sample\nA01,\nA02,B1\n"
    con, said = _join(tmp_path, wells, "broad_sample,compound\nB1,aspirin\nNA,DMSO\n")
    rows = con.sql("select well, compound from images order by well").fetchall()
    assert rows == [("A01", "DMSO"), ("A02", "aspirin"), ("A03", None)]
    assert "1 well whose perturbation is empty, such as P1 A01: taken from line 3" in said
    assert "values of perturbation: 2 of 2 matched" in said


def test_an_empty_key_of_images_matches_nothing_unless_their_table_states_it(
    tmp_path: Path,
) -> None:
    images = "plate,well,perturbation\nP1,A01,\nP1,A02,B1\n"
    table = "perturbation,compound\nB1,aspirin\n,DMSO\n"
    for states, expected in ((False, None), (True, "DMSO")):
        con, _ = _join(tmp_path, table, images=images, states=states)
        assert con.sql("select compound from images where well = 'A01'").fetchall() == [(expected,)]


@pytest.mark.parametrize("column", ["Plate ID", "PlateID", "Plate Name", "plate_barcode"])
def test_plates_are_known_by_many_names(tmp_path: Path, column: str) -> None:
    con, said = _join(tmp_path, f"{column},Well,Compound\n999,A01,a\n", images=TWO_PLATES)
    assert con.sql("select count(compound) from images").fetchall() == [(0,)]
    assert "wells: 0 of 2 matched, 1 rows not used; nothing for P1 A01; P2 A01" in said
    assert "not used are 999 A01" in said


def test_barcodes_are_plates_or_refused(tmp_path: Path) -> None:
    con, said = _join(tmp_path, "Barcode,Well,Compound\nP2,A01,a\n", images=TWO_PLATES)
    assert con.sql("select plate, compound from images order by all").fetchall() == [
        ("P1", None),
        ("P2", "a"),
    ]
    assert "its barcodes are plates of the images" in said
    with pytest.raises(InputError, match=r"barcodes, such as 999, are no plates of the images"):
        _join(tmp_path, "Barcode,Well,Compound\n999,A01,a\n", images=TWO_PLATES)
    _, said = _join(tmp_path, "Barcode,Well,Compound\n999,A01,a\n")
    assert "barcode 999 is taken as that of the only plate, P1" in said
    _, said = _join(tmp_path, "Plate No,Well,Compound\n9,A01,a\n", images=TWO_PLATES)
    assert "column Plate No is not read as the plate, so each row is joined" in said
    with pytest.raises(InputError, match="if they are of several plates, name these in a column"):
        _join(tmp_path, "Tray,Well\n1,A01\n2,A01\n", images=TWO_PLATES)


def test_values_that_another_table_replaces_are_said(tmp_path: Path) -> None:
    con, said = _join(tmp_path, "well,Compound\nA01,A\n", "well,compound\nA01,X\n")
    assert con.sql("select compound from images where well = 'A01'").fetchall() == [("X",)]
    assert "t1.csv: replaces compound of 1 well, such as that of P1 A01, 'A', by 'X'" in said
    same = ("well,role,dose (uM)\nA01,vehicle,0.3\n", "well,type,dose (uM)\nA01,negcon,0.30\n")
    assert "replaces" not in _join(tmp_path, *same)[1]
    con, _ = _join(tmp_path, "well,Note\nA01,a\n", "well,NOTE\nA01,b\n")
    assert "Note" in tables.columns(con, "images")


@pytest.mark.parametrize(
    ("plate", "hint"),
    [
        ("5.04E+10", "'5.04E+10' is a number whose last digits a spreadsheet left out"),
        ("as_9", "plate 'as_9' is nearly 'AS_09' of the images: spell both alike"),
        ("AS_9.0", "plate 'AS_9.0' is nearly 'AS_09'"),
    ],
)
def test_plates_that_are_nearly_those_of_the_images_are_said(
    tmp_path: Path, plate: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = f"plate,well,compound\n{plate},A01,a\nQ,A01,b\n"
    _join(tmp_path, table, images="plate,well\nAS_09,A01\n")
    assert hint in caplog.text


@pytest.mark.parametrize(
    ("header", "row", "kept"),
    [
        ("Site", "3", "Site"),
        ("channel", "4", "well_channel"),
        ("timepoint", "24h", "well_timepoint"),
        ("slice", "2", "slice"),
    ],
)
def test_columns_that_tell_images_apart_are_not_replaced_by_those_of_wells(
    tmp_path: Path, header: str, row: str, kept: str
) -> None:
    con, said = _join(tmp_path, f"Well,{header},compound\nA01,{row},x\n")
    found = con.sql(f"select field, channel, compound, \"{kept}\" from images where well = 'A01'")
    assert found.fetchall() == [("1", "DNA", "x", row)]
    assert f"kept as extra: {kept}" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("well_id,Well,compound\n7,A01,x\n", {"well": "A01", "well_id": "7"}),
        ("Well,well_id,compound\nA01,7,x\n", {"well": "A01", "well_id": "7"}),
        ("plate_id,Plate,well\n7,P1,A01\n", {"plate": "P1", "plate_id": "7"}),
        ("Compound_name,Compound\nx,y\n", {"compound": "y", "Compound_name": "x"}),
        ("well_position,Metadata_Well\nC05,A01\n", {"well": "A01", "well_position": "C05"}),
        ("_line,_file,Well\n4,f,A01\n", {"_line_1": "4", "_file_1": "f", "well": "A01"}),
    ],
)
def test_a_name_goes_before_its_aliases(
    tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    con = scratch()
    _loaded(con, tmp_path, "given", text, Reading())
    (row,) = con.sql("from given").pl().to_dicts()
    assert expected.items() <= row.items()


def test_two_columns_that_may_name_the_plate_are_refused_if_they_differ(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="may both name the plate, and differ, as in '7' and 'P1'"):
        _loaded(
            scratch(), tmp_path, "given", "Plate Barcode,Plate Name,well\n7,P1,A01\n", Reading()
        )
    with pytest.raises(InputError, match="role and type both hold control types, and differ"):
        _loaded(scratch(), tmp_path, "given", "well,role,type\nA01,treated,negcon\n", Reading())
