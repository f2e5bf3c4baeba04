"""Planes of other types become uint8 or uint16 by a rule that the user names, or are refused."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_files import (
    GREEN,
    GREY,
    GREY8,
    OPAQUE,
    RGB,
    Write,
    paged,
    palette_image,
    read_image,
    refused,
    tif,
)
from PIL import Image

from unidino.core.errors import InputError
from unidino.plates.conversion import Conversion, parse
from unidino.plates.picture import Picture, of_palette
from unidino.plates.planes import plane_of


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
    plane, said = read_image(path)
    assert said == []
    np.testing.assert_array_equal(plane, values)
    assert plane.dtype == values.dtype


@pytest.mark.parametrize(
    ("name", "write", "values"),
    [
        ("a.png", lambda p: Image.fromarray(GREY8).save(p), GREY8),
        ("a.png", lambda p: Image.fromarray(GREY).save(p), GREY),
        ("a.png", lambda p: palette_image(GREY8, [(i, i, i) for i in range(256)]).save(p), GREY8),
        ("a.bmp", lambda p: Image.fromarray(GREY8).save(p), GREY8),
        ("a.BMP", lambda p: Image.fromarray(GREY8).save(p, "BMP"), GREY8),
    ],
)
def test_other_files_without_loss_are_kept(
    tmp_path: Path, name: str, write: Write, values: np.ndarray
) -> None:
    write(tmp_path / name)
    plane, said = read_image(tmp_path / name)
    assert said == []
    np.testing.assert_array_equal(plane, values)
    assert plane.dtype == values.dtype


@pytest.mark.parametrize(
    ("name", "write", "what", "way"),
    [
        (
            "a.tif",
            tif(GREY.astype(np.int16)),
            "is int16; expected uint8 or uint16",
            "exact",
        ),
        (
            "a.tif",
            tif(GREY.astype(np.uint32)),
            "is uint32; expected uint8 or uint16",
            "exact",
        ),
        ("a.tif", tif(GREY.astype(np.int32), byteorder=">"), "is int32; expected", "exact"),
        ("a.tif", tif(GREY > 9), "is bool; expected uint8 or uint16", "exact"),
        ("a.tif", tif(GREY.astype(np.float32)), "is float32; expected", "linear:LOW:HIGH"),
        ("a.tif", tif(GREY.astype(float)), "is float64; expected", "linear:LOW:HIGH"),
        ("a.tif", tif(RGB, photometric="rgb"), "(RGB); expected one plane", "luminance"),
        (
            "a.tif",
            tif(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"),
            "(RGB); expected one plane",
            "luminance",
        ),
        (
            "a.tif",
            tif(np.dstack([RGB, OPAQUE]), photometric="rgb", extrasamples=["unassalpha"]),
            "(RGBA); expected one plane",
            "luminance",
        ),
        (
            "a.tif",
            tif(RGB.astype(np.float32), photometric="rgb"),
            "(RGB), is float32; expected one plane (H, W) of uint8 or uint16",
            "luminance,linear:LOW:HIGH",
        ),
        ("a.tif", tif(GREY8, compression="jpeg"), "compressed by JPEG", "lossy"),
        (
            "a.tif",
            tif(RGB, compression="jpeg", photometric="ycbcr", subsampling=(2, 2)),
            "compressed by JPEG",
            "lossy,luminance",
        ),
        ("a.tif", tif(GREY8, photometric="palette", colormap=GREEN), "palette", "index"),
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
            lambda p: palette_image(GREY8, [(0, i, 0) for i in range(256)]).save(p),
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
    message = refused(tmp_path / name)
    assert what in message
    assert f"pass --convert {way}" in message


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (tif(GREY.astype(np.complex64)), "is complex64; expected uint8 or uint16"),
        (
            tif(np.dstack([GREY] * 3), photometric="minisblack", planarconfig="contig"),
            "has shape (48, 40, 3) (3 samples a pixel that are no colours); expected one plane",
        ),
        (
            tif(np.stack([GREY] * 2), photometric="minisblack", planarconfig="separate"),
            "has shape (48, 40, 2) (2 samples a pixel that are no colours); expected one plane",
        ),
        (
            tif(np.dstack([RGB, GREY8]), photometric="separated"),
            "(48, 40, 4) (4 samples a pixel",
        ),
    ],
)
def test_what_no_rule_understands_is_refused(tmp_path: Path, write: Write, message: str) -> None:
    write(tmp_path / "a.tif")
    for convert in (None, "lossy,luminance,linear:0:1"):
        assert message in refused(tmp_path / "a.tif", convert=convert)


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
    plane, said = read_image(tmp_path / "a.tif", convert="exact")
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
    message = refused(tmp_path / "a.tif", convert="exact")
    assert f"has the value {value}" in message
    assert "pass --convert linear:LOW:HIGH" in message


def test_linear_scales_every_image_alike_and_says_what_it_cuts(tmp_path: Path) -> None:
    values = np.array([[-1.0, 0.0, 0.25], [0.5, 1.0, 1.5]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    plane, said = read_image(tmp_path / "a.tif", convert="linear:0:1")
    np.testing.assert_array_equal(plane, [[0, 0, 16384], [32768, 65535, 65535]])
    assert said == [
        "float32 became uint16 (--convert linear:0:1)",
        "pixels outside 0 to 1 became 0 or 65535",
    ]
    tifffile.imwrite(tmp_path / "b.tif", values[:, 1:2] * np.ones((2, 3), np.float32))
    plane, said = read_image(tmp_path / "b.tif", convert="linear:0:1")
    np.testing.assert_array_equal(np.unique(plane), [0, 65535])
    assert len(said) == 1


def test_linear_takes_signed_numbers(tmp_path: Path) -> None:
    values = np.array([[-32768, 0, 32767]] * 2, np.int16)
    tifffile.imwrite(tmp_path / "a.tif", values)
    plane, _ = read_image(tmp_path / "a.tif", convert="linear:-32768:32767")
    np.testing.assert_array_equal(plane, values.astype(int) + 32768)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_linear_refuses_pixels_that_are_no_number(tmp_path: Path, value: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1], [value, 1]], np.float32))
    assert "1 pixels that are no finite number" in refused(tmp_path / "a.tif", None, "linear:0:1")


@pytest.mark.parametrize("convert", ["exact", "linear:0:1", "luminance", "index", "lossy"])
def test_no_rule_changes_a_plane_of_uint8_or_uint16(tmp_path: Path, convert: str) -> None:
    for values in (GREY, GREY8):
        tifffile.imwrite(tmp_path / "a.tif", values)
        plane, said = read_image(tmp_path / "a.tif", convert=convert)
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
        plane, said = read_image(path, convert=colour)
        assert plane.dtype == np.uint8
        np.testing.assert_array_equal(plane, RGB[..., number])
        assert said == [f"colours became one plane (--convert {colour})"]
    expected = np.rint(RGB @ np.array([0.2126, 0.7152, 0.0722]))
    np.testing.assert_array_equal(read_image(path, convert="luminance")[0], expected)
    assert "has colours" in refused(path, convert="exact")
    assert "no palette" in refused(path, convert="index")


def test_luminance_of_grey_is_grey_to_the_last_value(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([values] * 3), photometric="rgb")
    for convert in ("luminance", "exact", "green"):
        plane, _ = read_image(tmp_path / "a.tif", convert=convert)
        assert plane.dtype == np.uint16
        np.testing.assert_array_equal(plane, values)


def test_rules_join(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (RGB / 255).astype(np.float32), photometric="rgb")
    assert "pass --convert red,linear:LOW:HIGH" in refused(tmp_path / "a.tif", None, "red")
    plane, _ = read_image(tmp_path / "a.tif", convert="linear:0:1, red")
    np.testing.assert_allclose(plane, RGB[..., 0].astype(int) * 257, atol=1)


def test_transparency_is_left_out_only_where_asked_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.dstack([RGB, GREY8])).save(path)
    assert "transparent pixels" in refused(path, convert="exact")
    plane, said = read_image(path, convert="red")
    np.testing.assert_array_equal(plane, GREY8)
    assert "transparency is left out" in said
    path.write_bytes(imagecodecs.png_encode(np.dstack([GREY8, OPAQUE])))
    plane, said = read_image(path, convert="exact")
    np.testing.assert_array_equal(plane, GREY8)
    assert said == []


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp"])
def test_a_palette_is_taken_by_number_or_by_colour(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, GREY8, photometric="palette", colormap=GREEN)
    else:
        palette_image(GREY8, [(0, i, 0) for i in range(256)]).save(path)
    np.testing.assert_array_equal(read_image(path, convert="index")[0], GREY8)
    factor = 257 if name == "a.tif" else 1  # palettes of TIFF have 16 bits
    np.testing.assert_array_equal(read_image(path, convert="green")[0], GREY8.astype(int) * factor)
    assert not read_image(path, convert="red")[0].any()
    assert "has colours" in refused(path, convert="exact")


def test_a_palette_of_one_bit_is_read() -> None:
    picture = of_palette(GREY > 2000, np.array([[0, 65535, 0], [65535, 0, 0]], np.uint16), 16)
    plane, _ = plane_of(picture, "a.tif", parse("red"))
    np.testing.assert_array_equal(plane, np.where(GREY > 2000, 65535, 0))


def test_jpeg_lands_only_when_asked_for_and_is_said(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg")
    Image.fromarray(smooth).save(tmp_path / "a.jpg")
    for name in ("a.tif", "a.jpg"):
        plane, said = read_image(tmp_path / name, convert="lossy")
        np.testing.assert_allclose(plane, smooth, atol=4)
        assert said == ["JPEG has changed the intensities (--convert lossy)"]


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl", "jpegxr"])
def test_a_compression_that_may_be_lossy_is_said(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY8, compression=compression)
    plane, said = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY8)
    assert ["may have changed the intensities" in text for text in said] == [True]


def test_white_is_zero_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY8, photometric="miniswhite")
    plane, said = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(plane, GREY8)
    assert said == ["the photometric interpretation is MINISWHITE: values are as stored"]


def test_a_calibration_of_imagej_is_said(tmp_path: Path) -> None:
    paged(GREY, first="ImageJ=1.53\ncf=0\nc0=-32768.0\nc1=1.0\n")(tmp_path / "a.tif")
    plane, said = read_image(tmp_path / "a.tif")
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
