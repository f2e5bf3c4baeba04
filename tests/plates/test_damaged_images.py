"""A damaged, huge or misnamed file is one line with its name."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from image_files import (
    GREEN,
    GREY,
    GREY8,
    RGB,
    STACK,
    Write,
    png_bytes,
    read_image,
    refused,
    tif,
)
from PIL import Image

from unidino.core.errors import InputError


def _truncated(**options: Any) -> Write:
    def write(path: Path) -> None:
        tifffile.imwrite(path, GREY8 if options.get("compression") == "jpeg" else GREY, **options)
        path.write_bytes(path.read_bytes()[:-500])

    return write


def _without_a_strip(path: Path) -> None:
    """A file whose third strip has no bytes."""
    tifffile.imwrite(path, GREY, compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]
        width = {"SHORT": 2, "LONG": 4}[tag.dtype.name]
        place = tag.valueoffset + 2 * width
    data = bytearray(path.read_bytes())
    data[place : place + width] = bytes(width)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("a.tif", _truncated(), "failed to read"),
        ("a.tif", _truncated(compression="lzw"), "missing"),
        ("a.tif", _truncated(compression="zlib", rowsperstrip=8), "missing"),
        ("a.tif", _truncated(compression="jpeg"), "missing"),
        ("a.tif", _without_a_strip, "some of its 6 strips or tiles are missing"),
        ("a.tif", lambda p: p.write_bytes(b""), "it is empty"),
        ("a.png", lambda p: p.write_bytes(b""), "it is empty"),
        ("a.tif", lambda p: p.write_bytes(b"II*\0"), ""),
        ("a.png", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "ends within its header"),
        ("a.tif", lambda p: p.write_text("<!DOCTYPE html><p>404"), "an HTML or XML page, not TIFF"),
        ("a.tif", lambda p: p.write_text("\n <html>"), "an HTML or XML page, not TIFF"),
        ("a.tif", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1"), "Git LFS"),
        (
            "a.tif",
            lambda p: Image.fromarray(GREY).save(p, "PNG"),
            "its content is PNG, not TIFF; rename it to .png",
        ),
        (
            "a.tif",
            lambda p: Image.fromarray(GREY8).save(p, "JPEG"),
            "its content is JPEG, not TIFF; rename it to .jpg",
        ),
        ("a.tif", lambda p: Image.fromarray(GREY8).save(p, "GIF"), "its content is GIF, not TIFF"),
        (
            "a.png",
            lambda p: tifffile.imwrite(p, GREY),
            "its content is TIFF, not PNG; rename it to .tif",
        ),
        ("a.png", lambda p: p.write_bytes(imagecodecs.png_encode(GREY)[:-900]), ""),
        ("a.jpg", lambda p: p.write_bytes(imagecodecs.jpeg_encode(GREY8)[:-900]), "truncated"),
        ("a.bmp", lambda p: p.write_bytes(b"BM damaged"), ""),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, write: Write, reason: str) -> None:
    write(tmp_path / name)
    for convert in (None, "lossy,luminance,exact"):
        message = refused(tmp_path / name, convert=convert)
        assert "is truncated or not a valid image" in message
        assert reason in message


def test_an_animation_is_no_plane(tmp_path: Path) -> None:
    images = [Image.fromarray(GREY8), Image.fromarray(GREY8 // 2)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    assert "has shape (2, 48, 40), an animation" in refused(tmp_path / "a.png")


def test_an_image_larger_than_a_lake_can_hold_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(60000, 60000, 1, bytes(7501 * 4)))
    assert "is 60000 x 60000 px" in refused(tmp_path / "a.png")
    for compression in (None, "zlib"):
        tifffile.imwrite(tmp_path / "a.tif", GREY, compression=compression)
        with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
            for name in ("ImageWidth", "ImageLength"):
                tiff.pages[0].tags[name].overwrite(200_000)
        assert "is 200000 x 200000 px" in refused(tmp_path / "a.tif")


def test_an_image_that_does_not_fit_in_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise MemoryError("Unable to allocate 2.00 GiB")

    tifffile.imwrite(tmp_path / "a.tif", GREY)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fails)
    assert "does not fit in memory: Unable to allocate" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_large_files_are_read_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("unidino.plates.images._SMALL_BYTES", 100)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, GREY)
    else:
        Image.fromarray(GREY).save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name)[0], GREY)


@pytest.mark.parametrize(
    "write",
    [
        tif(GREY, compression="lzw"),
        tif(np.stack(STACK), imagej=True),
        tif(np.stack(STACK), ome=True, photometric="minisblack"),
        tif(GREY8, photometric="palette", colormap=GREEN),
        tif(RGB, photometric="rgb", tile=(16, 16)),
    ],
)
def test_whatever_the_bytes_are_a_plane_or_one_line_comes_back(
    tmp_path: Path, write: Write
) -> None:
    path = tmp_path / "a.tif"
    write(path)
    intact = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(intact)
        for place in rng.integers(0, min(len(data), 500), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(1, 2 * len(data))])
        try:
            plane, _ = read_image(path, convert="luminance")
        except InputError as error:
            message = str(error)
        else:
            message = ""
            assert plane.ndim == 2
            assert plane.dtype in (np.uint8, np.uint16)
        assert "\n" not in message


def test_a_png_of_few_bits_is_said_to_be_scaled(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(2, 1, 4, b"\0\x3f"))
    plane, said = read_image(tmp_path / "a.png")
    assert plane.tolist() == [[3 * 17, 255]]
    assert said == ["values of 4 bits are scaled to 0 to 255"]
