"""What a file declares is judged before memory is taken; what is no file is not read."""

import json
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from harmony_exports import write_export
from image_files import refused
from PIL import Image
from planes import write_plane
from zarr_plates import write_zarr_plate

from unidino.core.errors import InputError
from unidino.core.limits import Room
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.images import Files
from unidino.plates.ingest import ingest


def _tiff(width: int, height: int, *, samples: int = 1, compression: int = 8) -> bytes:
    """A TIFF that declares a size, with hardly any data."""
    data = zlib.compress(b"\0" * 100)
    tags = ((256, width), (257, height), (258, 16), (259, compression), (262, 1), (273, 8))
    tags += ((277, samples), (278, height), (279, len(data)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return head + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


def _png(width: int, height: int, kind: int = 0) -> bytes:
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
        (b"PLTE", bytes(768)),
        (b"IDAT", zlib.compress(b"\0" * 1000)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tif", _tiff(100_000, 100_000)),
        ("a.tif", _tiff(2**31 - 1, 2**31 - 1, compression=1)),
        ("a.tif", _tiff(40_000, 40_000, compression=5)),
        ("a.png", _png(100_000, 100_000)),
        ("a.png", _png(2**31 - 1, 2**31 - 1)),
        ("a.png", _png(40_000, 40_000, kind=3)),
    ],
)
def test_a_file_that_declares_too_many_pixels_is_refused_at_once(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    started = time.monotonic()
    message = refused(tmp_path / name)
    assert "a plane can have up to 1000000000 pixels (--max-pixels)" in message
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.bmp"])
def test_the_user_says_how_many_pixels_a_plane_may_have(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    grey = np.zeros((40, 50), np.uint8)
    if name == "a.tif":
        tifffile.imwrite(path, grey)
    else:
        Image.fromarray(grey).save(path)
    with pytest.raises(InputError, match="is 40 x 50 px; a plane can have up to 1999 pixels"):
        Files(max_pixels=1999).read_image([str(path)], [None])
    if name != "a.jpg":
        assert Files(max_pixels=2000).read_image([str(path)], [None]).shape == (40, 50)


def test_a_plate_is_the_same_whatever_number_of_pixels_is_allowed(
    tmp_path: Path, new_lake: Lake
) -> None:
    write_export(tmp_path / "in")
    assert ingest(new_lake, tmp_path / "in", "harmony").landed == ("BAR1",)
    form = Form(max_pixels=5000)
    assert ingest(new_lake, tmp_path / "in", "harmony", form=form).skipped == ("BAR1",)
    with pytest.raises(InputError, match=r"32 x 32 px; a plane can have up to 100 pixels"):
        ingest(
            Lake.create(tmp_path / "other"), tmp_path / "in", "harmony", form=Form(max_pixels=100)
        )
    assert check(new_lake) == []


def _manifest(folder: Path, *paths: object) -> Path:
    lines = [f"{path},p,A{i:02d},1,DNA" for i, path in enumerate(paths, start=1)]
    file = folder / "m.csv"
    file.write_text("\n".join(["path,plate,well,field,channel", *lines, ""]))
    return file


def test_devices_pipes_sockets_and_folders_are_no_images(tmp_path: Path, run_cli) -> None:
    import socket

    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "folder").mkdir()
    write_plane(tmp_path / "good.tif", 1)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    paths = ("good.tif", "/dev/zero", "pipe.tif", "folder", "s", "/dev/tty")
    manifest = _manifest(tmp_path, *paths)
    status, _, err = run_cli("ingest", manifest, "--lake", tmp_path / "lake", "--jobs", 1)
    listener.close()
    assert status == 1
    assert "error: 5 rows or images could not be used; the rest landed" in err
    assert "'/dev/zero' is a device; expected a file" in err
    assert f"'{tmp_path}/pipe.tif' is a pipe; expected a file" in err
    assert f"'{tmp_path}/s' is a socket; expected a file" in err
    assert check(Lake.open(tmp_path / "lake")) == []


@pytest.mark.parametrize("name", ["Index.idx.xml", "p.companion.ome", "P.HTD"])
def test_an_index_that_is_a_pipe_is_refused(tmp_path: Path, run_cli, name: str) -> None:
    layouts = {"Index.idx.xml": "harmony", "p.companion.ome": "ome-tiff", "P.HTD": "imagexpress"}
    os.mkfifo(tmp_path / name)
    write_plane(tmp_path / "P_A01_s1_w1.TIF", 1)
    words = ("ingest", tmp_path, "--layout", layouts[name], "--lake", tmp_path / "lake")
    status, _, err = run_cli(*words)
    assert (status, "is a pipe; expected a file" in err) == (1, True), err


def _change_array(plate: Path, version: str, **changes: object) -> None:
    name = "zarr.json" if version == "0.5" else ".zarray"
    for path in plate.rglob(name):
        document = json.loads(path.read_text())
        if "shape" in document:
            chunks = changes.pop("chunks", None)
            if chunks and version == "0.5":
                document["chunk_grid"]["configuration"]["chunk_shape"] = chunks
            elif chunks:
                document["chunks"] = chunks
            path.write_text(json.dumps(document | changes))
            return


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("options", [(), ("--in-place",)])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": [10**6, 32, 32]}, "it declares 1000000 channels; a field may have up to 1000"),
        ({"shape": [2, 10**6, 10**6]}, "it declares "),
        ({"shape": [2, 40_000, 40_000], "chunks": [1, 20_000, 20_000]}, "--max-pixels allows"),
        ({"shape": [2, 10**6, 64]}, "chunks a plane; expected up to"),
        ({"chunks": [1, 10**6, 10**6]}, "a chunk of 1 x 1000000 x 1000000 takes"),
        ({"chunks": [0, 32, 32]}, "its chunks have the shape (0, 32, 32)"),
        ({"shape": [2, -1, 32]}, "its array has the shape (2, -1, 32)"),
    ],
)
@pytest.mark.sample(10)
def test_a_zarr_array_that_declares_too_much_is_refused_at_once(
    tmp_path: Path, run_cli, version: str, options: tuple[str, ...], changes: dict, reason: str
) -> None:
    plate = tmp_path / "p.zarr"
    write_zarr_plate(plate, {"A/1": ["0"]}, version=version)
    _change_array(plate, version, **changes)
    started = time.monotonic()
    status, _, err = run_cli(
        "ingest", plate, "--layout", "ome-zarr", "--lake", tmp_path / "lake", *options
    )
    assert (status, reason in err) == (1, True), err
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("text", ["[" * 100_000, '{"ome":' * 50_000 + "1" + "}" * 50_000])
@pytest.mark.parametrize(
    "name", ["zarr.json", "A/zarr.json", "A/1/0/zarr.json", "A/1/0/0/zarr.json"]
)
def test_metadata_that_are_nested_deeply_are_one_line(
    tmp_path: Path, run_cli, text: str, name: str
) -> None:
    plate = tmp_path / "p.zarr"
    write_zarr_plate(plate, {"A/1": ["0"]}, version="0.5")
    (plate / name).write_text(text)
    status, _, err = run_cli("ingest", plate, "--layout", "ome-zarr", "--lake", tmp_path / "lake")
    assert status == (0 if name == "A/zarr.json" else 1), err
    if status:
        assert "nested too deeply" in err
        assert err.count("error: ") == 1


def test_fields_wait_for_each_other_if_memory_is_short() -> None:
    room = Room(100)
    with pytest.raises(InputError, match=r"a field takes 0\.0 GiB of memory"):
        room.taken(101, "a field").__enter__()
    with room.taken(60, "a field"), room.taken(40, "a field"):
        assert room._taken == 100
    with room.taken(100, "a field"):
        pass
