"""CellVoyager measurements: what is missing or damaged, and measurements apart."""

from pathlib import Path

import numpy as np
import pytest
from planes import plane_of, stored_plane, write_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest

_SPACE = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
_DETAIL = (
    f'<bts:MeasurementDetail bts:MeasurementSettingFileName="S.mes" bts:RowCount="8"'
    f' bts:ColumnCount="12" {_SPACE}><bts:MeasurementChannel bts:Ch="1"'
    ' bts:HorizontalPixelDimension="0.325"/><bts:MeasurementChannel bts:Ch="2"'
    ' bts:HorizontalPixelDimension="0.325"/></bts:MeasurementDetail>'
)
_SETTINGS = (
    f'<bts:MeasurementSetting {_SPACE}><bts:ChannelList><bts:Channel bts:Ch="1"'
    ' bts:Acquisition="BP445/45"><bts:LightSourceName>405nm</bts:LightSourceName></bts:Channel>'
    '<bts:Channel bts:Ch="2" bts:Acquisition="BP525/50" bts:Fluorophore="Alexa"/>'
    "</bts:ChannelList></bts:MeasurementSetting>"
)


def _record(column: int, channel: int, name: str, kind: str = "IMG") -> str:
    return (
        f'<bts:MeasurementRecord bts:Type="{kind}" bts:Row="2" bts:Column="{column}"'
        f' bts:FieldIndex="1" bts:ZIndex="1" bts:TimePoint="1" bts:X="-5.5" bts:Y="1"'
        f' bts:Ch="{channel}">{name}</bts:MeasurementRecord>'
    )


def _measurement(folder: Path, *, add: int = 0, name: str = "MeasurementData.mlf") -> None:
    """Write a measurement of two wells and two channels."""
    records = []
    for column in (2, 3):
        for channel in (1, 2):
            write_plane(folder / f"i{column}{channel}.tif", 10 * column + channel + add)
            records.append(_record(column, channel, f"i{column}{channel}.tif"))
    (folder / name).write_text(
        f"<bts:MeasurementData {_SPACE}>{''.join(records)}</bts:MeasurementData>"
    )
    (folder / "MeasurementDetail.mrf").write_text(_DETAIL)
    (folder / "S.mes").write_text(_SETTINGS, encoding="utf-8-sig")


def _channels(lake: Lake) -> list[tuple[object, ...]]:
    return lake.query(
        "select distinct channel, pixel_size_um from image join field using (plate, well, field)"
        " order by 1"
    ).rows()


@pytest.mark.parametrize("name", ["MeasurementData.mlf", "measurementdata.MLF"])
def test_a_whole_measurement(tmp_path: Path, new_lake: Lake, name: str) -> None:
    _measurement(tmp_path / "P1", name=name)
    ingest(new_lake, tmp_path / "P1", "cellvoyager")
    assert _channels(new_lake) == [("Alexa", 0.325), ("BP445/45", 0.325)]


