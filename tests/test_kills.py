"""A run that is killed, or that runs beside others, leaves the lake as one undisturbed run does.

The ordinary suite kills one ingest while it writes. The slow tests kill one process of each other
kind, and many at random moments.
"""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import registry
from unidino.models.baselines import create_model
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder
from unidino.plates.ingest import Ingested, ingest

_PLATES, _WELLS, _CHANNELS = 3, 24, 3


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three plates of 24 wells and 3 channels of 512 px, compressed: a second or two to ingest."""
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    noise = rng.poisson(400, (_CHANNELS, 512, 512)).astype(np.uint16)
    for plate in range(_PLATES):
        images = folder / f"p{plate}" / "Images"
        images.mkdir(parents=True)
        for well in range(_WELLS):
            for channel in range(_CHANNELS):
                name = (
                    f"r{well // 6 + 1:02d}c{well % 6 + 1:02d}f01p01-ch{channel + 1}sk1fk1fl1.tiff"
                )
                plane = np.roll(noise[channel], 7 * well + plate, axis=0)
                tifffile.imwrite(images / name, plane, compression="deflate")
    return folder


def _command(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "unidino", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _start(lake: Path, source: Path, *options: str) -> subprocess.Popen[bytes]:
    return _command(
        "ingest", source, "--layout", "harmony", "--dataset", "d", "--lake", lake, *options
    )


def _run(lake: Path, source: Path, *, overwrite: bool = False) -> Ingested:
    """Ingest in this process as `_start` does in another."""
    return ingest(Lake.create(lake), source, "harmony", dataset="d", overwrite=overwrite)


def _kill_when(process: subprocess.Popen[bytes], is_reached: Callable[[], bool]) -> None:
    """Kill a process once it has reached a state, which it must reach before it ends."""
    deadline = time.monotonic() + 120
    while not is_reached():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.002)
    process.kill()
    process.communicate()


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield path.relative_to(folder).as_posix(), content


def _content(folder: Path) -> dict[str, object]:
    """Every byte of the plates, and every row but for the names of runs."""
    lake = Lake.open(folder)
    rows: dict[str, object] = {
        table: lake.query(f"select * from {table} order by all").to_dicts()
        for table in ("channel", "well", "field", "image")
    }
    rows["plate"] = lake.query("select * exclude (run_id) from plate order by all").to_dicts()
    return rows | {"files": list(_files(folder / "plates"))}


@pytest.fixture(scope="module")
def whole(export: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Content of a lake that one undisturbed run filled."""
    lake = tmp_path_factory.mktemp("whole") / "lake"
    _run(lake, export)
    return _content(lake)


def _is_mended(lake: Path, export: Path, whole: dict[str, object]) -> bool:
    """Whether a lake is healthy after a kill, and whole after another run."""
    if (lake / "catalog.duckdb").exists():
        assert check(Lake.open(lake)) == []
    _run(lake, export)
    assert not list((lake / "plates").glob(".*"))
    return _content(lake) == whole


