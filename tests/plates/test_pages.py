"""Every page and series of a TIFF is accounted for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from image_files import GREY, STACK, Write, ome_xml, paged, read_image, refused, tif

SMALL = GREY[::4, ::4]


@pytest.mark.parametrize(
    ("write", "has"),
    [
        (paged(*STACK), "has shape (3, 48, 40)"),
        (
            lambda p: [tifffile.imwrite(p, page, append=n > 0) for n, page in enumerate(STACK)],
            "has shape (3, 48, 40)",
        ),
        (tif(np.stack(STACK), photometric="minisblack"), "has shape (3, 48, 40)"),
        (
            tif(np.stack(STACK), photometric="minisblack", truncate=True),
            "has shape (3, 48, 40)",
        ),
        (tif(np.stack(STACK), imagej=True), "has shape (3, 48, 40)"),
        (tif(np.stack(STACK), imagej=True, truncate=True), "has shape (3, 48, 40)"),
        (tif(np.stack(STACK), ome=True, photometric="minisblack"), "has shape (3, 48, 40)"),
        (paged(*STACK, first=ome_xml(1)), "has shape (3, 48, 40)"),
        (paged(*STACK, first="ImageJ=1.53\nimages=5\nslices=5\n"), "has shape (3, 48, 40)"),
        (paged(GREY[:40], GREY), "has pages of shape (40, 40) and (48, 40)"),
        (paged(GREY[:20, ::4], GREY), "has pages of shape (20, 10) and (48, 40)"),
        (paged(SMALL, GREY, GREY), "has shape (2, 48, 40)"),
        (paged(GREY, GREY, marked=(1,)), "has shape (2, 48, 40)"),
    ],
)
def test_a_file_of_several_planes_is_refused_with_the_way(
    tmp_path: Path, write: Write, has: str
) -> None:
    write(tmp_path / "a.tif")
    message = refused(tmp_path / "a.tif")
    assert f"{has}; expected one plane (H, W)" in message
    assert "list each in a manifest, with the column page" in message


@pytest.mark.parametrize(
    ("write", "size"),
    [
        (paged(SMALL, GREY), "12 x 10"),
        (paged(GREY, SMALL), "12 x 10"),
        (paged(SMALL, GREY, marked=(0,)), "12 x 10"),
        (paged(GREY, GREY[::2, ::2][:20], marked=(1,)), "20 x 20"),
        (paged(np.dstack([SMALL] * 3), GREY), "12 x 10"),
        (paged(GREY, GREY[::2, ::2]), "24 x 20"),
    ],
)
def test_an_overview_beside_the_image_is_left_out_and_said(
    tmp_path: Path, write: Write, size: str
) -> None:
    write(tmp_path / "a.tif")
    plane, said = read_image(tmp_path / "a.tif")
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
    plane, said = read_image(path)
    np.testing.assert_array_equal(plane, GREY)
    assert said == []


def test_an_image_behind_its_thumbnail_is_not_taken_for_it(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(SMALL, subfiletype=1, subifds=1, metadata=None)
        tiff.write(GREY, metadata=None)
    message = refused(tmp_path / "a.tif")
    assert "a page of 12 x 10 px that holds an image of 48 x 40 px" in message


def test_a_reduced_page_alone_is_said(tmp_path: Path) -> None:
    paged(GREY, marked=(0,))(tmp_path / "a.tif")
    plane, said = read_image(tmp_path / "a.tif")
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
        (ome_xml(3), "holds 1 plane, but its OME-XML names 3"),
        (
            ome_xml(2, '<TiffData IFD="0" FirstC="0"/><TiffData IFD="1" FirstC="1"/>'),
            "holds 1 plane, but its OME-XML names 2",
        ),
        (ome_xml(1, side="96"), "is 48 x 40 px, but its OME-XML says 96 x 96"),
    ],
)
def test_a_file_that_is_not_what_it_describes_is_refused_unless_its_page_is_named(
    tmp_path: Path, first: str, message: str
) -> None:
    path = tmp_path / "a.tif"
    paged(GREY, first=first)(path)
    assert message in refused(path)
    np.testing.assert_array_equal(read_image(path, page=0)[0], GREY)


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
        paged(GREY + n, first=ome_xml(3, data, uuid=root))(tmp_path / f"c{n}.ome.tif")
    for n in range(3):
        plane, said = read_image(tmp_path / f"c{n}.ome.tif")
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
        np.testing.assert_array_equal(read_image(path, page=number)[0], expected)
    assert "it has 3 planes, which are its pages 0 to 2, and no page 3" in refused(path, page=3)


def test_the_planes_of_a_metamorph_stack_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.stk"
    planes = np.stack([GREY + number for number in range(9)])
    uic2 = (33629, 5, len(planes), [1] * 2 * len(planes), True)  # a rational for each plane
    tifffile.imwrite(
        path, planes, metadata=None, photometric="minisblack", truncate=True, extratags=[uic2]
    )
    assert "has shape (9, 48, 40); expected one plane" in refused(path)
    for number, plane in enumerate(planes):
        np.testing.assert_array_equal(read_image(path, page=number)[0], plane)


def test_a_list_of_pages_that_breaks_off_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    paged(*STACK)(path)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[1].offset
    path.write_bytes(path.read_bytes()[:end])
    plane, said = read_image(path)
    np.testing.assert_array_equal(plane, GREY)
    assert said == ["the list of pages is broken at its end: there may have been more"]