@pytest.mark.parametrize(
    ("missing", "said", "channels"),
    [
        ("S.mes", "S.mes' that it names is not there", [("ch1", 0.325), ("ch2", 0.325)]),
        (
            "MeasurementDetail.mrf",
            "have no names and no pixel size",
            [("ch1", None), ("ch2", None)],
        ),
    ],
)
def test_missing_settings_are_said(
    tmp_path: Path,
    new_lake: Lake,
    caplog: pytest.LogCaptureFixture,
    missing: str,
    said: str,
    channels: list[tuple[object, ...]],
) -> None:
    _measurement(tmp_path / "P1")
    (tmp_path / "P1" / missing).unlink()
    ingest(new_lake, tmp_path / "P1", "cellvoyager")
    assert said in " ".join(caplog.text.split())
    assert _channels(new_lake) == channels


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("S.mes", "<bts:ChannelList>", "<", "S.mes' is not a valid CellVoyager"),
        ("S.mes", '<bts:Channel bts:Ch="2"', "<bts:Channel", "S.mes' has a channel without Ch"),
        ("MeasurementDetail.mrf", "</bts", "<", "mrf' is not a valid CellVoyager"),
        ("MeasurementDetail.mrf", '"0.325"', '"small"', "HorizontalPixelDimension 'small'"),
        ("MeasurementDetail.mrf", '"8"', '"H"', "has a plate with RowCount 'H'"),
        ("MeasurementDetail.mrf", '"8"', '"0"', "has a plate with RowCount 0 instead of 1 to 32"),
    ],
)
@pytest.mark.sample(3)
def test_damaged_settings_cost_what_they_say(
    tmp_path: Path, new_lake: Lake, file: str, old: str, new: str, message: str
) -> None:
    _measurement(tmp_path / "P1")
    path = tmp_path / "P1" / file
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "P1", "cellvoyager")
    assert "\n" not in str(caught.value)
    done = ingest(new_lake, tmp_path / "P1", "cellvoyager", allow_incomplete=True)
    assert done.num_images == 4
    assert message in done.problems[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (">i32.tif<", "><", "a record without a file .plate P1, well B03, field 1, channel 2"),
        ('bts:Column="3"', 'bts:Column="x"', "a record with Column 'x' instead of a whole number"),
        ('bts:Column="3"', 'bts:Column="490"', "a record with Column 490 instead of 1 to 48"),
        (' bts:Column="3"', "", "a record without Column"),
    ],
)
@pytest.mark.sample(2)
def test_a_damaged_record_costs_its_field(
    tmp_path: Path, new_lake: Lake, old: str, new: str, message: str
) -> None:
    _measurement(tmp_path / "P1")
    path = tmp_path / "P1" / "MeasurementData.mlf"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "P1", "cellvoyager")
    assert "MeasurementData.mlf" in str(caught.value)
    done = ingest(new_lake, tmp_path / "P1", "cellvoyager", allow_incomplete=True)
    assert (done.num_wells, done.num_images) == (1, 2)


def test_two_measurements_of_a_plate_are_refused(tmp_path: Path, new_lake: Lake) -> None:
    for number, day in enumerate(("20240501", "20240601")):
        _measurement(tmp_path / "screen" / f"P1_{day}" / "P1", add=100 * number)
    with pytest.raises(InputError, match=r"P1_20240501.*P1_20240601.*both have the well B02"):
        ingest(new_lake, tmp_path / "screen", "cellvoyager")
    ingest(
        new_lake, tmp_path / "screen" / "P1_20240601" / "P1" / "MeasurementData.mlf", "cellvoyager"
    )
    np.testing.assert_array_equal(
        stored_plane(new_lake, "well = 'B02' and channel = 'Alexa'"), plane_of(122)
    )


def test_a_damaged_measurement_costs_its_plate(tmp_path: Path, new_lake: Lake) -> None:
    for plate in ("P1", "P2"):
        _measurement(tmp_path / "screen" / plate)
    (tmp_path / "screen" / "P1" / "MeasurementData.mlf").write_text("")
    with pytest.raises(InputError, match=r"P1.MeasurementData.mlf' is not a valid CellVoyager"):
        ingest(new_lake, tmp_path / "screen", "cellvoyager")
    done = ingest(new_lake, tmp_path / "screen", "cellvoyager", allow_incomplete=True)
    assert (done.landed, len(done.problems)) == (("P2",), 1)


def test_a_wavelength_of_nothing_and_pixels_that_are_not_square_are_said(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    _measurement(tmp_path / "P1")
    for name, old, new in (
        ("S.mes", "405nm", "0nm"),
        ("MeasurementDetail.mrf", '"0.325"/>', '"0.325" bts:VerticalPixelDimension="0.65"/>'),
    ):
        file = tmp_path / "P1" / name
        file.write_text(file.read_text(encoding="utf-8-sig").replace(old, new))
    ingest(new_lake, tmp_path / "P1", "cellvoyager")
    said = " ".join(caplog.text.split())
    assert "the excitation of 2 images is 0 nm" in said
    assert "pixels of 0.325 x 0.65 um are not square; their size is left out" in said
    assert new_lake.query("select distinct pixel_size_um from field").rows() == [(None,)]