def test_an_ingest_that_is_killed_while_it_writes_is_whole_when_run_again(
    export: Path, whole: dict[str, object], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    written = lake / "plates" / ".p1.zarr.tmp"
    _kill_when(_start(lake, export), lambda: any(written.glob("*/*/1")))
    landed = Lake.open(lake).query("select plate_id from plate order by all")["plate_id"]
    assert landed.to_list() in (["p0"], ["p0", "p1"])  # the kill may come a moment late
    assert _is_mended(lake, export, whole)


@pytest.mark.slow
def test_fifty_killed_ingests_run_again_are_whole(
    export: Path, whole: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(2)
    started = time.monotonic()
    _finish(_start(tmp_path / "undisturbed", export))
    whole_s = time.monotonic() - started
    reached = []
    for kill in range(50):
        lake = tmp_path / str(kill)
        process = _start(lake, export)
        # Half of the kills come while pixels are written, which is the last part of a run.
        earliest = 0.0 if kill % 2 else 0.6 * whole_s
        time.sleep(rng.uniform(earliest, whole_s))
        process.kill()
        process.communicate()
        catalog = (lake / "catalog.duckdb").exists()
        num_plates = Lake.open(lake).query("from plate").height if catalog else 0
        temporary = any((lake / "plates").glob(".*.tmp")) if catalog else False
        reached.append(f"{num_plates} plates{' and a part' if temporary else ''}")
        assert _is_mended(lake, export, whole)
    with capsys.disabled():
        for stage in sorted(set(reached)):
            print(f"\n{reached.count(stage)} kills after {stage}", end="")


def _ingest_at_once(lake: Path, sources: list[Path]) -> None:
    for process in [_start(lake, source) for source in sources]:
        _finish(process)
    assert check(Lake.open(lake)) == []


def test_two_ingests_at_once_land_every_plate_once(
    export: Path, whole: dict[str, object], tmp_path: Path
) -> None:
    _ingest_at_once(tmp_path / "lake", [export, export])
    assert _content(tmp_path / "lake") == whole


@pytest.mark.slow
def test_four_ingests_at_once_land_every_plate_once(
    export: Path, whole: dict[str, object], tmp_path: Path
) -> None:
    _ingest_at_once(tmp_path / "lake", [export / "p0", export / "p1", export, export])
    assert _content(tmp_path / "lake") == whole


@pytest.fixture
def changed(export: Path, tmp_path: Path) -> tuple[Path, Path, object, object]:
    """A lake of one plate, its export with one image changed, and the old and new content."""
    source = tmp_path / "export"
    shutil.copytree(export / "p0", source / "p0")
    lake = tmp_path / "lake"
    _run(lake, source)
    first = sorted((source / "p0" / "Images").iterdir())[0]
    tifffile.imwrite(first, np.full((512, 512), 9, np.uint16))
    _run(tmp_path / "new", source)
    old, new = _pixels_and_rows(lake), _pixels_and_rows(tmp_path / "new")
    assert new != old
    return lake, source, old, new


def _finish_overwrite(lake: Path, source: Path, new: object) -> None:
    _run(lake, source, overwrite=True)
    assert _pixels_and_rows(lake) == new
    assert len(list((lake / "plates").iterdir())) == 1


@pytest.mark.slow
def test_an_overwrite_that_is_killed_while_it_writes_leaves_the_old_plate_or_the_new(
    changed: tuple[Path, Path, object, object],
) -> None:
    lake, source, old, new = changed
    written = lake / "plates" / ".p0.zarr.tmp"
    _kill_when(_start(lake, source, "--overwrite"), lambda: any(written.glob("*/*/1")))
    assert check(Lake.open(lake)) == []
    assert _pixels_and_rows(lake) in (old, new)
    _finish_overwrite(lake, source, new)


@pytest.mark.slow
def test_overwrites_that_are_killed_leave_the_old_plate_or_the_new(
    changed: tuple[Path, Path, object, object],
) -> None:
    lake, source, old, new = changed
    rng = random.Random(3)
    for _ in range(6):
        process = _start(lake, source, "--overwrite")
        time.sleep(rng.uniform(1.2, 2.2))
        process.kill()
        process.communicate()
        assert check(Lake.open(lake)) == []
        assert _pixels_and_rows(lake) in (old, new)
    _finish_overwrite(lake, source, new)


def _pixels_and_rows(folder: Path) -> object:
    """Rows of the images and the bytes of the plate that is registered, whatever its name."""
    content = _content(folder)
    lake = Lake.open(folder)
    uri = lake.query("select uri from plate").item()
    return content["image"], list(_files(lake.resolve(uri)))


@pytest.fixture(scope="module")
def embedded(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three plates and a small network, not embedded yet."""
    folder = tmp_path_factory.mktemp("embedded") / "lake"
    _run(folder, export)
    config = ModelConfig(
        kind="vit",
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 2},
        num_dims=192,
        crop_size_px=64,
        stride_px=64,
    )
    registry.register(Lake.open(folder), Run("test", {}), "vit", config, new_encoder(config))
    return folder


def _embed(lake: Path) -> subprocess.Popen[bytes]:
    return _command("embed", "--model", "vit", "--all", "--keep", "crop", "--lake", lake)


def _vectors(folder: Path) -> object:
    """Every byte of the vectors, and what the catalog says of them but for the names of runs."""
    rows = Lake.open(folder).query("select * exclude (run_id) from part order by uri").to_dicts()
    folders = [folder / name for name in ("embeddings", "crops")]
    return rows, [list(_files(path)) for path in folders if path.is_dir()]


def _killed_embeddings(embedded: Path, scratch: Path, num: int, seed: int) -> list[int]:
    """How many plates each of several embeddings had landed when it was killed."""
    rng = random.Random(seed)
    whole = scratch / "whole"
    shutil.copytree(embedded, whole)
    started = time.monotonic()
    _finish(_embed(whole))
    whole_s = time.monotonic() - started
    expected = _vectors(whole)
    reached = []
    for kill in range(num):
        lake = scratch / str(kill)
        shutil.copytree(embedded, lake)
        process = _embed(lake)
        # Start-up is about half of a run; most kills come after it.
        time.sleep(rng.uniform(0.65 if kill % 4 else 0.0, 1.0) * whole_s)
        process.kill()
        process.communicate()
        parts = "select count(*) from part where kind = 'embedding'"
        reached.append(Lake.open(lake).query(parts).item())
        assert check(Lake.open(lake)) == []
        _finish(_embed(lake))
        assert _vectors(lake) == expected
        shutil.rmtree(lake)
    return reached


def _finish(process: subprocess.Popen[bytes]) -> None:
    try:
        _, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, errors.decode()


@pytest.mark.slow
def test_a_killed_embedding_run_again_is_whole(export: Path, tmp_path: Path) -> None:
    """Killed as soon as a first table shows; random vectors need no torch, so start-up is short."""
    _run(tmp_path / "whole", export)
    create_model(Lake.open(tmp_path / "whole"), "gaussian")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    command = ("embed", "--model", "gaussian", "--all", "--lake")
    _finish(_command(*command, tmp_path / "whole"))
    process = _command(*command, tmp_path / "killed")
    tables = tmp_path / "killed" / "embeddings"
    while process.poll() is None and not list(tables.glob("*/*")):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert check(Lake.open(tmp_path / "killed")) == []
    _finish(_command(*command, tmp_path / "killed"))
    assert _vectors(tmp_path / "killed") == _vectors(tmp_path / "whole")


@pytest.mark.slow
def test_twenty_killed_embeddings_run_again_are_whole(
    embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = _killed_embeddings(embedded, tmp_path, 20, seed=4)
    with capsys.disabled():
        for stage in sorted(set(reached)):
            print(f"\n{reached.count(stage)} kills after {stage} plates", end="")
