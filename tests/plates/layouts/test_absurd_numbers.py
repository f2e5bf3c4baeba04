"""Numbers in the indexes of instruments that cannot be: one line each, at once, a healthy lake."""

import time
from pathlib import Path
from typing import Any

import pytest
from harmony_exports import write_export
from planes import write_plane
from sampled import slow

from unidino.lake.check import check
from unidino.lake.lake import Lake

_NUMBERS = ("-1", "x", "1000000000")
_MORE = ("", "0", "1e9", "nan", "9" * 30, "9" * 5000, "²", "a" * 140_000)
_BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def _numbers_of(*names: str) -> list[Any]:
    """Each name with a number; with every number in the slow tests."""
    some = [(name, _NUMBERS[i % len(_NUMBERS)]) for i, name in enumerate(names)]
    others = [(name, number) for name in names for number in (*_NUMBERS, *_MORE)]
    return [*some, *slow(*(pair for pair in others if pair not in some))]


def _ends_well(run_cli, folder: Path, layout: str, *options: str) -> str:
    """Ingest; it lands or ends with one line, and the lake is right. Returns the messages."""
    lake = folder.parent / "lake"
    started = time.monotonic()
    words = ("ingest", folder, "--layout", layout, *options, "--lake", lake)
    status, _, err = run_cli(*words)
    assert time.monotonic() - started < 20
    assert "bug of unidino" not in err
    assert "Traceback" not in err
    assert err.count("error: ") == status
    if (lake / "catalog.duckdb").exists():
        assert check(Lake.open(lake)) == []
    return err


@pytest.mark.parametrize(
    ("element", "number"),
    _numbers_of("PlateRows", "PlateColumns", "Row", "Col", "FieldID", "PlaneID", "ChannelID"),
)
def test_harmony(run_cli, tmp_path: Path, element: str, number: str) -> None:
    def change(text: str) -> str:
        before, _, after = text.partition(f"<{element}>")
        return f"{before}<{element}>{number}<{after.partition('<')[2]}"

    write_export(tmp_path / "in", change=change)
    err = _ends_well(run_cli, tmp_path / "in", "harmony")
    if number in ("-1", "x", "nan"):
        assert f"'{tmp_path}/in/Index.idx.xml' has " in err
        assert f"{element} '{number}'" in err


@pytest.mark.parametrize(
    ("name", "number"),
    _numbers_of("Row", "Column", "FieldIndex", "ZIndex", "TimePoint", "Ch", "X"),
)
def test_cellvoyager(run_cli, tmp_path: Path, name: str, number: str) -> None:
    record = (
        '<bts:MeasurementRecord bts:Type="IMG" bts:Row="2" bts:Column="3" bts:FieldIndex="1"'
        ' bts:ZIndex="1" bts:TimePoint="1" bts:X="5" bts:Y="1" bts:Ch="1">i.tif'
        "</bts:MeasurementRecord>"
    )
    before, _, after = record.partition(f'bts:{name}="')
    record = f'{before}bts:{name}="{number}"{after.partition(chr(34))[2]}'
    write_plane(tmp_path / "in" / "i.tif", 1)
    (tmp_path / "in" / "MeasurementData.mlf").write_text(
        f"<bts:MeasurementData {_BTS}>{record}</bts:MeasurementData>"
    )
    err = _ends_well(run_cli, tmp_path / "in", "cellvoyager")
    if number in ("-1", "x") and (name, number) != ("X", "-1"):
        assert f"with {name} '{number}' instead of a" in err


@pytest.mark.parametrize(
    ("setting", "number"), _numbers_of("XWells", "YWells", "NWavelengths", "WaveName1", "Sites")
)
def test_imagexpress(run_cli, tmp_path: Path, setting: str, number: str) -> None:
    lines = ['"HTSInfoFile", Version 1.0', '"XWells", 12', '"YWells", 8', '"WaveName1", "DAPI"']
    write_plane(tmp_path / "in" / "P_A01_s1_w1.TIF", 1)
    (tmp_path / "in" / "P.HTD").write_text("\n".join([*lines, f'"{setting}", {number}']))
    _ends_well(run_cli, tmp_path / "in", "imagexpress", "--timepoint", "1")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SizeC", "1000000000"),
        *_numbers_of("SizeZ", "SizeT", "SizeX", "Row", "Column", "IFD", "PlaneCount", "FirstC"),
        *_numbers_of("SizeC", "Rows"),
    ],
)
def test_ome_tiff(run_cli, tmp_path: Path, name: str, number: str) -> None:
    text = (
        f'<OME {_OME}><Plate ID="Plate:0" Name="P" Rows="8" Columns="12"><Well ID="Well:0" Row="0"'
        ' Column="0"><WellSample ID="WellSample:0"><ImageRef ID="Image:0"/></WellSample></Well>'
        '</Plate><Image ID="Image:0"><Pixels ID="P:0" Type="uint16" DimensionOrder="XYCZT"'
        ' SizeX="32" SizeY="32" SizeC="1" SizeZ="1" SizeT="1"><TiffData FirstC="0" IFD="0"'
        ' PlaneCount="1"><UUID FileName="i.tif">urn:uuid:1</UUID></TiffData></Pixels></Image></OME>'
    )
    before, _, after = text.partition(f' {name}="')
    text = f'{before} {name}="{number}"{after.partition(chr(34))[2]}'
    write_plane(tmp_path / "in" / "i.tif", 1)
    (tmp_path / "in" / "p.companion.ome").write_text(text)
    err = _ends_well(run_cli, tmp_path / "in", "ome-tiff")
    if name == "SizeC" and number == "1000000000":
        assert "declares" in err or "'1000000000'; expected a whole number" in err
