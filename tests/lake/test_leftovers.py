"""What a killed command left is listed and removed; what others made stays."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.leftovers import clean, leftovers


@pytest.fixture
def lake(profiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr("unidino.lake.leftovers._AGE_S", 0.0)
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def _ended() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def _leave(lake: Lake) -> set[str]:
    """Leave what killed commands leave; returns its uris."""
    root, pid = lake.path, _ended()
    plate = root / "plates" / "tiny_b1_p1.zarr"
    shutil.copytree(plate, root / "plates" / ".tiny_b9_p1.zarr.tmp")
    shutil.copytree(plate, root / "plates" / "tiny_b1_p1~2.zarr")
    part = root / "embeddings" / "gaussian" / "tiny_b1_p1.parquet"
    shutil.copy(part, part.with_name("p9.parquet"))
    shutil.copy(part, part.with_name(f".p9.parquet.{pid}.tmp"))
    (root / "models" / "gaussian" / "checkpoint.safetensors").write_bytes(b"x")
    (root / "models" / f".net.{pid}.download.pth").write_bytes(b"x")
    half = root / "models" / "half"
    half.mkdir()
    (half / "config.json").write_text("{}")
    (root / "illumination" / "p9").mkdir(parents=True)
    (root / "illumination" / "p9" / "0.npy").write_bytes(b"x")
    (root / "records" / "plates" / f"p9.{'0' * 16}.parquet").write_bytes(b"x")
    (root / "records" / f".tables.{pid}.tmp").write_bytes(b"x")
    (root / ".locks" / "catalog.new").write_bytes(b"x")
    return {
        "plates/.tiny_b9_p1.zarr.tmp",
        "plates/tiny_b1_p1~2.zarr",
        "embeddings/gaussian/p9.parquet",
        f"embeddings/gaussian/.p9.parquet.{pid}.tmp",
        "models/gaussian/checkpoint.safetensors",
        f"models/.net.{pid}.download.pth",
        "models/half/config.json",
        "illumination/p9/0.npy",
        f"records/plates/p9.{'0' * 16}.parquet",
        f"records/.tables.{pid}.tmp",
        ".locks/catalog.new",
    }


def test_leftovers_are_listed_apart_and_removed(lake: Lake) -> None:
    before = {path for path in lake.path.rglob("*") if ".locks" not in path.parts}
    left = _leave(lake)
    found = leftovers(lake)
    assert {item.uri for item in found} == left
    assert all(item.is_ours for item in found)
    assert check(lake) == []
    assert {item.uri for item in clean(lake)} == left
    assert leftovers(lake) == []
    after = {path for path in lake.path.rglob("*") if ".locks" not in path.parts}
    assert after - before <= {lake.path / "illumination"}
    assert before <= after
    assert check(lake) == []


def test_files_of_others_are_listed_and_stay(lake: Lake) -> None:
    others = {
        "notes.txt",
        "embeddings/gaussian/notes.parquet",
        "plates/theirs.zarr",
        "models/gaussian/notes.txt",
        "profiles/x.csv",
    }
    for uri in others:
        path = lake.path / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zarr":
            path.mkdir()
            (path / "zarr.json").write_text("{}")
        else:
            path.write_text("mine")
    (lake.path / "plates" / ".DS_Store").write_bytes(b"x")
    found = leftovers(lake)
    assert {item.uri for item in found if not item.is_ours} == others
    assert clean(lake) == []
    assert all((lake.path / uri).exists() for uri in others)
    assert check(lake) == []


def test_an_unfinished_training_stays(lake: Lake) -> None:
    folder = lake.path / "models" / "mine"
    (folder / "tensorboard").mkdir(parents=True)
    for name in ("checkpoint.safetensors", "train.jsonl", "tensorboard/events"):
        (folder / name).write_bytes(b"x")
    assert leftovers(lake) == []


def test_what_a_running_command_holds_stays(lake: Lake) -> None:
    place = lake.path / "plates" / ".p9.zarr.tmp"
    place.mkdir()
    file = lake.path / "profiles" / f".x.parquet.{os.getpid()}.tmp"
    file.write_bytes(b"x")
    with lake.lock("plate p9"):
        assert clean(lake) == []
    assert place.is_dir()
    assert file.is_file()


def test_the_command_lists_them_and_cleans(
    lake: Lake, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    left = _leave(lake)
    status, out, err = run_cli("check", "--lake", lake.path, "--json")
    assert (status, len(out.splitlines())) == (0, len(left))
    assert "but leftovers" in err
    status, out, err = run_cli("check", "--clean", "--lake", lake.path)
    assert (status, out) == (0, "")
    assert err.count("removed ") == len(left)


def test_an_overwritten_plate_leaves_nothing(lake: Lake, tiny_export: Path, tmp_path: Path) -> None:
    from conftest import ingest_tiny

    export = tmp_path / "tiny"
    shutil.copytree(tiny_export, export)
    table = export / "platemap.csv"
    table.write_text(table.read_text().replace("actin disruptor", "another"))
    ingest_tiny(lake, export, overwrite=True)
    assert check(lake) == []
    assert leftovers(lake) == []
