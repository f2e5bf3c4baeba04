"""Files of images are read as they are, by a rule that the user names, or refused with the way."""

import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.conversion import Conversion, parse
from unidino.plates.convert import Form
from unidino.plates.images import Files
from unidino.plates.ingest import ingest
from unidino.plates.picture import Picture, of_palette
from unidino.plates.planes import plane_of

GREY = np.random.default_rng(0).integers(0, 4000, (48, 40)).astype(np.uint16)
GREY8 = (GREY // 16).astype(np.uint8)
RGB = np.stack([GREY8, GREY8 // 2, GREY8 // 3], axis=-1)
OPAQUE = np.full_like(GREY8, 255)
GREEN = np.zeros((3, 256), np.uint16)
GREEN[1] = np.arange(256) * 257

Write = Callable[[Path], object]


def _read(
    path: Path, page: int | None = None, convert: str | None = None
) -> tuple[np.ndarray, list[str]]:
    """The plane of a file and what is said of it."""
    files = Files(parse(convert))
    plane = files.read_image([str(path)], [page])
    assert plane.dtype.isnative
    return plane, [note.text for note in files.notes]


def _refused(path: Path, page: int | None = None, convert: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        _read(path, page, convert)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def _tiff(values: np.ndarray, **options: Any) -> Write:
    return lambda path: tifffile.imwrite(path, values, **options)


def _pages(*pages: np.ndarray, first: str | None = None, marked: tuple[int, ...] = ()) -> Write:
    """Writes pages one by one. first: description of the first. marked: numbers of reduced ones."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as tiff:
            for number, page in enumerate(pages):
                tiff.write(
                    page,
                    photometric="rgb" if page.ndim == 3 else "minisblack",
                    description=first if number == 0 else None,
                    subfiletype=1 if number in marked else 0,
                    metadata=None,
                )

    return write


def _ome(num_channels: int, data: str = "<TiffData/>", side: str = "", uuid: str = "") -> str:
    height, width = GREY.shape
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        f'{uuid}><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16"'
        f' SizeX="{side or width}" SizeY="{side or height}" SizeC="{num_channels}" SizeZ="1"'
        f' SizeT="1">{data}</Pixels></Image></OME>'
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _png(width: int, height: int, bits: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _palette(values: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    return image


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"byteorder": ">"}, GREY),
        ({"byteorder": ">", "compression": "lzw", "predictor": 2}, GREY),
        ({"byteorder": ">", "tile": (16, 16)}, GREY),
        ({"byteorder": ">", "bigtiff": True, "compression": "zlib", "rowsperstrip": 5}, GREY),
        ({"bitspersample": 12}, GREY),
        ({"bitspersample": 10}, GREY // 4),
        ({"bitspersample": 4}, GREY8 // 16),
        ({"imagej": True}, GREY),
        ({"ome": True}, GREY),
        ({"photometric": "palette", "colormap": np.stack([np.arange(256) * 257] * 3)}, GREY8),
        ({"photometric": "palette", "colormap": np.stack([np.arange(256) * 256] * 3)}, GREY8),
    ],
)
def test_numbers_of_tiff_are_kept_in_the_order_of_this_machine(
    tmp_path: Path, options: dict[str, Any], values: np.ndarray
) -> None:
    if "colormap" in options:
        options = options | {"colormap": options["colormap"].astype(np.uint16)}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, **options)
    plane, said = _read(path)
    assert said == []
    np.testing.assert_array_equal(plane, values)
    assert plane.dtype == values.dtype


@pytest.mark.parametrize(
    ("name", "write", "values"),
    [
        ("a.png", lambda p: Image.fromarray(GREY8).save(p), GREY8),
        ("a.png", lambda p: Image.fromarray(GREY).save(p), GREY),
        ("a.png", lambda p: _palette(GREY8, [(i, i, i) for i in range(256)]).save(p), GREY8),
        ("a.bmp", lambda p: Image.fromarray(GREY8).save(p), GREY8),
        ("a.BMP", lambda p: Image.fromarray(GREY8).save(p, "BMP"), GREY8),
    ],
)
def test_other_files_without_loss_are_kept(
    tmp_path: Path, name: str, write: Write, values: np.ndarray
) -> None:
    write(tmp_path / name)
    plane, said = _read(tmp_path / name)
    assert said == []
    np.testing.assert_array_equal(plane, values)
    assert plane.dtype == values.dtype


@pytest.mark.parametrize(
    ("name", "write", "what", "way"),
    [
        ("a.tif", _tiff(GREY.astype(np.int16)), "is int16; expected uint8 or uint16", "exact"),
        ("a.tif", _tiff(GREY.astype(np.uint32)), "is uint32; expected uint8 or uint16", "exact"),
        ("a.tif", _tiff(GREY.astype(np.int32), byteorder=">"), "is int32; expected", "exact"),
        ("a.tif", _tiff(GREY > 9), "is bool; expected uint8 or uint16", "exact"),
        ("a.tif", _tiff(GREY.astype(np.float32)), "is float32; expected", "linear:LOW:HIGH"),
        ("a.tif", _tiff(GREY.astype(float)), "is float64; expected", "linear:LOW:HIGH"),
        ("a.tif", _tiff(RGB, photometric="rgb"), "(RGB); expected one plane", "luminance"),
        (
            "a.tif",
            _tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"),
            "(RGB); expected one plane",
            "luminance",
        ),
        (
            "a.tif",
            _tiff(np.dstack([RGB, OPAQUE]), photometric="rgb", extrasamples=["unassalpha"]),
            "(RGBA); expected one plane",
            "luminance",
        ),
        (
            "a.tif",
            _tiff(RGB.astype(np.float32), photometric="rgb"),
            "(RGB), is float32; expected one plane (H, W) of uint8 or uint16",
            "luminance,linear:LOW:HIGH",
        ),
        ("a.tif", _tiff(GREY8, compression="jpeg"), "compressed by JPEG", "lossy"),
        (
            "a.tif",
            _tiff(RGB, compression="jpeg", photometric="ycbcr", subsampling=(2, 2)),
            "compressed by JPEG",
            "lossy,luminance",
        ),
        ("a.tif", _tiff(GREY8, photometric="palette", colormap=GREEN), "palette", "index"),
        ("a.png", lambda p: Image.fromarray(RGB).save(p), "(RGB)", "luminance"),
        ("a.png", lambda p: Image.fromarray(np.dstack([RGB, OPAQUE])).save(p), "(RGBA)", "lum"),
        (
            "a.png",
            lambda p: p.write_bytes(imagecodecs.png_encode(np.dstack([GREY8, OPAQUE]))),
            "(48, 40, 2) (intensity and alpha)",
            "exact",
        ),
        (
            "a.png",
            lambda p: _palette(GREY8, [(0, i, 0) for i in range(256)]).save(p),
            "palette",
            "index",
        ),
        ("a.jpg", lambda p: Image.fromarray(GREY8).save(p), "compressed by JPEG", "lossy"),
        ("a.jpeg", lambda p: Image.fromarray(RGB).save(p), "JPEG", "lossy,luminance"),
        ("a.bmp", lambda p: Image.fromarray(RGB).save(p), "(RGB)", "luminance"),
    ],
)
def test_what_is_no_plane_of_uint8_or_uint16_is_refused_with_the_rule_that_lands_it(
    tmp_path: Path, name: str, write: Write, what: str, way: str
) -> None:
    write(tmp_path / name)
    message = _refused(tmp_path / name)
    assert what in message
    assert f"pass --convert {way}" in message


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_tiff(GREY.astype(np.complex64)), "is complex64; expected uint8 or uint16"),
        (
            _tiff(np.dstack([GREY] * 3), photometric="minisblack", planarconfig="contig"),
            "has shape (48, 40, 3) (3 samples a pixel that are no colours); expected one plane",
        ),
        (
            _tiff(np.stack([GREY] * 2), photometric="minisblack", planarconfig="separate"),
            "has shape (48, 40, 2) (2 samples a pixel that are no colours); expected one plane",
        ),
        (_tiff(np.dstack([RGB, GREY8]), photometric="separated"), "(48, 40, 4) (4 samples a pixel"),
    ],
)
def test_what_no_rule_understands_is_refused(tmp_path: Path, write: Write, message: str) -> None:
    write(tmp_path / "a.tif")
    for convert in (None, "lossy,luminance,linear:0:1"):
        assert message in _refused(tmp_path / "a.tif", convert=convert)


@pytest.mark.parametrize(
    "values",
    [
        GREY.astype(np.int16),
        GREY.astype(np.uint32),
        GREY.astype(np.int64),
        GREY.astype(np.float32),
        GREY8.astype(np.float16),
        GREY.astype(np.float64),
        np.where(GREY > 9, 65535, 0).astype(np.int32),
        GREY > 9,
    ],
)
def test_exact_keeps_whole_numbers(tmp_path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    plane, said = _read(tmp_path / "a.tif", convert="exact")
    assert plane.dtype == np.uint16
    np.testing.assert_array_equal(plane, values)
    assert said == [f"{values.dtype.name} became uint16 (--convert exact)"]


@pytest.mark.parametrize(
    ("values", "value"),
    [
        (GREY.astype(np.int16) - 1000, "-"),
        (np.full((4, 4), 65536, np.uint32), "65536"),
        (np.full((4, 4), 2**40, np.int64), str(2**40)),
        (np.full((4, 4), 0.5, np.float32), "0.5"),
        (np.full((4, 4), -1.0, np.float64), "-1.0"),
        (np.full((4, 4), np.nan, np.float32), "nan"),
        (np.full((4, 4), np.inf, np.float32), "inf"),
    ],
)
def test_exact_refuses_what_it_would_change(tmp_path: Path, values: np.ndarray, value: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values)
    message = _refused(tmp_path / "a.tif", convert="exact")
    assert f"has the value {value}" in message
    assert "pass --convert linear:LOW:HIGH" in message


def test_linear_scales_every_image_alike_and_says_what_it_cuts(tmp_path: Path) -> None:
    values = np.array([[-1.0, 0.0, 0.25], [0.5, 1.0, 1.5]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    plane, said = _read(tmp_path / "a.tif", convert="linear:0:1")
    np.testing.assert_array_equal(plane, [[0, 0, 16384], [32768, 65535, 65535]])
    assert said == [
        "float32 became uint16 (--convert linear:0:1)",
        "pixels outside 0 to 1 became 0 or 65535",
    ]
    tifffile.imwrite(tmp_path / "b.tif", values[:, 1:2] * np.ones((2, 3), np.float32))
    plane, said = _read(tmp_path / "b.tif", convert="linear:0:1")
    np.testing.assert_array_equal(np.unique(plane), [0, 65535])
    assert len(said) == 1


def test_linear_takes_signed_numbers(tmp_path: Path) -> None:
    values = np.array([[-32768, 0, 32767]] * 2, np.int16)
    tifffile.imwrite(tmp_path / "a.tif", values)
    plane, _ = _read(tmp_path / "a.tif", convert="linear:-32768:32767")
    np.testing.assert_array_equal(plane, values.astype(int) + 32768)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_linear_refuses_pixels_that_are_no_number(tmp_path: Path, value: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1], [value, 1]], np.float32))
    assert "1 pixels that are no finite number" in _refused(tmp_path / "a.tif", None, "linear:0:1")


@pytest.mark.parametrize("convert", ["exact", "linear:0:1", "luminance", "index", "lossy"])
def test_no_rule_changes_a_plane_of_uint8_or_uint16(tmp_path: Path, convert: str) -> None:
    for values in (GREY, GREY8):
        tifffile.imwrite(tmp_path / "a.tif", values)
        plane, said = _read(tmp_path / "a.tif", convert=convert)
        assert said == []
        assert plane.dtype == values.dtype
        np.testing.assert_array_equal(plane, values)


@pytest.mark.parametrize("name", ["a.tif", "planar.tif", "a.png", "a.bmp"])
def test_colours_become_the_plane_that_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "planar.tif":
        planar = np.moveaxis(RGB, -1, 0)
        tifffile.imwrite(path, planar, photometric="rgb", planarconfig="separate")
    elif name == "a.tif":
        tifffile.imwrite(path, RGB, photometric="rgb")
    else:
        Image.fromarray(RGB).save(path)
    for number, colour in enumerate(("red", "green", "blue")):
        plane, said = _read(path, convert=colour)
        assert plane.dtype == np.uint8
        np.testing.assert_array_equal(plane, RGB[..., number])
        assert said == [f"colours became one plane (--convert {colour})"]
    expected = np.rint(RGB @ np.array([0.2126, 0.7152, 0.0722]))
    np.testing.assert_array_equal(_read(path, convert="luminance")[0], expected)
    assert "has colours" in _refused(path, convert="exact")
    assert "no palette" in _refused(path, convert="index")


def test_luminance_of_grey_is_grey_to_the_last_value(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([values] * 3), photometric="rgb")
    for convert in ("luminance", "exact", "green"):
        plane, _ = _read(tmp_path / "a.tif", convert=convert)
        assert plane.dtype == np.uint16
        np.testing.assert_array_equal(plane, values)


def test_rules_join(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (RGB / 255).astype(np.float32), photometric="rgb")
    assert "pass --convert red,linear:LOW:HIGH" in _refused(tmp_path / "a.tif", None, "red")
    plane, _ = _read(tmp_path / "a.tif", convert="linear:0:1, red")
    np.testing.assert_allclose(plane, RGB[..., 0].astype(int) * 257, atol=1)


def test_transparency_is_left_out_only_where_asked_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.dstack([RGB, GREY8])).save(path)
    assert "transparent pixels" in _refused(path, convert="exact")
    plane, said = _read(path, convert="red")
    np.testing.assert_array_equal(plane, GREY8)
    assert "transparency is left out" in said
    path.write_bytes(imagecodecs.png_encode(np.dstack([GREY8, OPAQUE])))
    plane, said = _read(path, convert="exact")
    np.testing.assert_array_equal(plane, GREY8)
    assert said == []


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp"])
def test_a_palette_is_taken_by_number_or_by_colour(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, GREY8, photometric="palette", colormap=GREEN)
    else:
        _palette(GREY8, [(0, i, 0) for i in range(256)]).save(path)
    np.testing.assert_array_equal(_read(path, convert="index")[0], GREY8)
    factor = 257 if name == "a.tif" else 1  # palettes of TIFF have 16 bits
    np.testing.assert_array_equal(_read(path, convert="green")[0], GREY8.astype(int) * factor)
    assert not _read(path, convert="red")[0].any()
    assert "has colours" in _refused(path, convert="exact")


def test_a_palette_of_one_bit_is_read() -> None:
    picture = of_palette(GREY > 2000, np.array([[0, 65535, 0], [65535, 0, 0]], np.uint16), 16)
    plane, _ = plane_of(picture, "a.tif", parse("red"))
    np.testing.assert_array_equal(plane, np.where(GREY > 2000, 65535, 0))


def test_jpeg_lands_only_when_asked_for_and_is_said(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg")
    Image.fromarray(smooth).save(tmp_path / "a.jpg")
    for name in ("a.tif", "a.jpg"):
        plane, said = _read(tmp_path / name, convert="lossy")
        np.testing.assert_allclose(plane, smooth, atol=4)
        assert said == ["JPEG has changed the intensities (--convert lossy)"]


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl", "jpegxr"])
def test_a_compression_that_may_be_lossy_is_said(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY8, compression=compression)
    plane, said = _read(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY8)
    assert ["may have changed the intensities" in text for text in said] == [True]


def test_white_is_zero_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY8, photometric="miniswhite")
    plane, said = _read(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY8)
    assert said == ["the photometric interpretation is MINISWHITE: values are as stored"]


def test_a_calibration_of_imagej_is_said(tmp_path: Path) -> None:
    _pages(GREY, first="ImageJ=1.53\ncf=0\nc0=-32768.0\nc1=1.0\n")(tmp_path / "a.tif")
    plane, said = _read(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY)
    assert "calibrates" in said[0]


@pytest.mark.parametrize(
    ("text", "expected", "canonical"),
    [
        ("exact", Conversion(exact=True), "exact"),
        ("linear:0:1.0", Conversion(linear=(0.0, 1.0)), "linear:0:1"),
        ("linear:-1e3:2.5", Conversion(linear=(-1000.0, 2.5)), "linear:-1000:2.5"),
        ("luminance , lossy", Conversion(colour="luminance", lossy=True), "lossy,luminance"),
        ("exact,red", Conversion(exact=True, colour="red"), "red,exact"),
    ],
)
def test_rules_are_understood_in_any_order(text: str, expected: Conversion, canonical: str) -> None:
    assert parse(text) == expected
    assert str(expected) == canonical
    assert parse(canonical) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rule ''; choose from exact, linear:LOW:HIGH"),
        ("minmax", "no rule 'minmax'; choose from"),
        ("exact,", "no rule ''"),
        ("linear", "not linear:LOW:HIGH"),
        ("linear:0", "not linear:LOW:HIGH"),
        ("linear:1:1", "LOW less than HIGH"),
        ("linear:0:nan", "not linear:LOW:HIGH with two numbers"),
        ("linear:a:b", "not linear:LOW:HIGH with two numbers"),
        ("exact,linear:0:1", "two rules for one thing"),
        ("red,green", "two rules for one thing"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_rules(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value)


@given(
    hnp.arrays(
        st.sampled_from([np.int16, np.int32, np.uint32, np.float32, np.float64]),
        (3, 4),
        elements=st.integers(0, 32767),
    )
)
def test_exact_and_linear_agree_where_both_keep_the_value(values: np.ndarray) -> None:
    for convert in ("exact", "linear:0:65535"):
        plane, _ = plane_of(Picture(values), "a.tif", parse(convert))
        np.testing.assert_array_equal(plane, values)


STACK = [GREY, GREY + 1, GREY + 2]
SMALL = GREY[::4, ::4]


@pytest.mark.parametrize(
    ("write", "has"),
    [
        (_pages(*STACK), "has shape (3, 48, 40)"),
        (
            lambda p: [tifffile.imwrite(p, page, append=n > 0) for n, page in enumerate(STACK)],
            "has shape (3, 48, 40)",
        ),
        (_tiff(np.stack(STACK), photometric="minisblack"), "has shape (3, 48, 40)"),
        (_tiff(np.stack(STACK), photometric="minisblack", truncate=True), "has shape (3, 48, 40)"),
        (_tiff(np.stack(STACK), imagej=True), "has shape (3, 48, 40)"),
        (_tiff(np.stack(STACK), imagej=True, truncate=True), "has shape (3, 48, 40)"),
        (_tiff(np.stack(STACK), ome=True, photometric="minisblack"), "has shape (3, 48, 40)"),
        (_pages(*STACK, first=_ome(1)), "has shape (3, 48, 40)"),
        (_pages(*STACK, first="ImageJ=1.53\nimages=5\nslices=5\n"), "has shape (3, 48, 40)"),
        (_pages(GREY[:40], GREY), "has pages of shape (40, 40) and (48, 40)"),
        (_pages(GREY[:20, ::4], GREY), "has pages of shape (20, 10) and (48, 40)"),
        (_pages(SMALL, GREY, GREY), "has shape (2, 48, 40)"),
        (_pages(GREY, GREY, marked=(1,)), "has shape (2, 48, 40)"),
    ],
)
def test_a_file_of_several_planes_is_refused_with_the_way(
    tmp_path: Path, write: Write, has: str
) -> None:
    write(tmp_path / "a.tif")
    message = _refused(tmp_path / "a.tif")
    assert f"{has}; expected one plane (H, W)" in message
    assert "list each in a manifest, with the column page" in message


@pytest.mark.parametrize(
    ("write", "size"),
    [
        (_pages(SMALL, GREY), "12 x 10"),
        (_pages(GREY, SMALL), "12 x 10"),
        (_pages(SMALL, GREY, marked=(0,)), "12 x 10"),
        (_pages(GREY, GREY[::2, ::2][:20], marked=(1,)), "20 x 20"),
        (_pages(np.dstack([SMALL] * 3), GREY), "12 x 10"),
        (_pages(GREY, GREY[::2, ::2]), "24 x 20"),
    ],
)
def test_an_overview_beside_the_image_is_left_out_and_said(
    tmp_path: Path, write: Write, size: str
) -> None:
    write(tmp_path / "a.tif")
    plane, said = _read(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY)
    assert said == [
        f"a page of {size} px beside the image of 48 x 40 px is left out as an overview"
    ]


@pytest.mark.parametrize("ome", [False, True])
def test_a_pyramid_is_read_at_full_resolution(tmp_path: Path, ome: bool) -> None:
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        tiff.write(GREY, subifds=2)
        tiff.write(GREY[::2, ::2], subfiletype=1)
        tiff.write(SMALL, subfiletype=1)
    plane, said = _read(path)
    np.testing.assert_array_equal(plane, GREY)
    assert said == []


def test_an_image_behind_its_thumbnail_is_not_taken_for_it(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(SMALL, subfiletype=1, subifds=1, metadata=None)
        tiff.write(GREY, metadata=None)
    message = _refused(tmp_path / "a.tif")
    assert "a page of 12 x 10 px that holds an image of 48 x 40 px" in message


def test_a_reduced_page_alone_is_said(tmp_path: Path) -> None:
    _pages(GREY, marked=(0,))(tmp_path / "a.tif")
    plane, said = _read(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY)
    assert "reduced copy of an image that is not there" in said[0]


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("ImageJ=1.53\nimages=5\nslices=5\n", "holds 1 plane, but its ImageJ description names 5"),
        (
            "ImageJ=1.53\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n",
            "holds 1 plane, but its ImageJ description names 6",
        ),
        ('{"shape": [3, 48, 40]}', "holds 1 plane, but its description by tifffile names 3"),
        (_ome(3), "holds 1 plane, but its OME-XML names 3"),
        (
            _ome(2, '<TiffData IFD="0" FirstC="0"/><TiffData IFD="1" FirstC="1"/>'),
            "holds 1 plane, but its OME-XML names 2",
        ),
        (_ome(1, side="96"), "is 48 x 40 px, but its OME-XML says 96 x 96"),
    ],
)
def test_a_file_that_is_not_what_it_describes_is_refused_unless_its_page_is_named(
    tmp_path: Path, first: str, message: str
) -> None:
    path = tmp_path / "a.tif"
    _pages(GREY, first=first)(path)
    assert message in _refused(path)
    np.testing.assert_array_equal(_read(path, page=0)[0], GREY)


@pytest.mark.parametrize("has_root", [True, False])
def test_a_file_of_a_set_of_ome_tiff_holds_its_plane(tmp_path: Path, has_root: bool) -> None:
    uuids = [f"urn:uuid:0000000{n}-0000-0000-0000-000000000000" for n in range(3)]
    data = "".join(
        f'<TiffData IFD="0" FirstC="{n}" PlaneCount="1">'
        f'<UUID FileName="c{n}.ome.tif">{uuid}</UUID></TiffData>'
        for n, uuid in enumerate(uuids)
    )
    for n, uuid in enumerate(uuids):
        root = f' UUID="{uuid}"' if has_root else ""
        _pages(GREY + n, first=_ome(3, data, uuid=root))(tmp_path / f"c{n}.ome.tif")
    for n in range(3):
        plane, said = _read(tmp_path / f"c{n}.ome.tif")
        np.testing.assert_array_equal(plane, GREY + n)
        assert said == []


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("options", [{"imagej": True}, {"photometric": "minisblack"}])
@pytest.mark.parametrize("truncate", [True, False])
def test_every_plane_of_a_stack_can_be_named(
    tmp_path: Path, options: dict[str, Any], truncate: bool, byteorder: str
) -> None:
    if options.get("imagej") and byteorder == "<":
        byteorder = ">"  # as ImageJ itself writes
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack(STACK), truncate=truncate, byteorder=byteorder, **options)
    for number, expected in enumerate(STACK):
        np.testing.assert_array_equal(_read(path, page=number)[0], expected)
    assert "it has 3 planes, not 4" in _refused(path, page=3)


def test_the_planes_of_a_metamorph_stack_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.stk"
    planes = np.stack([GREY + number for number in range(9)])
    uic2 = (33629, 5, len(planes), [1] * 2 * len(planes), True)  # a rational for each plane
    tifffile.imwrite(
        path, planes, metadata=None, photometric="minisblack", truncate=True, extratags=[uic2]
    )
    assert "has shape (9, 48, 40); expected one plane" in _refused(path)
    for number, plane in enumerate(planes):
        np.testing.assert_array_equal(_read(path, page=number)[0], plane)


def test_a_list_of_pages_that_breaks_off_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _pages(*STACK)(path)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[1].offset
    path.write_bytes(path.read_bytes()[:end])
    plane, said = _read(path)
    np.testing.assert_array_equal(plane, GREY)
    assert said == ["the list of pages is broken at its end: there may have been more"]


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
        message = _refused(tmp_path / name, convert=convert)
        assert "is truncated or not a valid image" in message
        assert reason in message


def test_an_animation_is_no_plane(tmp_path: Path) -> None:
    images = [Image.fromarray(GREY8), Image.fromarray(GREY8 // 2)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    assert "has shape (2, 48, 40), an animation" in _refused(tmp_path / "a.png")


def test_an_image_larger_than_a_lake_can_hold_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(_png(60000, 60000, 1, bytes(7501 * 4)))
    assert "is 60000 x 60000 px, 3.4 GiB" in _refused(tmp_path / "a.png")
    for compression in (None, "zlib"):
        tifffile.imwrite(tmp_path / "a.tif", GREY, compression=compression)
        with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
            for name in ("ImageWidth", "ImageLength"):
                tiff.pages[0].tags[name].overwrite(200_000)
        assert "is 200000 x 200000 px, 74.5 GiB" in _refused(tmp_path / "a.tif")


def test_an_image_that_does_not_fit_in_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise MemoryError("Unable to allocate 2.00 GiB")

    tifffile.imwrite(tmp_path / "a.tif", GREY)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fails)
    assert "does not fit in memory: Unable to allocate" in _refused(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_large_files_are_read_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("unidino.plates.images._SMALL_BYTES", 100)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, GREY)
    else:
        Image.fromarray(GREY).save(tmp_path / name)
    np.testing.assert_array_equal(_read(tmp_path / name)[0], GREY)


@pytest.mark.parametrize(
    "write",
    [
        _tiff(GREY, compression="lzw"),
        _tiff(np.stack(STACK), imagej=True),
        _tiff(np.stack(STACK), ome=True, photometric="minisblack"),
        _tiff(GREY8, photometric="palette", colormap=GREEN),
        _tiff(RGB, photometric="rgb", tile=(16, 16)),
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
            plane, _ = _read(path, convert="luminance")
        except InputError as error:
            message = str(error)
        else:
            message = ""
            assert plane.ndim == 2
            assert plane.dtype in (np.uint8, np.uint16)
        assert "\n" not in message


def _plate(folder: Path, images: dict[str, np.ndarray], **options: Any) -> Path:
    """A manifest of images, whose names are `well_field_channel`."""
    rows = ["path,plate,well,field,channel"]
    folder.mkdir(exist_ok=True)
    for name, values in images.items():
        tifffile.imwrite(folder / f"{name}.tif", values, **options)
        rows.append(f"{name}.tif,p," + ",".join(name.split("_")))
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    return folder / "m.csv"


def test_fields_of_another_type_or_size_are_said(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    images = {"A01_1_x": GREY, "A02_1_x": GREY + 1, "A03_1_x": GREY8, "A04_1_x": GREY[:40]}
    with caplog.at_level(logging.WARNING, logger="unidino"):
        done = ingest(new_lake, _plate(tmp_path / "p", images))
    assert (done.num_images, done.problems) == (4, ())
    assert caplog.messages == [
        "plate p: its fields differ in type or size: 2 of uint16, 48 x 40 px (such as well A01"
        " field 1); 1 of uint8, 48 x 40 px (such as well A03 field 1); 1 of uint16, 40 x 40 px"
        " (such as well A04 field 1)"
    ]


def test_fields_that_are_alike_say_nothing(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("A01_1_x", "A01_1_y", "A02_1_x", "A02_1_y")
    images = {name: GREY + number for number, name in enumerate(names)}
    with caplog.at_level(logging.WARNING, logger="unidino"):
        ingest(new_lake, _plate(tmp_path / "p", images))
    assert caplog.messages == []


def test_channels_of_another_type_are_each_named(tmp_path: Path, new_lake: Lake) -> None:
    images = {"A01_1_x": GREY, "A01_1_y": GREY8, "A02_1_x": GREY, "A02_1_y": GREY8}
    done = ingest(new_lake, _plate(tmp_path / "p", images))
    assert ["is uint8 (48, 40), but the others" in line for line in done.problems] == [True] * 2


def test_a_conversion_is_said_recorded_and_part_of_what_the_plate_is(
    tmp_path: Path, new_lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    images = {f"A0{n}_1_x": (GREY / (1000 * n)).astype(np.float32) for n in (1, 2)}
    manifest = _plate(tmp_path / "p", images)
    with pytest.raises(InputError, match=r"is float32.*--convert linear:LOW:HIGH"):
        ingest(new_lake, manifest)
    with caplog.at_level(logging.WARNING, logger="unidino"):
        ingest(new_lake, manifest, form=Form(convert="linear:0:2"))
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "2 images, such as" in said[0]
    assert "float32 became uint16 (--convert linear:0:2)" in said[0]
    share = (images["A01_1_x"] > 2).mean()
    assert f"({share:.2%} of its pixels): pixels outside 0 to 2 became" in said[1]
    arguments = new_lake.query("select arguments from run where command = 'ingest'")
    assert '"convert":"linear:0:2"' in arguments["arguments"][-1].replace(" ", "")
    assert ingest(new_lake, manifest, form=Form(convert="linear:0.0:2e0")).skipped == ("p",)
    with pytest.raises(InputError, match="--overwrite"):
        ingest(new_lake, manifest, form=Form(convert="linear:0:4"))
    # Values of both images stay comparable.
    means = new_lake.query("select mean from image order by well")["mean"]
    expected = [np.clip(v, 0, 2).mean() * 65535 / 2 for v in images.values()]
    np.testing.assert_allclose(means, expected, rtol=1e-3)


def test_a_plate_that_needs_no_conversion_is_the_same_whatever_is_added_to_forms(
    tmp_path: Path, new_lake: Lake
) -> None:
    from unidino.core.files import digest
    from unidino.plates.inputs import plates_with_files
    from unidino.plates.layouts.read import read_manifest
    from unidino.plates.manifest import Choice

    path = _plate(tmp_path / "p", {"A01_1_x": GREY})
    manifest = read_manifest(path, "manifest", choice=Choice())
    [plate], _ = plates_with_files(manifest, Form(), allow_incomplete=False)
    form = {"ngff": "0.5", "pyramid": 0, "illumination": None, "in_place": False}
    assert plate.digest == digest(manifest.digests["p"], None, form)


def test_an_estimate_of_illumination_sees_converted_planes_of_the_usual_size(
    tmp_path: Path, new_lake: Lake
) -> None:
    bright = np.full((48, 40), 0.5, np.float32)
    images = {f"A0{n}_1_x": bright for n in (1, 2)} | {"A03_1_x": bright[:30]}
    form = Form(convert="linear:0:1", illumination="estimate")
    done = ingest(new_lake, _plate(tmp_path / "p", images), form=form)
    assert len(done.problems) == 1
    assert "the illumination function is (48, 40), but the image is (30, 40)" in done.problems[0]
    means = new_lake.query("select mean from image where qc <> 'damaged'")["mean"]
    assert set(means) == {32768.0}


def test_rules_are_given_on_the_command_line(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    (tmp_path / "m.csv").write_text("path,plate,well,field,channel\na.jpg,p,A01,1,DNA\n")
    command = ["ingest", tmp_path / "m.csv", "--lake", tmp_path / "lake"]
    status, _, said = run_cli(*command)
    assert status == 1
    assert "pass --convert lossy,luminance" in said.splitlines()[-1]
    status, _, said = run_cli(*command, "--convert", "lossy,grey")
    assert status == 1
    assert "no rule 'grey'; choose from exact, linear:LOW:HIGH, luminance, red" in said
    status, _, said = run_cli(*command, "--convert", "lossy,green")
    assert status == 0
    assert "JPEG has changed the intensities (--convert lossy)" in said
    assert "colours became one plane (--convert green)" in said


def test_plates_that_stay_in_place_are_not_converted(tmp_path: Path, new_lake: Lake) -> None:
    with pytest.raises(InputError, match="--in-place leaves plates as they are"):
        ingest(new_lake, tmp_path, "ome-zarr", form=Form(in_place=True, convert="exact"))
