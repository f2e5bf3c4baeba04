"""OME-TIFF whose OME-XML does not fit its files, or says more than one plate of one time."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from planes import plane_of, stored_plane, write_plane
from sampled import slow

from unidino.core.errors import InputError
from unidino.lake.lake import Lake
from unidino.plates.ingest import Ingested, ingest
from unidino.plates.manifest import Choice

_XMLNS = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def _image(
    number: int,
    tiff_data: str | None = None,
    *,
    channels: str = '<Channel ID="C:0" Name="DNA"/><Channel ID="C:1" Name="Actin"/>',
    **attributes: Any,
) -> str:
    """An image of two channels, whose planes are the pages from 2 * number."""
    said = {"DimensionOrder": "XYCZT", "SizeX": 32, "SizeY": 32, "SizeC": 2, "SizeZ": 1, "SizeT": 1}
    text = " ".join(f'{name}="{value}"' for name, value in (said | attributes).items())
    data = f'<TiffData IFD="{2 * number}" PlaneCount="2"/>' if tiff_data is None else tiff_data
    return (
        f'<Image ID="Image:{number}"><Pixels ID="P:{number}" Type="uint16" {text}>{channels}{data}'
        "</Pixels></Image>"
    )


def _well(number: int, place: str, *images: int) -> str:
    samples = "".join(
        f'<WellSample ID="WellSample:{image}"><ImageRef ID="Image:{image}"/></WellSample>'
        for image in images
    )
    return f'<Well ID="Well:{number}" {place}>{samples}</Well>'


def _plate(*wells: str, name: str | None = "P", more: str = "") -> str:
    named = f'Name="{name}"' if name else ""
    return f'<Plate ID="Plate:{name}" {named} Rows="8" Columns="12">{"".join(wells)}{more}</Plate>'


PLATE = _plate(_well(0, 'Row="0" Column="0"', 0), _well(1, 'Row="1" Column="2"', 1))


def _write(
    path: Path,
    *elements: str,
    own: str | None = None,
    num_pages: int = 4,
    first: int = 10,
    **options: Any,
) -> None:
    """Write an OME-TIFF with these elements, whose pages are the planes of 10, 20, ..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = f' UUID="{own}"' if own else ""
    tifffile.imwrite(
        path,
        np.stack([plane_of(first + 10 * page) for page in range(num_pages)]),
        description=f'<OME xmlns="{_XMLNS}"{identity}>{"".join(elements)}</OME>'.encode(),
        photometric="minisblack",
        metadata=None,
        **options,
    )


def _ingest(lake: Lake, path: Path, **options: Any) -> Ingested:
    return ingest(lake, path, "ome-tiff", **options)


def _fields(lake: Lake) -> list[tuple[str, str, int]]:
    return lake.query("select plate, well, field from field order by all").rows()


def _data(name: str | None, own: str | None, first_c: int = 0, ifd: int = 0, count: int = 1) -> str:
    file = f' FileName="{name}"' if name else ""
    return (
        f'<TiffData FirstC="{first_c}" IFD="{ifd}" PlaneCount="{count}"><UUID{file}>{own or ""}'
        "</UUID></TiffData>"
    )


