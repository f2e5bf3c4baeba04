"""Exports of instruments give the manifest; where real ones are at hand, they are read."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from planes import plane_of, stored_plane, write_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice


def test_operetta_by_its_index(data: Path, new_lake: Lake) -> None:
    ingest(new_lake, data / "formats" / "operetta", "harmony")
    assert new_lake.query("select plate_id, num_rows, num_columns from plate").rows() == [
        ("Test_Sample_BALL", 16, 24)
    ]
    assert new_lake.query("select channel, excitation_nm, emission_nm from channel").rows() == [
        ("Fluorescein (FITC)", 475.0, 525.0)
    ]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<EvaluationInputData><Images>", "not a valid Harmony index"),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]><EvaluationInputData>&a;</EvaluationInputData>',
            "not a valid Harmony index",
        ),
        ("<EvaluationInputData><Images/></EvaluationInputData>", "lists no image"),
        (
            "<EvaluationInputData><Images><Image><URL>a.tiff</URL></Image></Images>"
            "</EvaluationInputData>",
            "an image without Row",
        ),
    ],
)
def test_a_damaged_index_is_named(tmp_path: Path, xml: str, message: str) -> None:
    folder = tmp_path / "plate" / "Images"
    folder.mkdir(parents=True)
    (folder / "Index.idx.xml").write_text(xml)
    with pytest.raises(InputError, match=message) as caught:
        ingest(Lake.create(tmp_path / "lake"), tmp_path / "plate", "harmony")
    assert "Index.idx.xml" in str(caught.value)


def test_imagexpress_projects_slices(data: Path, new_lake: Lake) -> None:
    source = data / "formats" / "imagexpress" / "9987_Plate_3434"
    done = ingest(new_lake, source, "imagexpress")
    assert (done.num_wells, done.num_fields, done.num_images) == (2, 4, 12)
    assert new_lake.query("select num_rows, num_columns from plate").row(0) == (8, 12)
    assert new_lake.query(
        "select channel, emission_nm from channel order by channel_index"
    ).rows() == [("DAPI", 452.0), ("FITC", 520.0), ("Texas Red", 624.0)]
    assert new_lake.query("select distinct pixel_size_um from field").rows() == [(1.3672,)]
    steps = [
        tifffile.imread(source / "TimePoint_1" / f"ZStep_{z}" / "9987_B03_s2_w1.TIF")
        for z in (1, 2)
    ]
    assert (steps[0] != steps[1]).any()
    plane = stored_plane(new_lake, "well = 'B03' and field = 2 and channel = 'DAPI'")
    np.testing.assert_array_equal(plane, np.maximum(*steps))


def test_imagexpress_one_slice_and_one_time_point(data: Path, new_lake: Lake) -> None:
    source = data / "formats" / "imagexpress"
    with pytest.raises(InputError, match="time points 1, 2; choose one with --timepoint"):
        ingest(new_lake, source, "imagexpress")
    with pytest.raises(InputError, match="no time point 3; the images have 1, 2"):
        ingest(new_lake, source, "imagexpress", choice=Choice(timepoint=3))
    ingest(new_lake, source, "imagexpress", choice=Choice(timepoint=2))
    assert new_lake.query("select plate_id from plate").rows() == [("9987_Plate_3435",)]
    plane = stored_plane(new_lake, "well = 'B02' and field = 1 and channel = 'FITC'")
    file = source / "9987_Plate_3435" / "TimePoint_2" / "9987_B02_s1_w2.TIF"
    np.testing.assert_array_equal(plane, tifffile.imread(file))
    ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="2"))
    plane = stored_plane(new_lake, "plate = '9987_Plate_3434' and well = 'B02'")
    file = source / "9987_Plate_3434" / "TimePoint_1" / "ZStep_2" / "9987_B02_s1_w1.TIF"
    np.testing.assert_array_equal(plane, tifffile.imread(file))
    with pytest.raises(InputError, match=r"nothing is left .*channels: .*; slices: 1, 2"):
        ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="9"))
    with pytest.raises(InputError, match="--z is 'max' or the number"):
        ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="mean"))


def test_cellvoyager_by_its_measurement(data: Path, new_lake: Lake) -> None:
    done = ingest(new_lake, data / "formats" / "cellvoyager", "cellvoyager")
    assert (done.num_wells, done.num_fields, done.num_images) == (3, 12, 24)
    assert new_lake.query("select num_rows, num_columns from plate").row(0) == (8, 12)
    assert new_lake.query(
        "select channel, excitation_nm, emission_nm from channel order by channel_index"
    ).rows() == [("BP445/45", 405.0, 445.0), ("BP525/50", 488.0, 525.0)]
    assert new_lake.query(
        "select well, pixel_size_um, position_x_um, position_y_um from field"
        " order by well, field limit 1"
    ).rows() == [("D08", 0.325, -567.1, 402.9)]
    assert new_lake.query("select distinct num_slices, qc from image").rows() == [(4, "blank")]


def test_scanr_by_its_names(tmp_path: Path, new_lake: Lake) -> None:
    """Names as Evident documents them and Bio-Formats reads them."""
    for z in range(2):
        for channel in ("DAPI", "TRITC"):
            name = f"B2--W00014--P00001--Z{z:05d}--T00000--{channel}.tif"
            write_plane(tmp_path / "run5" / "data" / name, 10 * z + len(channel))
    ingest(new_lake, tmp_path / "run5", "scanr")
    assert new_lake.query("select plate, well, field, channel, num_slices from image").rows() == [
        ("run5", "B02", 1, "DAPI", 2),
        ("run5", "B02", 1, "TRITC", 2),
    ]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DAPI'"), plane_of(14))


def test_scanr_without_well_names_is_refused(tmp_path: Path, new_lake: Lake) -> None:
    write_plane(tmp_path / "run5" / "data" / "W00014--P00001--Z00000--T00000--DAPI.tif", 1)
    with pytest.raises(InputError, match=r"names its well only by number.*--pattern"):
        ingest(new_lake, tmp_path / "run5", "scanr")
    with pytest.raises(InputError, match="matches none of the 0 images"):
        ingest(new_lake, new_lake.path, "scanr")


@pytest.mark.parametrize(
    ("name", "text", "layout", "message"),
    [
        ("a.HTD", "no settings here\n", "imagexpress", "a.HTD' is not an HTD file"),
        ("a.HTD", '"HTSInfoFile", Version 1.0\n', "imagexpress", "no images beside"),
        ("a.txt", "", "imagexpress", "no HTD file under"),
        ("MeasurementData.mlf", "<a", "cellvoyager", "not a valid CellVoyager measurement"),
        ("MeasurementData.mlf", "<a/>", "cellvoyager", "lists no image"),
        (
            "MeasurementData.mlf",
            '<a><MeasurementRecord Type="IMG">x.tif</MeasurementRecord></a>',
            "cellvoyager",
            "a record without Row",
        ),
        ("a.txt", "", "cellvoyager", "no MeasurementData.mlf"),
        ("a.txt", "", "ome-tiff", "no OME-TIFF"),
        ("a.ome.tif", "no TIFF", "ome-tiff", "not a valid TIFF"),
        ("a.txt", "", "ome-zarr", "no OME-Zarr plate"),
    ],
)
def test_a_damaged_export_is_named(
    tmp_path: Path, new_lake: Lake, name: str, text: str, layout: str, message: str
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, folder, layout)
    assert "\n" not in str(caught.value)
