"""OME-TIFF and OME-Zarr of any program give the manifest."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from planes import plane_of, stored_plane, write_plane

from unidino.core.errors import InputError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice

_OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{plate}
 <Image ID="Image:0" Name="i"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16"
  SizeX="32" SizeY="32" SizeZ="2" SizeC="2" SizeT="1" PhysicalSizeX="650" PhysicalSizeXUnit="nm">
  <Channel ID="Channel:0" Name="DNA" EmissionWavelength="452"/><Channel ID="Channel:1" Fluor="GFP"/>
  <TiffData IFD="0" PlaneCount="4"/></Pixels></Image></OME>"""
_OME_PLATE = """<Plate ID="Plate:0" Name="p7" Rows="8" Columns="12"><Well ID="Well:0" Row="1"
 Column="2"><WellSample ID="WellSample:0" Index="0"><ImageRef ID="Image:0"/></WellSample></Well>
</Plate>"""


def _write_ome_tiff(path: Path, plate: str) -> None:
    stack = np.stack([plane_of(v) for v in (0, 5, 100, 90)])
    path.parent.mkdir(parents=True)
    tifffile.imwrite(
        path,
        stack,
        description=_OME.format(plate=plate).replace("\n", " "),
        photometric="minisblack",
        metadata=None,
    )


def test_ome_tiff_by_its_plate(tmp_path: Path, new_lake: Lake) -> None:
    _write_ome_tiff(tmp_path / "x" / "a.ome.tif", _OME_PLATE)
    ingest(new_lake, tmp_path / "x", "ome-tiff")
    assert new_lake.query(
        "select plate, well, field, channel, num_slices from image order by channel_index"
    ).rows() == [("p7", "B03", 1, "DNA", 2), ("p7", "B03", 1, "GFP", 2)]
    assert new_lake.query("select pixel_size_um from field").item() == pytest.approx(0.65)
    assert new_lake.query("select emission_nm from channel order by 1").rows() == [
        (452.0,),
        (None,),
    ]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DNA'"), plane_of(5))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'GFP'"), plane_of(100))


def test_ome_tiff_without_a_plate_takes_its_place_from_the_path(
    tmp_path: Path, new_lake: Lake
) -> None:
    _write_ome_tiff(tmp_path / "run3" / "C05_f2.ome.tif", "")
    with pytest.raises(InputError, match=r"in no plate of its OME-XML.*--pattern"):
        ingest(new_lake, tmp_path / "run3", "ome-tiff")
    pattern = r"(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_f(?P<field>\d)"
    ingest(new_lake, tmp_path / "run3", "ome-tiff", pattern=pattern, choice=Choice(z="0"))
    assert new_lake.query("select distinct plate, well, field from image").rows() == [
        ("run3", "C05", 2)
    ]
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'GFP'"), plane_of(100))


def test_ome_tiff_over_several_files(tmp_path: Path, new_lake: Lake) -> None:
    """A companion file names the planes of two TIFFs, as the OME model documents."""
    folder = tmp_path / "set"
    for channel in (0, 1):
        write_plane(folder / f"c{channel}.tif", 10 * channel)
    blocks = "".join(
        f'<TiffData FirstC="{c}" IFD="0"><UUID FileName="c{c}.tif">u{c}</UUID></TiffData>'
        for c in (0, 1)
    )
    text = _OME.format(plate=_OME_PLATE).replace('SizeZ="2"', 'SizeZ="1"')
    (folder / "set.companion.ome").write_text(
        text.replace('<TiffData IFD="0" PlaneCount="4"/>', blocks)
    )
    ingest(new_lake, folder, "ome-tiff")
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'DNA'"), plane_of(0))
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'GFP'"), plane_of(10))


