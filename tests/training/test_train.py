"""Training lands a model that was trained as asked, or says what is wrong."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toy_training import TOY, assert_same_weights, weights

from unidino.core.errors import InputError, ModelError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines, registry
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.training.dino import Dino, Step
from unidino.training.train import train


@pytest.mark.anywhere(remote="slow")
def test_training_lands_a_model(lake: Lake) -> None:
    log = train(lake, "toy", config=TOY.model_copy(update={"epochs": 3}))
    assert log[-1]["effective_rank"] > 2
    assert log.frame["epoch"].to_list() == [0, 1, 2]
    assert "effective_rank" in repr(log)
    assert lake.query("select model, samples from model").row(0) == ("toy", "training_sample")
    lines = (lake.path / "models" / "toy" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2]
    encoder = registry.load_encoder(lake, "toy", torch.device("cpu"))
    assert encoder(torch.rand(1, 1, 32, 32)).shape == (1, 192)


def test_training_is_reproducible(lake: Lake) -> None:
    logs = [train(lake, name, config=TOY) for name in ("one", "two")]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    hashes = lake.query("select distinct weights_hash from model")
    assert hashes.height == 1


@pytest.mark.parametrize("batch_size", [8, 100])
def test_an_epoch_has_as_many_steps_as_are_asked_for(lake: Lake, batch_size: int) -> None:
    changes = {"epochs": 2, "steps_per_epoch": 2, "batch_size": batch_size}
    log = train(lake, "toy", config=TOY.model_copy(update=changes))
    assert [row["steps"] for row in log] == [2, 4]


def test_training_refuses_what_cannot_be(lake: Lake) -> None:
    with pytest.raises(InputError, match="fewer than one minibatch of 800"):
        train(lake, "big", config=TOY.model_copy(update={"batch_size": 800}))
    baselines.create_model(lake, "gaussian", "taken")
    with pytest.raises(ModelError, match="'taken' already"):
        train(lake, "taken", config=TOY)
    with pytest.raises(InputError, match="adapt continues a model: name it with --start"):
        train(lake, "mine", recipe="adapt")
    assert lake.query("select count(*) from model").item() == 1


def test_a_loss_that_is_not_finite_names_the_images(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = Step(float("nan"), 0.0, 0.0, torch.zeros(2, 192), torch.full((64,), 1 / 64))
    monkeypatch.setattr(Dino, "step", lambda self, *a, **k: nan)
    with pytest.raises(ModelError, match=r"loss is nan at step 0; images: tiny_b\d_p1/"):
        train(lake, "toy", config=TOY)
    assert lake.query("select count(*) from model").item() == 0


def test_a_network_of_several_channels_is_trained_and_embeds_fields(
    lake: Lake, tmp_path: Path
) -> None:
    config = TOY.model_copy(update={"input_channels": ("DNA", "Tubulin"), "epochs": 1})
    log = train(lake, "both", config=config)
    assert np.isfinite(log[0]["loss"])
    done = embed(lake, "both")
    assert (done.num_images, done.left_out) == (24, {"no_input_of_the_model": 24})
    rows = lake.query("select distinct channel, channel_index from embedding where model = 'both'")
    assert rows.rows() == [("DNA+Tubulin", 0)]
    profile(lake, Selection(models=["both"]))
    profiles = lake.query("select channels, len(embedding) from profile where model = 'both'")
    assert profiles.unique().rows() == [(["DNA+Tubulin"], 192)]


def test_instance_norm_takes_brightness_and_contrast_away(lake: Lake) -> None:
    train(lake, "normed", config=TOY.model_copy(update={"epochs": 1, "instance_norm": True}))
    encoder = registry.load_encoder(lake, "normed", torch.device("cpu"))
    crops = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(encoder(crops), encoder(0.3 * crops + 0.1), rtol=1e-3, atol=1e-3)


def test_a_collapse_stops_with_its_figures(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Step(
        1.0,
        1.0,
        1.0,
        torch.ones(16, 192) + 1e-6 * torch.rand(16, 192),
        torch.full((64,), 1 / 64),
    )
    monkeypatch.setattr(Dino, "step", lambda self, *a, **k: flat)
    with pytest.raises(ModelError, match=r"has collapsed: .*effective rank"):
        train(lake, "toy", config=TOY)


@pytest.mark.anywhere(remote="slow")
def test_student_and_teacher_start_from_a_model(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(lake, "first", config=TOY)
    seen = []
    monkeypatch.setattr(
        Dino,
        "step",
        lambda self, *a, **k: (
            seen.append(self.state())
            or Step(1, 1, 1, torch.rand(16, 192), torch.full((64,), 1 / 64))
        ),
    )
    train(lake, "second", config=TOY.model_copy(update={"seed": 5, "epochs": 1}), start="first")
    for name, tensor in weights(lake, "first").items():
        torch.testing.assert_close(seen[0][f"student.encoder.vit.{name}"], tensor)
        torch.testing.assert_close(seen[0][f"teacher.encoder.vit.{name}"], tensor)
    assert lake.query("select parent from model where model = 'second'").item() == "first"
    other = TOY.model_copy(update={"architecture_options": {"depth": 2}})
    with pytest.raises(ModelError, match="network of another shape"):
        train(lake, "third", config=other, start="first")


def test_a_training_that_starts_from_a_model_takes_its_network_and_scaling(lake: Lake) -> None:
    train(lake, "first", config=TOY.model_copy(update={"intensity": "dtype", "epochs": 1}))
    brief = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 4}
    train(lake, "second", recipe="small", config=brief, start="first")
    first, second = (registry.load_config(lake, name) for name in ("first", "second"))
    assert second == first
    assert first.intensity == "dtype"


def test_a_training_starts_only_from_a_vision_transformer(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    with pytest.raises(ModelError, match=r"cannot start from 'gaussian' \(gaussian\); choose a"):
        train(lake, "mine", recipe="adapt", start="gaussian")


def test_crops_that_patches_do_not_divide_are_refused(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"local_crop_size_px is 24, .* patches of 16 px .* 16"):
        train(lake, "toy", config=TOY.model_copy(update={"local_crop_size_px": 24}))


def test_a_minibatch_in_parts_has_no_batch_norm(lake: Lake) -> None:
    with pytest.raises(ModelError, match="accumulate is 2, but a batch norm needs the whole"):
        train(lake, "toy", config=TOY.model_copy(update={"accumulate": 2}))


@pytest.mark.anywhere(remote="slow")
def test_what_a_model_was_trained_on_is_kept_with_it(lake: Lake) -> None:
    query = "select * from training_sample where channel = 'DNA'"
    train(lake, "toy", config=TOY, samples=query)
    kept = pq.read_table(lake.path / "models" / "toy" / "samples.parquet")
    assert (kept.num_rows, set(kept["channel"].to_pylist())) == (24, {"DNA"})
    assert lake.query("select samples from model").item() == query
    assert list((lake.path / "models" / "toy" / "tensorboard").iterdir())
    figures = json.loads((lake.path / "models" / "toy" / "train.jsonl").read_text().split("\n")[0])
    assert {
        "loss",
        "learning_rate",
        "teacher_entropy",
        "center_norm",
        "feature_sd",
        "effective_rank",
        "images_per_s",
        "waiting",
    } <= set(figures)


@pytest.mark.slow
@pytest.mark.parametrize("centring", ["mean", "sinkhorn"])
def test_two_processes_make_the_same_model_as_one(
    lake: Lake, tmp_path: Path, centring: str
) -> None:
    changes = {"epochs": 1, "head_batch_norm": False, "centring": centring, "noise": 0.1}
    train(lake, "one", config=TOY.model_copy(update=changes))
    config = tmp_path / "config.json"
    config.write_text(TOY.model_copy(update=changes).model_dump_json())
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", "--lake", str(lake.path), "--config", str(config), "--model", "two"]
    subprocess.run(
        [sys.executable, *launcher, "-m", "unidino", *words],
        check=True,
        timeout=180,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert_same_weights(lake, "one", "two", atol=1e-5)


def test_a_minibatch_that_processes_cannot_share_is_refused(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"a minibatch of 8 .* choose a multiple of 3"):
        train(lake, "toy", config=TOY.model_copy(update={"accumulate": 3}))


def test_every_argument_is_recorded(lake: Lake) -> None:
    changes = TOY.model_dump() | {"epochs": 1}
    train(lake, "toy", recipe="small", config=changes, samples="training_sample", device="cpu")
    recorded = json.loads(lake.query("select arguments from run where command = 'train'").item())
    assert set(recorded) == set(inspect.signature(train).parameters) - {"lake"}
    assert (recorded["name"], recorded["recipe"]) == ("toy", "small")
    assert recorded["config"] == json.loads(TOY.model_copy(update={"epochs": 1}).model_dump_json())
