"""A lost or damaged catalog is made anew, of its copy or of the files alone."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from unidino.core.errors import LakeError
from unidino.lake import records
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.opened import close_idle
from unidino.models.model_files import rebuild

TABLES = (*records.COPIED, "channel", "well", "field", "image")


def _rows(lake: Lake) -> dict[str, list[str]]:
    return {table: sorted(map(repr, lake.look_up(f"from {table}").rows())) for table in TABLES}


@pytest.fixture
def filled(full: Lake, tmp_path: Path) -> Lake:
    """A lake with every kind of row."""
    shutil.copytree(full.path, tmp_path / "filled")
    return Lake.open(tmp_path / "filled")


def test_a_catalog_that_is_gone_is_made_anew_row_for_row(filled: Lake) -> None:
    filled.execute("update well set moa = 'edited' where plate = 'tiny_b1_p1' and well = 'B02'")
    filled.execute("delete from image where plate = 'tiny_b2_p1' and well = 'C04'")
    rows = _rows(filled)
    assert all(rows.values())
    filled.catalog.unlink()
    with pytest.raises(LakeError, match="check --rebuild"):
        Lake.open(filled.path)
    with pytest.raises(LakeError, match="check --rebuild"):
        Lake.create(filled.path)
    rebuild(filled.path)
    assert _rows(Lake.open(filled.path)) == rows


@pytest.mark.parametrize("left", [(), (".tables.1.tmp",)])
def test_a_lake_whose_making_was_killed_is_made(tmp_path: Path, left: tuple[str, ...]) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.catalog.rename(lake.path / ".locks" / "catalog.new")
    for name in left:
        (lake.path / records.FOLDER / name).write_bytes(b"half")
    with pytest.raises(LakeError, match="no lake at"):
        Lake.open(lake.path)
    assert check(Lake.create(lake.path)) == []


def test_a_folder_of_other_records_is_no_lake(tmp_path: Path) -> None:
    (tmp_path / records.FOLDER).mkdir()
    (tmp_path / records.FOLDER / "mine.txt").write_text("x")
    with pytest.raises(LakeError):
        Lake.create(tmp_path)


def test_the_damaged_catalog_is_moved_aside(filled: Lake) -> None:
    for number in (1, 2):
        filled.catalog.write_bytes(b"damaged")
        rebuild(filled.path)
        aside = filled.path / f"catalog.damaged-{number}.duckdb"
        assert aside.read_bytes() == b"damaged"
    assert check(Lake.open(filled.path)) == []


def test_a_sound_catalog_stays(filled: Lake) -> None:
    assert rebuild(filled.path) == []


def test_rows_that_a_lost_log_had_come_back(filled: Lake, tmp_path: Path) -> None:
    old = tmp_path / "old.duckdb"
    shutil.copyfile(filled.catalog, old)
    filled.execute("update plate set barcode = 'new'")
    rows = _rows(filled)
    shutil.copy(old, filled.catalog)  # what the log held is lost
    os.utime(filled.catalog, (0, 0))
    (problem,) = check(Lake.open(filled.path))
    assert problem.check == "lost_rows"
    rebuild(filled.path)
    assert _rows(Lake.open(filled.path)) == rows


def test_without_a_copy_the_files_tell(filled: Lake) -> None:
    (filled.path / "models" / "first" / "train.jsonl").unlink()  # was added later
    rows = _rows(filled)
    query = "select * exclude (run_id) from part order by uri"
    parts = filled.look_up(query)
    filled.catalog.unlink()
    for copy in records.copies_of_tables(filled.path):
        copy.unlink()
    lines = rebuild(filled.path)
    anew = Lake.open(filled.path)
    got = _rows(anew)
    for table in ("plate", "channel", "well", "field", "image", "model", "file"):
        assert got[table] == rows[table], table
    assert anew.look_up(query).equals(parts)
    assert any("score" in line for line in lines)
    assert check(anew) == []


def test_what_can_be_read_of_the_catalog_is_kept_without_a_copy(filled: Lake) -> None:
    scores = filled.look_up("from score order by all")
    for copy in records.copies_of_tables(filled.path):
        copy.unlink()
    assert [p.check for p in check(filled)] == ["missing_file"]
    close_idle()
    with duckdb.connect(filled.catalog) as con:
        con.execute("drop table image")
    rebuild(filled.path)
    assert Lake.open(filled.path).look_up("from score order by all").equals(scores)


def test_a_lake_of_an_earlier_version_gets_records(filled: Lake) -> None:
    rows = _rows(filled)
    shutil.rmtree(filled.path / records.FOLDER)
    close_idle()
    with duckdb.connect(filled.catalog) as con:
        con.execute("drop table file")
    lake = Lake.open(filled.path)
    assert check(lake) == []
    rebuild(lake.path)
    lake.catalog.unlink()
    rebuild(lake.path)
    got = _rows(Lake.open(filled.path))
    for table in set(TABLES) - {"file"}:
        assert got[table] == rows[table], table
    assert check(Lake.open(filled.path), deep=True) == []


def test_a_folder_that_is_no_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake at"):
        rebuild(tmp_path)


def test_the_command_makes_it_anew_and_checks(
    filled: Lake, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    filled.catalog.write_bytes(b"")
    status, _, err = run_cli("sql", "from plate", "--lake", filled.path)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "unidino check --rebuild --lake" in err
    status, _, err = run_cli("check", "--rebuild", "--lake", filled.path)
    assert status == 0
    assert "made the catalog anew" in err
