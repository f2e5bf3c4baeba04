"""The network returns what the published program returns."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from unidino.core.errors import ModelError, UnidinoError
from unidino.embeddings.crops import crops_of
from unidino.lake.lake import Lake
from unidino.models import baselines, networks, registry
from unidino.models.config import ModelConfig
from unidino.models.encoder import Encoder
from unidino.models.networks import scaled


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
    parameters = list(encoder.parameters())
    short, whole = encoder(crops), encoder.vit.forward_features(crops)[:, 0]
    torch.testing.assert_close(short, whole, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(short)
    for got, want in zip(
        torch.autograd.grad((short * weights).sum(), parameters),
        torch.autograd.grad((whole * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_smaller_crops_use_positions_interpolated_by_scale_factor() -> None:
    encoder = Encoder("vit_tiny_patch16_224", 224, {"depth": 1}).eval()
    native = encoder.vit.pos_embed
    grid = native[:, 1:].reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
    want = torch.nn.functional.interpolate(grid, scale_factor=(6.1 / 14, 6.1 / 14), mode="bicubic")
    got = encoder._positions(6, 6)
    torch.testing.assert_close(got[:, 1:], want.flatten(2).transpose(1, 2))
    torch.testing.assert_close(got[:, :1], native[:, :1])
    assert encoder(torch.rand(2, 1, 96, 96)).shape == (2, 192)


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


@pytest.mark.parametrize("name", ["a/b", "..", "", "two words", "x" * 101])
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
    with pytest.raises(ModelError, match="not a vision transformer"):
        Encoder("resnet18", 224)
