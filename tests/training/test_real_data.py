"""The whole lane on real images: BBBC021's own layout and an Opera Phenix export in one lake."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unidino.core.errors import InputError, ProfileError
from unidino.embeddings.embed import embed
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.models.networks import new_encoder
from unidino.models.registry import load_config
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.question import Question
from unidino.training.probe import Probe
from unidino.training.train import train


@pytest.fixture(scope="module")
def real(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with both datasets and a model trained on them for moments."""
    lake = Lake.create(tmp_path_factory.mktemp("real") / "lake")
    moa = data / "bbbc021" / "BBBC021_v1_moa.csv"
    ingest(lake, data / "bbbc021_montage", "bbbc021", metadata=[moa])
    ingest(
        lake,
        data / "cpjump1",
        "harmony",
        platemap=data / "jump" / "JUMP-Target-1_compound_platemap.tsv",
        metadata=[data / "jump" / "JUMP-Target-1_compound_metadata.tsv"],
        choice=Choice(channel_names=["Mito", "AGP", "RNA", "ER", "DNA"]),
    )
    changes = {"architecture_options": {"depth": 1}, "batch_size": 16, "num_outputs": 128}
    train(lake, "vit", recipe="small", config=changes | {"epochs": 1})
    return lake


def test_everything_is_registered(real: Lake) -> None:
    counts = real.query(
        "select dataset, count(distinct plate) as plates, count(distinct (plate, well)) as wells,"
        " count(distinct (plate, well, field)) as fields, count(*) as images"
        " from image join plate on plate_id = plate group by all order by all"
    )
    assert counts.rows() == [("bbbc021", 7, 15, 51, 153), ("cpjump1", 1, 10, 10, 50)]
    assert check(real) == []


def test_metadata_are_the_sets_own(real: Lake) -> None:
    rows = real.query(
        "select batch, compound, concentration_um, control_type, moa, count(*) from well"
        " join plate on plate_id = plate where dataset = 'bbbc021' group by all order by all"
    ).rows()
    assert rows == [
        ("Week2", "taxol", 0.3, "trt", "Microtubule stabilizers", 1),
        ("Week4", "DMSO", 0.0, "negcon", None, 6),
        ("Week4", "cyclohexamide", 5.0, "trt", "Protein synthesis", 2),
        ("Week4", "cyclohexamide", 15.0, "trt", "Protein synthesis", 3),
        ("Week4", "cyclohexamide", 50.0, "trt", "Protein synthesis", 3),
    ]
    jump = real.query(
        "select well, compound, target, control_type from well"
        " where plate = 'cpjump1' order by well"
    )
    assert jump["control_type"].to_list().count("negcon") == 1
    assert jump.filter(jump["control_type"] == "negcon")["compound"].to_list() == ["DMSO"]
    assert jump["target"].null_count() <= 1


def test_one_plate_is_embedded_once(real: Lake) -> None:
    first = embed(real, "vit", plates=["Week4_27861"])
    assert (first.plates, first.num_images) == (("Week4_27861",), 39)
    again = embed(real, "vit", plates=["Week4_27861"])
    assert (again.plates, again.skipped) == ((), ("Week4_27861",))
    rest = embed(real, "vit")
    assert len(rest.plates) == 7
    assert real.query("select count(*) from embedding").item() == 203


def test_embeddings_are_averaged_per_compound_and_channel(real: Lake) -> None:
    embed(real, "vit")
    means = real.query(
        "select compound, channel, mean_vector(embedding) as mean from embedding"
        " join well using (plate, well) where compound in ('DMSO', 'taxol') group by all"
    )
    assert means.height == 7 + 3  # DMSO is in both sets, which share DNA
    assert {len(vector) for vector in means["mean"]} == {192}


def test_wells_of_a_compound_find_each_other_across_plates(real: Lake) -> None:
    embed(real, "vit")
    (found,) = score(
        real,
        Question("not same plate", label="compound", include_controls=True),
        Selection(["vit"], normalize="none"),
    )
    assert (found.dataset, found.n, found.num_classes) == ("bbbc021", 14, 2)
    assert found.dropped == {"label_in_one_plate": 1}
    assert found.chance is not None
    assert found.accuracy is not None
    assert found.accuracy > found.chance


