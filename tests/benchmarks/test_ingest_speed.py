"""How fast plates are written: compared to the writer of ome-zarr and to the codec, and from files.

Run with `python -m pytest -m benchmark tests/benchmarks/test_ingest_speed.py -s`.
The ways alternate on the same planes, so that other work on the machine slows all of them alike.
"""

import os
import resource
import shutil
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numcodecs import blosc
from scipy.ndimage import gaussian_filter

from unidino.lake import ngff, pixels
from unidino.lake.lake import Lake
from unidino.plates import landing
from unidino.plates.ingest import ingest
from unidino.plates.quality import plane_statistics

pytestmark = pytest.mark.benchmark

_SIDE, _CHANNELS, _FIELDS, _ROUNDS, _JOBS = 1080, 5, 24, 9, 2
_DISPLAYS = [ngff.Display(f"c{i}", 0, 1) for i in range(_CHANNELS)]


@pytest.fixture(scope="module")
def planes() -> list[np.ndarray]:
    """Planes of one field, 16 bit: smooth light with shot noise, as a camera gives."""
    rng = np.random.default_rng(0)
    light = gaussian_filter(rng.random((_CHANNELS, _SIDE, _SIDE)), (0, 12, 12))
    light = (light - light.min()) / (light.max() - light.min())
    return list(rng.poisson(200 + 4000 * light**4).astype(np.uint16))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _in_threads(action: Callable[[int], object], jobs: int) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(action, range(_FIELDS)))


def _unidino(path: Path, planes: list[np.ndarray], jobs: int) -> None:
    def write(field: int) -> None:
        pixels.write_field(path / ngff.field_path("A01", field), planes, _DISPLAYS, 0.65)

    ngff.write_plate(path, "p", {"A01": list(range(_FIELDS))})
    _in_threads(write, jobs)


def _ome_zarr(path: Path, planes: list[np.ndarray], jobs: int) -> None:
    from ome_zarr.format import FormatV05
    from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

    form = FormatV05()
    root = zarr.open_group(str(path), mode="w", zarr_format=3)
    write_plate_metadata(root, ["A"], ["01"], ["A/01"], fmt=form)
    well = root.require_group("A").require_group("01")
    write_well_metadata(well, [str(field) for field in range(_FIELDS)], fmt=form)
    stack = np.stack(planes)
    codec = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")
    options = {"chunks": (1, _SIDE, _SIDE), "compressors": codec}

    def write(field: int) -> None:
        write_image(
            stack,
            well.require_group(str(field)),
            axes="cyx",
            fmt=form,
            scale_factors=[],
            storage_options=options,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _in_threads(write, jobs)


def _encoded(plane: np.ndarray) -> bytes:
    encoded: bytes = blosc.compress(plane, b"lz4", 5, blosc.BITSHUFFLE, 0)
    return encoded


def _codec(_: Path, planes: list[np.ndarray], jobs: int) -> None:
    """The codec alone."""
    _in_threads(lambda _: [_encoded(plane) for plane in planes], jobs)


def _files(folder: Path, planes: list[np.ndarray], jobs: int) -> None:
    """The least that this disk needs: the codec, and a plain file of the bytes of each plane."""
    folder.mkdir()

    def write(field: int) -> None:
        for i, plane in enumerate(planes):
            (folder / f"{field}_{i}").write_bytes(_encoded(plane))

    _in_threads(write, jobs)


@pytest.mark.parametrize("jobs", [1, _JOBS])
def test_the_writer_against_ome_zarr_and_the_codec(
    planes: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int
) -> None:
    megabytes = sum(plane.nbytes for plane in planes) * _FIELDS / 1e6
    ways = {"unidino": _unidino, "ome-zarr": _ome_zarr, "codec and files": _files, "codec": _codec}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            folder = tmp_path / "plate"
            seconds = _seconds(lambda way=way, folder=folder: way(folder, planes, jobs))
            rates[name].append(megabytes / seconds)
            if name in ("unidino", "ome-zarr"):  # one codec, the same pixels
                field = folder / "A" / "01" / "0"
                np.testing.assert_array_equal(pixels.read_plane(field, 1), planes[1])
                pixels._open_array.cache_clear()
            shutil.rmtree(folder, ignore_errors=True)
    with capsys.disabled():
        print(f"\n{jobs} threads, {megabytes:.0f} MB, median of {_ROUNDS} rounds, MB/s:", end=" ")
        print(", ".join(f"{n} {statistics.median(r):.0f}" for n, r in rates.items()))
        for other in ("ome-zarr", "codec and files", "codec"):
            pairs = zip(rates["unidino"], rates[other], strict=True)
            ratios = [a / b for a, b in pairs]
            print(
                f"  unidino / {other}: {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f}-{max(ratios):.2f})"
            )


def test_the_statistics_of_a_plane(
    planes: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    times = [_seconds(lambda: plane_statistics(planes[0])) for _ in range(30)]
    with capsys.disabled():
        print(f"\nstatistics of a plane of {_SIDE} px: {statistics.median(times) * 1e3:.1f} ms")


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_ingest_from_files(
    planes: list[np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    compression: str | None,
) -> None:
    source = _export(tmp_path, planes, compression)
    megabytes = sum(plane.nbytes for plane in planes) * _FIELDS / 1e6
    seconds = _seconds(lambda: ingest(Lake.create(tmp_path / "lake"), source, "harmony"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    with capsys.disabled():
        print(
            f"\ningest of {_FIELDS * _CHANNELS} planes, TIFF {compression or 'uncompressed'}:"
            f" {megabytes / seconds:.0f} MB/s, {_FIELDS * _CHANNELS / seconds:.0f} planes/s;"
            f" peak memory of all so far {memory:.0f} MB"
        )


def _export(folder: Path, planes: list[np.ndarray], compression: str | None) -> Path:
    """A plate of one well as an instrument exports it."""
    images = folder / "p1" / "Images"
    images.mkdir(parents=True)
    for field in range(_FIELDS):
        for channel, plane in enumerate(planes):
            name = f"r01c01f{field + 1:02d}p01-ch{channel + 1}sk1fk1fl1.tiff"
            tifffile.imwrite(images / name, plane, compression=compression)
    return folder / "p1"


def test_what_the_flush_to_disk_costs(
    planes: list[np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, flush = _export(tmp_path, planes, None), landing.flush
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * _ROUNDS):
        is_flushed = number % 2 == 0
        monkeypatch.setattr(landing, "flush", flush if is_flushed else lambda folder: None)
        lake = Lake.create(tmp_path / str(number))
        took[is_flushed].append(_seconds(lambda lake=lake: ingest(lake, source, "harmony")))
        shutil.rmtree(tmp_path / str(number))
        os.sync()
    ratios = [a / b for a, b in zip(took[True], took[False], strict=True)]
    with capsys.disabled():
        print(
            f"\ningest of {_FIELDS * _CHANNELS} planes, {_ROUNDS} pairs: flushed"
            f" {statistics.median(took[True]):.2f} s, not flushed"
            f" {statistics.median(took[False]):.2f} s, ratio {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f}-{max(ratios):.2f})"
        )