def test_images_outside_the_plate_are_left_out(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = _image(2, SizeC=1, channels='<Channel ID="C"/>', tiff_data='<TiffData IFD="4"/>')
    damaged = _image(3, tiff_data='<TiffData IFD="40"/>')
    _write(tmp_path / "a.ome.tif", PLATE, _image(0), _image(1), extra, damaged, num_pages=5)
    done = _ingest(new_lake, tmp_path)
    assert (done.problems, _fields(new_lake)) == ((), [("P", "A01", 1), ("P", "B03", 1)])
    assert "a.ome.tif, image Image:2' and 1 more" in caplog.text
    plane = stored_plane(new_lake, "well = 'B03' and channel = 'Actin'")
    np.testing.assert_array_equal(plane, plane_of(40))


def test_a_field_without_an_image(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = '<Well ID="Well:1" Row="1" Column="2"><WellSample ID="WellSample:1"/></Well>'
    plate = _plate(_well(0, 'Row="0" Column="0"', 0, 7), empty)
    _write(tmp_path / "a.ome.tif", plate, _image(0), _image(1))
    _ingest(new_lake, tmp_path)
    assert _fields(new_lake) == [("P", "A01", 1)]
    assert "a field without an image: '" in caplog.text
    assert "well A01 field 2" in caplog.text
    assert "image Image:1" in caplog.text


def test_a_file_without_a_plate_beside_files_with_one(new_lake: Lake, tmp_path: Path) -> None:
    _write(tmp_path / "a.ome.tif", PLATE, _image(0), _image(1))
    _write(tmp_path / "overview.ome.tif", _image(0))
    with pytest.raises(InputError, match=r"overview.ome.tif' is in no plate .*--pattern"):
        _ingest(new_lake, tmp_path)
    (problem,) = _ingest(new_lake, tmp_path, allow_incomplete=True).problems
    assert "overview.ome.tif'" in problem
    assert _fields(new_lake) == [("P", "A01", 1), ("P", "B03", 1)]


IMAGES = (_image(0), _image(1))
DAMAGED: dict[str, Sequence[str]] = {
    "no Row": (_plate(_well(0, 'Column="0"', 0)), *IMAGES),
    "no Column": (_plate(_well(0, 'Row="0"', 0)), *IMAGES),
    "has the Row 'B'": (_plate(_well(0, 'Row="B" Column="0"', 0)), *IMAGES),
    "has the Row '-1'": (_plate(_well(0, 'Row="-1" Column="0"', 0)), *IMAGES),
    "has the Column '48'": (_plate(_well(0, 'Row="0" Column="48"', 0)), *IMAGES),
    "FirstC 7, but SizeC is 2": (PLATE, _image(0, '<TiffData FirstC="7" IFD="0"/>')),
    "FirstZ 1, but SizeZ is 1": (PLATE, _image(0, '<TiffData FirstZ="1" IFD="0"/>')),
    "FirstT is 'x'": (PLATE, _image(0, '<TiffData FirstT="x" IFD="0"/>')),
    "IFD is '-1'": (PLATE, _image(0, '<TiffData IFD="-1"/>')),
    "3 planes, but 2 are left": (PLATE, _image(0, '<TiffData IFD="0" PlaneCount="3"/>')),
    "plane 4 .* is not there; it has 4": (PLATE, _image(0, '<TiffData IFD="3" PlaneCount="2"/>')),
    "SizeC is 'two'": (PLATE, _image(0, SizeC="two")),
    "has no planes": (PLATE, _image(0, SizeZ=0)),
    "DimensionOrder is 'XYC'": (PLATE, _image(0, DimensionOrder="XYC")),
    "could not convert": (PLATE, _image(0, PhysicalSizeX="wide")),
    "colour image": (PLATE, _image(0, channels='<Channel ID="C" SamplesPerPixel="3"/>')),
    "no pixels": (PLATE, '<Image ID="Image:0"/>'),
    "no TiffData names a file": (PLATE, _image(0, "<MetadataOnly/>")),
    "two images of the same ID": (PLATE, _image(0), _image(0)),
    "no image in its OME-XML": (PLATE,),
    "lists? the image Image:0 more than once": (
        _plate(_well(0, 'Row="0" Column="0"', 0), _well(1, 'Row="1" Column="2"', 0)),
        _image(0),
    ),
    "2 plates .* only the names": (
        _plate(_well(0, 'Row="0" Column="0"', 0), name=None),
        _plate(_well(0, 'Row="0" Column="0"', 1), name=None),
        *IMAGES,
    ),
    "not a valid OME-XML": ("<Plate>", *IMAGES),
}


@pytest.mark.parametrize(
    "said", [*list(DAMAGED)[::3], *slow(*(s for i, s in enumerate(DAMAGED) if i % 3))]
)
def test_a_damaged_file_is_one_line(new_lake: Lake, tmp_path: Path, said: str) -> None:
    _write(tmp_path / "damaged.ome.tif", *DAMAGED[said])
    with pytest.raises(InputError, match=said) as error:
        _ingest(new_lake, tmp_path)
    assert "damaged.ome.tif'" in str(error.value)
    assert "\n" not in str(error.value)
    other = _plate(_well(0, 'Row="4" Column="5"', 0), name="other")
    _write(tmp_path / "whole.ome.tif", other, _image(0))
    done = _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert ("other", "E06", 1) in _fields(new_lake)
    assert all("damaged.ome.tif'" in problem for problem in done.problems)
    assert done.problems


def test_files_that_are_no_ome_tiff(new_lake: Lake, tmp_path: Path) -> None:
    _write(tmp_path / "whole.ome.tif", PLATE, *IMAGES)
    write_plane(tmp_path / "plain.ome.tif", 1)
    (tmp_path / "text.ome.tif").write_text("no TIFF")
    (tmp_path / "set.companion.ome").write_bytes(b"<OME")
    (tmp_path / "._whole.ome.tif").write_bytes(b"of another system")
    done = _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert [problem.split("'")[1].rpartition("/")[2] for problem in done.problems] == [
        "plain.ome.tif",
        "set.companion.ome",
        "text.ome.tif",
    ]


def _identities(num: int) -> list[str]:
    return [f"urn:uuid:{uuid.UUID(int=i + 1)}" for i in range(num)]


def test_a_renamed_file_is_found_by_its_uuid(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second file has the name that the first one had, as when exports are collected."""
    first, second = _identities(2)
    for name, own, plate, page in (("first", first, "P", 0), ("scan", second, "Q", 1)):
        data = _data("scan.ome.tif", own, ifd=page, count=2)
        wells = _plate(_well(0, 'Row="0" Column="0"', 0), name=plate)
        _write(tmp_path / f"{name}.ome.tif", wells, _image(0, data), own=own)
    _ingest(new_lake, tmp_path)
    for plate, value in (("P", 10), ("Q", 20)):
        plane = stored_plane(new_lake, f"plate = '{plate}' and channel = 'DNA'")
        np.testing.assert_array_equal(plane, plane_of(value))
    assert "found by its UUID" in caplog.text


@pytest.mark.parametrize("names", [("x.ome.tif", "y.ome.tif"), ("c1.ome.tif", "c0.ome.tif")])
def test_a_renamed_set_is_found_by_its_uuids(
    new_lake: Lake, tmp_path: Path, names: tuple[str, str]
) -> None:
    """Two files of a channel each; in the second case they have changed their names."""
    own = _identities(2)
    blocks = "".join(_data(f"c{c}.ome.tif", own[c], first_c=c) for c in (0, 1))
    for channel, name in enumerate(names):
        _write(
            tmp_path / name,
            PLATE,
            _image(0, blocks),
            own=own[channel],
            num_pages=1,
            first=500 + channel,
        )
    _ingest(new_lake, tmp_path)
    for channel, name in enumerate(("DNA", "Actin")):
        plane = stored_plane(new_lake, f"channel = '{name}'")
        np.testing.assert_array_equal(plane, plane_of(500 + channel))


def test_a_file_that_is_not_found_is_named(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / "new.ome.tif", PLATE, _image(0, _data("old.ome.tif", None, count=2)))
    with pytest.raises(InputError, match=r"no image file '.*old.ome.tif'"):
        _ingest(new_lake, tmp_path)
    assert "names the file 'old.ome.tif', which is not there; was it renamed?" in caplog.text
    assert "left out, because no OME-XML names its planes" in caplog.text


def test_a_companion_of_files_that_are_elsewhere(new_lake: Lake, tmp_path: Path) -> None:
    """Metadata of a set register without its files."""
    xml = f'<OME xmlns="{_XMLNS}">{PLATE}{_image(0, _data("a.tif", None, count=2))}</OME>'
    (tmp_path / "set.companion.ome").write_text(xml)
    _ingest(new_lake, tmp_path, metadata_only=True)
    assert _fields(new_lake) == [("P", "A01", 1)]


def test_planes_described_by_a_companion(new_lake: Lake, tmp_path: Path) -> None:
    alone = '<BinaryOnly MetadataFile="set.companion.ome" UUID="u"/>'
    _write(tmp_path / "a.ome.tif", alone, own="urn:uuid:7")
    with pytest.raises(
        InputError, match=r"is described by 'set.companion.ome', which is not there"
    ):
        _ingest(new_lake, tmp_path)
    blocks = _data(None, "urn:uuid:7", ifd=1, count=2)
    xml = f'<OME xmlns="{_XMLNS}">{PLATE}{_image(0, blocks)}</OME>'
    (tmp_path / "set.companion.ome").write_text(xml)
    _ingest(new_lake, tmp_path)
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DNA'"), plane_of(20))


def test_several_plates_in_one_file(new_lake: Lake, tmp_path: Path) -> None:
    plates = [_plate(_well(0, 'Row="0" Column="0"', n), name=f"P{n}") for n in (0, 1)]
    _write(tmp_path / "a.ome.tif", *plates, *IMAGES)
    assert _ingest(new_lake, tmp_path).landed == ("P0", "P1")
    for plate, value in (("P0", 10), ("P1", 30)):
        plane = stored_plane(new_lake, f"plate = '{plate}' and channel = 'DNA'")
        np.testing.assert_array_equal(plane, plane_of(value))


def test_acquisitions_of_a_plate(new_lake: Lake, tmp_path: Path) -> None:
    acquisitions = "".join(
        f'<PlateAcquisition ID="PlateAcquisition:{n}"><WellSampleRef ID="WellSample:{n}"/>'
        "</PlateAcquisition>"
        for n in (0, 1)
    )
    plate = _plate(_well(0, 'Row="0" Column="0"', 0, 1), more=acquisitions)
    _write(tmp_path / "a.ome.tif", plate, *IMAGES)
    with pytest.raises(InputError, match=r"plate 'P' has the acquisitions 0, 1; .*--acquisition"):
        _ingest(new_lake, tmp_path)
    with pytest.raises(InputError, match="no acquisition 4; it has 0, 1"):
        _ingest(new_lake, tmp_path, choice=Choice(acquisition=4))
    _ingest(new_lake, tmp_path, choice=Choice(acquisition=1))
    assert _fields(new_lake) == [("P", "A01", 1)]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DNA'"), plane_of(30))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_big_endian_files(new_lake: Lake, tmp_path: Path, compression: str | None) -> None:
    _write(
        tmp_path / "a.ome.tif",
        PLATE,
        _image(0, BigEndian="true"),
        _image(1, BigEndian="true"),
        byteorder=">",
        compression=compression,
    )
    _ingest(new_lake, tmp_path)
    plane = stored_plane(new_lake, "well = 'B03' and channel = 'Actin'")
    np.testing.assert_array_equal(plane, plane_of(40))


def test_files_that_contradict_each_other(new_lake: Lake, tmp_path: Path) -> None:
    """Of a plane that two files place in two wells, neither place is taken."""
    _write(tmp_path / "a.ome.tif", PLATE, *IMAGES)
    other = _plate(_well(0, 'Row="4" Column="5"', 0))
    _write(tmp_path / "b.ome.tif", other, _image(0, _data("a.ome.tif", None, count=2)))
    with pytest.raises(InputError, match=r"b.ome.tif' says that plane 0 of .* well E06, .*A01"):
        _ingest(new_lake, tmp_path)
    _ingest(new_lake, tmp_path, allow_incomplete=True)
    assert _fields(new_lake) == [("P", "B03", 1)]


def test_a_page_of_two_channels_is_refused(new_lake: Lake, tmp_path: Path) -> None:
    twice = _data(None, None) + _data(None, None, first_c=1)
    _write(tmp_path / "a.ome.tif", PLATE, _image(0, twice))
    with pytest.raises(InputError, match=r"says that plane 0 .* channel_index 1"):
        _ingest(new_lake, tmp_path)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({"PhysicalSizeX": "0.5", "PhysicalSizeY": "0.5"}, 0.5),
        ({"PhysicalSizeX": "0.5"}, 0.5),
        ({"PhysicalSizeX": "500", "PhysicalSizeXUnit": "nm", "PhysicalSizeY": "0.5"}, 0.5),
        ({"PhysicalSizeX": "5000", "PhysicalSizeXUnit": "Å"}, 0.5),
        ({"PhysicalSizeX": "5", "PhysicalSizeXUnit": "pixel"}, None),
        ({"PhysicalSizeX": "0.5", "PhysicalSizeY": "0.25"}, None),
        ({"PhysicalSizeX": "inf"}, None),
        ({}, None),
    ],
)
@pytest.mark.sample(4)
def test_pixel_sizes(
    new_lake: Lake,
    tmp_path: Path,
    attributes: dict[str, str],
    size: float | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _write(tmp_path / "a.ome.tif", PLATE, _image(0, **attributes), _image(1, **attributes))
    _ingest(new_lake, tmp_path)
    found = new_lake.query("select distinct pixel_size_um from field").item()
    assert found == (None if size is None else pytest.approx(size))
    assert ("left out: " in caplog.text) == (size is None and bool(attributes))


def test_wavelengths_and_names_of_channels(new_lake: Lake, tmp_path: Path) -> None:
    channels = (
        '<Channel ID="C:0" Name=" " Fluor="Hoechst" EmissionWavelength="0.46"'
        ' EmissionWavelengthUnit="µm"/><Channel ID="C:1" EmissionWavelength="520"/>'
    )
    _write(tmp_path / "a.ome.tif", PLATE, *(_image(n, channels=channels) for n in (0, 1)))
    _ingest(new_lake, tmp_path)
    assert new_lake.query("select channel, emission_nm from channel order by all").rows() == [
        ("Hoechst", pytest.approx(460)),
        ("ch1", 520),
    ]


ONE_WELL = _plate(_well(0, 'Row="0" Column="0"', 0))


@pytest.mark.parametrize(
    ("image", "num_pages", "said"),
    [
        (_image(0), 3, "a.ome.tif, 1 of 3 pages'"),
        (_image(0, "<TiffData/>"), 4, "a.ome.tif, 2 of 4 pages'"),
        (_image(0, '<TiffData FirstC="0" IFD="0"/>'), 1, "well A01 field 1: 1 of 2'"),
        (_image(0, '<TiffData FirstC="1" IFD="1"/>', SizeZ=2), 2, "field 1: 1 of 4'"),
        (_image(0).replace("uint16", "uint8"), 2, "pixels of uint16 that the OME-XML calls uint8"),
    ],
)
@pytest.mark.sample(3)
def test_what_the_xml_and_its_file_do_not_share_is_said(
    new_lake: Lake,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    image: str,
    num_pages: int,
    said: str,
) -> None:
    _write(tmp_path / "a.ome.tif", ONE_WELL, image, num_pages=num_pages)
    _ingest(new_lake, tmp_path)
    assert said in caplog.text
    assert _fields(new_lake) == [("P", "A01", 1)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (_image(0, "<TiffData/>", SizeC=3), "it has 2 of the 3 that its OME-XML names"),
        (_image(0, "<TiffData/>", SizeC=1, SizeZ=3), "it has 2 of the 3"),
        (_image(0, "", SizeC=1, SizeT=4), "it has 2 of the 4"),
        (_image(0, SizeX=512), "is 32 x 32 px, but its OME-XML says 32 x 512"),
    ],
)
def test_a_file_that_lacks_what_its_xml_says_is_refused(
    new_lake: Lake, tmp_path: Path, image: str, message: str
) -> None:
    _write(tmp_path / "a.ome.tif", ONE_WELL, image, num_pages=2)
    with pytest.raises(InputError, match=message):
        _ingest(new_lake, tmp_path)


def test_channels_in_files_of_their_own_are_whole(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = _data("a.ome.tif", "urn:a") + _data("b.ome.tif", "urn:b", first_c=1)
    for name in "ab":
        file = tmp_path / f"{name}.ome.tif"
        _write(file, ONE_WELL, _image(0, data), own=f"urn:{name}", num_pages=1)
    _ingest(new_lake, tmp_path)
    assert new_lake.query("select count(*) from image").item() == 2
    assert "left out" not in caplog.text
    assert "says more" not in caplog.text


def test_wavelengths_and_sizes_that_are_not_possible(
    new_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channels = '<Channel ID="C:0" EmissionWavelength="0"/><Channel ID="C:1"/>'
    image = _image(0, channels=channels)
    _write(tmp_path / "a.ome.tif", ONE_WELL, image, num_pages=2)
    _ingest(new_lake, tmp_path)
    assert "the emission of 1 images is 0 nm" in caplog.text
    for old, new, message in (
        ('Wavelength="0"', 'Wavelength="-5"', "column emission_nm: '-5' is not possible"),
        ('Wavelength="0"', 'Wavelength="INF"', "column emission_nm: 'INF' is not a number"),
        ('Rows="8"', 'Rows="0"', "plate 'P' has the Rows '0'; expected a number from 1 to 32"),
        ('Row="0"', 'Row="9"', "the well J01 lies beyond the 8 rows and 12 columns"),
    ):
        parts = (ONE_WELL.replace(old, new), image.replace(old, new))
        _write(tmp_path / "a.ome.tif", *parts, num_pages=2)
        with pytest.raises(InputError, match=message):
            _ingest(new_lake, tmp_path)
