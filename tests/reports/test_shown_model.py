"""What is shown of a model is what its files and the catalog say."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import unidino as ud
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import packaged, registry
from unidino.models.baselines import create_model
from unidino.models.config import ModelConfig
from unidino.models.microsnoop import MicrosnoopEncoder
from unidino.models.networks import new_encoder
from unidino.reports.shown_model import show_model

TOY = ModelConfig(
    kind="vit",
    architecture="vit_tiny_patch16_224",
    architecture_options={"depth": 1},
    num_dims=192,
    crop_size_px=48,
    stride_px=24,
)
EPOCH = {
    "epoch": 3,
    "steps": 400,
    "target_information": 1.0,
    "learned": 0.5,
    "teacher_entropy": 2.0,
    "entropy_limit": 5.0,
}


@pytest.fixture
def toy(lake: Lake) -> Lake:
    """A lake with a model that was trained, embedded a plate and has a card."""
    network = new_encoder(TOY)
    registry.register(
        lake, Run("test", {}), "toy", TOY, network, samples="select 1", parent="p", licence="MIT"
    )
    folder = lake.path / "models" / "toy"
    (folder / "train.jsonl").write_text(
        f"{json.dumps(EPOCH | {'learned': 0})}\n{json.dumps(EPOCH)}"
    )
    (folder / "card.md").write_text("# Toy\n\nA small one.\n")
    embed(lake, "toy", plates=["tiny_b2_p1"])
    return lake


def test_everything_is_shown(toy: Lake, run_cli: Callable[..., tuple[int, str, str]]) -> None:
    shown = show_model(toy, "toy")
    wanted = sum(p.numel() for p in new_encoder(TOY).vit.parameters())
    assert shown.num_parameters == wanted > 400_000
    assert shown.plates == ("tiny_b2_p1",)
    assert (shown.crop_px, shown.stride_px, shown.intensity) == (48, 24, "percentile")
    assert (shown.samples, shown.parent, shown.licence) == ("select 1", "p", "MIT")
    assert shown.training is not None
    assert shown.training.startswith("learned after 400 steps")
    assert dict(shown.frame.iter_rows())["architecture_options"] == "depth: 1"
    assert "tiny_b2_p1" in repr(shown)
    at = ("--lake", toy.path)
    status, out, _ = run_cli("models", "show", "toy", *at)
    assert status == 0
    assert out.rstrip().endswith("A small one.")
    for text in ("vit_tiny_patch16_224", "tiny_b2_p1", shown.weights_hash, "learned after"):
        assert text in out
    status, out, _ = run_cli("models", "show", "toy", "--json", *at)
    assert status == 0
    document = json.loads(out)
    assert document["plates"] == ["tiny_b2_p1"]
    assert document["card"].startswith("# Toy")
    assert document["num_parameters"] == wanted


def test_a_model_without_network_has_no_parameters(lake: Lake) -> None:
    create_model(lake, "gaussian")
    shown = show_model(lake, "gaussian")
    assert shown.num_parameters is shown.training is shown.card is shown.licence is None
    assert shown.plates == ()
    assert shown.weights_hash is not None
    assert "training" not in shown.frame["entry"]


def test_statistics_of_batch_norms_are_no_parameters(lake: Lake) -> None:
    network = MicrosnoopEncoder(16)
    config = ModelConfig(kind="microsnoop", num_dims=16)
    registry.register(lake, Run("test", {}), "snoop", config, network)
    wanted = sum(parameter.numel() for parameter in network.parameters())
    assert show_model(lake, "snoop").num_parameters == wanted


def test_a_training_that_did_not_learn_is_told(toy: Lake) -> None:
    log = toy.path / "models" / "toy" / "train.jsonl"
    log.write_text(json.dumps(EPOCH | {"learned": 0.0}))
    assert str(show_model(toy, "toy").training).startswith("did not learn after 400 steps")
    log.write_text("{")
    with pytest.raises(ud.UnidinoError, match=r"model 'toy': a file of .* is damaged"):
        show_model(toy, "toy")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        b"\xff" * 7 + b"\x00" + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (1).to_bytes(8, "little") + b"3",
        (7).to_bytes(8, "little") + b'{"w":3}',
        (8).to_bytes(8, "little") + b'{"w":{}}',
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (20).to_bytes(8, "little") + b'{"w":{"shape":"abc"}}',
    ],
)
def test_damaged_weights_are_told_in_one_line(toy: Lake, content: bytes) -> None:
    (toy.path / "models" / "toy" / "model.safetensors").write_bytes(content)
    with pytest.raises(ud.UnidinoError, match=r"model 'toy': a file of .* is damaged: .") as caught:
        show_model(toy, "toy")
    assert "\n" not in str(caught.value)


def test_an_error_without_a_message_is_told_by_its_type(
    toy: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("unidino.reports.shown_model.verdict", fail)
    with pytest.raises(ud.UnidinoError, match="is damaged: ValueError"):
        show_model(toy, "toy")


def test_a_packaged_model_is_found_by_its_name(
    toy: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "packaged"
    shutil.copytree(toy.path / "models" / "toy", root / "base")
    monkeypatch.setattr(packaged, "ROOT", root)
    assert packaged.packaged_names() == ["base"]
    shown = show_model(toy, "base")
    assert shown.card == "# Toy\n\nA small one.\n"
    assert shown.weights_hash == show_model(toy, "toy").weights_hash
    assert (shown.created, shown.plates) == (None, ())
    with pytest.raises(ud.UnidinoError, match="unknown model 'big'; choose one of toy, base"):
        show_model(toy, "big")


def test_a_packaged_model_is_shown_without_a_lake(tmp_path: Path, run_cli, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNIDINO_LAKE", raising=False)
    status, out, _ = run_cli("models", "show", "base")
    assert status == 0
    assert "## Training" in out
    status, _, err = run_cli("models", "show", "other")
    assert (status, err.count("error: no lake at 'lake'")) == (1, 1)
