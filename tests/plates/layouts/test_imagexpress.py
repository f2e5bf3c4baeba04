"""Exports of MetaXpress: settings in any encoding, names without settings, measurements apart."""

from pathlib import Path

import numpy as np
import pytest
from planes import plane_of, stored_plane, write_plane
from sampled import slow

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

_ID = "2F1A7C3E-64B0-4D5F-9C1E-0A1B2C3D4E5F"


def _htd(*waves: str, more: str = "") -> str:
    """The text of an HTD file; waves as they are written behind their names."""
    lines = ['"HTSInfoFile", Version 1.0', '"Description", "3" pieces of agar"', '"XWells", 12']
    lines += ['"YWells", 8', f'"NWavelengths", {len(waves)}', *more.splitlines()]
    lines += [f'"WaveName{number}", {wave}' for number, wave in enumerate(waves, start=1)]
    return "\r\n".join([*lines, '"EndFile"']) + "\r\n"


def _write(file: Path, text: str, encoding: str = "latin-1") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode(encoding))


def _channels(lake: Lake) -> list[str]:
    return lake.query("select channel from channel order by plate, channel_index")[
        "channel"
    ].to_list()


@pytest.mark.parametrize(
    "encoding", ["latin-1", "utf-8-sig", "utf-16-le", *slow("utf-8", "utf-16", "utf-16-be")]
)
def test_settings_in_any_encoding(tmp_path: Path, new_lake: Lake, encoding: str) -> None:
    folder = tmp_path / "Plate1"
    names = ["405 µm-Hoechst", 'FITC, "long" pass', "Texas Red", "Cy5, far red"]
    written = [f'"{names[0]}"', '"FITC, ""long"" pass"', f'"{names[2]}"', f'"{names[3]}", 1']
    _write(folder / "Plate1.HTD", _htd(*written), encoding)
    for wave in range(1, 5):
        write_plane(folder / f"Plate1_B02_s1_w{wave}.TIF", wave)
    ingest(new_lake, folder, "imagexpress")
    assert _channels(new_lake) == names
    assert new_lake.query("select num_rows, num_columns from plate").rows() == [(8, 12)]


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("Plate1.HTD", _ID),
        ("plate_1_Plate_4711.htd", ""),
        *slow(
            ("Plate1.HTD", ""),
            ("Plate1.HTD", _ID.lower()),
            ("plate_1_Plate_4711.htd", _ID),
            ("plate_1_Plate_4711.htd", _ID.lower()),
        ),
    ],
)
@pytest.mark.parametrize(
    ("parts", "field", "channels"),
    [
        (("_s3_w1", "_s3_w2"), 3, ["DAPI", "FITC"]),
        (("_w1", "_w2"), 1, ["DAPI", "FITC"]),
        (("_s3",), 3, ["DAPI"]),
        (("",), 1, ["DAPI"]),
    ],
)
def test_names_with_and_without_sites_waves_and_ids(
    tmp_path: Path,
    new_lake: Lake,
    name: str,
    end: str,
    parts: tuple[str, ...],
    field: int,
    channels: list[str],
) -> None:
    folder = tmp_path / "P7"
    _write(folder / name, _htd('"DAPI"', '"FITC"'))
    for value, part in enumerate(parts, start=1):
        write_plane(folder / "TimePoint_1" / f"run_b02{part}{end}.tif", value)
        write_plane(folder / "TimePoint_1" / f"run_b02{part}_thumb{end}.tif", 99)
        write_plane(folder / "TimePoint_1" / f"._run_b02{part}{end}.tif", 98)
    ingest(new_lake, tmp_path, "imagexpress")
    assert new_lake.query("select distinct plate, well, field from image").rows() == [
        ("P7", "B02", field)
    ]
    assert _channels(new_lake) == channels
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DAPI'"), plane_of(1))


