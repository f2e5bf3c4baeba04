"""Published sets give the manifest by their tables: real ones if at hand, else small samples in the
form that the set documents."""

import gzip
import json
from pathlib import Path

import numpy as np
from planes import plane_of, stored_plane, write_plane

from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.layouts.read import read_manifest
from unidino.plates.manifest import Choice


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


def test_bbbc037_with_its_annotation(tmp_path: Path, new_lake: Lake) -> None:
    """Columns as BBBC037 and the Image Data Resource (idr0033) publish them; rows written here."""
    folder = tmp_path / "BBBC037"
    names = {
        stain: f"taoe005-u2os-72h-cp-a-au00044858_a02_s3_w{i}90ae2577.tif"
        for i, stain in enumerate(("Hoechst", "ERSyto", "ERSytoBleed", "PhGolgi", "Mito"), start=1)
    }
    for i, name in enumerate(names.values()):
        write_plane(folder / "images" / "41744" / name, i)
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
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'AGP'"), plane_of(3))


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
            write_plane(folder / "images" / "cpg0016-jump" / source / "images" / plate / name, k)
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
        write_plane(folder / "images" / f"921_B9_1_{colour}.tif", i)
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
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'Protein'"), plane_of(2))


def test_cell_health_by_its_files_and_annotation(tmp_path: Path, new_lake: Lake) -> None:
    """Columns of idr0080's annotation and file names of its microscope; rows written here."""
    folder = tmp_path / "cell-health"
    images = folder / "images" / "SQ00014610__2016-06-16T00_38_35-Measurement2" / "Images"
    for well in ("r01c02", "r02c01"):
        for channel in range(1, 6):
            write_plane(images / f"{well}f03p01-ch{channel}sk1fk1fl1.tiff", channel)
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
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'RNA'"), plane_of(3))


def test_insect_by_its_metadata(tmp_path: Path, new_lake: Lake) -> None:
    """Columns that the authors' program reads; rows written here."""
    folder = tmp_path / "insect"
    for channel in range(1, 6):
        name = f"r02c03f01p01-ch{channel}sk1fk1fl1.tiff"
        write_plane(folder / "images" / "Batch3" / "P1" / "Images" / name, channel)
    (folder / "metadata_all_batches_sf9.csv").write_text(
        "batch,plate,well,fov_id,cell_count,perturbation_id,MoA,concentration\n"
        "Batch3,P1,B03,r02c03f01,412,rotenone,complex I inhibitor,0.5\n"
    )
    ingest(new_lake, folder, "insect")
    assert new_lake.query(
        "select plate, well, compound, concentration_um, moa, cell_line from well"
    ).row(0) == ("P1", "B03", "rotenone", 0.5, "complex I inhibitor", "Sf9")
    np.testing.assert_array_equal(stored_plane(new_lake, "channel = 'ER'"), plane_of(2))
