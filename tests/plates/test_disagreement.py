"""Rows of a manifest that say different things of one well, plate, channel or field."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unidino.core.account import Account
from unidino.core.errors import InputError
from unidino.plates.layouts.read import read_manifest
from unidino.plates.meaning import Reading

Write = Callable[..., Path]
ROW = {"channel": "DNA"}


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("compound", "x", "y"),
        ("concentration_um", 5, 1),
        ("control_type", "negcon", "trt"),
        ("moa", "a", "b"),
        ("cell_line", "U2OS", "A549"),
        ("batch", "b1", "b2"),
        ("source", "s1", "s2"),
        ("dataset", "d1", "d2"),
        ("barcode", "1", "2"),
        ("num_rows", 8, 16),
        ("marker", "Hoechst", "DAPI"),
        ("emission_nm", 450, 520),
    ],
)
def test_rows_that_disagree_are_refused_with_both_places(
    write_manifest: Write, column: str, one: object, other: object
) -> None:
    table = write_manifest(ROW | {column: one}, ROW | {"field": 2, column: other})
    wanted = rf"manifest.csv, line 3, column {column}: .* for .* in .*line 2; one of them is wrong"
    with pytest.raises(InputError, match=wanted):
        read_manifest(table, "manifest")


def test_pixel_sizes_of_a_field_agree(write_manifest: Write) -> None:
    rows = [ROW | {"pixel_size_um": 0.325}, {"channel": "ER", "pixel_size_um": 0.65}]
    with pytest.raises(InputError, match=r"pixel_size_um: '0\.65' for well A01 field 1 of plate p"):
        read_manifest(write_manifest(*rows), "manifest")
    rows[1]["pixel_size_um"] = 0.3251
    assert len(read_manifest(write_manifest(*rows), "manifest").digests) == 1


def test_rows_that_say_nothing_agree(write_manifest: Write) -> None:
    rows = [ROW | {"compound": "x"}, ROW | {"field": 2, "compound": ""}]
    assert read_manifest(write_manifest(*rows), "manifest").images["compound"][0].as_py() == "x"


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
def test_numbers_that_are_not_finite_are_refused(write_manifest: Write, value: str) -> None:
    with pytest.raises(InputError, match=rf"column position_x_um: '{value}' is not a number"):
        read_manifest(write_manifest(ROW | {"position_x_um": value}), "manifest")


def _said(write: Write, *rows: dict[str, object], negcon: str = "DMSO") -> str:
    account = Account()
    table = write(*(ROW | row for row in rows))
    read_manifest(table, "manifest", reading=Reading(account=account), negcon=negcon)
    return str(account)


def test_the_account_names_plates_fields_and_doses(write_manifest: Write) -> None:
    rows = [
        {"plate": f"P{n}", "field": field, "compound": "x", "concentration_um": 0.3 * n}
        for n in range(1, 6)
        for field in ((1, 2) if n == 5 else (1,))
    ]
    said = _said(write_manifest, *rows)
    assert "plates: 5: P1, P2, ..., P5\nfields: 1 to 2 a well\ndoses: 0.3 to 1.5 uM" in said


def test_controls_by_their_compound_are_said(write_manifest: Write) -> None:
    rows = [{"well": f"A0{n}", "compound": c} for n, c in enumerate(("DMSO", "x", "DMSO 0.1%"), 1)]
    said = _said(write_manifest, *rows)
    assert "1 well of DMSO: negcon by the compound (--negcon)" in said
    assert "DMSO 0.1% (1 well) are read as treatments (trt)" in said
    said = _said(write_manifest, *rows, negcon="DMS")
    assert "no well has the compound DMS of --negcon; one has DMSO" in said
    assert "DMSO (1 well), DMSO 0.1% (1 well) are read as treatments" in said