def test_planes_without_settings_are_read_by_their_names(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unidino")
    for plate in ("P1", "P2"):
        for step, value in ((0, 90), (1, 1), (2, 2)):
            folder = tmp_path / "screen" / plate / "TimePoint_1" / f"ZStep_{step}"
            for wave in (1, 2):
                write_plane(folder / f"x_C03_s2_w{wave}{_ID}.tif", value + 10 * wave)
                write_plane(folder / f"x_C03_s2_w{wave}_thumb{_ID}.tif", 200)
    write_plane(tmp_path / "screen" / "P1" / "overview.tif", 3)
    ingest(new_lake, tmp_path / "screen", "imagexpress")
    said = " ".join(caplog.text.split())
    assert "12 images are read by their names" in said
    assert "plate P1: 2 projections of the instrument (ZStep_0) are left out" in said
    assert "1 images are left out: their names do not match" in said
    assert new_lake.query("select distinct plate, well, field from image order by 1").rows() == [
        ("P1", "C03", 2),
        ("P2", "C03", 2),
    ]
    assert _channels(new_lake) == ["ch1", "ch2"] * 2
    np.testing.assert_array_equal(
        stored_plane(new_lake, "plate = 'P2' and channel = 'ch1'"),
        np.maximum(plane_of(11), plane_of(12)),
    )


def test_a_channel_that_has_only_a_projection_keeps_it(tmp_path: Path, new_lake: Lake) -> None:
    folder = tmp_path / "P1"
    _write(folder / "P1.HTD", _htd('"DAPI"', '"FITC"'))
    for step, waves in ((0, (1, 2)), (1, (1,)), (2, (1,))):
        for wave in waves:
            file = folder / "TimePoint_1" / f"ZStep_{step}" / f"P1_B02_s1_w{wave}.TIF"
            write_plane(file, 10 * wave + step)
    ingest(new_lake, folder, "imagexpress")
    assert _channels(new_lake) == ["DAPI", "FITC"]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'FITC'"), plane_of(20))
    np.testing.assert_array_equal(
        stored_plane(new_lake, "channel = 'DAPI'"), np.maximum(plane_of(11), plane_of(12))
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("above", "'screen' has the same wells and fields in two folders, '2024-05-01' and"),
        ("beside", "2024-05-01.*2024-06-01.*both have the well B02"),
        ("none", "2024-05-01.*2024-06-01.*both have the well B02"),
    ],
)
def test_two_measurements_of_a_plate_are_not_mixed(
    tmp_path: Path, new_lake: Lake, settings: str, message: str
) -> None:
    for number, day in enumerate(("2024-05-01", "2024-06-01"), start=1):
        write_plane(tmp_path / "screen" / day / "P1" / "TimePoint_1" / "P1_B02_s1_w1.tif", number)
        if settings == "beside":
            _write(tmp_path / "screen" / day / "P1" / "P1.HTD", _htd('"DAPI"'))
    if settings == "above":
        _write(tmp_path / "screen" / "P1.HTD", _htd('"DAPI"'))
    with pytest.raises(InputError, match=message):
        ingest(new_lake, tmp_path / "screen", "imagexpress")
    ingest(new_lake, tmp_path / "screen" / "2024-06-01", "imagexpress")
    np.testing.assert_array_equal(stored_plane(new_lake, "well = 'B02'"), plane_of(2))


