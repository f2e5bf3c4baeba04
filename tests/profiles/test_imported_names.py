"""Datasets and plates of imported tables stay in the lake; names of folders do not change them."""

from pathlib import Path

import pytest

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile


@pytest.mark.parametrize("level", ["well", "compound"])
def test_the_dataset_of_imported_profiles_stays_in_the_lake(
    level: str, new_lake: Lake, tmp_path: Path
) -> None:
    table = tmp_path / "features.csv"
    table.write_text("plate,well,compound,area\np,A01,x,1.5\np,A02,y,2.5\n")
    with pytest.raises(InputError, match=r"may not be named '\.\./\.\./up'.*--dataset"):
        import_profiles(new_lake, table, "m", dataset="../../up", level=level)  # type: ignore[arg-type]


def test_an_imported_plate_is_renamed_by_an_expression(new_lake: Lake, tmp_path: Path) -> None:
    table = tmp_path / "features.csv"
    table.write_text("plate,well,area\n../p,A01,1.5\n../p,A02,2.5\n")
    with pytest.raises(InputError, match=r"may not be named '\.\./p'.*--map plate="):
        import_profiles(new_lake, table, "m")
    import_profiles(new_lake, table, "m", mapped={"plate": "replace(plate, '../', '')"})
    assert new_lake.query("select plate_id from plate").rows() == [("p",)]


def test_a_table_without_rows_is_refused(new_lake: Lake, tmp_path: Path) -> None:
    table = tmp_path / "features.csv"
    table.write_text("plate,well,area\n")
    with pytest.raises(InputError, match="has no"):
        import_profiles(new_lake, table, "m")


@pytest.mark.parametrize("folder", ["plate=3", "a*b", "[x]"])
def test_the_name_of_the_folder_of_a_lake_says_nothing_of_its_rows(
    folder: str, tmp_path: Path
) -> None:
    lake = Lake.create(tmp_path / folder / "lake")
    table = tmp_path / "features.csv"
    table.write_text("plate,well,area,size\np1,A01,1.5,3\np1,A02,2.5,2\np2,A02,3.5,1\n")
    import_profiles(lake, table, "m")
    assert lake.query("select plate, well from embedding order by all").rows() == [
        ("p1", "A01"),
        ("p1", "A02"),
        ("p2", "A02"),
    ]
    profile(lake)
    assert lake.query("select distinct plate from profile order by all").rows() == [
        ("p1",),
        ("p2",),
    ]
