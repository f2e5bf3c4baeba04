"""Plates land whole or not at all, once, and say what is wrong with what did not."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import ingest_tiny
from hypothesis import given
from hypothesis import strategies as st

from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.core.wells import well_name
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.images import Files
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice


def _counts(lake: Lake) -> dict[str, int]:
    return {
        table: lake.query(f"select count(*) from {table}").item()
        for table in ("plate", "channel", "well", "field", "image")
    }


WHOLE = {"plate": 2, "channel": 6, "well": 12, "field": 24, "image": 72}


def test_every_image_is_registered_with_its_metadata(lake: Lake) -> None:
    assert _counts(lake) == WHOLE
    controls = lake.query(
        "select distinct compound, moa, concentration_um from well where control_type = 'negcon'"
    )
    assert controls.rows() == [("DMSO", None, 0.0)]
    assert lake.query("select dataset, batch, source from plate order by plate_id").rows() == [
        ("tiny", "1", "simulator"),
        ("tiny", "2", "simulator"),
    ]


def test_pixels_are_the_files(lake: Lake) -> None:
    from unidino.lake import pixels

    rows = lake.query(
        "select origin, uri, path, channel_index from image join field using (plate, well, field)"
        " join plate on plate_id = image.plate using sample 5"
    )
    for origin, uri, path, index in rows.iter_rows():
        plane = pixels.read_plane(lake.resolve(uri) / path, index)
        np.testing.assert_array_equal(plane, tifffile.imread(origin))


def test_a_second_ingest_does_nothing(lake: Lake, tiny_export: Path) -> None:
    before = lake.query("from plate")
    done = ingest_tiny(lake, tiny_export)
    assert (done.landed, len(done.skipped)) == ((), 2)
    assert lake.query("from plate").equals(before)


def test_touched_files_with_the_same_content_are_the_same_plate(
    lake: Lake, tiny_export: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(tiny_export, copy, copy_function=shutil.copyfile)
    done = ingest_tiny(lake, copy)
    assert len(done.skipped) == 2


def test_changed_content_is_refused_and_overwrite_replaces_it(
    lake: Lake, tiny_export: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed" / "tiny"
    shutil.copytree(tiny_export, changed)
    image = sorted((changed / "tiny_b1_p1" / "Images").iterdir())[0]
    tifffile.imwrite(image, np.full((96, 96), 7, np.uint16))
    with pytest.raises(InputError, match=r"tiny_b1_p1.*--overwrite"):
        ingest_tiny(lake, changed)
    assert lake.query("select count(*) from image where qc = 'blank'").item() == 0
    done = ingest_tiny(lake, changed, overwrite=True)
    assert (done.landed, done.skipped) == (("tiny_b1_p1",), ("tiny_b2_p1",))
    assert lake.query("select count(*) from image where qc = 'blank'").item() == 1
    assert _counts(lake) == WHOLE


def test_an_overwrite_cut_off_before_it_registers_is_mended_by_running_it_again(
    lake: Lake, tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unidino.lake import pixels

    changed = tmp_path / "changed" / "tiny"
    shutil.copytree(tiny_export, changed)
    image = sorted((changed / "tiny_b1_p1" / "Images").iterdir())[0]
    tifffile.imwrite(image, np.full((96, 96), 7, np.uint16))

    def cut_off(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unidino.plates.landing.register", cut_off)
        with pytest.raises(KeyboardInterrupt):
            ingest_tiny(lake, changed, overwrite=True)
    assert check(lake) == []
    test_pixels_are_the_files(lake)
    done = ingest_tiny(lake, changed, overwrite=True)
    assert done.landed == ("tiny_b1_p1",)
    assert check(lake) == []
    uri, path, index = lake.query(
        "select uri, path, channel_index from image join field using (plate, well, field)"
        " join plate on plate_id = image.plate where origin = $origin",
        {"origin": str(image.resolve())},
    ).row(0)
    assert set(np.unique(pixels.read_plane(lake.resolve(uri) / path, index))) == {7}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:900]), "truncated or not a valid image"),
        (lambda p: p.write_bytes(b""), "truncated or not a valid image"),
        (lambda p: p.write_bytes(b"II*\0 no image"), "truncated or not a valid image"),
        (lambda p: tifffile.imwrite(p, np.zeros((96, 96), np.float32)), "expected uint8 or uint16"),
        (lambda p: tifffile.imwrite(p, np.zeros((50, 96), np.uint16)), "is uint16 (50, 96)"),
        (lambda p: tifffile.imwrite(p, np.zeros((96, 96), np.uint8)), "is uint8 (96, 96)"),
        (
            lambda p: tifffile.imwrite(
                p, np.zeros((2, 96, 96), np.uint16), photometric="minisblack"
            ),
            "expected one plane",
        ),
    ],
)
def test_a_bad_image_is_named_and_the_rest_lands(
    tiny_export: Path, tmp_path: Path, damage, message: str
) -> None:
    export = tmp_path / "tiny"
    shutil.copytree(tiny_export, export)
    bad = sorted((export / "tiny_b1_p1" / "Images").iterdir())[7]
    damage(bad)
    lake = Lake.create(tmp_path / "lake")
    done = ingest_tiny(lake, export)
    assert len(done.problems) == 1
    assert message in done.problems[0]
    assert bad.name in done.problems[0]
    assert "\n" not in done.problems[0]
    assert _counts(lake) == WHOLE
    flagged = lake.query("select origin, qc, problem, p0_1, dtype from image where qc <> 'ok'")
    assert flagged.height == 1
    assert flagged.row(0)[:2] == (str(bad.resolve()), "damaged")
    assert message in flagged.row(0)[2]
    assert flagged.row(0)[3:] == (None, None)
    assert lake.query("select count(*) from training_sample").item() == 71
    assert check(lake) == []
    shutil.copy(sorted((tiny_export / "tiny_b1_p1" / "Images").iterdir())[7], bad)
    ingest_tiny(lake, export, overwrite=True)
    assert lake.query("select count(*) from image where qc <> 'ok'").item() == 0


def test_a_plate_without_a_readable_image_is_left_out_and_the_others_land(
    tiny_export: Path, tmp_path: Path
) -> None:
    export = tmp_path / "tiny"
    shutil.copytree(tiny_export, export)
    for image in (export / "tiny_b1_p1" / "Images").iterdir():
        image.write_bytes(b"")
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=r"plate tiny_b1_p1: .*truncated") as caught:
        ingest_tiny(lake, export)
    assert len(caught.value.details) > 36
    assert lake.query("select plate_id from plate").rows() == [("tiny_b2_p1",)]
    assert [p.name for p in (lake.path / "plates").iterdir()] == ["tiny_b2_p1.zarr"]


def test_a_field_without_a_readable_image_is_left_out(tiny_export: Path, tmp_path: Path) -> None:
    export = tmp_path / "tiny"
    shutil.copytree(tiny_export, export)
    for image in (export / "tiny_b1_p1" / "Images").glob("r02c02f02*"):
        image.write_bytes(b"")
    lake = Lake.create(tmp_path / "lake")
    done = ingest_tiny(lake, export)
    assert len(done.problems) == 3
    assert _counts(lake) == WHOLE | {"field": 23, "image": 69}
    assert check(lake) == []


def _manifest(folder: Path, text: str) -> Path:
    tifffile.imwrite(folder / "a.tif", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,plate,well,field\na.tif,p,A01,1\n", "lacks the column channel"),
        ("path,plate,well,field,channel\nb.tif,p,A01,1,DNA\n", "no image file .*b.tif"),
        ("path,plate,well,field,channel\na.tif,p,ZZ9,1,DNA\n", "line 2, column well: .*'ZZ09'"),
        ("path,plate,well,field,channel\na.tif,p,A49,1,DNA\n", "column well"),
        ("path,plate,well,field,channel\na.tif,p,A01,x,DNA\n", "column field: 'x' is not an integer"),
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
            "path,plate,well,field,channel\na.tif,p,A01,1,DNA\na.tif,p,A01,1,RNA\n"
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
    "a.tif,p,A01,1,RNA,trt",
    "a.tif,p,A02,1,DNA,trt",  # lacks RNA
    "a.tif,p,Z99,1,DNA,trt",  # no such well
    "a.tif,p,Z99,1,RNA,trt",
    "a.tif,p,A03,1,DNA,dmso",  # no such control type
    "a.tif,p,A03,1,RNA,trt",
    "a.tif,p,A04,1,DNA,trt",
    "a.tif,p,A04,1,DNA,trt",  # twice
    "a.tif,p,A04,1,RNA,trt",
    "a.tif,p,A05,one,DNA,trt",  # no number
    "a.tif,p,A06,1,DNA,trt",
    "a.tif,p,A06,1,RNA,trt",
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


def test_missing_files_are_all_named_and_left_out_if_asked(
    tiny_export: Path, tmp_path: Path
) -> None:
    export = tmp_path / "tiny"
    shutil.copytree(tiny_export, export)
    images = sorted((export / "tiny_b1_p1" / "Images").iterdir())
    shutil.copy(tiny_export / "platemap.csv", export)
    rows = ["path,plate,well,field,channel"]
    for image in images:
        row, column, field, channel = re.match(
            r"r(\d+)c(\d+)f(\d+)p01-ch(\d+)", image.name
        ).groups()  # type: ignore[union-attr]
        rows.append(f"{image},p,{chr(64 + int(row))}{column},{int(field)},c{channel}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    images[0].unlink()
    images[1].unlink()
    lake = Lake.create(tmp_path / "lake")
    with pytest.raises(InputError, match=r"no image file .*and 1 more") as caught:
        ingest(lake, tmp_path / "m.csv", "manifest")
    assert all(i.name in line for i, line in zip(images, caught.value.details, strict=False))
    assert len(caught.value.details) == 2
    assert _counts(lake) == dict.fromkeys(WHOLE, 0)
    done = ingest(lake, tmp_path / "m.csv", "manifest", allow_incomplete=True)
    assert (done.num_fields, done.num_images, len(done.problems)) == (11, 33, 2)
    assert ingest(lake, tmp_path / "m.csv", "manifest", allow_incomplete=True).skipped == ("p",)


def test_a_wrong_value_in_a_joined_table_is_named_there(tiny_export: Path, tmp_path: Path) -> None:
    table = tmp_path / "doses.csv"
    table.write_text("well,concentration_um,control_type\nB02,lots,trt\nB03,1,dmso\n")
    with pytest.raises(InputError, match=r"doses\.csv, line 2, column concentration_um") as caught:
        ingest(Lake.create(tmp_path / "lake"), tiny_export, "harmony", metadata=[table])
    assert "doses.csv, line 3, column control_type" in caught.value.details[1]


def test_what_a_joined_table_lacks_is_said(
    tiny_export: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "doses.csv"
    table.write_text("well,concentration_um\nB02,1\nH12,2\n")
    ingest(Lake.create(tmp_path / "lake"), tiny_export, "harmony", metadata=[table])
    said = caplog.text
    assert "doses.csv: joined by well; 1 of 6 matched, 1 rows not used; nothing for B03; " in said


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


def test_blank_and_saturated_images_are_flagged(tmp_path: Path) -> None:
    planes = {
        "zero": np.zeros((64, 64), np.uint16),
        "full": np.full((64, 64), 65535, np.uint16),
        "bright": np.where(np.arange(64 * 64) % 50 == 0, 65535, 7).reshape(64, 64),
        "fine": np.arange(64 * 64).reshape(64, 64),
    }
    rows = []
    for number, (name, plane) in enumerate(planes.items(), start=1):
        tifffile.imwrite(tmp_path / f"{name}.tif", plane.astype(np.uint16))
        rows.append(f"{name}.tif,p,A{number:02d},1,DNA,trt")
    (tmp_path / "m.csv").write_text(_rows_of_manifest(*rows))
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, tmp_path / "m.csv", "manifest")
    assert [qc for (qc,) in lake.query("select qc from image order by well").iter_rows()] == [
        "blank",
        "blank",
        "saturated",
        "ok",
    ]


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


def test_a_layout_without_its_table_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the table bbbc021_v1_image"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "bbbc021")


def test_a_layout_whose_table_lacks_a_column_says_which(tmp_path: Path) -> None:
    (tmp_path / "BBBC021_v1_image.csv").write_text("ImageNumber,Replicate\n1,1\n")
    (tmp_path / "BBBC021_v1_moa.csv").write_text("compound,concentration,moa\na,1,b\n")
    with pytest.raises(InputError, match="needs the column image_"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "bbbc021")


def test_a_users_own_layout_is_one_select(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    _manifest(folder, "file,where\na.tif,C3\n")
    (folder / "layout.sql").write_text(
        "select 'p1' as plate, \"where\" as well, 1 as field, 'DNA' as channel, file as path"
        " from manifest"
    )
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, folder, str(folder / "layout.sql"))
    assert lake.query("select dataset, well from well join plate on plate_id = plate").rows() == [
        ("mine", "C03")
    ]


def test_a_pattern_reads_any_file_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "scope"
    folder.mkdir()
    for channel in (1, 2):
        tifffile.imwrite(folder / f"run7_C04_s2_w{channel}.tif", np.eye(64, dtype=np.uint8))
    tifffile.imwrite(folder / "overview.tif", np.eye(64, dtype=np.uint8))
    lake = Lake.create(tmp_path / "lake")
    pattern = r"(?P<plate>run\d+)_(?P<well>[A-H]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)"
    ingest(lake, folder, "filename", pattern=pattern, choice=Choice(channel_names=["DNA"]))
    rows = lake.query("select plate, well, field, channel from image order by channel_index").rows()
    assert rows == [("run7", "C04", 2, "DNA"), ("run7", "C04", 2, "ch2")]
    said = " ".join(caplog.text.split())
    assert "1 of 3 images are left out: their names do not match" in said
    assert "overview.tif" in said


@pytest.mark.parametrize("pattern", [None, "(", "(?P<plate>x)", "(?P<nonsense>x)(?P<well>y)"])
def test_a_pattern_that_cannot_work_is_refused(tmp_path: Path, pattern: str | None) -> None:
    with pytest.raises(InputError, match="--pattern"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "filename", pattern=pattern)


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


@given(st.integers(1, 32), st.integers(1, 48))
def testwell_names_round_trip(row: int, column: int) -> None:
    name = well_name(row, column)
    found = scratch().execute("select row_of($w), column_of($w)", {"w": name}).fetchall()
    assert found == [(row, column)]


def test_reading_says_what_a_missing_image_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Files().read_image([str(tmp_path / "none.tif")], [None])