def test_two_settings_in_a_folder_are_two_plates_by_their_names(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "P1"
    for number, wave in ((1, "DAPI"), (2, "Hoechst")):
        _write(folder / f"P1_run{number}.HTD", _htd(f'"{wave}"'))
        write_plane(folder / f"P1_run{number}_B02_s1_w1.TIF", number)
    ingest(new_lake, folder, "imagexpress")
    assert "has 2 HTD files: each is a plate, named by its file" in " ".join(caplog.text.split())
    assert new_lake.query("select plate, channel from channel order by 1").rows() == [
        ("P1_run1", "DAPI"),
        ("P1_run2", "Hoechst"),
    ]
    np.testing.assert_array_equal(stored_plane(new_lake, "plate = 'P1_run2'"), plane_of(2))
    write_plane(folder / "third_B02_s1_w1.TIF", 3)
    with pytest.raises(InputError, match=r"third_B02_s1_w1.TIF' begins with the name of none"):
        ingest(new_lake, folder, "imagexpress", overwrite=True)


def test_settings_without_planes_beside_others_are_copies(tmp_path: Path, new_lake: Lake) -> None:
    folder = tmp_path / "P1"
    _write(folder / "run.HTD", _htd('"DAPI"'))
    _write(folder / "old.HTD", _htd('"Hoechst"'))
    write_plane(folder / "run_B02_s1_w1.TIF", 1)
    ingest(new_lake, folder, "imagexpress")
    assert new_lake.query("select plate, channel from channel").rows() == [("P1", "DAPI")]


def test_a_plate_within_the_folder_of_another_is_a_plate(tmp_path: Path, new_lake: Lake) -> None:
    _write(tmp_path / "screen" / "all.HTD", _htd('"Cy5"'))
    for plate in ("P1", "P2"):
        _write(tmp_path / "screen" / plate / f"{plate}.HTD", _htd('"DAPI"'))
        write_plane(tmp_path / "screen" / plate / f"{plate}_B02_s1_w1.TIF", 1)
    ingest(new_lake, tmp_path / "screen", "imagexpress")
    assert new_lake.query("select plate, channel from channel order by 1").rows() == [
        ("P1", "DAPI"),
        ("P2", "DAPI"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.HTD' is not an HTD file"),
        ('"XWells", 12', "bad.HTD' is not an HTD file"),
        (_htd('"DAPI"').replace("12", "twelve"), "bad.HTD' has XWells 'twelve'"),
        (_htd('"DAPI"').replace("12", "99"), "bad.HTD' has XWells '99' instead of 1 to 48"),
        (_htd('"DAPI"').replace('"YWells", 8', '"YWells", 0'), "has YWells '0'"),
    ],
)
@pytest.mark.sample(2)
def test_damaged_settings_cost_the_names_of_channels(
    tmp_path: Path, new_lake: Lake, text: str, message: str
) -> None:
    _write(tmp_path / "screen" / "P1" / "bad.HTD", text)
    _write(tmp_path / "screen" / "P2" / "good.HTD", _htd('"DAPI"'))
    for plate in ("P1", "P2"):
        write_plane(tmp_path / "screen" / plate / "x_B02_s1_w1.TIF", 1)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, tmp_path / "screen", "imagexpress")
    assert "\n" not in str(caught.value)
    done = ingest(new_lake, tmp_path / "screen", "imagexpress", allow_incomplete=True)
    assert (done.landed, len(done.problems)) == (("P1", "P2"), 1)
    assert _channels(new_lake) == ["ch1", "DAPI"]


def test_planes_without_settings_beside_a_plate_are_named(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / "screen" / "P1" / "P1.HTD", _htd('"DAPI"'))
    for plate in ("P1", "P2"):
        write_plane(tmp_path / "screen" / plate / "x_B02_s1_w1.TIF", 1)
    ingest(new_lake, tmp_path / "screen", "imagexpress", choice=Choice(channels=["DAPI"]))
    assert new_lake.query("select plate_id from plate").rows() == [("P1",)]
    assert "1 images have no HTD file above them" in " ".join(caplog.text.split())


