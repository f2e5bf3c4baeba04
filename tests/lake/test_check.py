"""A check names every row and file that is wrong, and the command that mends it."""

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, ingest_tiny

from unidino.core.choices import NgffVersion
from unidino.embeddings.counted import count_cells
from unidino.lake import records
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

Cli = Callable[..., tuple[int, str, str]]
SHARD = "plates/tiny_b1_p1.zarr/B/02/1/0/c.0.0.0"


@pytest.mark.anywhere
def test_a_healthy_lake_has_no_problem(lake: Lake) -> None:
    found = check(lake)
    assert found == []
    assert found.frame.columns == ["check", "problem", "mend"]


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
    assert "plates/tiny_b1_p1.zarr/B/02/1" in [problem.problem for problem in found]
    assert ("missing_file", "gone.parquet") in [row[:2] for row in found.frame.rows()]
    assert "gone.parquet" in repr(found)
    assert found.frame.height == len(found) == 4
    assert all(problem.mend.startswith("unidino ") for problem in found)


def test_wrong_rows_are_mended_by_the_commands_that_are_named(lake: Lake, run_cli: Cli) -> None:
    lake.execute(
        "insert into well by name select 'lost' as plate, 'A01' as well, 1 as well_row,"
        " 1 as well_column"
    )
    lake.execute("insert into image by name select * from image limit 1")
    lake.execute("delete from field where plate = 'tiny_b2_p1'")
    problems = check(lake)
    assert {p.check for p in problems} == {"orphan", "duplicate_key", "incomplete_registration"}
    for mend in dict.fromkeys(problem.mend for problem in problems):
        run_cli(*shlex.split(mend)[1:])
    assert check(lake) == []


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


def test_damage_of_unchanged_size_and_time_is_found_by_hashes_and_mended(
    lake: Lake, run_cli: Cli
) -> None:
    path = lake.path / SHARD
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert check(lake) == []
    ((problem,),) = [check(lake, deep=True)]
    assert problem.problem == f"{SHARD}: has other content"
    run_cli(*shlex.split(problem.mend)[1:])
    assert check(lake, deep=True, pixels=True) == []


def test_copies_of_a_lake_with_times_of_their_own_are_read_once(lake: Lake) -> None:
    path = lake.path / SHARD
    registered = path.stat().st_mtime_ns
    os.utime(path)
    assert check(lake) == []
    assert path.stat().st_mtime_ns == registered


def test_a_foreign_file_in_a_plate_is_a_problem(lake: Lake, run_cli: Cli) -> None:
    (lake.path / SHARD).with_name("c.0.0.1").write_bytes(b"x")
    (lake.path / SHARD).with_name(".DS_Store").write_bytes(b"x")
    (problem,) = check(lake)
    assert (problem.check, problem.problem) == ("foreign_file", f"{SHARD[:-1]}1")
    assert run_cli(*shlex.split(problem.mend)[1:])[0] == 0
    assert check(lake) == []


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.sample(1)
def test_a_plate_that_is_gone_lands_again_by_the_exact_command(
    tiny_export: Path, tmp_path: Path, run_cli: Cli, ngff: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_export.parent)
    lake = Lake.create(tmp_path / "a lake")
    form = Form(ngff=ngff, pyramid=1, illumination="estimate")
    choice = Choice(channel_names=TINY.channels, plate_names=["tiny_b1_p1=it's one"], z="1")
    tables = {"platemap": Path("tiny/platemap.csv"), "metadata": ["tiny/plates.csv"]}
    ingest(lake, "tiny", "harmony", choice=choice, form=form, dataset="a b", **tables)
    rows = lake.query("from image order by all")
    folder = lake.path / lake.query("select uri from plate order by all").item(0, 0)
    shutil.rmtree(folder)
    monkeypatch.chdir(tmp_path)
    (problem,) = check(lake)
    assert problem.check == "missing_plate"
    assert run_cli(*shlex.split(problem.mend)[1:])[0] == 0
    assert check(lake, pixels=True) == []
    assert lake.query("from image order by all").equals(rows)


def test_a_plate_that_lands_again_keeps_its_embeddings(profiled: Path, tmp_path: Path) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    parts = lake.query("from part order by uri")
    (lake.path / SHARD).write_bytes(b"")
    (problem,) = check(lake)
    words = shlex.split(problem.mend)
    from typer.testing import CliRunner

    from unidino.cli import app

    assert CliRunner().invoke(app, words[1:]).exit_code == 0
    assert check(lake) == []
    assert lake.query("from part order by uri").equals(parts)