def _write_foreign_plate(path: Path, zarr_format: int) -> None:
    """A plate as the ome-zarr library writes it: axes t, c, z, y, x, chunks of its own choice."""
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

    form = FormatV05() if zarr_format == 3 else FormatV04()
    root = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    write_plate_metadata(root, ["B"], ["03"], ["B/03"], fmt=form)
    well = root.require_group("B").require_group("03")
    write_well_metadata(well, ["0", "1"], fmt=form)
    for field in ("0", "1"):
        image = well.require_group(field)
        pixels = np.stack(
            [
                [
                    [plane_of(1000 * t + 100 * c + 10 * z + int(field)) for z in range(3)]
                    for c in range(2)
                ]
                for t in range(2)
            ]
        )
        write_image(pixels, image, axes="tczyx", fmt=form, scale_factors=[])
        omero = {
            "channels": [
                {
                    "label": label,
                    "color": "FFFFFF",
                    "window": {"start": 0, "end": 9, "min": 0, "max": 9},
                }
                for label in ("DNA", "ER")
            ]
        }
        if zarr_format == 3:
            image.attrs["ome"] = dict(image.attrs["ome"]) | {"omero": omero}
        else:
            image.attrs["omero"] = omero


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.sample(2)
def test_an_ome_zarr_plate_of_others(
    tmp_path: Path, new_lake: Lake, zarr_format: int, in_place: bool
) -> None:
    source = tmp_path / "screens" / "plate9.ome.zarr"
    source.parent.mkdir()
    _write_foreign_plate(source, zarr_format)
    choice = Choice(timepoint=1, drop_channels=["DN*"])
    form = Form(in_place=in_place)
    done = ingest(new_lake, source.parent, "ome-zarr", choice=choice, form=form)
    assert (done.landed, done.num_images) == (("plate9",), 2)
    uri = new_lake.query("select uri from plate").item()
    assert uri == (str(source) if in_place else "plates/plate9.zarr")
    assert (new_lake.path / "plates" / "plate9.zarr").exists() != in_place
    plane = stored_plane(new_lake, "field = 1 and channel = 'ER'")
    np.testing.assert_array_equal(plane, plane_of(1000 + 100 + 20 + 1))
    assert new_lake.query("select num_slices, p0_1 from image where field = 1").row(0) == (
        3,
        pytest.approx(np.percentile(plane, 0.1)),
    )
    assert check(new_lake) == []
    again = ingest(new_lake, source.parent, "ome-zarr", choice=choice, form=form)
    assert again.skipped == ("plate9",)


def test_in_place_is_for_ome_zarr(tmp_path: Path, new_lake: Lake) -> None:
    with pytest.raises(InputError, match=r"--in-place .* --layout ome-zarr"):
        ingest(new_lake, tmp_path, "harmony", form=Form(in_place=True))
    with pytest.raises(InputError, match="leaves plates as they are"):
        ingest(new_lake, tmp_path, "ome-zarr", form=Form(in_place=True, pyramid=1))


def test_a_lakes_own_plate_registers_in_another_lake(lake: Lake, tmp_path: Path) -> None:
    other = Lake.create(tmp_path / "other")
    done = ingest(other, lake.path / "plates", "ome-zarr", form=Form(in_place=True))
    assert (len(done.landed), done.num_images) == (2, 72)
    query = "select plate, well, field, channel, p99_9, focus from image order by all"
    assert other.query(query).equals(lake.query(query))


@pytest.mark.parametrize(
    "damage",
    [
        lambda group: (group / "zarr.json").write_text("{"),
        lambda group: (group / "zarr.json").unlink(),
        lambda group: (group / "0" / "zarr.json").unlink(),
    ],
)
def test_a_damaged_ome_zarr_plate_is_named(lake: Lake, tmp_path: Path, damage) -> None:
    damage(lake.path / "plates" / "tiny_b1_p1.zarr" / "B" / "02" / "1")
    with pytest.raises(InputError, match="B/02/1' is not a valid part of an OME-Zarr plate"):
        ingest(Lake.create(tmp_path / "other"), lake.path / "plates", "ome-zarr")