def test_folders_within_a_plate_are_one_plate(tmp_path: Path, new_lake: Lake) -> None:
    folder = tmp_path / "P1"
    _write(folder / "P1.HTD", _htd('"DAPI"', '"FITC"'))
    for wave in (1, 2):
        write_plane(folder / f"wave {wave}" / f"P1_B02_s1_w{wave}.TIF", wave)
    ingest(new_lake, folder, "imagexpress")
    assert _channels(new_lake) == ["DAPI", "FITC"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"FITC "long" pass"', 'FITC "long" pass'),
        ('"1,5 s, GFP"', "1,5 s, GFP"),
        ('"DAPI", 1', "DAPI"),
        ("DAPI, 1", "DAPI"),
        ("DAPI", "DAPI"),
        ('""', "ch1"),
    ],
)
@pytest.mark.sample(3)
def test_names_of_waves(tmp_path: Path, new_lake: Lake, written: str, name: str) -> None:
    _write(tmp_path / "P1" / "P1.HTD", _htd(written))
    write_plane(tmp_path / "P1" / "P1_B02_s1_w1.TIF", 1)
    ingest(new_lake, tmp_path / "P1", "imagexpress")
    assert _channels(new_lake) == [name]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("P1_C05_s10.TIF", ("C05", 10, "ch1")),
        ("P1_C05_s10_w1.TIF", ("C05", 10, "ch1")),
        (f"P1_C05_s12_w1{_ID}.tif", ("C05", 12, "ch1")),
        ("P1_C05_s1_w10.TIF", ("C05", 1, "ch10")),
        ("P1_C05_w10.TIF", ("C05", 1, "ch10")),
        ("P1_AF48_s10_w1.TIF", ("AF48", 10, "ch1")),
        ("c05_s10_w1.tif", ("C05", 10, "ch1")),
        ("P1_S10_s11_w1.TIF", ("S10", 11, "ch1")),
        ("P1_S10_w1.TIF", ("S10", 1, "ch1")),
        ("P1_C05_S10_w1.TIF", ("S10", 1, "ch1")),
        ("P1_W12.TIF", ("W12", 1, "ch1")),
    ],
)
@pytest.mark.sample(5)
def test_sites_and_waves_of_ten_or_more_are_no_wells(
    tmp_path: Path, new_lake: Lake, name: str, place: tuple[str, int, str]
) -> None:
    write_plane(tmp_path / "P" / name, 1)
    ingest(new_lake, tmp_path / "P", "imagexpress")
    assert new_lake.query("select well, field, channel from image").rows() == [place]


def test_a_name_that_may_be_of_two_wells_is_said(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    write_plane(tmp_path / "P" / "P1_C05_S10_W1.TIF", 1)
    ingest(new_lake, tmp_path / "P", "imagexpress")
    assert new_lake.query("select well, field from field").rows() == [("C05", 10)]
    assert "1 images may be of two wells by their names" in " ".join(caplog.text.split())


def test_a_well_that_has_only_a_projection_keeps_it(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "P1"
    _write(folder / "P1.HTD", _htd('"DAPI"'))
    for step, well in ((0, "A01"), (1, "A01"), (2, "A01"), (0, "A02")):
        write_plane(folder / "TimePoint_1" / f"ZStep_{step}" / f"P1_{well}_s1_w1.TIF", 10 + step)
    ingest(new_lake, folder, "imagexpress")
    said = " ".join(caplog.text.split())
    assert "1 projections of the instrument (ZStep_0) are left out" in said
    assert "1 projections of the instrument (ZStep_0) have no slices and are kept" in said
    np.testing.assert_array_equal(stored_plane(new_lake, "well = 'A02'"), plane_of(10))


def test_images_of_two_names_beside_one_htd_file_are_said_or_refused(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "P"
    _write(folder / "P.HTD", _htd('"DAPI"'))
    write_plane(folder / "P1_A01_s1_w1.TIF", 1)
    write_plane(folder / "P2_A02_s1_w1.TIF", 2)
    ingest(new_lake, folder, "imagexpress")
    assert "put together from images of 2 names" in " ".join(caplog.text.split())
    write_plane(folder / "P2_A01_s2_w1.TIF", 3)
    with pytest.raises(InputError, match=r"P1_A01_s1_w1.TIF' and 'P2_A01_s2.*both have the well"):
        ingest(new_lake, folder, "imagexpress", overwrite=True)
