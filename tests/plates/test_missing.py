"""What a field lacks, or what a choice leaves out, is said, refused, or absent if asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unidino.core.errors import InputError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

Write = Callable[..., Path]
Rows = list[dict[str, object]]


def _stack(channel: str, slices: tuple[int, ...], axis: str = "z", **others: object) -> Rows:
    return [{"channel": channel, axis: number} | others for number in slices]


def _images(lake: Lake) -> list[tuple[object, ...]]:
    return lake.query("select well, channel, qc from image order by all").rows()


def test_a_channel_of_one_slice_is_kept_beside_the_slice_of_stacks(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(*_stack("DNA", (1, 2, 3)), *_stack("Bright", (1,)))
    ingest(new_lake, manifest, choice=Choice(z="2"))
    assert _images(new_lake) == [("A01", "Bright", "ok"), ("A01", "DNA", "ok")]
    origin = new_lake.query("select origin from image where channel = 'DNA'").item()
    assert Path(origin).name == "1.tif"
    assert "channel Bright has no slice 2; its one slice a field is kept" in caplog.text


def test_a_stack_without_the_slice_is_refused(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(*_stack("DNA", (1, 2, 3)), *_stack("Actin", (1, 3)))
    with pytest.raises(
        InputError, match=r"channel Actin of plate p has no slice 2 \(it has 1, 3\)"
    ):
        ingest(new_lake, manifest, choice=Choice(z="2"))
    ingest(new_lake, manifest, choice=Choice(z="2", drop_channels=("Actin",)))
    assert _images(new_lake) == [("A01", "DNA", "ok")]


def test_a_field_without_the_slice_in_a_channel_is_refused_with_what_it_has(
    new_lake: Lake, write_manifest: Write
) -> None:
    whole = [*_stack("DNA", (1, 2)), *_stack("Actin", (1, 2))]
    short = [*_stack("DNA", (1, 2), well="A02"), *_stack("Actin", (1,), well="A02")]
    manifest = write_manifest(*whole, *short)
    wanted = r"well A02 field 1 channel Actin has no slice 2 \(it has 1\).*--absent-channels"
    with pytest.raises(InputError, match=wanted):
        ingest(new_lake, manifest, choice=Choice(z="2"))
    ingest(new_lake, manifest, choice=Choice(z="2"), absent_channels=True)
    assert [row[2] for row in _images(new_lake)] == ["ok", "ok", "absent", "ok"]


@pytest.mark.parametrize(("axis", "what"), [("z", "slice"), ("timepoint", "time point")])
def test_fields_that_a_choice_leaves_out_are_said(
    new_lake: Lake,
    write_manifest: Write,
    caplog: pytest.LogCaptureFixture,
    axis: str,
    what: str,
) -> None:
    manifest = write_manifest(*_stack("DNA", (0, 1), axis), *_stack("DNA", (0,), axis, well="A02"))
    choice = Choice(z="1") if axis == "z" else Choice(timepoint=1)
    ingest(new_lake, manifest, choice=choice)
    assert _images(new_lake) == [("A01", "DNA", "ok")]
    assert f"1 fields are left out, such as plate p well A02 field 1, which has no {what} 1" in (
        caplog.text
    )


def test_a_channel_without_the_time_point_is_refused(new_lake: Lake, write_manifest: Write) -> None:
    manifest = write_manifest(
        *_stack("DNA", (0, 1), "timepoint"), *_stack("Bright", (0,), "timepoint")
    )
    with pytest.raises(InputError, match="channel Bright of plate p has no time point 1") as no:
        ingest(new_lake, manifest, choice=Choice(timepoint=1))
    assert "--drop-channels 'Bright'" in str(no.value)


def _some_lack_actin(write: Write) -> Path:
    return write(
        {"channel": "DNA", "pixel_size_um": 0.5},
        {"channel": "Actin", "pixel_size_um": 0.5, "emission_nm": 600},
        {"channel": "DNA", "well": "A02", "pixel_size_um": 0.5, "emission_nm": 450},
    )


def test_channels_that_some_fields_lack_land_as_absent_if_asked(
    new_lake: Lake,
    write_manifest: Write,
    caplog: pytest.LogCaptureFixture,
    run_cli: Callable[..., tuple[int, str, str]],
) -> None:
    manifest = _some_lack_actin(write_manifest)
    with pytest.raises(InputError, match=r"well A02 field 1 has no channel Actin.*absent-channels"):
        ingest(new_lake, manifest)
    status, _, said = run_cli("ingest", manifest, "--absent-channels", "--lake", new_lake.path)
    assert status == 0
    assert "1 images of 1 fields are absent, such as channel Actin of plate p well A02" in said
    assert _images(new_lake) == [
        ("A01", "Actin", "ok"),
        ("A01", "DNA", "ok"),
        ("A02", "Actin", "absent"),
        ("A02", "DNA", "ok"),
    ]
    absent = new_lake.query("select origin, origin_hash, mean from image where qc = 'absent'")
    assert absent.rows() == [("", None, None)]
    assert new_lake.query("select channel, emission_nm from channel order by all").rows() == [
        ("Actin", 600.0),
        ("DNA", 450.0),
    ]
    assert new_lake.query("select distinct pixel_size_um from field").rows() == [(0.5,)]
    assert new_lake.query("select count(*) from training_sample").item() == 3
    assert check(new_lake) == []
    assert ingest(new_lake, manifest, absent_channels=True).skipped == ("p",)


def test_absent_images_are_left_out_of_embeddings_and_profiles_with_a_count(
    new_lake: Lake, write_manifest: Write
) -> None:
    from unidino.embeddings.embed import embed
    from unidino.models import baselines
    from unidino.profiles.profile import profile

    rows = [{"channel": c, "well": w} for w in ("A01", "A03") for c in ("DNA", "Actin")]
    manifest = write_manifest(*rows, {"channel": "DNA", "well": "A02"})
    ingest(new_lake, manifest, absent_channels=True)
    baselines.create_model(new_lake, "gaussian")
    assert embed(new_lake, "gaussian").left_out == {"absent": 1}
    (done,) = profile(new_lake)
    assert done.dropped["missing_channel"] == 1


def test_illumination_is_estimated_without_absent_images(
    new_lake: Lake, write_manifest: Write
) -> None:
    manifest = _some_lack_actin(write_manifest)
    ingest(new_lake, manifest, form=Form(illumination="estimate"), absent_channels=True)
    assert new_lake.query("select count(illumination) from channel").item() == 2


def test_metadata_alone_may_lack_channels(new_lake: Lake, write_manifest: Write) -> None:
    manifest = _some_lack_actin(write_manifest)
    ingest(new_lake, manifest, absent_channels=True, metadata_only=True)
    assert new_lake.query("select count(*) from image where qc = 'absent'").item() == 4


def test_one_image_of_two_channels_is_refused_and_lands_without_one(
    new_lake: Lake, write_manifest: Write
) -> None:
    rows = [
        {"channel": "DNA"},
        {"channel": "Mito", "path": "mito.tif"},
        {"channel": "AGP", "path": "mito.tif"},
    ]
    manifest = write_manifest(*rows)
    with pytest.raises(InputError, match="channels AGP and Mito of plate p well A01 field 1") as no:
        ingest(new_lake, manifest)
    assert "manifest.csv, line" in str(no.value)
    assert "--drop-channels Mito" in str(no.value)
    ingest(new_lake, manifest, choice=Choice(drop_channels=("Mito",)))
    assert [row[1] for row in _images(new_lake)] == ["AGP", "DNA"]


def test_pages_of_one_file_are_images_of_their_own(new_lake: Lake, write_manifest: Write) -> None:
    import numpy as np
    import tifffile

    manifest = write_manifest(
        {"channel": "DNA", "path": "both.tif", "page": 0},
        {"channel": "Mito", "path": "both.tif", "page": 1},
    )
    planes = np.random.default_rng(0).integers(1, 99, (2, 16, 16)).astype(np.uint16)
    tifffile.imwrite(manifest.parent / "both.tif", planes, photometric="minisblack")
    ingest(new_lake, manifest)
    assert [row[2] for row in _images(new_lake)] == ["ok", "ok"]


def test_one_image_of_two_wells_is_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest(
        {"channel": "DNA", "path": "a.tif"}, {"channel": "DNA", "path": "a.tif", "well": "A02"}
    )
    ingest(new_lake, manifest)
    assert "1 images are listed for several fields" in caplog.text
    assert "plate p well A01 field 1 and plate p well A02 field 1" in caplog.text


def test_equal_content_under_two_names_is_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = write_manifest({"channel": "DNA"}, {"channel": "DNA", "well": "A02"})
    (manifest.parent / "1.tif").write_bytes((manifest.parent / "0.tif").read_bytes())
    ingest(new_lake, manifest)
    assert "plate p: 2 images have the content of another" in caplog.text
    assert "well A01 field 1 channel DNA ('" in caplog.text


def test_equal_blank_images_are_not_worth_a_word(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    import numpy as np
    import tifffile

    manifest = write_manifest({"channel": "DNA"}, {"channel": "DNA", "well": "A02"})
    for name in ("0.tif", "1.tif"):
        tifffile.imwrite(manifest.parent / name, np.zeros((16, 16), np.uint16))
    ingest(new_lake, manifest)
    assert "content" not in caplog.text


def test_images_that_lack_slices_of_others_are_said(
    new_lake: Lake, write_manifest: Write, caplog: pytest.LogCaptureFixture
) -> None:
    whole = [*_stack("DNA", (0, 1, 2)), *_stack("Bright", (0,))]
    short = [*_stack("DNA", (0, 1), well="A02"), *_stack("Bright", (0,), well="A02")]
    flat = [{"channel": "DNA", "well": "A03"}, *_stack("Bright", (0,), well="A03")]
    ingest(new_lake, write_manifest(*whole, *short, *flat))
    assert "2 of 3 images of channel DNA lack slices that others have" in caplog.text
    assert "well A02 field 1, which has no slice 2;" in caplog.text
    assert "channel Bright" not in caplog.text


@pytest.mark.parametrize("z", ["max", "1"])
def test_an_image_beside_the_slices_of_its_stack_is_refused(
    new_lake: Lake, write_manifest: Write, z: str
) -> None:
    manifest = write_manifest(*_stack("DNA", (0, 1)), {"channel": "DNA"})
    with pytest.raises(InputError, match=r"line 4, column z: .*2.tif' has no slice number, but"):
        ingest(new_lake, manifest, choice=Choice(z=z))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(z="3"), "--z 3: the images have no slices"),
        (Choice(timepoint=5), "--timepoint 5: the images have no time points"),
    ],
)
def test_a_choice_of_nothing_is_said(
    new_lake: Lake,
    write_manifest: Write,
    caplog: pytest.LogCaptureFixture,
    choice: Choice,
    said: str,
) -> None:
    ingest(new_lake, write_manifest({"channel": "DNA"}), choice=choice)
    assert said in caplog.text
