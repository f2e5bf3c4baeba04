"""The folder of a stream: its names, its resumption, and its way into a lake."""

import json
import shutil
from pathlib import Path

import pytest
import tifffile
from simulated_files import csv_rows, tiff_pixels

from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.simulation.planes import family_of
from unidino.simulation.stream import simulate_stream

SIZE_PX = 96


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    assert simulate_stream(folder, 24, seed=2, size_px=SIZE_PX, num_fields=2, jobs=1) == 24
    return folder


def test_folder_does_not_depend_on_jobs(stream: Path, tmp_path: Path) -> None:
    simulate_stream(tmp_path, 24, seed=2, size_px=SIZE_PX, num_fields=2, jobs=2)
    assert tiff_pixels(tmp_path) == tiff_pixels(stream)
    for name in ("manifest.csv", "traits.csv"):
        assert (tmp_path / name).read_text() == (stream / name).read_text()


def test_longer_stream_continues_a_shorter_one(stream: Path, tmp_path: Path) -> None:
    def simulate(num_planes: int) -> int:
        return simulate_stream(tmp_path, num_planes, seed=2, size_px=SIZE_PX, num_fields=2, jobs=1)

    assert simulate(10) == 10
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tiff")}
    (lost := next(iter(first))).unlink()
    assert simulate(24) == 15
    assert simulate(24) == 0
    kept = {path: path.stat().st_mtime_ns for path in first if path != lost}
    assert kept == {path: time for path, time in first.items() if path != lost}
    assert tiff_pixels(tmp_path) == tiff_pixels(stream)
    assert (tmp_path / "traits.csv").read_text() == (stream / "traits.csv").read_text()


def test_planes_of_another_size_are_rendered_again(tmp_path: Path) -> None:
    assert simulate_stream(tmp_path, 3, size_px=64, jobs=1) == 3
    assert simulate_stream(tmp_path, 3, size_px=80, jobs=1) == 3
    assert {tifffile.imread(path).shape for path in tmp_path.rglob("*.tiff")} == {(80, 80)}


def test_planes_of_another_place_are_rendered_again(stream: Path, tmp_path: Path) -> None:
    shutil.copytree(stream, tmp_path / "planes")
    whole = [
        simulate_stream(tmp_path / name, 24, seed=2, size_px=SIZE_PX, num_fields=1, jobs=1)
        for name in ("planes", "fresh")
    ]
    assert 0 < whole[0] < whole[1] == 24
    fresh, found = (tiff_pixels(tmp_path / name) for name in ("fresh", "planes"))
    assert fresh == {name: found[name] for name in fresh}
    for name in ("manifest.csv", "traits.csv"):
        assert (tmp_path / "planes" / name).read_text() == (tmp_path / "fresh" / name).read_text()


def test_planes_of_another_seed_or_none_are_rendered_again(tmp_path: Path) -> None:
    assert simulate_stream(tmp_path, 4, seed=3, size_px=64, jobs=1) == 4
    wanted = tiff_pixels(tmp_path)
    files = [tmp_path / name for name in wanted]
    with tifffile.TiffFile(files[0]) as file:
        text = file.pages.first.description
    plane = tifffile.imread(files[1])
    others = (text.replace('"seed": 3', '"seed": 4'), "no JSON", "{}", "[]")
    for name, other in zip(files, others, strict=True):
        tifffile.imwrite(name, plane, description=other, metadata=None)
    assert simulate_stream(tmp_path, 4, seed=3, size_px=64, jobs=1) == 4
    files[0].write_bytes(b"II*")
    files[1].write_bytes(b"")
    assert simulate_stream(tmp_path, 4, seed=3, size_px=64, jobs=1) == 2
    assert tiff_pixels(tmp_path) == wanted


def test_traits_describe_each_plane(stream: Path) -> None:
    traits = csv_rows(stream / "traits.csv")
    assert [int(row["index"]) for row in traits] == list(range(24))
    for row, image in zip(traits, csv_rows(stream / "manifest.csv"), strict=True):
        assert row["path"] == image["path"]
        assert row["family"] == image["channel"] == family_of(2, int(row["index"]))
        with tifffile.TiffFile(stream / row["path"]) as file:
            described = json.loads(file.pages.first.description)
        assert described["family"] == row["family"]
        assert (described["seed"], described["index"]) == (2, int(row["index"]))
        assert described["size_px"] == SIZE_PX


def test_stream_is_ingested(stream: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, stream / "manifest.csv", layout="manifest")
    images = lake.look_up("select plate, well, field, channel from image").rows()
    told = {
        (row["plate"], row["well"], int(row["field"]), row["channel"])
        for row in csv_rows(stream / "manifest.csv")
    }
    assert len(images) == 24
    assert set(images) == told