def test_what_a_dataset_cannot_be_scored_by_is_said(real: Lake) -> None:
    embed(real, "vit")
    with pytest.raises(
        ProfileError, match=r"on bbbc021 is not scored by nsc: .*a label that only one compound has"
    ):
        score(real, "nsc", Selection(["vit"]))


def test_a_missing_image_of_the_set_is_named(data: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    moa = data / "bbbc021" / "BBBC021_v1_moa.csv"
    with pytest.raises(InputError, match=r"no image file .*w1.*--images"):
        ingest(lake, data / "bbbc021_montage", "bbbc021", metadata=[moa], images=tmp_path)
    assert lake.query("select count(*) from plate").item() == 0


def test_another_export_by_its_file_names(data: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    pattern = r"(?P<plate>AS_\d+_\d+)_(?P<well>[A-P]\d\d)f(?P<field>\d+)d(?P<channel_index>\d)"
    done = ingest(
        lake, data / "transfluor", "filename", pattern=pattern, choice=Choice(channel_names=["GFP"])
    )
    assert (len(done.landed), done.num_wells, done.num_fields, done.num_images) == (1, 24, 72, 72)


@pytest.mark.slow
def test_minutes_of_training_tell_puncta_better_than_random_weights(real: Lake, data: Path) -> None:
    """One channel of Transfluor beside three of BBBC021 and five of Cell Painting.

    The arrestin of wells O01 and O05 to O09 is seen in puncta, of the others spread over the cell
    (labelled by eye; the set has no annotation). Fields are judged, by fields of other wells.
    """
    pattern = r"(?P<plate>AS_\d+_\d+)_(?P<well>[A-P]\d\d)f(?P<field>\d+)d(?P<channel_index>\d)"
    choice = Choice(channel_names=["GFP"])
    ingest(
        real, data / "transfluor", "filename", dataset="transfluor", pattern=pattern, choice=choice
    )
    probe = (
        "select * replace (well || '/' || field as well), well as exclude,"
        " well in ('O01', 'O05', 'O06', 'O07', 'O08', 'O09') as label"
        " from training_sample where dataset = 'transfluor'"
    )
    changes = {"probe_every": 30}
    log = train(real, "three_sets", recipe="small", config=changes, probe=probe)
    drawn = real.query(f"from read_parquet('{real.path}/models/three_sets/samples.parquet')")
    assert set(drawn["dataset"]) == {"bbbc021", "cpjump1", "transfluor"}
    model_config = load_config(real, "three_sets")
    device = torch.device("cpu")
    judge = Probe.of(real, probe, model_config, device)
    random = [
        judge(new_encoder(model_config.model_copy(update={"seed": seed})))["transfluor"]
        for seed in range(5)
    ]
    print(f"trained {log[-1]['probe_transfluor']:.3f}, random {np.round(random, 3)}")
    assert log[-1]["probe_transfluor"] > np.mean(random)


def test_an_operetta_export_by_its_index(data: Path, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, data / "formats" / "operetta", "harmony")
    rows = lake.query(
        "select image.plate, well, field, image.channel, excitation_nm, emission_nm,"
        " round(pixel_size_um, 4), round(position_x_um, 1), height_px"
        " from image join field using (plate, well, field)"
        " join channel using (plate, channel_index) order by field"
    ).rows()
    assert rows == [
        ("Test_Sample_BALL", "C03", 1, "Fluorescein (FITC)", 475, 525, 1.196, -645.8, 1080),
        ("Test_Sample_BALL", "C03", 2, "Fluorescein (FITC)", 475, 525, 1.196, rows[1][7], 1080),
    ]


@pytest.mark.slow
def test_the_example_script_runs(data: Path, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    script = Path(__file__).resolve().parents[2] / "examples" / "bbbc021.sh"
    config = tmp_path / "moments.json"
    config.write_text('{"architecture_options": {"depth": 1}, "num_outputs": 128}')
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "UNIDINO_LAKE": str(tmp_path / "lake"),
    }
    done = subprocess.run(
        [
            "bash",
            str(script),
            str(data / "bbbc021_montage"),
            str(data / "bbbc021" / "BBBC021_v1_moa.csv"),
            "--epochs",
            "1",
            "--batch-size",
            "16",
            "--config",
            str(config),
        ],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = [
        json.loads(line)
        for line in done.stdout.splitlines()
        if line.startswith('{"model": "bbbc021_vit", "norm')
    ]
    assert [s["n"] for s in scores] == [14]
