"""The network, the head and the loss return what the published program returns."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unidino.core.errors import ModelError, UnidinoError
from unidino.embeddings.crops import crops_of
from unidino.lake.lake import Lake
from unidino.models import baselines, networks, registry
from unidino.models.config import ModelConfig
from unidino.models.networks import Encoder, scaled
from unidino.training.loss import DinoHead, DinoLoss
from unidino.training.recipe import Schedules, TrainConfig, teacher_temperatures


def _rng(key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"unidino-0:{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


@pytest.fixture(scope="module")
def published() -> Encoder:
    """ViT-S with the weights that the parity data were computed with."""
    encoder = Encoder("vit_small_patch16_224", 224)
    state = {}
    for name, value in encoder.vit.state_dict().items():
        weights = _rng(name).standard_normal(tuple(value.shape)).astype(np.float32)
        weights *= np.float32(0.02)
        if "norm" in name and name.endswith("weight"):
            weights += 1
        state[name] = torch.from_numpy(weights)
    encoder.vit.load_state_dict(state, strict=True)
    return encoder.eval()


def test_embeddings_equal_the_published_programs(published: Encoder, parity: Path) -> None:
    expected = np.load(parity / "vit_small_embeddings.npz")["embeddings"]
    crops = _rng("crops").integers(0, 65536, (6, 1, 224, 224), np.uint16)
    low, high = torch.zeros(6), torch.full((6,), 65535.0)
    with torch.inference_mode():
        got = published(scaled(torch.from_numpy(crops), low, high))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_a_field_that_is_not_square_equals_the_published_programs(
    published: Encoder, parity: Path
) -> None:
    expected = np.load(parity / "field_embedding.npz")
    field = _rng("field").integers(0, 65536, (3, 500, 700), np.uint16)
    grid = tuple(expected["grid"])
    for plane, want in zip(field, expected["channel_embeddings"], strict=True):
        crops = crops_of(plane[None], 224, 224)
        assert len(crops) == grid[0] * grid[1] == 6
        with torch.inference_mode():
            got = published(torch.from_numpy(crops / np.float32(65535))).mean(dim=0)
        np.testing.assert_allclose(got.numpy(), want, atol=1e-5)


def test_loss_and_center_equal_the_published_programs(parity: Path) -> None:
    steps = json.loads((parity / "dino_loss.json").read_text())
    config = TrainConfig(epochs=100)
    temperatures = teacher_temperatures(config)
    loss = DinoLoss(64)
    for i, step in enumerate(steps):
        student = torch.from_numpy(_rng(f"student{i}").standard_normal((40, 64)).astype(np.float32))
        teacher = torch.from_numpy(_rng(f"teacher{i}").standard_normal((8, 64)).astype(np.float32))
        targets = loss.targets(teacher.unflatten(0, (2, 4)), temperatures[step["epoch"]])
        value = loss(student.unflatten(0, (10, 4)), targets)
        loss.move_center(teacher.mean(dim=0, keepdim=True))
        assert value.item() == pytest.approx(step["loss"], rel=1e-6)
        assert loss.center.norm().item() == pytest.approx(step["center_norm"], rel=1e-6)
        np.testing.assert_allclose(loss.center[0, :4], step["center_first"], atol=1e-6)


def test_schedules_equal_the_published_programs(parity: Path) -> None:
    expected = json.loads((parity / "schedules.json").read_text())
    config = TrainConfig(epochs=expected["epochs"], learning_rate=4e-4 * 510 / 256)
    schedules = Schedules.of(config, expected["steps_per_epoch"])
    for name in ("learning_rate", "weight_decay", "teacher_momentum"):
        got = getattr(schedules, name)[expected["at_step"]]
        np.testing.assert_allclose(got, expected[name], rtol=1e-6, atol=1e-12)
    temperatures = teacher_temperatures(config)
    for epoch, value in expected["teacher_temperature_at_epoch"].items():
        assert temperatures[int(epoch)] == pytest.approx(value, rel=1e-6)


def test_the_loss_is_the_mean_over_pairs_of_different_views() -> None:
    student, teacher = torch.randn(4, 3, 8), torch.randn(2, 3, 8)
    terms = []
    for t in range(2):
        for v in range(4):
            if v != t:
                targets = (teacher[t] / 0.04).softmax(-1)
                terms.append(-(targets * (student[v] / 0.1).log_softmax(-1)).sum(-1).mean())
    loss = DinoLoss(8)
    got = loss(student, loss.targets(teacher, 0.04))
    assert got.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"qk_norm": True, "init_values": 0.1, "qkv_bias": False},
        {"scale_attn_norm": True, "scale_mlp_norm": True},
    ],
)
def test_the_shorter_last_block_gives_what_the_whole_one_gives(options: dict[str, int]) -> None:
    encoder = Encoder("vit_tiny_patch16_224", 64, {"depth": 2, **options})
    crops = torch.rand(8, 1, 64, 64)
    with torch.no_grad():
        short = encoder(crops)
    torch.testing.assert_close(short, encoder(crops).detach(), rtol=1e-5, atol=1e-5)
    whole = encoder.vit.forward_features(crops)[:, 0]
    torch.testing.assert_close(short, whole.detach(), rtol=1e-5, atol=1e-5)


def test_smaller_crops_use_positions_interpolated_by_scale_factor() -> None:
    encoder = Encoder("vit_tiny_patch16_224", 224, {"depth": 1}).eval()
    native = encoder.vit.pos_embed
    grid = native[:, 1:].reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
    want = torch.nn.functional.interpolate(grid, scale_factor=(6.1 / 14, 6.1 / 14), mode="bicubic")
    got = encoder._positions(6, 6)
    torch.testing.assert_close(got[:, 1:], want.flatten(2).transpose(1, 2))
    torch.testing.assert_close(got[:, :1], native[:, :1])
    assert encoder(torch.rand(2, 1, 96, 96)).shape == (2, 192)


def test_rows_of_the_last_layer_have_unit_length() -> None:
    head = DinoHead(8, 5, hidden=16, bottleneck=4)
    outputs = head(torch.randn(100, 8))
    assert outputs.abs().max() <= 1 + 1e-6


def test_scaling_maps_the_range_to_0_and_1() -> None:
    planes = torch.tensor([[[0, 100, 300, 500]], [[7, 7, 7, 7]]])
    got = scaled(planes, torch.tensor([100.0, 7.0]), torch.tensor([300.0, 7.0]))
    torch.testing.assert_close(got, torch.tensor([[[0.0, 0, 1, 1]], [[0, 0, 0, 0]]]))


def test_a_model_comes_back_as_it_went_in(lake: Lake) -> None:
    assert baselines.create_model(lake, "random_vit", "mine", seed=3) == "mine"
    encoder = registry.load_encoder(lake, "mine", torch.device("cpu"))
    again = networks.new_encoder(registry.load_config(lake, "mine"))
    for name, value in again.vit.state_dict().items():
        torch.testing.assert_close(encoder.vit.state_dict()[name], value, rtol=0, atol=0)
    row = lake.query("select kind, num_dims, preprocessing ->> 'seed' from model").row(0)
    assert row == ("vit", 384, "3")


@pytest.mark.parametrize("name", ["a/b", "..", "", "two words"])
def test_a_model_name_must_be_a_folder(lake: Lake, name: str) -> None:
    with pytest.raises(ModelError, match="may not be named"):
        registry.check_new_name(lake, name)


def test_a_taken_name_and_an_unknown_model_are_named(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    with pytest.raises(ModelError, match="'gaussian' already"):
        baselines.create_model(lake, "gaussian")
    with pytest.raises(UnidinoError, match="unknown model 'vit'; choose one of gaussian"):
        registry.load_config(lake, "vit")


def test_damaged_weights_are_named(lake: Lake) -> None:
    baselines.create_model(lake, "random_vit")
    path = lake.path / "models" / "random_vit" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot load the weights of model 'random_vit'"):
        registry.load_encoder(lake, "random_vit", torch.device("cpu"))


def test_an_architecture_that_is_none_is_named() -> None:
    config = ModelConfig(kind="vit", architecture="vit_enormous", num_dims=1)
    with pytest.raises(ModelError, match="unknown architecture 'vit_enormous'"):
        networks.new_encoder(config)
    with pytest.raises(ModelError, match="no vision transformer"):
        Encoder("resnet18", 224)
