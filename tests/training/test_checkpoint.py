"""A training that is stopped and resumed gives the model of an undisturbed one."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from toy_training import LONG, TOY, assert_same_weights

from unidino.core.errors import InputError, LakeError, ModelError
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.training import checkpoint
from unidino.training.dino import Dino
from unidino.training.train import train


@pytest.fixture(scope="module")
def trained(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny lake with the model `whole`, trained without a break."""
    folder = tmp_path_factory.mktemp("trained") / "lake"
    shutil.copytree(ingested, folder)
    train(Lake.open(folder), "whole", config=LONG)
    return folder


@pytest.fixture
def lake(trained: Path, tmp_path: Path) -> Lake:
    """A fresh lake with the model `whole`."""
    shutil.copytree(trained, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.mark.parametrize("stop_after", [1, 3, 4, 8])
@pytest.mark.sample(2)
def test_a_training_that_is_stopped_and_resumed_is_the_uninterrupted_one(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    step = Dino.step
    made = []

    def stopping(self, *args, **kwargs):
        made.append(1)
        if len(made) == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Dino, "step", stopping)
    with pytest.raises(ModelError, match=f"stopped at step {stop_after}, .*--resume"):
        train(lake, "cut", config=LONG)
    assert lake.query("select model from model").rows() == [("whole",)]
    log = train(lake, "cut", resume=True)
    assert_same_weights(lake, "whole", "cut")
    expected = (lake.path / "models" / "whole" / "train.jsonl").read_text().splitlines()
    for row, line in zip(log, expected, strict=True):
        assert row["loss"] == json.loads(line)["loss"]
    assert not (lake.path / "models" / "cut" / "checkpoint.safetensors").exists()
    hashes = lake.query("select distinct weights_hash from model")
    assert hashes.height == 1


def test_a_training_that_is_killed_resumes_from_its_last_epoch(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Dino.step
    made = []

    def dying(self, *args, **kwargs):
        made.append(1)
        if len(made) == 5:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Dino, "step", dying)
        with pytest.raises(KeyboardInterrupt):
            train(lake, "cut", config=LONG)
    train(lake, "cut", resume=True)
    assert_same_weights(lake, "whole", "cut")


def test_a_training_is_not_resumed_on_other_samples(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Dino.step

    def stopping(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Dino, "step", stopping)
    with pytest.raises(ModelError, match="stopped at step 1"):
        train(lake, "cut", config=LONG)
    lake.execute("update image set qc = 'blank' where well = 'B02'")
    with pytest.raises(ModelError, match="no longer those of its first run"):
        train(lake, "cut", resume=True)


def test_what_cannot_be_resumed_is_said(lake: Lake, run_cli) -> None:
    with pytest.raises(ModelError, match="no checkpoint at"):
        train(lake, "toy", resume=True)
    path = lake.path / "models" / "toy" / "checkpoint.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="is damaged"):
        train(lake, "toy", resume=True)
    status, _, errors = run_cli(
        "train", "--model", "toy", "--resume", "--epochs", "3", "--lake", lake.path
    )
    assert (status, "give --model only" in errors) == (1, True)
    with pytest.raises(InputError, match="--resume continues with"):
        train(lake, "toy", resume=True, config={"epochs": 3})


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    save = checkpoint.save

    def full(tensors, metadata):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(metadata)
        return save(tensors, metadata)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", full)
        with pytest.raises(ModelError, match=r"cannot write the checkpoint .*No space left"):
            train(lake, "toy", config=TOY)
    _, state = checkpoint.load_checkpoint(lake.path / "models" / "toy" / "checkpoint.safetensors")
    assert state.step == 3
    assert len(train(lake, "toy", resume=True)) == 2


def test_a_plate_that_goes_missing_stops_and_resumes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = lake.path / "plates" / "tiny_b1_p1.zarr"
    step = Dino.step
    made = []

    def moving(self, *args, **kwargs):
        made.append(1)
        if len(made) == 4:
            plate.rename(plate.with_name("away"))
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Dino, "step", moving)
        with pytest.raises(LakeError, match=r"was its plate moved\?.*--resume"):
            train(lake, "cut", config=LONG)
    plate.with_name("away").rename(plate)
    train(lake, "cut", resume=True)
    assert_same_weights(lake, "whole", "cut")


def test_a_training_that_is_not_complete_is_never_overwritten_unasked(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = lake.path / "models" / "cut" / "checkpoint.safetensors"
    with monkeypatch.context() as patched:
        step = Dino.step

        def stopping(self, *args, **kwargs):
            os.kill(os.getpid(), signal.SIGTERM)
            return step(self, *args, **kwargs)

        patched.setattr(Dino, "step", stopping)
        with pytest.raises(ModelError, match="stopped at step 1"):
            train(lake, "cut", config=LONG)
    before = kept.read_bytes()
    for attempt in (
        lambda: train(lake, "cut", config=TOY),
        lambda: create_model(lake, "gaussian", "cut"),
    ):
        with pytest.raises(ModelError, match=r"not complete; continue it by .* --resume`, discard"):
            attempt()
        assert kept.read_bytes() == before
    train(lake, "cut", config=TOY, overwrite=True)
    assert not kept.exists()


def test_two_trainings_of_one_name_do_not_meet(lake: Lake) -> None:
    with (
        lake.lock("train-cut", wait=False),
        pytest.raises(ModelError, match="another process trains 'cut'"),
    ):
        train(lake, "cut", config=TOY)
    assert not (lake.path / "models" / "cut").exists()


def test_what_a_killed_training_left_behind_its_model_is_removed(lake: Lake) -> None:
    left = lake.path / "models" / "whole" / "checkpoint.safetensors"
    left.write_bytes(b"half")
    with pytest.raises(ModelError, match="there is a model 'whole' already"):
        train(lake, "whole", config=TOY)
    assert not left.exists()
