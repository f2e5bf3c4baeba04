"""A check finds every field whose pixels cannot be read, and no other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from conftest import ingest_tiny

from unidino.core.errors import LakeError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.ngff import Display
from unidino.lake.pixels import read_plane, write_field
from unidino.lake.stored import Expected, faults
from unidino.plates.convert import Form

FIELD = "plates/tiny_b1_p1.zarr/B/02/1"
ALL = Expected(8, 10, [0, 1])


def _problems(lake: Lake, **options: bool) -> list[tuple[str, str]]:
    return [(problem.check, problem.problem) for problem in check(lake, **options)]


def _cut(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:num_bytes])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / "zarr.json").write_text("{"), "Expecting property name"),
        (lambda f: (f / "zarr.json").write_text("{}"), "multiscales"),
        (lambda f: (f / "0" / "zarr.json").unlink(), "No such file"),
        (lambda f: (f / "0" / "zarr.json").write_text("null"), ""),
        (lambda f: (f / "0" / "c.0.0.0").unlink(), "No such file"),
        (lambda f: _cut(f / "0" / "c.0.0.0", 1000), "index of its shard is damaged"),
        (lambda f: (f / "0" / "c.0.0.0").write_bytes(b""), ""),
        (lambda f: shutil.rmtree(f / "0"), "No such file"),
    ],
)
@pytest.mark.sample(4)
def test_a_field_that_cannot_be_read_is_a_problem(
    lake: Lake, harm: Callable[[Path], object], said: str
) -> None:
    harm(lake.path / FIELD)
    ((kind, problem),) = _problems(lake)
    assert kind == "unreadable_field"
    assert problem.startswith(f"{FIELD}: ")
    assert said in problem
    assert "\n" not in problem
    with pytest.raises(LakeError):
        read_plane(lake.path / FIELD, 0)


def test_the_command_prints_the_problem(run_cli, lake: Lake) -> None:
    (lake.path / FIELD / "zarr.json").write_text("{")
    status, out, err = run_cli("check", "--lake", lake.path)
    assert (status, err) == (1, "error: 1 problems in the lake\n")
    assert f"{FIELD}: Expecting" in out


def test_a_plane_of_version_0_4_that_is_gone_or_cut_is_a_problem(
    tiny_export: Path, tmp_path: Path
) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest_tiny(lake, tiny_export, form=Form(ngff="0.4"))
    assert _problems(lake) == _problems(lake, pixels=True) == []
    field = lake.path / FIELD
    size = (field / "0" / "1" / "0" / "0").stat().st_size
    _cut(field / "0" / "1" / "0" / "0", 200)
    shutil.rmtree(field / "0" / "2")
    assert _problems(lake) == [
        ("unreadable_field", f"{FIELD}: chunk '1/0/0' is truncated"),
        ("unreadable_field", f"{FIELD}: no pixels are stored of channels 2"),
    ]
    lake.execute(
        "update image set qc = 'damaged', mean = null where plate = 'tiny_b1_p1' and well = 'B02'"
        " and field = 1 and channel_index > 0"
    )
    assert _problems(lake) == [
        ("changed_file", f"{FIELD}/0/1/0/0: has 200 bytes, not {size}"),
        ("missing_file", f"{FIELD}/0/2/0/0"),
    ]


@pytest.mark.parametrize("folder", ["a#b", "q#t=1", "50 % [1]"])
def test_names_with_special_characters_are_read(
    tiny_export: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    lake = Lake.create(tmp_path / folder / "lake")
    ingest_tiny(lake, tiny_export)
    field = lake.query("select uri from located_image limit 1").item()
    assert faults(str(lake.path / field), Expected(96, 96, [0, 1, 2])) == []


def test_pixels_that_changed_are_found_by_reading_them(lake: Lake) -> None:
    assert _problems(lake, pixels=True) == []
    planes = [read_plane(lake.path / FIELD, channel) for channel in range(3)]
    shutil.rmtree(lake.path / FIELD)
    planes[1] = planes[1] // 2
    displays = [Display(name, 0, 1) for name in "abc"]
    write_field(lake.path / FIELD, planes, displays, None)
    assert {kind for kind, _ in _problems(lake)} == {"changed_file"}
    lake.execute("delete from file")  # as in lakes of earlier versions
    assert _problems(lake) == []
    ((kind, problem),) = _problems(lake, pixels=True)
    assert kind == "changed_pixels"
    assert problem.startswith(f"{FIELD}: the mean of channel 1 is ")
    shard = lake.path / FIELD / "0" / "c.0.0.0"
    content = bytearray(shard.read_bytes())
    content[20:60] = bytes(40)
    shard.write_bytes(content)
    kinds = [kind for kind, _ in _problems(lake, pixels=True)]
    assert "unreadable_plane" in kinds


def test_a_size_and_a_channel_that_the_catalog_lacks_are_problems(tmp_path: Path) -> None:
    field = tmp_path / "f"
    write_field(field, [np.ones((8, 10), "u2")] * 2, [Display("a", 0, 1)] * 2, None)
    assert faults(str(field), ALL) == []
    assert faults(str(field), Expected(10, 8, [0])) == ["it has (8, 10) pixels, not (10, 8)"]
    (said,) = faults(str(field), Expected(8, 10, [2]))
    assert said == "axis c has the length 2, and no place 2"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("compressor", ["none", "blosc", "gzip"])
@pytest.mark.parametrize("separator", [".", "/"])
def test_chunks_of_other_writers_are_found(
    tmp_path: Path, version: int, compressor: str, separator: str
) -> None:
    field = tmp_path / "f"
    write_field(field, [np.ones((8, 10), "u2")] * 2, [Display("a", 0, 1)] * 2, None, "0.4")
    if version == 3:
        shutil.rmtree(field)
        write_field(field, [np.ones((8, 10), "u2")] * 2, [Display("a", 0, 1)] * 2, None, "0.5")
    shutil.rmtree(field / "0")
    codecs: dict[tuple[int, str], Any] = {
        (2, "blosc"): numcodecs.Blosc(),
        (2, "gzip"): numcodecs.GZip(),
        (3, "blosc"): zarr.codecs.BloscCodec(),
        (3, "gzip"): zarr.codecs.GzipCodec(),
    }
    naming = {"name": "v2" if version == 2 else "default", "separator": separator}
    array = zarr.create_array(
        str(field / "0"),
        shape=(2, 8, 10),
        chunks=(1, 8, 5),
        dtype="uint16",
        zarr_format=version,
        compressors=codecs.get((version, compressor)),
        chunk_key_encoding=naming,
    )
    array[0] = np.arange(80).reshape(8, 10) + 1
    assert faults(str(field), ALL) == ["no pixels are stored of channels 1"]
    assert faults(str(field), Expected(8, 10, [0])) == []
    first = field / "0" / (("c" + separator if version == 3 else "") + separator.join("000"))
    _cut(first, 0 if compressor == "gzip" else first.stat().st_size - 1)
    (said,) = faults(str(field), Expected(8, 10, [0]))
    assert said.endswith("is truncated")
    first.unlink()
    assert faults(str(field), Expected(8, 10, [0])) == []  # its writer may leave out zeros
