"""What a command understood of its input is said before anything lands, and kept."""

import json
import logging
from pathlib import Path

import pytest
from planes import write_plane

from unidino.cli import app
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.profiles.importing import import_profiles

PATTERN = r"(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_w(?P<channel_index>\d)"
MAP = "well;role;Dose (nM);Compound;operator\nA01;vehicle;0;DMSO;Kim\nA02;compound;2,5;taxol;Kim\n"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    for well in ("A01", "A02", "A03"):
        for channel in (1, 2):
            write_plane(tmp_path / "export" / "P1" / f"{well}_w{channel}.tif", channel)
    (tmp_path / "map.csv").write_text(MAP)
    return tmp_path / "export"


def test_an_ingest_says_what_every_column_became(export: Path, new_lake: Lake) -> None:
    done = ingest(new_lake, export, "filename", pattern=PATTERN, platemap=export.parent / "map.csv")
    assert done.account == {
        "columns": [
            "map.csv: well, role -> control_type, Compound -> compound,"
            " Dose (nM), in nM -> concentration_um; decimal commas in concentration_um;"
            " kept as extra: operator"
        ],
        "controls": ["map.csv: compound is trt, vehicle is negcon"],
        "tables": [
            "map.csv: joined by well; wells: 2 of 3 matched, 0 rows not used; nothing for A03"
        ],
        "plates": ["1: P1"],
        "fields": ["1 a well"],
        "doses": ["0.0025 uM"],
        "wells": ["1 trt, 1 negcon, 1 without control type"],
        "channels": ["0 ch1, 1 ch2 (1 plate)"],
    }
    assert json.loads(new_lake.query("select account from run").item()) == done.account
    rows = new_lake.query("select well, compound, concentration_um, control_type from well")
    assert rows.rows() == [
        ("A01", "DMSO", 0.0, "negcon"),
        ("A02", "taxol", 0.0025, "trt"),
        ("A03", None, None, None),
    ]


def test_the_negative_control_is_named_by_its_compound(export: Path, new_lake: Lake) -> None:
    table = export.parent / "map.csv"
    table.write_text("well,compound\nA01,water \nA02,taxol\n")
    done = ingest(new_lake, export, "filename", pattern=PATTERN, platemap=table)
    assert "no well is a negative control" in done.account["controls"][-1]
    assert "water (1 well) are read as treatments" in done.account["controls"][0]
    done = ingest(
        new_lake, export, "filename", pattern=PATTERN, platemap=table, negcon="Water",
        overwrite=True,
    )  # fmt: skip
    assert done.account["controls"] == ["1 well of water: negcon by the compound (--negcon)"]
    assert done.account["wells"] == ["1 trt, 1 negcon, 1 without control type"]


def test_a_dry_run_of_an_ingest_lands_nothing(
    export: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["ingest", str(export), "--layout", "filename", "--pattern", PATTERN, "--dry-run"]
    with caplog.at_level(logging.INFO, logger="unidino"):
        app([*words, "--lake", str(tmp_path / "none")], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert "wells: 3 without control type" in caplog.messages
    assert not (tmp_path / "none").exists()


def test_an_import_says_what_it_took(tmp_path: Path, new_lake: Lake) -> None:
    table = tmp_path / "features.csv"
    table.write_text(
        "Plate,Well,Row,conc_um,Treatment,Batch ID,area,shape\n"
        "p1,A01,1,0,DMSO,x,1.5,2.5\np1,A02,1,3,taxol,y,2.5,3.5\n"
    )
    dry = import_profiles(new_lake, table, "m", dry_run=True)
    assert dry.num_rows == 0
    assert new_lake.query("select count(*) from plate").item() == 0
    done = import_profiles(new_lake, table, "m")
    assert done.account == dry.account
    assert done.account["features"] == ["2: area, shape"]
    assert "Row (place)" in done.account["not features"][0]
    (columns,) = done.account["columns"]
    assert "conc_um, in um -> concentration_um" in columns
    assert "kept as extra: " in columns
    assert "Treatment" in columns
    assert json.loads(new_lake.query("select account from run").item()) == done.account


def test_extra_columns_that_differ_within_a_well_are_said(export: Path, new_lake: Lake) -> None:
    manifest = export / "manifest.csv"
    manifest.write_text(
        "path,plate,well,field,channel,source,num_rows,num_columns,taken,operator\n"
        + "".join(
            f"P1/A0{w}_w{c}.tif,P1,A0{w},1,c{c},s,8,12,{w}:0{c},Kim\n"
            for w in (1, 2)
            for c in (1, 2)
        )
    )
    done = ingest(new_lake, manifest, dry_run=True)
    assert done.account["extra"] == [
        "not the same in all rows of a well, which keeps what its first row says: taken (taken is"
        " '1:01' and '1:02' for well A01 of plate P1)"
    ]


def test_a_dry_run_says_which_plates_are_there(export: Path, new_lake: Lake, caplog) -> None:
    caplog.set_level(logging.INFO)
    ingest(new_lake, export, "filename", pattern=PATTERN)
    assert "in the lake already" not in caplog.text
    ingest(new_lake, export, "filename", pattern=PATTERN, dry_run=True)
    assert "in the lake already: P1; the same content is passed over" in caplog.text


def test_a_dry_run_counts_the_rows_that_are_left_out(export: Path, new_lake: Lake) -> None:
    ingest(new_lake, export, "filename", pattern=PATTERN)
    table = export.parent / "areas.csv"
    table.write_text("plate,well,area\nP1,A01,1.5\nP1,B07,2.5\n")
    for dry_run in (True, False):
        done = import_profiles(new_lake, table, "areas", dry_run=dry_run)
        assert done.dropped == {"well_not_registered": 1}
