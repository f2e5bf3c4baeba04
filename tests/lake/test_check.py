"""A check names every row and file that is wrong."""

import shutil

from unidino.lake.check import check
from unidino.lake.lake import Lake


def test_a_healthy_lake_has_no_problem(lake: Lake) -> None:
    found = check(lake)
    assert found == []
    assert found.frame.columns == ["check", "problem"]


def test_every_problem_is_a_row(lake: Lake) -> None:
    shutil.rmtree(lake.path / "plates" / "tiny_b1_p1.zarr" / "B" / "02" / "1")
    lake.execute(
        "insert into well by name select 'lost' as plate, 'A01' as well, 1 as well_row,"
        " 1 as well_column"
    )
    lake.execute("insert into image by name select * from image limit 1")
    lake.execute(
        "insert into part by name select 'gone.parquet' as uri, 'embedding' as kind, 'm' as model,"
        " 'x' as inputs_hash, 0 as num_rows, 'x' as sha256, 'r' as run_id"
    )
    found = check(lake)
    assert {problem.check for problem in found} == {
        "orphan",
        "duplicate_key",
        "missing_file",
        "missing_field",
    }
    assert found[-1].problem == "plates/tiny_b1_p1.zarr/B/02/1"
    assert ("missing_file", "gone.parquet") in found.frame.rows()
    assert "gone.parquet" in repr(found)
    assert found.frame.height == len(found) == 4


def test_a_plate_without_images_is_found_beside_imported_profiles(lake: Lake) -> None:
    lake.execute(
        "insert into model by name select 'm' as model, 'imported' as kind, 1 as num_dims,"
        " '{}' as preprocessing, 'x' as weights_hash, now()::timestamp as created, 'r' as run_id"
    )
    lake.execute(
        "insert into part by name select 'p.parquet' as uri, 'profile' as kind, 'm' as model,"
        " 'x' as inputs_hash, 0 as num_rows, 'x' as sha256, 'r' as run_id"
    )
    lake.execute("delete from image where plate = 'tiny_b1_p1'")
    assert "incomplete_registration" in {problem.check for problem in check(lake)}
