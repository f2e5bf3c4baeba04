"""Whatever is killed, or runs beside another, leaves the lake as one undisturbed run does."""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder

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


def _run(lake: Path, source: Path, *options: str) -> None:
    process = _start(lake, source, *options)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


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


def _killed(lake: Path, export: Path, num: int, seed: int) -> list[str]:
    """How far each of several ingests had come when it was killed at a random moment."""
    rng = random.Random(seed)
    started = time.monotonic()
    _run(lake.with_name("whole"), export)
    whole_s = time.monotonic() - started
    expected = _content(lake.with_name("whole"))
    reached = []
    for kill in range(num):
        folder = lake / str(kill)
        process = _start(folder, export)
        # Half of the kills come while pixels are written, which is the last part of a run.
        earliest = 0.0 if kill % 2 else 0.6 * whole_s
        time.sleep(rng.uniform(earliest, whole_s))
        process.kill()
        process.communicate()
        catalog = (folder / "catalog.duckdb").exists()
        num_plates = Lake.open(folder).query("from plate").height if catalog else 0
        temporary = any((folder / "plates").glob(".*.tmp")) if catalog else False
        reached.append(f"{num_plates} plates{' and a part' if temporary else ''}")
        if catalog:
            assert check(Lake.open(folder)) == []
        _run(folder, export)
        assert _content(folder) == expected
        assert not list((folder / "plates").glob(".*"))
    return reached


def test_a_few_killed_ingests_run_again_are_whole(export: Path, tmp_path: Path) -> None:
    assert len(_killed(tmp_path / "lakes", export, 3, seed=1)) == 3


@pytest.mark.slow
def test_fifty_killed_ingests_run_again_are_whole(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = _killed(tmp_path / "lakes", export, 50, seed=2)
    with capsys.disabled():
        for stage in sorted(set(reached)):
            print(f"\n{reached.count(stage)} kills after {stage}", end="")


def test_ingests_at_once_land_every_plate_once(export: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    sources = [export / "p0", export / "p1", export, export]
    processes = [_start(lake, source) for source in sources]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    _run(tmp_path / "one", export)
    assert _content(lake) == _content(tmp_path / "one")
    assert check(Lake.open(lake)) == []


def test_an_overwrite_that_is_killed_leaves_the_old_plate_or_the_new(
    export: Path, tmp_path: Path
) -> None:
    source = tmp_path / "export"
    (source / "p0" / "Images").mkdir(parents=True)
    for image in (export / "p0" / "Images").iterdir():
        (source / "p0" / "Images" / image.name).write_bytes(image.read_bytes())
    lake = tmp_path / "lake"
    _run(lake, source)
    old = _pixels_and_rows(lake)
    first = sorted((source / "p0" / "Images").iterdir())[0]
    tifffile.imwrite(first, np.full((512, 512), 9, np.uint16))
    _run(tmp_path / "new", source)
    new = _pixels_and_rows(tmp_path / "new")
    assert new != old
    rng = random.Random(3)
    for _ in range(3):
        process = _start(lake, source, "--overwrite")
        time.sleep(rng.uniform(1.2, 2.2))
        process.kill()
        process.communicate()
        assert check(Lake.open(lake)) == []
        assert _pixels_and_rows(lake) in (old, new)
    _run(lake, source, "--overwrite")
    assert _pixels_and_rows(lake) == new
    assert len(list((lake / "plates").iterdir())) == 1


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
    return rows, [list(_files(folder / name)) for name in ("embeddings", "crops")]


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
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def test_a_killed_embedding_run_again_is_whole(embedded: Path, tmp_path: Path) -> None:
    assert len(_killed_embeddings(embedded, tmp_path, 1, seed=5)) == 1


@pytest.mark.slow
def test_twenty_killed_embeddings_run_again_are_whole(
    embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = _killed_embeddings(embedded, tmp_path, 20, seed=4)
    with capsys.disabled():
        for stage in sorted(set(reached)):
            print(f"\n{reached.count(stage)} kills after {stage} plates", end="")
