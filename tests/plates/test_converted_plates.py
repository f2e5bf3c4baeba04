"""What is said of a plate whose images differ or were converted."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from image_files import GREY, GREY8, RGB
from PIL import Image

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest


def _plate(folder: Path, images: dict[str, np.ndarray], **options: Any) -> Path:
    """A manifest of images, whose names are `well_field_channel`."""
    rows = ["path,plate,well,field,channel"]
    folder.mkdir(exist_ok=True)
    for name, values in images.items():
        tifffile.imwrite(folder / f"{name}.tif", values, **options)
        rows.append(f"{name}.tif,p," + ",".join(name.split("_")))
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    return folder / "m.csv"


def test_fields_of_another_type_or_size_are_said(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    images = {"A01_1_x": GREY, "A02_1_x": GREY + 1, "A03_1_x": GREY8, "A04_1_x": GREY[:40]}
    with caplog.at_level(logging.WARNING, logger="unidino"):
        done = ingest(new_lake, _plate(tmp_path / "p", images))
    assert (done.num_images, done.problems) == (4, ())
    assert caplog.messages == [
        "plate p: its fields differ in type or size: 2 of uint16, 48 x 40 px (such as well A01"
        " field 1); 1 of uint8, 48 x 40 px (such as well A03 field 1); 1 of uint16, 40 x 40 px"
        " (such as well A04 field 1)"
    ]


def test_fields_that_are_alike_say_nothing(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("A01_1_x", "A01_1_y", "A02_1_x", "A02_1_y")
    images = {name: GREY + number for number, name in enumerate(names)}
    with caplog.at_level(logging.WARNING, logger="unidino"):
        ingest(new_lake, _plate(tmp_path / "p", images))
    assert caplog.messages == []


def test_channels_of_another_type_are_each_named(tmp_path: Path, new_lake: Lake) -> None:
    images = {"A01_1_x": GREY, "A01_1_y": GREY8, "A02_1_x": GREY, "A02_1_y": GREY8}
    done = ingest(new_lake, _plate(tmp_path / "p", images))
    assert ["is uint8 (48, 40), but the others" in line for line in done.problems] == [True] * 2


def test_a_conversion_is_said_recorded_and_part_of_what_the_plate_is(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    images = {f"A0{n}_1_x": (GREY / (1000 * n)).astype(np.float32) for n in (1, 2)}
    manifest = _plate(tmp_path / "p", images)
    with pytest.raises(InputError, match=r"is float32.*--convert linear:LOW:HIGH"):
        ingest(new_lake, manifest)
    with caplog.at_level(logging.WARNING, logger="unidino"):
        ingest(new_lake, manifest, form=Form(convert="linear:0:2"))
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "2 images, such as" in said[0]
    assert "float32 became uint16 (--convert linear:0:2)" in said[0]
    share = (images["A01_1_x"] > 2).mean()
    assert f"({share:.2%} of its pixels): pixels outside 0 to 2 became" in said[1]
    arguments = new_lake.query("select arguments from run where command = 'ingest'")
    assert '"convert":"linear:0:2"' in arguments["arguments"][-1].replace(" ", "")
    assert ingest(new_lake, manifest, form=Form(convert="linear:0.0:2e0")).skipped == ("p",)
    with pytest.raises(InputError, match="--overwrite"):
        ingest(new_lake, manifest, form=Form(convert="linear:0:4"))
    # Values of both images stay comparable.
    means = new_lake.query("select mean from image order by well")["mean"]
    expected = [np.clip(v, 0, 2).mean() * 65535 / 2 for v in images.values()]
    np.testing.assert_allclose(means, expected, rtol=1e-3)


def test_a_plate_that_needs_no_conversion_is_the_same_whatever_is_added_to_forms(
    tmp_path: Path, new_lake: Lake
) -> None:
    from unidino.core.files import digest
    from unidino.plates.inputs import plates_with_files
    from unidino.plates.layouts.read import read_manifest
    from unidino.plates.manifest import Choice

    path = _plate(tmp_path / "p", {"A01_1_x": GREY})
    manifest = read_manifest(path, "manifest", choice=Choice())
    [plate], _ = plates_with_files(manifest, Form(), allow_incomplete=False)
    form = {"ngff": "0.5", "pyramid": 0, "illumination": None, "in_place": False}
    assert plate.digest == digest(manifest.digests["p"], None, form)


def test_an_estimate_of_illumination_sees_converted_planes_of_the_usual_size(
    tmp_path: Path, new_lake: Lake
) -> None:
    bright = np.full((48, 40), 0.5, np.float32)
    images = {f"A0{n}_1_x": bright for n in (1, 2)} | {"A03_1_x": bright[:30]}
    form = Form(convert="linear:0:1", illumination="estimate")
    done = ingest(new_lake, _plate(tmp_path / "p", images), form=form)
    assert len(done.problems) == 1
    assert "the illumination function is (48, 40), but the image is (30, 40)" in done.problems[0]
    means = new_lake.query("select mean from image where qc <> 'damaged'")["mean"]
    assert set(means) == {32768.0}


def test_rules_are_given_on_the_command_line(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    (tmp_path / "m.csv").write_text("path,plate,well,field,channel\na.jpg,p,A01,1,DNA\n")
    command = ["ingest", tmp_path / "m.csv", "--lake", tmp_path / "lake"]
    status, _, said = run_cli(*command)
    assert status == 1
    assert "pass --convert lossy,luminance" in said.splitlines()[-1]
    status, _, said = run_cli(*command, "--convert", "lossy,grey")
    assert status == 1
    assert "no rule 'grey'; choose from exact, linear:LOW:HIGH, luminance, red" in said
    status, _, said = run_cli(*command, "--convert", "lossy,green")
    assert status == 0
    assert "JPEG has changed the intensities (--convert lossy)" in said
    assert "colours became one plane (--convert green)" in said


def test_plates_that_stay_in_place_are_not_converted(tmp_path: Path, new_lake: Lake) -> None:
    with pytest.raises(InputError, match="--in-place leaves plates as they are"):
        ingest(new_lake, tmp_path, "ome-zarr", form=Form(in_place=True, convert="exact"))
