"""The stream of planes: determinism, names, variety, resumption, and its way into a lake."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.simulation.stream import FAMILIES, Plane, family_of, render_plane, simulate_stream

SIZE_PX = 96


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _pixels(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): tifffile.imread(path).tobytes()
        for path in sorted(folder.rglob("*.tiff"))
    }


@pytest.fixture(scope="module")
def planes() -> list[Plane]:
    return [render_plane(5, index, SIZE_PX) for index in range(150)]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    assert simulate_stream(folder, 24, seed=2, size_px=SIZE_PX, num_fields=2, jobs=1) == 24
    return folder


def test_a_plane_depends_on_seed_and_index_alone(planes: list[Plane]) -> None:
    again = render_plane(5, 40, SIZE_PX)
    np.testing.assert_array_equal(again.counts, planes[40].counts)
    assert again.traits == planes[40].traits
    assert not np.array_equal(render_plane(6, 40, SIZE_PX).counts, again.counts)


def test_planes_are_counts_of_one_channel(planes: list[Plane]) -> None:
    for plane in planes:
        assert plane.counts.dtype == np.uint16
        assert plane.counts.shape == (SIZE_PX, SIZE_PX)
    assert np.mean([plane.counts.std() > 0 for plane in planes]) > 0.95
    saturated = [np.mean(plane.counts == plane.counts.max()) > 0.05 for plane in planes]
    assert np.mean(saturated) < 0.15


def test_planes_vary(planes: list[Plane]) -> None:
    traits = [plane.traits for plane in planes]
    assert {trait.family for trait in traits} == set(FAMILIES)
    assert len({trait.habit for trait in traits}) == 6
    low, high = np.quantile([trait.occupied for trait in traits], [0.1, 0.9])
    assert low < 0.35
    assert high > 0.85
    low, high = np.quantile([trait.diameter_px for trait in traits], [0.1, 0.9])
    assert low < 35
    assert high > 90
    assert 0.6 < np.mean([trait.artefact == "none" for trait in traits]) < 0.95
    assert np.mean([trait.blank for trait in traits]) < 0.1


def test_every_stain_shows_in_cells() -> None:
    found = dict.fromkeys(FAMILIES, 0.0)
    for index in range(400):
        family = family_of(1, index)
        if found[family] < 3:
            counts = render_plane(1, index, SIZE_PX).counts.astype(float)
            contrast = (np.quantile(counts, 0.99) - np.median(counts)) / (counts.std() + 1e-9)
            found[family] = max(found[family], contrast)
    assert min(found.values()) > 2


def test_folder_does_not_depend_on_jobs(stream: Path, tmp_path: Path) -> None:
    simulate_stream(tmp_path, 24, seed=2, size_px=SIZE_PX, num_fields=2, jobs=2)
    assert _pixels(tmp_path) == _pixels(stream)
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
    assert _pixels(tmp_path) == _pixels(stream)
    assert (tmp_path / "traits.csv").read_text() == (stream / "traits.csv").read_text()


def test_planes_of_another_size_are_rendered_again(tmp_path: Path) -> None:
    assert simulate_stream(tmp_path, 3, size_px=64, jobs=1) == 3
    assert simulate_stream(tmp_path, 3, size_px=80, jobs=1) == 3
    assert {tifffile.imread(path).shape for path in tmp_path.rglob("*.tiff")} == {(80, 80)}


def test_crops_of_one_plane_resemble_each_other() -> None:
    def spectra(crops: list[NDArray[np.uint16]]) -> NDArray[np.float64]:
        """Relative power of five octaves of each crop, standardized."""
        cut = np.stack(crops).astype(float)
        cut -= cut.mean(axis=(1, 2), keepdims=True)
        power = np.abs(np.fft.rfft2(cut)) ** 2
        at = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96))
        bands = [(at > edge / 2) & (at <= edge) for edge in (0.03, 0.06, 0.12, 0.25, 0.5)]
        octaves = np.log(np.stack([power[:, band].mean(axis=1) for band in bands], axis=1) + 1e-9)
        steps = np.diff(octaves, axis=1)
        return (steps - steps.mean(axis=0)) / steps.std(axis=0)

    fields = [render_plane(8, index, 200).counts for index in range(60)]
    first = spectra([field[:96, :96] for field in fields])
    second = spectra([field[-96:, -96:] for field in fields])
    gap = np.linalg.norm(first[:, None] - second[None], axis=2)
    closer = (gap < np.diag(gap)[:, None]).mean(axis=1)
    assert np.median(closer) < 0.25


def test_traits_describe_each_plane(stream: Path) -> None:
    traits = _rows(stream / "traits.csv")
    assert [int(row["index"]) for row in traits] == list(range(24))
    for row, image in zip(traits, _rows(stream / "manifest.csv"), strict=True):
        assert row["path"] == image["path"]
        assert row["family"] == image["channel"] == family_of(2, int(row["index"]))
        with tifffile.TiffFile(stream / row["path"]) as file:
            assert json.loads(file.pages.first.description)["family"] == row["family"]


def test_stream_is_ingested(stream: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, stream / "manifest.csv", layout="manifest")
    images = lake.look_up("select plate, well, field, channel from image").rows()
    told = {
        (row["plate"], row["well"], int(row["field"]), row["channel"])
        for row in _rows(stream / "manifest.csv")
    }
    assert len(images) == 24
    assert set(images) == told