def test_every_option_of_an_ingest_is_in_the_command_that_mends(lake: Lake) -> None:
    """An option that is added to the command must be named by the mender too."""
    import typer

    from unidino.cli import app
    from unidino.lake import mending

    command = typer.main.get_command(app).commands["ingest"]
    names = {parameter.name for parameter in command.params}
    told = {*mending._INGEST, *mending._CHOICE, *mending._FORM, "path", "count_cells"}
    assert names - told == {"lake", "jobs", "overwrite", "dry_run", "as_json", "scheduler"}
    assert Mender(lake).of_plate("tiny_b1_p1").startswith("unidino ingest /")
    count_cells(lake, "DNA", plates=["tiny_b1_p1"])
    assert "--count-cells DNA" in Mender(lake).of_plate("tiny_b1_p1")
    assert "--count-cells" not in Mender(lake).of_plate("tiny_b2_p1")


def test_the_command_line_names_the_mending_command(lake: Lake, run_cli: Cli) -> None:
    (lake.path / SHARD).unlink()
    status, out, err = run_cli("check", "--lake", lake.path, "--json")
    row = json.loads(out)
    assert (status, err) == (1, "error: 1 problems in the lake\n")
    assert row["mend"].startswith("unidino ingest ")
    assert row["mend"].endswith(f"--lake {lake.path}")


def test_a_lake_without_records_is_checked_as_before(lake: Lake) -> None:
    lake.execute("delete from file")
    shutil.rmtree(lake.path / records.FOLDER / "plates")
    assert check(lake) == []
    (lake.path / SHARD).write_bytes(b"")
    assert [problem.check for problem in check(lake)] == ["unreadable_field"]


def test_a_plate_in_place_is_read_where_its_files_changed(lake: Lake, tmp_path: Path) -> None:
    outside = tmp_path / "outside.zarr"
    shutil.copytree(lake.path / "plates" / "tiny_b1_p1.zarr", outside)
    other = Lake.create(tmp_path / "other")
    ingest(other, outside, "ome-zarr", form=Form(in_place=True))
    assert check(other) == check(other, deep=True) == []
    shard = outside / "B" / "02" / "1" / "0" / "c.0.0.0"
    os.utime(shard)
    assert check(other) == []
    shard.write_bytes(shard.read_bytes()[:-9])
    (problem,) = check(other)
    assert problem.check == "unreadable_field"
    assert "--in-place" in problem.mend


def test_an_illumination_function_that_is_damaged_is_found(
    tiny_export: Path, tmp_path: Path
) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest_tiny(lake, tiny_export, form=Form(illumination="estimate"))
    file = lake.path / "illumination" / "tiny_b1_p1" / "1.npy"
    file.write_bytes(file.read_bytes()[:100])
    assert [p.check for p in check(lake)] == ["changed_file"]
    ingest_tiny(lake, tiny_export, form=Form(illumination="estimate"))
    assert check(lake) == []


@pytest.mark.parametrize("ngff", ["0.5", "0.4"])
@pytest.mark.parametrize("damaged", ["well", "plane", "nothing"])
@pytest.mark.sample(3)
def test_a_plate_that_is_damaged_with_its_record_lands_again(
    tiny_export: Path, tmp_path: Path, run_cli: Cli, ngff: NgffVersion, damaged: str
) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest_tiny(lake, tiny_export, form=Form(ngff=ngff))
    plate = lake.path / "plates" / "tiny_b1_p1.zarr"
    sound = {p: p.read_bytes() for p in plate.rglob("*") if p.is_file()}
    (record,) = lake.path.glob("records/plates/tiny_b1_p1.*")
    record.write_bytes(record.read_bytes()[:100])
    if damaged == "well":
        well = plate / "B" / "03" / {"0.5": "zarr.json", "0.4": ".zattrs"}[ngff]
        well.write_bytes(well.read_bytes()[:20])
    elif damaged == "plane":
        shards = {"0.5": "B/0[23]/1/0/c.0.0.0", "0.4": "B/0[23]/1/0/0/0/0"}
        one, other = sorted(plate.glob(shards[ngff]))
        one.write_bytes(other.read_bytes())
    problems = check(lake)
    assert (len(problems) > 1) == (damaged != "nothing")
    for mend in dict.fromkeys(problem.mend for problem in problems):
        run_cli(*shlex.split(mend)[1:])
    assert check(lake, deep=True, pixels=True) == []
    now = {p.name: p for p in (lake.path / "plates").iterdir()}
    kept = now.get("tiny_b1_p1.zarr") or now["tiny_b1_p1~2.zarr"]
    assert {p.relative_to(plate): b for p, b in sound.items()} == {
        p.relative_to(kept): p.read_bytes() for p in kept.rglob("*") if p.is_file()
    }
