"""A manifest is checked row by row, and joined tables say what matched."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.core.wells import well_name, well_place
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

WHOLE = {"plate": 2, "channel": 6, "well": 12, "field": 24, "image": 72}


def _counts(lake: Lake) -> dict[str, int]:
    return {
        table: lake.query(f"select count(*) from {table}").item()
        for table in ("plate", "channel", "well", "field", "image")
    }


def _manifest(folder: Path, text: str) -> Path:
    plane = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    for number, name in enumerate(("a.tif", "b.tif", "c.tif")):
        tifffile.imwrite(folder / name, plane + np.uint16(number))
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,plate,well,field\na.tif,p,A01,1\n", "lacks the column channel"),
        ("path,plate,well,field,channel\nd.tif,p,A01,1,DNA\n", "no image file .*d.tif"),
        ("path,plate,well,field,channel\na.tif,p,ZZ9,1,DNA\n", "line 2, column well: .*'ZZ9'"),
        ("path,plate,well,field,channel\na.tif,p,A49,1,DNA\n", "column well"),
        (
            "path,plate,well,field,channel\na.tif,p,A01,x,DNA\n",
            "column field: 'x' is not an integer",
        ),
        ("path,plate,well,field,channel\na.tif,p,A01,1,DNA\na.tif,p,a1,1,DNA\n", "named 2 times"),
        (
            "path,plate,well,field,channel,control_type\na.tif,p,A01,1,DNA,dmso\n",
            "'dmso' is none of trt",
        ),
        (
            "path,plate,well,field,channel,pixel_size_um\na.tif,p,A01,1,DNA,-1\n",
            "column pixel_size_um",
        ),
        (
            "path,plate,well,field,channel\na.tif,p,A01,1,DNA\nb.tif,p,A01,1,RNA\n"
            "a.tif,p,A02,1,DNA\n",
            "line 4, .*well A02 field 1 has no channel RNA",
        ),
        ("path,plate,well,field,channel\na.tif,../p,A01,1,DNA\n", "plate: it may not be named"),
        ("path,plate,well,field,channel\na.tif,p~,A01,1,DNA\n", "plate: it may not be named 'p~'"),
        (
            "path,plate,well,field,channel,dataset\na.tif,p,A01,1,DNA,../../d\n",
            "column dataset: it may not be named '../../d'",
        ),
    ],
)
@pytest.mark.sample(6)
def test_a_wrong_manifest_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    manifest = _manifest(tmp_path, text)
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=message) as caught:
        ingest(lake, manifest, "manifest")
    assert "\n" not in str(caught.value)
    assert _counts(lake) == dict.fromkeys(WHOLE, 0)


def _rows_of_manifest(*rows: str) -> str:
    return "path,plate,well,field,channel,control_type\n" + "".join(f"{row}\n" for row in rows)


BROKEN = _rows_of_manifest(
    "a.tif,p,A01,1,DNA,trt",
    "b.tif,p,A01,1,RNA,trt",
    "a.tif,p,A02,1,DNA,trt",  # lacks RNA
    "a.tif,p,Z99,1,DNA,trt",  # no such well
    "b.tif,p,Z99,1,RNA,trt",
    "a.tif,p,A03,1,DNA,dmso",  # no such control type
    "b.tif,p,A03,1,RNA,trt",
    "a.tif,p,A04,1,DNA,trt",
    "a.tif,p,A04,1,DNA,trt",  # twice
    "b.tif,p,A04,1,RNA,trt",
    "a.tif,p,A05,one,DNA,trt",  # no number
    "a.tif,p,A06,1,DNA,trt",
    "b.tif,p,A06,1,RNA,trt",
)


def test_every_wrong_row_is_named_with_its_line_and_column(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, BROKEN)
    with pytest.raises(InputError, match="--allow-incomplete") as caught:
        ingest(Lake.create(tmp_path / "lake"), manifest, "manifest")
    named = {
        (int(line), column)
        for line, column in re.findall(
            r"manifest\.csv, line (\d+), column (\w+): ", "\n".join(caught.value.details)
        )
    }
    assert named == {
        (4, "channel"),
        (5, "well"),
        (6, "well"),
        (7, "control_type"),
        (10, "path"),
        (12, "field"),
    }


def test_what_is_whole_lands_if_asked(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, BROKEN)
    lake = Lake.create(tmp_path / "lake")
    done = ingest(lake, manifest, "manifest", allow_incomplete=True)
    assert lake.query("select well from well order by well").rows() == [("A01",), ("A06",)]
    assert len(done.problems) == 6
    assert check(lake) == []


@pytest.mark.parametrize(
    ("column", "wrong", "line"), [("concentration_um", "lots", 2), ("control_type", "dmso", 2)]
)
def test_a_wrong_value_in_a_joined_table_is_named_there(
    tiny_export: Path, tmp_path: Path, column: str, wrong: str, line: int
) -> None:
    table = tmp_path / "doses.csv"
    table.write_text(f"well,{column}\nB02,{wrong}\n")
    with pytest.raises(InputError, match=rf"doses\.csv'?, line {line}, column {column}"):
        ingest(Lake.create(tmp_path / "lake"), tiny_export, "harmony", metadata=[table])


def test_what_a_joined_table_lacks_is_said(
    tiny_export: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "doses.csv"
    table.write_text("well,concentration_um\nB02,1\nH12,2\n")
    ingest(Lake.create(tmp_path / "lake"), tiny_export, "harmony", metadata=[table])
    said = caplog.text
    assert "doses.csv: joined by well; wells: 1 of 6 matched, 1 rows not used; nothing for" in said
    assert "; not used are H12" in said


def test_channels_are_kept_and_dropped_by_name(tiny_export: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    names = ("DNA", "Brightfield_H", "Tubulin")
    ingest(
        lake, tiny_export, "harmony", choice=Choice(channel_names=names, drop_channels=["Bright*"])
    )
    assert lake.query(
        "select distinct channel_index, channel from channel order by all"
    ).rows() == [(0, "DNA"), (1, "Tubulin")]
    other = Lake.create(tmp_path / "other")
    ingest(other, tiny_export, "harmony", choice=Choice(channel_names=names, channels=["Tubulin"]))
    assert other.query("select distinct channel_index, channel from image").rows() == [
        (0, "Tubulin")
    ]
    with pytest.raises(InputError, match="nothing is left of its images; channels: "):
        ingest(other, tiny_export, "harmony", choice=Choice(channels=["GFP"]))


def test_a_manifest_with_metadata_of_its_own_lands(tmp_path: Path) -> None:
    manifest = _manifest(
        tmp_path,
        "path,plate,well,field,channel,compound,concentration_um,solvent,pixel_size_um\n"
        "a.tif,p,b7,3,DNA,taxol,0.3,DMSO,0.65\n",
    )
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, manifest, "manifest", dataset="mine")
    assert lake.query(
        "select plate, well, well_row, well_column, compound, concentration_um, control_type,"
        " extra ->> 'solvent' from well"
    ).rows() == [("p", "B07", 2, 7, "taxol", 0.3, "trt", "DMSO")]
    assert lake.query("select field, pixel_size_um, height_px from field").rows() == [(3, 0.65, 64)]


def test_a_table_with_two_rows_for_a_well_is_refused(tiny_export: Path, tmp_path: Path) -> None:
    table = tmp_path / "platemap.csv"
    table.write_text(
        (tiny_export / "platemap.csv").read_text() + "tiny_b1_p1,B02,water,0,negcon,\n"
    )
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=r"two rows for plate tiny_b1_p1, well B02"):
        ingest(lake, tiny_export, "harmony", platemap=table)


def test_a_table_that_shares_no_column_is_refused(tiny_export: Path, tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("supplier,price\nacme,3\n")
    with pytest.raises(InputError, match="shares no column"):
        ingest(Lake.create(tmp_path / "lake"), tiny_export, "harmony", metadata=[table])


_MACROS = scratch()


@given(st.integers(1, 32), st.integers(1, 48))
def test_sql_reads_the_names_of_wells(row: int, column: int) -> None:
    name = well_name(row, column)
    found = _MACROS.execute("select row_of($w), column_of($w)", {"w": name}).fetchall()
    assert found == [(row, column)]
    assert well_place(name) == (row, column)


def test_a_fraction_is_no_number_of_a_field(tmp_path: Path, new_lake: Lake) -> None:
    file = tmp_path / "manifest.csv"
    file.write_text("path,plate,well,field,channel\na.tif,p,A01,1.5,DNA\nb.tif,p,A01,2.0,DNA\n")
    with pytest.raises(InputError, match=r"line 2, column field: '1\.5' is not an integer"):
        ingest(new_lake, file, metadata_only=True)
    file.write_text("path,plate,well,field,channel\nb.tif,p,A01,2.0,DNA\n")
    ingest(new_lake, file, metadata_only=True)
    assert new_lake.query("select field from image").item() == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, "-1") for name in ("page", "z", "channel_index", "timepoint")),
        *(("emission_nm", value) for value in ("0", "inf")),
        ("excitation_nm", "-405"),
        ("pixel_size_um", "inf"),
        ("position_x_um", "-inf"),
        ("concentration_um", "1e999"),
        ("num_rows", "0"),
        ("num_columns", "49"),
    ],
)
@pytest.mark.sample(6)
def test_a_number_that_is_not_possible_is_refused(
    new_lake: Lake, tmp_path: Path, column: str, value: str
) -> None:
    text = f"path,plate,well,field,channel,{column}\na.tif,p,A01,1,DNA,{value}\n"
    with pytest.raises(InputError, match=f"line 2, column {column}: .* is not "):
        ingest(new_lake, _manifest(tmp_path, text))


def test_a_negative_field_and_a_well_beyond_the_plate_are_refused(
    new_lake: Lake, tmp_path: Path
) -> None:
    head = "path,plate,well,field,channel,num_rows,num_columns\n"
    with pytest.raises(InputError, match="column field: '-1' is not possible; expected 0 or more"):
        ingest(new_lake, _manifest(tmp_path, f"{head}a.tif,p,A01,-1,DNA,8,12\n"))
    text = f"{head}a.tif,p,A01,1,DNA,8,12\nb.tif,p,L20,1,DNA,8,12\n"
    with pytest.raises(InputError, match="line 3, column well: the well L20 lies beyond the 8"):
        ingest(new_lake, _manifest(tmp_path, text))
