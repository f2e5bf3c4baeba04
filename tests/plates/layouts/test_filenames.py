"""File names give the manifest by a pattern."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from planes import plane_of, stored_plane, write_plane

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.layouts import filenames
from unidino.plates.manifest import Choice


def test_a_pattern_reads_any_file_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "scope"
    folder.mkdir()
    for channel in (1, 2):
        tifffile.imwrite(folder / f"run7_C04_s2_w{channel}.tif", np.eye(64, dtype=np.uint8))
    tifffile.imwrite(folder / "overview.tif", np.eye(64, dtype=np.uint8))
    lake = Lake.create(tmp_path / "lake")
    pattern = r"(?P<plate>run\d+)_(?P<well>[A-H]\d\d)_s(?P<field>\d+)_w(?P<channel_index>\d)"
    ingest(lake, folder, "filename", pattern=pattern, choice=Choice(channel_names=["DNA", "RNA"]))
    rows = lake.query("select plate, well, field, channel from image order by channel_index").rows()
    assert rows == [("run7", "C04", 2, "DNA"), ("run7", "C04", 2, "RNA")]
    said = " ".join(caplog.text.split())
    assert "1 of 3 images are left out: their names do not match" in said
    assert "overview.tif" in said


@pytest.mark.parametrize("pattern", [None, "(", "(?P<plate>x)", "(?P<nonsense>x)(?P<well>y)"])
def test_a_pattern_that_cannot_work_is_refused(tmp_path: Path, pattern: str | None) -> None:
    with pytest.raises(InputError, match="--pattern"):
        ingest(Lake.create(tmp_path / "lake"), tmp_path, "filename", pattern=pattern)


_BY_FOLDER = r"(?P<plate>[^/]+)/(?P<well>[A-H]\d\d)_s(?P<field>\d+)"


@pytest.mark.parametrize(
    ("folder", "file", "pattern", "plate", "well"),
    [
        ("run_H12/scope", "C04_s2.tif", r"(?P<well>[A-H]\d\d)", "scope", "C04"),
        ("H12_s1/scope", "C04_s2.tif", r"(?P<well>[A-H]\d\d).*_s\d", "scope", "C04"),
        ("scope/D05_run", "C04_s2.tif", r"(?P<well>[A-H]\d\d)", "D05_run", "C04"),
        ("old/P1/new", "P2/C04_s2.tif", r"(?P<plate>P\d)/.*(?P<well>[A-H]\d\d)", "P2", "C04"),
        ("screen/P1", "C04_s2.tif", _BY_FOLDER, "P1", "C04"),
        ("screen/P1", "C04_s2.tif", "/" + _BY_FOLDER, "P1", "C04"),
        ("screen", "P1/C04_s2.tif", _BY_FOLDER, "P1", "C04"),
        ("screen", "P1/C04_s2.tif", "^" + _BY_FOLDER, "P1", "C04"),
        ("screen", "P1/C04_s2.tif", ".*/" + _BY_FOLDER, "P1", "C04"),
        (
            "screen/P1",
            "Images/C04_s2.tif",
            r"(?P<plate>[^/]+)/(?:Images/)?(?P<well>[A-H]\d\d)",
            "P1",
            "C04",
        ),
        (
            "screen/P1",
            "C04_s2.tif",
            r"(?:(?P<plate>[^/]+)/)?(?P<well>[A-H]\d\d)_s",
            "P1",
            "C04",
        ),
        ("P1/C04", "s2.tif", r"(?P<well>[A-H]\d\d)/s(?P<field>\d+)", "C04", "C04"),
    ],
)
@pytest.mark.sample(6)
def test_a_pattern_is_searched_from_the_folder_on(
    tmp_path: Path,
    new_lake: Lake,
    folder: str,
    file: str,
    pattern: str,
    plate: str,
    well: str,
) -> None:
    write_plane(tmp_path / folder / file, 1)
    ingest(new_lake, tmp_path / folder, "filename", pattern=pattern)
    assert new_lake.query("select plate, well from image").rows() == [(plate, well)]


def test_the_folders_name_gives_no_well_if_paths_below_do(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("C04_s1.tif", "overview.tif"):
        write_plane(tmp_path / "B02_run" / name, 1)
    ingest(new_lake, tmp_path / "B02_run", "filename", pattern=r"(?P<well>[A-H]\d\d)")
    assert new_lake.query("select well from image").rows() == [("C04",)]
    assert "1 of 2 images are left out" in caplog.text


def test_folders_above_do_not_match(tmp_path: Path, new_lake: Lake) -> None:
    write_plane(tmp_path / "P1" / "B02" / "scope" / "image.tif", 1)
    pattern = r"(?P<plate>P\d)/(?P<well>[A-H]\d\d)"
    with pytest.raises(InputError, match=r"searched in paths such as 'scope/image.tif'"):
        ingest(new_lake, tmp_path / "P1" / "B02" / "scope", "filename", pattern=pattern)


@pytest.mark.parametrize(
    ("rows", "name", "well"),
    [
        ("[A-P]", "C-4", "C04"),
        ("[a-p]", "c-4", "C04"),
        ("[A-Z]+", "AF-48", "AF48"),
        (r"\d+", "3-4", "C04"),
        (r"\d+", "03-04", "C04"),
    ],
)
@pytest.mark.sample(3)
def test_rows_are_letters_or_numbers(
    tmp_path: Path, new_lake: Lake, rows: str, name: str, well: str
) -> None:
    write_plane(tmp_path / "scope" / f"{name}_DAPI.tif", 1)
    pattern = rf"(?P<well_row>{rows})-(?P<well_column>\d+)_(?P<channel>\w+)"
    ingest(new_lake, tmp_path / "scope", "filename", pattern=pattern)
    assert new_lake.query("select well, channel from image").rows() == [(well, "DAPI")]


@pytest.mark.parametrize("name", ["AG-1", "Q7-1", "0-1", "33-1", "A-49", "A-0", "A-x", "-1"])
@pytest.mark.sample(3)
def test_a_row_or_column_that_is_none_is_named_with_its_file(
    tmp_path: Path, new_lake: Lake, name: str
) -> None:
    write_plane(tmp_path / "scope" / f"{name}_s1.tif", 1)
    write_plane(tmp_path / "scope" / "B-2_s1.tif", 1)
    pattern = r"(?P<well_row>[A-Z0-9]*)-(?P<well_column>\w+)_s(?P<field>\d+)"
    row, column = name.split("-")
    with pytest.raises(
        InputError, match=rf"{name}_s1.tif' has the row '{row}' and the column '{column}'"
    ) as caught:
        ingest(new_lake, tmp_path / "scope", "filename", pattern=pattern)
    assert "\n" not in str(caught.value)
    ingest(new_lake, tmp_path / "scope", "filename", pattern=pattern, allow_incomplete=True)
    assert new_lake.query("select well from image").rows() == [("B02",)]


def test_files_of_desktop_systems_are_passed_over(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "scope"
    write_plane(folder / "C04_s1.tif", 1)
    write_plane(folder / "__MACOSX" / "C05_s1.tif", 1)
    write_plane(folder / "@eaDir" / "C06_s1.tif" / "C06_s1.png", 1)
    for name in ("._C04_s1.tif", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._C04_s1.tif"):
        (folder / name).write_bytes(b"Mac OS X")
    ingest(new_lake, folder, "filename", pattern=r"(?P<well>[A-H]\d\d)_s(?P<field>\d+)")
    assert new_lake.query("select well from image").rows() == [("C04",)]
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".bmp"])
def test_jpeg_and_bmp_files_are_seen(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    folder = tmp_path / "scope"
    folder.mkdir()
    (folder / f"C04_s1{suffix}").write_bytes(b"an image")
    pattern = r"(?P<well>[A-H]\d\d)_s(?P<field>\d+)"
    rows = filenames.scan(folder, pattern).to_pylist()
    assert [row["path"] for row in rows] == [str(folder / f"C04_s1{suffix}")]
    write_plane(folder / "C04_s1.tif", 1)
    ingest(new_lake, folder, "filename", pattern=pattern)
    np.testing.assert_array_equal(stored_plane(new_lake, "well = 'C04'"), plane_of(1))
    assert "1 JPEG or BMP files are left out" in caplog.text


def test_a_folder_that_is_a_link_is_named(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    write_plane(tmp_path / "elsewhere" / "C05_s1.tif", 1)
    write_plane(tmp_path / "scope" / "C04_s1.tif", 1)
    (tmp_path / "scope" / "more").symlink_to(tmp_path / "elsewhere")
    pattern = r"(?P<well>[A-H]\d\d)_s(?P<field>\d+)"
    ingest(new_lake, tmp_path / "scope", "filename", pattern=pattern)
    assert new_lake.query("select well from image").rows() == [("C04",)]
    assert "1 folders are links and are not followed" in " ".join(caplog.text.split())


def test_a_name_that_is_no_utf8_is_refused_in_one_line(tmp_path: Path, new_lake: Lake) -> None:
    write_plane(tmp_path / "A01_x.tif", 1)
    (tmp_path / "A01_x.tif").rename(os.fsdecode(os.fsencode(tmp_path) + b"/A01_\xff.tif"))
    with pytest.raises(InputError, match=r"A01_\\xff.tif' is not in UTF-8; rename the file"):
        ingest(new_lake, tmp_path, "filename", pattern=r"(?P<well>[A-P]\d\d)_.*\.tif")
