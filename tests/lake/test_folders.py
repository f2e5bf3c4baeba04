"""A lake works in a folder of any name."""

import shutil
from pathlib import Path

import pytest
from sampled import slow

from unidino.core.errors import LakeError
from unidino.embeddings.embed import embed
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.profiles.profile import profile


@pytest.mark.parametrize("name", ["50% 'of' \"it\"", "any*", *slow("a#b", "x[1]", "t#z=1", "a::b")])
def test_a_lake_in_a_folder_of_any_name(profiled: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(profiled, tmp_path / name / "lake")
    lake = Lake.open(tmp_path / name / "lake")
    num = lake.query("select count(*) from embedding").item()
    assert num == lake.query("select count(*) from image").item()
    lake.execute("delete from part")
    embed(lake, "gaussian")
    assert lake.query("select count(*) from embedding").item() == num
    profile(lake)
    assert lake.query("select count(*) from profile").item() > 0
    assert check(lake) == []


def test_a_lake_beside_one_whose_name_its_pattern_matches(profiled: Path, tmp_path: Path) -> None:
    """Brackets in the name of a folder are no pattern that also names its neighbour."""
    for name in ("x[1]", "x1"):
        shutil.copytree(profiled, tmp_path / name)
    lake, other = Lake.open(tmp_path / "x[1]"), Lake.open(tmp_path / "x1")
    for file in (tmp_path / "x1").rglob("*.parquet"):
        file.unlink()
    assert lake.query("select count(*) from embedding").item() > 0
    assert other.query("select count(*) from embedding").item() == 0


def test_a_folder_that_the_catalog_cannot_be_in(profiled: Path, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"cannot write below a folder with '\?' .*--lake") as error:
        Lake.create(tmp_path / "q?x" / "lake")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "q?x").exists()
    shutil.copytree(profiled, tmp_path / "q?x")
    lake = Lake.open(tmp_path / "q?x")
    assert lake.query("select count(*) from embedding").item() > 0
    with pytest.raises(LakeError, match="cannot write below a folder"):
        lake.execute("delete from part")
