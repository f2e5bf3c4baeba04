"""Plates land whole or not at all, once, and say what is wrong with what did not."""

import inspect
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import ingest_tiny
from planes import stored_plane
from sampled import slow

from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS
from unidino.lake import pixels
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates import landing
from unidino.plates.images import Files
from unidino.plates.ingest import ingest


def _counts(lake: Lake) -> dict[str, int]:
    return {
        table: lake.query(f"select count(*) from {table}").item()
        for table in ("plate", "channel", "well", "field", "image")
    }


WHOLE = {"plate": 2, "channel": 6, "well": 12, "field": 24, "image": 72}


@pytest.mark.anywhere
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


@pytest.mark.anywhere(remote="slow")
def test_pixels_are_the_files(lake: Lake) -> None:
    rows = lake.query("select origin, uri, channel_index from located_image using sample 5")
    for origin, uri, index in rows.iter_rows():
        plane = pixels.read_plane(lake.resolve(uri), index)
        np.testing.assert_array_equal(plane, tifffile.imread(origin))


@pytest.mark.anywhere
def test_a_second_ingest_does_nothing(lake: Lake, tiny_export: Path) -> None:
    before = lake.query("from plate")
    done = ingest_tiny(lake, tiny_export)
    assert (done.landed, len(done.skipped)) == ((), 2)
    assert lake.query("from plate").equals(before)


@pytest.mark.anywhere(remote="slow")
def test_touched_files_with_the_same_content_are_the_same_plate(
    lake: Lake, tiny_export: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(tiny_export, copy, copy_function=shutil.copyfile)
    done = ingest_tiny(lake, copy)
    assert len(done.skipped) == 2


@pytest.mark.anywhere
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


@pytest.mark.anywhere(remote="slow")
def test_an_overwrite_cut_off_before_it_registers_is_mended_by_running_it_again(
    lake: Lake, tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    plane = stored_plane(lake, f"origin = '{image.resolve()}'")
    assert set(np.unique(plane)) == {7}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:900]), "truncated or not a valid image"),
        (lambda p: tifffile.imwrite(p, np.zeros((96, 96), np.float32)), "expected uint8 or uint16"),
        (lambda p: tifffile.imwrite(p, np.zeros((50, 96), np.uint16)), "is uint16 (50, 96)"),
        *slow(
            (lambda p: p.write_bytes(b""), "truncated or not a valid image"),
            (lambda p: p.write_bytes(b"II*\0 no image"), "truncated or not a valid image"),
            (lambda p: tifffile.imwrite(p, np.zeros((96, 96), np.uint8)), "is uint8 (96, 96)"),
            (
                lambda p: tifffile.imwrite(
                    p, np.zeros((2, 96, 96), np.uint16), photometric="minisblack"
                ),
                "expected one plane",
            ),
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
    header = "path,plate,well,field,channel,control_type"
    (tmp_path / "m.csv").write_text("\n".join([header, *rows]) + "\n")
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, tmp_path / "m.csv", "manifest")
    assert [qc for (qc,) in lake.query("select qc from image order by well").iter_rows()] == [
        "blank",
        "blank",
        "saturated",
        "ok",
    ]


def test_reading_says_what_a_missing_image_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Files().read_image([str(tmp_path / "none.tif")], [None])


@pytest.mark.anywhere(remote="slow")
def test_pixels_take_the_place_of_metadata_alone(tiny_export: Path, new_lake: Lake) -> None:
    ingest_tiny(new_lake, tiny_export, metadata_only=True)
    assert new_lake.query("select distinct qc from image").rows() == [("absent",)]
    ingest_tiny(new_lake, tiny_export)
    assert new_lake.query("select distinct qc from image").rows() == [("ok",)]
    with pytest.raises(InputError, match="has its pixels in the lake"):
        ingest_tiny(new_lake, tiny_export, metadata_only=True)


@pytest.mark.anywhere(remote="slow")
def test_every_argument_is_recorded(new_lake: Lake, tiny_export: Path) -> None:
    ingest_tiny(new_lake, tiny_export)
    recorded = json.loads(new_lake.query("select arguments from run").item())
    assert set(recorded) - {"folder"} == set(inspect.signature(ingest).parameters) - {"lake"}
    assert recorded["platemap"] == str(tiny_export / "platemap.csv")
    assert recorded["metadata"] == [str(tiny_export / "plates.csv")]
    assert recorded["choice"]["channel_names"] == ["DNA", "Actin", "Tubulin"]
    assert recorded["form"] == {
        "ngff": "0.5",
        "pyramid": 0,
        "illumination": None,
        "in_place": False,
        "convert": None,
        "max_pixels": MAX_PIXELS,
    }


@pytest.mark.anywhere(remote="slow")
def test_what_was_ingested_prints_as_a_row(tiny_export: Path, new_lake: Lake) -> None:
    done = ingest_tiny(new_lake, tiny_export)
    counts = {"plates": 2, "skipped": 0, "wells": 12, "fields": 24, "images": 72, "problems": 0}
    assert done.frame.to_dicts() == [counts]
    head, _, row = str(done).splitlines()
    assert head.split() == list(counts)
    assert row.split() == [str(count) for count in counts.values()]


def test_images_are_usable_by_their_flag(lake: Lake) -> None:
    """A flag is one of five; of each, whether the plane can be shown and can be learnt from."""
    expected = {
        "ok": (True, True),
        "saturated": (True, True),
        "blank": (True, False),
        "damaged": (False, False),
        "absent": (False, False),
    }
    for qc, flags in expected.items():
        lake.execute(f"update image set qc = '{qc}'")
        found = lake.look_up("select distinct has_pixels, is_usable from located_image")
        assert found.rows() == [flags]


def test_plates_are_on_the_disk_before_they_are_registered(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.create(tmp_path / "lake")
    flushed: set[str] = set()
    fsync, registered = os.fsync, landing.register

    def noting(opened: int) -> None:
        flushed.add(os.readlink(f"/proc/self/fd/{opened}").replace(".zarr.tmp", ".zarr"))
        fsync(opened)

    def register(*args: Any) -> None:
        (uri,) = (row["uri"] for row in args[4])
        place = lake.resolve(uri)
        files = {str(f).replace("/plates/", "/plates/.") for f in [place, *place.rglob("*")]}
        assert files <= flushed
        assert {str(place.parent), str(lake.path)} <= flushed
        registered(*args)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(landing, "register", register)
    ingest_tiny(lake, tiny_export)
    assert lake.query("select count(*) from plate").item() == 2


def test_vectors_of_replaced_images_are_removed(profiled: Path, tiny_export: Path, tmp_path: Path):
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    (uri,) = lake.query("select uri from part where plate = 'tiny_b1_p1'")["uri"]
    ingest_tiny(lake, tiny_export, overwrite=True, dataset="again")
    assert not lake.resolve(uri).exists()
