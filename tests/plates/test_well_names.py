"""Wells are read in the spellings that are known, and refused in every other, as they are given."""

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.core.wells import row_letters, well_name
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.profiles.importing import import_profiles

Write = Callable[..., Path]
_MACROS = scratch()
KNOWN = {
    "A1": "A01",
    "a01": "A01",
    "A001": "A01",
    " B12\t": "B12",
    "\ufeffb12\u00a0": "B12",
    "A-01": "A01",
    "A_01": "A01",
    "A - 1": "A01",
    "A/1": "A01",
    "r01c01": "A01",
    "R3C12": "C12",
    "r16c024": "P24",
    "R01_C02": "A02",
    "r1-c2": "A02",
    "Row 3, Column 4": "C04",
    "row3col4": "C04",
    "R32C48": "AF48",
    "aa1": "AA01",
    "AF48": "AF48",
    "R01": "R01",
}
UNKNOWN = (
    *("A01.b2", "A01.a1", "B02_1", "B02-1", "A1 1", "A01a", "1A", "12", "003001", "1-1"),
    *("A", "A00", "A49", "A100", "AG01", "BB1", "AAA1", "Z99", "A--1", "A.1", "r0c1", "r33c1"),
    *("r1c0", "r1c49", "RC1", "r1c1f1", "-A1", "A-1-1", "A\u00b9", "\u0410" + "1"),
)


def _well(spelling: str) -> object:
    return _MACROS.execute("select canonical_well($w)", {"w": spelling}).fetchall()[0][0]


@pytest.mark.parametrize(("spelling", "well"), KNOWN.items())
def test_known_spellings_are_read(spelling: str, well: str) -> None:
    assert _well(spelling) == well


@pytest.mark.parametrize("spelling", UNKNOWN)
def test_other_spellings_are_no_well(spelling: str) -> None:
    assert _well(spelling) is None


@given(st.integers(1, 32), st.integers(1, 48), st.sampled_from(("", "0", "00")))
def test_every_well_is_read_in_both_spellings(row: int, column: int, zeros: str) -> None:
    name = well_name(row, column)
    assert _well(f"{row_letters(row).lower()}{zeros}{column}") == name
    assert _well(f"r{zeros}{row}c{zeros}{column}") == name


@pytest.mark.parametrize(
    ("row", "column", "well"),
    [
        ("A", "1", "A01"),
        ("aa", "48", "AA48"),
        ("3", "04", "C04"),
        (" 3.0", "4.0 ", "C04"),
        (3, 4, "C04"),
        ("32", "48", "AF48"),
        ("0", "1", None),
        ("33", "1", None),
        ("A", "49", None),
        ("A1", "2", None),
        ("A", "B", None),
        ("3.5", "1", None),
        (None, "1", None),
    ],
)
def test_row_and_column_make_a_well(row: object, column: object, well: str | None) -> None:
    found = _MACROS.execute("select well_of($r, $c)", {"r": row, "c": column}).fetchall()
    assert found == [(well,)]


def test_the_schema_of_the_manifest_knows_the_same_spellings() -> None:
    rule = assets.manifest_schema()["properties"]["well"]
    for spelling in KNOWN:
        jsonschema.validate(spelling.strip(" \t\ufeff\u00a0"), rule)
    for spelling in ("A01.b2", "B02_1", "1A", "12", "AG01", "A00"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spelling, rule)


@pytest.mark.parametrize("spelling", ["A01.b2", "B02_1", "AG01", "A00", "A49", "1A", "12"])
def test_a_manifest_with_another_spelling_is_refused_as_it_is_given(
    spelling: str, new_lake: Lake, write_manifest: Write
) -> None:
    manifest = write_manifest(
        {"channel": "DNA", "well": "A01"}, {"channel": "DNA", "well": spelling}
    )
    with pytest.raises(
        InputError, match=f"line 3, column well: no plate has the well '{spelling}'"
    ):
        ingest(new_lake, manifest)


def test_numbers_of_row_and_column_are_not_the_row_r(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(*({"channel": "DNA", "well": f"r03c0{n}"} for n in (1, 2)))
    ingest(new_lake, manifest)
    wells = new_lake.query("select well, well_row, well_column from well order by well").rows()
    assert wells == [("C01", 3, 1), ("C02", 3, 2)]


def test_two_spellings_of_a_well_are_both_named(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest({"channel": "DNA", "well": "A01"}, {"channel": "DNA", "well": "r1c1"})
    with pytest.raises(InputError, match=r"well A01 \(spelled A01 and r1c1\) field 1.* 2 times"):
        ingest(new_lake, manifest)


def test_a_platemap_in_another_spelling_joins(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest({"channel": "DNA", "well": "C01"}, {"channel": "DNA", "well": "C02"})
    platemap = manifest.parent / "map.csv"
    platemap.write_text("well,compound\nr03c01,taxol\nc-2,water\n")
    ingest(new_lake, manifest, platemap=platemap)
    assert new_lake.query("select well, compound from well order by well").rows() == [
        ("C01", "taxol"),
        ("C02", "water"),
    ]


def test_a_platemap_with_another_spelling_is_refused_with_its_place(
    new_lake: Lake, write_manifest: Write
) -> None:
    manifest = write_manifest({"channel": "DNA", "well": "B02"})
    platemap = manifest.parent / "map.csv"
    platemap.write_text("well,compound\nB02,taxol\n,\nB02_1,water\nB02_2,water\n")
    wanted = r"map\.csv, line 4, column well: no plate has the well 'B02_1'.*\(and 1 more\)"
    with pytest.raises(InputError, match=wanted):
        ingest(new_lake, manifest, platemap=platemap)


@pytest.mark.parametrize(
    ("wells", "message"),
    [
        (("A01", "A01.b2"), "line 3: no plate has the well 'A01.b2'"),
        (("C03", "r03c03"), r"well C03 \(rows 1 and 2, spelled C03 and r03c03\)"),
        (("C03", "C03"), r"well C03 \(rows 1 and 2\); aggregate"),
    ],
)
def test_imported_profiles_are_refused_by_the_same_rules(
    wells: tuple[str, str], message: str, new_lake: Lake, tmp_path: Path
) -> None:
    table = tmp_path / "features.csv"
    rows = "".join(f"p,{well},{n}.5\n" for n, well in enumerate(wells))
    table.write_text(f"Metadata_Plate,Metadata_Well,area\n{rows}")
    with pytest.raises(InputError, match=message):
        import_profiles(new_lake, table, "m")


def test_imported_profiles_are_read_in_known_spellings(new_lake: Lake, tmp_path: Path) -> None:
    table = tmp_path / "features.csv"
    table.write_text("Metadata_Plate,Metadata_Well,area\n p ,r03c01,1.5\np,c-2,2.5\n")
    import_profiles(new_lake, table, "m")
    assert new_lake.query("select plate, well from well order by well").rows() == [
        ("p", "C01"),
        ("p", "C02"),
    ]
