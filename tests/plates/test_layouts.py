"""Every layout turns its export into the same manifest: plates, wells, fields, channels, pixels.

Exports of instruments are real where they are at hand (formats of `data`). Others are the smallest
samples in the form that public documentation of the set gives, written by the test.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from unidino.core.errors import InputError
from unidino.lake import pixels
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.layouts.read import layouts, read_manifest
from unidino.plates.manifest import Choice


def _plane(value: int, size: int = 32) -> np.ndarray:
    return (np.arange(size * size, dtype=np.uint16) % 97 + value).reshape(size, size)


def _write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, _plane(value))


def _pixels(lake: Lake, where: str) -> np.ndarray:
    uri, path, index = lake.query(
        "select uri, path, channel_index from image join field using (plate, well, field)"
        f" join plate on plate_id = image.plate where {where}"
    ).row(0)
    return pixels.read_plane(lake.resolve(f"{uri}/{path}"), index)


@pytest.fixture
def new_lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def test_every_layout_of_the_design_is_there() -> None:
    assert layouts() == sorted(
        [
            "manifest",
            "bbbc021",
            "bbbc037",
            "jump",
            "hpa",
            "cell-health",
            "insect",
            "harmony",
            "imagexpress",
            "cellvoyager",
            "scanr",
            "filename",
            "ome-tiff",
            "ome-zarr",
        ]
    )


# Instruments


def test_operetta_by_its_index(data: Path, new_lake: Lake) -> None:
    ingest(new_lake, data / "formats" / "operetta", "harmony")
    assert new_lake.query("select plate_id, num_rows, num_columns from plate").rows() == [
        ("Test_Sample_BALL", 16, 24)
    ]
    assert new_lake.query("select channel, excitation_nm, emission_nm from channel").rows() == [
        ("Fluorescein (FITC)", 475.0, 525.0)
    ]


def test_imagexpress_projects_slices(data: Path, new_lake: Lake) -> None:
    source = data / "formats" / "imagexpress" / "9987_Plate_3434"
    done = ingest(new_lake, source, "imagexpress")
    assert (done.num_wells, done.num_fields, done.num_images) == (2, 4, 12)
    assert new_lake.query("select num_rows, num_columns from plate").row(0) == (8, 12)
    assert new_lake.query(
        "select channel, emission_nm from channel order by channel_index"
    ).rows() == [("DAPI", 452.0), ("FITC", 520.0), ("Texas Red", 624.0)]
    assert new_lake.query("select distinct pixel_size_um from field").rows() == [(1.3672,)]
    steps = [
        tifffile.imread(source / "TimePoint_1" / f"ZStep_{z}" / "9987_B03_s2_w1.TIF")
        for z in (1, 2)
    ]
    assert (steps[0] != steps[1]).any()
    plane = _pixels(new_lake, "image.well = 'B03' and image.field = 2 and channel = 'DAPI'")
    np.testing.assert_array_equal(plane, np.maximum(*steps))


def test_imagexpress_one_slice_and_one_time_point(data: Path, new_lake: Lake) -> None:
    source = data / "formats" / "imagexpress"
    with pytest.raises(InputError, match="time points 1, 2; choose one with --timepoint"):
        ingest(new_lake, source, "imagexpress")
    with pytest.raises(InputError, match="no time point 3; the images have 1, 2"):
        ingest(new_lake, source, "imagexpress", choice=Choice(timepoint=3))
    ingest(new_lake, source, "imagexpress", choice=Choice(timepoint=2))
    assert new_lake.query("select plate_id from plate").rows() == [("9987_Plate_3435",)]
    plane = _pixels(new_lake, "image.well = 'B02' and image.field = 1 and channel = 'FITC'")
    file = source / "9987_Plate_3435" / "TimePoint_2" / "9987_B02_s1_w2.TIF"
    np.testing.assert_array_equal(plane, tifffile.imread(file))
    ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="2"))
    plane = _pixels(new_lake, "image.plate = '9987_Plate_3434' and image.well = 'B02'")
    file = source / "9987_Plate_3434" / "TimePoint_1" / "ZStep_2" / "9987_B02_s1_w1.TIF"
    np.testing.assert_array_equal(plane, tifffile.imread(file))
    with pytest.raises(InputError, match=r"nothing is left .*channels: .*; slices: 1, 2"):
        ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="9"))
    with pytest.raises(InputError, match="--z is 'max' or the number"):
        ingest(new_lake, source / "9987_Plate_3434", "imagexpress", choice=Choice(z="mean"))


def test_cellvoyager_by_its_measurement(data: Path, new_lake: Lake) -> None:
    done = ingest(new_lake, data / "formats" / "cellvoyager", "cellvoyager")
    assert (done.num_wells, done.num_fields, done.num_images) == (3, 12, 24)
    assert new_lake.query("select num_rows, num_columns from plate").row(0) == (8, 12)
    assert new_lake.query(
        "select channel, excitation_nm, emission_nm from channel order by channel_index"
    ).rows() == [("BP445/45", 405.0, 445.0), ("BP525/50", 488.0, 525.0)]
    assert new_lake.query(
        "select well, pixel_size_um, position_x_um, position_y_um from field"
        " order by well, field limit 1"
    ).rows() == [("D08", 0.325, -567.1, 402.9)]
    assert new_lake.query("select distinct num_slices, qc from image").rows() == [(4, "blank")]


def test_scanr_by_its_names(tmp_path: Path, new_lake: Lake) -> None:
    """Names as Evident documents them and Bio-Formats reads them."""
    for z in range(2):
        for channel in ("DAPI", "TRITC"):
            name = f"B2--W00014--P00001--Z{z:05d}--T00000--{channel}.tif"
            _write(tmp_path / "run5" / "data" / name, 10 * z + len(channel))
    ingest(new_lake, tmp_path / "run5", "scanr")
    assert new_lake.query("select plate, well, field, channel, num_slices from image").rows() == [
        ("run5", "B02", 1, "DAPI", 2),
        ("run5", "B02", 1, "TRITC", 2),
    ]
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'DAPI'"), _plane(14))


def test_scanr_without_well_names_is_refused(tmp_path: Path, new_lake: Lake) -> None:
    _write(tmp_path / "run5" / "data" / "W00014--P00001--Z00000--T00000--DAPI.tif", 1)
    with pytest.raises(InputError, match=r"names its well only by number.*--pattern"):
        ingest(new_lake, tmp_path / "run5", "scanr")
    with pytest.raises(InputError, match="matches none of the 0 images"):
        ingest(new_lake, new_lake.path, "scanr")


@pytest.mark.parametrize(
    ("name", "text", "layout", "message"),
    [
        ("a.HTD", "no settings here\n", "imagexpress", "a.HTD' is not an HTD file"),
        ("a.HTD", '"HTSInfoFile", Version 1.0\n', "imagexpress", "no images beside"),
        ("a.txt", "", "imagexpress", "no HTD file under"),
        ("MeasurementData.mlf", "<a", "cellvoyager", "not a valid CellVoyager measurement"),
        ("MeasurementData.mlf", "<a/>", "cellvoyager", "lists no image"),
        (
            "MeasurementData.mlf",
            '<a><MeasurementRecord Type="IMG">x.tif</MeasurementRecord></a>',
            "cellvoyager",
            "a record without Row",
        ),
        ("a.txt", "", "cellvoyager", "no MeasurementData.mlf"),
        ("a.txt", "", "ome-tiff", "no OME-TIFF"),
        ("a.ome.tif", "no TIFF", "ome-tiff", "not a valid TIFF"),
        ("a.txt", "", "ome-zarr", "no OME-Zarr plate"),
    ],
)
def test_a_damaged_export_is_named(
    tmp_path: Path, new_lake: Lake, name: str, text: str, layout: str, message: str
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        ingest(new_lake, folder, layout)
    assert "\n" not in str(caught.value)


# OME-TIFF

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
    stack = np.stack([_plane(v) for v in (0, 5, 100, 90)])
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
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'DNA'"), _plane(5))
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'GFP'"), _plane(100))


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
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'GFP'"), _plane(100))


def test_ome_tiff_over_several_files(tmp_path: Path, new_lake: Lake) -> None:
    """A companion file names the planes of two TIFFs, as the OME model documents."""
    folder = tmp_path / "set"
    for channel in (0, 1):
        _write(folder / f"c{channel}.tif", 10 * channel)
    blocks = "".join(
        f'<TiffData FirstC="{c}" IFD="0"><UUID FileName="c{c}.tif">u{c}</UUID></TiffData>'
        for c in (0, 1)
    )
    text = _OME.format(plate=_OME_PLATE).replace('SizeZ="2"', 'SizeZ="1"')
    (folder / "set.companion.ome").write_text(
        text.replace('<TiffData IFD="0" PlaneCount="4"/>', blocks)
    )
    ingest(new_lake, folder, "ome-tiff")
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'DNA'"), _plane(0))
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'GFP'"), _plane(10))


def test_a_file_of_several_planes_needs_its_page(tmp_path: Path, new_lake: Lake) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.stack([_plane(1), _plane(2)]), photometric="minisblack")
    rows = "path,page,plate,well,field,channel\ns.tif,0,p,A01,1,DNA\ns.tif,1,p,A01,1,RNA\n"
    (tmp_path / "m.csv").write_text(rows)
    ingest(new_lake, tmp_path / "m.csv", "manifest")
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'RNA'"), _plane(2))


# OME-Zarr


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
                    [_plane(1000 * t + 100 * c + 10 * z + int(field)) for z in range(3)]
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
    plane = _pixels(new_lake, "image.field = 1 and channel = 'ER'")
    np.testing.assert_array_equal(plane, _plane(1000 + 100 + 20 + 1))
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


# Published sets


def test_the_whole_of_bbbc021_registers_without_its_images(
    data: Path, tmp_path: Path, new_lake: Lake
) -> None:
    folder = tmp_path / "BBBC021"
    folder.mkdir()
    for name in ("BBBC021_v1_image.csv.gz", "BBBC021_v1_moa.csv"):
        (folder / name).symlink_to(data / "bbbc021" / name)
    done = ingest(new_lake, folder, "bbbc021", metadata_only=True)
    assert (len(done.landed), done.num_fields, done.num_images) == (55, 13200, 39600)
    counts = new_lake.query(
        "select count(distinct batch), count(distinct compound), count(distinct moa) from well"
        " join plate on plate_id = plate"
    )
    assert counts.row(0) == (10, 113, 12)
    assert new_lake.query("select distinct qc from image").rows() == [("absent",)]
    assert new_lake.query("select count(*) from training_sample").item() == 0
    assert check(new_lake) == []
    again = ingest(new_lake, folder, "bbbc021", metadata_only=True)
    assert (again.landed, len(again.skipped)) == ((), 55)


def test_pixels_take_the_place_of_metadata_alone(tiny_export: Path, new_lake: Lake) -> None:
    from conftest import ingest_tiny

    ingest_tiny(new_lake, tiny_export, metadata_only=True)
    assert new_lake.query("select distinct qc from image").rows() == [("absent",)]
    ingest_tiny(new_lake, tiny_export)
    assert new_lake.query("select distinct qc from image").rows() == [("ok",)]
    with pytest.raises(InputError, match="has its pixels in the lake"):
        ingest_tiny(new_lake, tiny_export, metadata_only=True)


def test_bbbc037_with_its_annotation(tmp_path: Path, new_lake: Lake) -> None:
    """Columns as BBBC037 and the Image Data Resource (idr0033) publish them; rows written here."""
    folder = tmp_path / "BBBC037"
    names = {
        stain: f"taoe005-u2os-72h-cp-a-au00044858_a02_s3_w{i}90ae2577.tif"
        for i, stain in enumerate(("Hoechst", "ERSyto", "ERSytoBleed", "PhGolgi", "Mito"), start=1)
    }
    for i, name in enumerate(names.values()):
        _write(folder / "images" / "41744" / name, i)
    header = ",".join(f"ImagePath_{stain}" for stain in names)
    (folder / "BBBC037_image_path.csv").write_text(
        f"PlateNumber,WellNumber,{header}\n41744,2,{','.join(names.values())}\n"
    )
    (folder / "idr0033-screenA-annotation.csv").write_text(
        "Plate,Well,Well Number,ORF Identifier,Gene Symbol,Has Phenotype\n"
        "41744,A2,2,,,\n41744_illum_corrected,A2,2,ccsbBroad304_00001,AKT1,yes\n"
    )
    (folder / "BBBC037_v1_DatasetGroundTruth.csv").write_text(
        "Metadata_broad_sample,Metadata_moa\nccsbBroad304_00001,PI3K\n"
    )
    ingest(new_lake, folder, "bbbc037")
    assert new_lake.query(
        "select plate, well, field, channel from image order by channel_index"
    ).rows() == [("41744", "A02", 3, c) for c in ("DNA", "ER", "RNA", "AGP", "Mito")]
    assert new_lake.query("select perturbation, target, moa, control_type from well").row(0) == (
        "ccsbBroad304_00001",
        "AKT1",
        "PI3K",
        "trt",
    )
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'AGP'"), _plane(3))


def test_jump_by_its_load_data(data: Path, tmp_path: Path, new_lake: Lake) -> None:
    """plate.csv.gz and perturbation_control.csv are JUMP's; load_data, well and compound have its
    columns and rows written here: two laboratories, of which one has brightfield planes.
    """
    folder = tmp_path / "jump"
    folder.mkdir()
    (folder / "plate.csv.gz").symlink_to(data / "jump" / "plate.csv.gz")
    (folder / "perturbation_control.csv").symlink_to(data / "jump" / "perturbation_control.csv")
    with gzip.open(data / "jump" / "plate.csv.gz", "rt") as file:
        known = [line.strip().split(",") for line in file]
    first = known[1]
    second = next(row for row in known[1:] if row[0] != first[0])
    metadata = "Metadata_Source,Metadata_Batch,Metadata_Plate,Metadata_Well,Metadata_Site"
    for i, (source, batch, plate, _) in enumerate((first, second)):
        stains = ["DNA", "ER", "RNA", "AGP", "Mito"] + ["Brightfield"] * (i == 1)
        header = [f"{kind}_Orig{s}" for s in stains for kind in ("FileName", "PathName")]
        values = []
        where = f"s3://cellpainting-gallery/cpg0016-jump/{source}/images/{plate}/"
        for k, stain in enumerate(stains):
            name = f"r01c02f01p01-ch{k + 1}.tiff"
            _write(folder / "images" / "cpg0016-jump" / source / "images" / plate / name, k)
            values += [name, where if i else where.replace("s3://cellpainting-gallery/", "")]
            assert stain
        (folder / plate).mkdir()
        (folder / plate / "load_data.csv").write_text(
            f"{metadata},{','.join(header)}\n{source},{batch},{plate},A02,1,{','.join(values)}\n"
        )
    (folder / "well.csv.gz").write_bytes(
        gzip.compress(
            "Metadata_Source,Metadata_Plate,Metadata_Well,Metadata_JCP2022\n"
            f"{first[0]},{first[2]},A02,JCP2022_033924\n"
            f"{second[0]},{second[2]},A02,JCP2022_000001\n".encode()
        )
    )
    (folder / "compound.csv.gz").write_bytes(
        gzip.compress(
            b"Metadata_JCP2022,Metadata_InChIKey,Metadata_InChI,Metadata_SMILES\n"
            b"JCP2022_000001,AAAHWCWPZPSPIW-UHFFFAOYSA-N,x,C\n"
        )
    )
    ingest(new_lake, folder, "jump", choice=Choice(drop_channels=["Brightfield*"]))
    assert new_lake.query(
        "select distinct source, batch, plate_id from plate order by all"
    ).rows() == sorted([tuple(first[:3]), tuple(second[:3])])
    assert (
        new_lake.query(
            "select plate, list(channel order by channel_index) from channel group by 1 order by 1"
        )["list(channel ORDER BY channel_index)"].to_list()
        == [["DNA", "ER", "RNA", "AGP", "Mito"]] * 2
    )
    wells = new_lake.query(
        "select perturbation, compound, control_type from well order by perturbation"
    )
    assert wells.rows() == [
        ("JCP2022_000001", "AAAHWCWPZPSPIW-UHFFFAOYSA-N", "trt"),
        ("JCP2022_033924", "DMSO", "negcon"),
    ]
    kept = Choice()
    rows = read_manifest(folder, "jump", choice=kept).images.to_pylist()
    assert [r["channel"] for r in rows if r["source"] == second[0]][-1] == "Brightfield"


def test_hpa_by_its_list(tmp_path: Path, new_lake: Lake) -> None:
    """Columns of the list of the 2021 challenge; rows written here."""
    folder = tmp_path / "HPA"
    for i, colour in enumerate(("blue", "red", "green", "yellow")):
        _write(folder / "images" / f"921_B9_1_{colour}.tif", i)
    (folder / "kaggle_2021.tsv").write_text(
        "Image,Label,Label_idx,Cellline,in_trainset\n"
        "https://images.proteinatlas.org/10005/921_B9_1,Golgi apparatus,7,U-2 OS,True\n"
    )
    ingest(new_lake, folder, "hpa")
    assert new_lake.query(
        "select plate, well, field, list(channel order by channel_index) from image group by all"
    ).row(0) == ("hpa_921", "B09", 1, ["DNA", "Tubulin", "Protein", "ER"])
    cell_line, extra = new_lake.query("select cell_line, extra from well").row(0)
    assert cell_line == "U-2 OS"
    assert json.loads(extra)["organelle"] == "Golgi apparatus"
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'Protein'"), _plane(2))


def test_cell_health_by_its_files_and_annotation(tmp_path: Path, new_lake: Lake) -> None:
    """Columns of idr0080's annotation and file names of its microscope; rows written here."""
    folder = tmp_path / "cell-health"
    images = folder / "images" / "SQ00014610__2016-06-16T00_38_35-Measurement2" / "Images"
    for well in ("r01c02", "r02c01"):
        for channel in range(1, 6):
            _write(images / f"{well}f03p01-ch{channel}sk1fk1fl1.tiff", channel)
    (folder / "idr0080-screenA-annotation.csv").write_text(
        "Plate,Well,Characteristics [Cell Line],Reagent Identifier,Gene Symbol,Control Type\n"
        "SQ00014610_illum_corrected,A2,A549,MCL1-5,MCL1,\n"
        "SQ00014610_illum_corrected,B1,A549,Chr2-1,Chr2,negative\n"
    )
    ingest(new_lake, folder, "cell-health")
    assert new_lake.query(
        "select well, perturbation, target, control_type, cell_line from well order by well"
    ).rows() == [
        ("A02", "MCL1-5", "MCL1", "trt", "A549"),
        ("B01", "Chr2-1", "Chr2", "negcon", "A549"),
    ]
    assert new_lake.query("select distinct plate, field from image").rows() == [("SQ00014610", 3)]
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'RNA'"), _plane(3))


def test_insect_by_its_metadata(tmp_path: Path, new_lake: Lake) -> None:
    """Columns that the authors' program reads; rows written here."""
    folder = tmp_path / "insect"
    for channel in range(1, 6):
        name = f"r02c03f01p01-ch{channel}sk1fk1fl1.tiff"
        _write(folder / "images" / "Batch3" / "P1" / "Images" / name, channel)
    (folder / "metadata_all_batches_sf9.csv").write_text(
        "batch,plate,well,fov_id,cell_count,perturbation_id,MoA,concentration\n"
        "Batch3,P1,B03,r02c03f01,412,rotenone,complex I inhibitor,0.5\n"
    )
    ingest(new_lake, folder, "insect")
    assert new_lake.query(
        "select plate, well, compound, concentration_um, moa, cell_line from well"
    ).row(0) == ("P1", "B03", "rotenone", 0.5, "complex I inhibitor", "Sf9")
    np.testing.assert_array_equal(_pixels(new_lake, "channel = 'ER'"), _plane(2))
