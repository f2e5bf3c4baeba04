"""A disk that is full: one line that says so, the lake as before, and a rerun that works.

The disk is a small file system in memory, which only root may mount; elsewhere these tests are
skipped. UNIDINO_FAULT_SEED: of the room that is left.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sampled import slow

from unidino.core import files
from unidino.lake import opened
from unidino.lake.check import check
from unidino.lake.lake import Lake

_SEED = int(os.environ.get("UNIDINO_FAULT_SEED", "1"))
_LINE = ": the disk is full: make room and run again; what landed before stays\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Folder of a disk of 200 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    opened.close_idle()
    subprocess.run(["umount", str(folder)], check=True)


def _fill(disk: Path, room_kb: int) -> None:
    """Fill a disk but for some room."""
    state = os.statvfs(disk)
    with (disk / "filled").open("wb") as file:
        file.write(b"\0" * max(0, state.f_bavail * state.f_frsize - room_kb * 1024))


def _run(*words: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "unidino", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def _left_over(disk: Path) -> list[str]:
    temporary = [f for f in disk.rglob(".*") if f.name.endswith(".tmp")]
    return [str(f) for f in (*temporary, *disk.rglob("catalog.new*"))]


@pytest.mark.parametrize("room_kb", [40, *slow(0, 300, 1500)])
def test_a_first_ingest(disk: Path, tiny_export: Path, room_kb: int) -> None:
    lake = disk / "lake"
    words = ("ingest", tiny_export, "--layout", "harmony", "--lake", lake)
    _fill(disk, room_kb)
    status, messages = _run(*words)
    assert (status, messages.endswith(_LINE), messages.count("error: ")) == (1, True, 1), messages
    assert "Traceback" not in messages
    assert _left_over(disk) == []
    (disk / "filled").unlink()
    if (lake / "catalog.duckdb").exists():
        assert check(Lake.open(lake)) == []
    assert _run(*words)[0] == 0
    assert Lake.open(lake).query("from image").height == 72


@pytest.mark.parametrize(
    "words",
    [
        ("profile", "--normalize", "standardize"),
        *slow(
            (("embed", "--model", "gaussian", "--all", "--overwrite"),),
            (("score", "--metric", "nsc"),),
            (("models", "create", "random_vit"),),
            (("export", "disk/wide.csv", "--model", "gaussian"),),
            (("export", "disk/wide.parquet", "--model", "gaussian"),),
            (("plot", "plate", "--value", "avg(focus)", "-o", "disk/plate.png"),),
        ),
    ],
)
def test_a_lake_stays_as_it_was(
    disk: Path, profiled: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(disk.parent)
    shutil.copytree(profiled, disk / "lake")
    before = Lake.open(disk / "lake").query("select uri, sha256 from part order by all")
    _fill(disk, 0)
    status, messages = _run(*words, "--lake", disk / "lake")
    assert (status, messages.endswith(_LINE), messages.count("error: ")) == (1, True, 1), messages
    assert "Traceback" not in messages
    assert _left_over(disk) == []
    (disk / "filled").unlink()
    lake = Lake.open(disk / "lake")
    assert check(lake) == []
    assert lake.query("select uri, sha256 from part order by all").equals(before)
    assert _run(*words, "--lake", disk / "lake")[0] == 0


def test_a_library_that_hides_why_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_is_full", lambda _: True)

    def write() -> None:
        with files.written_beside(tmp_path / "x") as path:
            path.write_bytes(b"half")
            raise ValueError("invalid thrift")

    with pytest.raises(OSError, match="No space left on device"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_commands_with_little_room(
    disk: Path, profiled: Path, tiny_export: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(_SEED)
    commands: dict[str, tuple[object, ...]] = {
        "first ingest": ("ingest", tiny_export, "--layout", "harmony", "--dataset", "d"),
        "embed": ("embed", "--model", "gaussian", "--all", "--overwrite"),
        "profile": ("profile", "--normalize", "standardize"),
        "score": ("score", "--metric", "nsc"),
        "models create": ("models", "create", "random_vit"),
        "map": ("plot", "map", "--method", "pca", "-o", disk / "m.png"),
        "report": ("report", "-o", disk / "r.html"),
        "export": ("export", disk / "e.parquet", "--model", "gaussian"),
        "attribute": ("attribute", "--model", "gaussian", "--seeds", "1", "--jobs", "1"),
    }
    faults = []
    for number in range(2 * len(commands)):
        name = list(commands)[number % len(commands)]
        room_kb = rng.choice((0, 4, 12, 30, 40, 60, 100, 300, 700, 2000))
        lake = disk / "lake"
        shutil.rmtree(lake, ignore_errors=True)
        if name != "first ingest":
            shutil.copytree(profiled, lake)
        _fill(disk, room_kb)
        status, messages = _run(*commands[name], "--lake", lake)
        left = _left_over(disk)
        (disk / "filled").unlink()
        is_said = status == 0 or (messages.endswith(_LINE) and messages.count("error: ") == 1)
        right = not (lake / "catalog.duckdb").exists() or check(Lake.open(lake)) == []
        again, _ = _run(*commands[name], "--lake", lake)
        if not (is_said and right and again == 0) or left or "Traceback" in messages:
            faults.append(f"{name}, {room_kb} KB: {status} {messages[-500:]} {left} {again}")
    with capfd.disabled():
        num = 2 * len(commands)
        print(f"\ndisk full, seed {_SEED}: {num} / {num - len(faults)}")
    assert not faults, "\n".join(faults)
