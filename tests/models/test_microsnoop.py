"""Microsnoop's encoder takes the published names and returns what the authors' program returns."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.embeddings.crops import crops_of
from unidino.embeddings.embed import embed
from unidino.embeddings.encode import encode
from unidino.embeddings.forward import forward_of
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models.config import ModelConfig
from unidino.models.microsnoop import MicrosnoopEncoder, encoder_state, percentile_scaled
from unidino.models.registry import load_network
from unidino.models.weights import import_model


def _rng(key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"unidino-0:{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _weighted(encoder: MicrosnoopEncoder) -> MicrosnoopEncoder:
    """The encoder, in eval mode, with weights and statistics drawn from its parameters' names."""
    state = {}
    for name, value in encoder.state_dict().items():
        drawn = _rng(name).standard_normal(tuple(value.shape))
        if value.dim() == 4:
            drawn *= np.sqrt(2 / np.prod(value.shape[1:]))
        elif name.endswith("running_var"):
            drawn = np.exp(0.2 * drawn)
        else:
            drawn = 0.1 * drawn + name.endswith("weight")
        is_drawn = value.is_floating_point()
        state[name] = torch.from_numpy(drawn.astype(np.float32)) if is_drawn else value
    encoder.load_state_dict(state, strict=True)
    return encoder.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def encoder() -> MicrosnoopEncoder:
    return _weighted(MicrosnoopEncoder())


@pytest.fixture(scope="module")
def small() -> MicrosnoopEncoder:
    return _weighted(MicrosnoopEncoder(16))


def _waves(*shape: int) -> Tensor:
    """Crops (N, 1, H, W) in [0, 1] of ever finer waves, with noise."""
    num, _, height, width = shape
    places = np.add.outer(np.arange(height), 2.0 * np.arange(width))
    waves = np.stack([np.sin(places * 0.03 * (i + 1) ** 2) for i in range(num)])[:, None]
    values = 0.4 + 0.3 * waves + 0.05 * _rng("crops").standard_normal(shape)
    return torch.from_numpy(values.clip(0, 1).astype(np.float32))


def _checkpoint(encoder: MicrosnoopEncoder, prefix: str = "module.") -> dict[str, Tensor]:
    """The encoder's parameters among a decoder's, as the authors' program saves them."""
    named = {f"encoder.downsample.{name}": v for name, v in encoder.state_dict().items()}
    named |= {
        "decoder.upsample.up.res_up_0.conv.conv_0.0.weight": torch.ones(64),
        "decoder.base_conv.weight": torch.zeros(1, 32, 1, 1),
    }
    return {prefix + name: value for name, value in named.items()}


# The first, second, 101st and 256th number of three embeddings, as scellseg 0.1.8's network, mean
# pooling and the authors' scaling return them for the weights and crops above.
PUBLISHED = {
    (224, 224): [
        [0.081570, -0.062795, -0.069978, -0.089019],
        [0.094704, -0.045928, -0.055560, -0.092429],
        [0.077280, -0.054095, -0.031299, -0.100354],
    ],
    (100, 131): [
        [0.082644, -0.066230, -0.063821, -0.084421],
        [0.093997, -0.049653, -0.050931, -0.090345],
        [0.076855, -0.055592, -0.027218, -0.097353],
    ],
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_embeddings_equal_the_published_programs(
    encoder: MicrosnoopEncoder, size: tuple[int, int]
) -> None:
    got = encoder(_waves(3, 1, *size))
    assert got.shape == (3, encoder.num_dims) == (3, 256)
    np.testing.assert_allclose(got[:, [0, 1, 100, 255]], PUBLISHED[size], atol=1e-5)
    np.testing.assert_allclose(got.norm(dim=1), 1, rtol=1e-5)


def test_the_published_network_has_these_parameters() -> None:
    encoder = MicrosnoopEncoder()
    state = encoder.state_dict()
    assert len(state) == 4 * 35
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 2_786_660
    assert state["down.res_down_0.conv.conv_0.2.weight"].shape == (32, 1, 3, 3)
    assert state["down.res_down_3.conv.conv_3.0.running_var"].shape == (256,)
    assert state["down.res_down_3.proj.1.weight"].shape == (256, 128, 1, 1)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_a_checkpoint_loads(small: MicrosnoopEncoder, prefix: str) -> None:
    other = MicrosnoopEncoder(16).eval()
    crops = _waves(2, 1, 64, 64)
    assert not torch.allclose(other(crops), small(crops), atol=1e-3)
    other.load_state_dict(encoder_state(_checkpoint(small, prefix)), strict=True)
    torch.testing.assert_close(other(crops), small(crops), rtol=0, atol=0)
    assert encoder_state(small.state_dict()).keys() == small.state_dict().keys()


@pytest.mark.parametrize("name", ["encoder.downsample.down.res_down_4.proj.1.bias", "encoder.cls"])
def test_an_extra_parameter_is_noticed(small: MicrosnoopEncoder, name: str) -> None:
    state = encoder_state(_checkpoint(small) | {f"module.{name}": torch.ones(16)})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        MicrosnoopEncoder(16).load_state_dict(state, strict=True)


@pytest.mark.parametrize("name", ["conv.conv_2.2.bias", "proj.0.running_mean"])
def test_a_missing_parameter_is_noticed(small: MicrosnoopEncoder, name: str) -> None:
    state = _checkpoint(small)
    del state[f"module.encoder.downsample.down.res_down_1.{name}"]
    with pytest.raises(RuntimeError, match=f"Missing key.*res_down_1.{name}"):
        MicrosnoopEncoder(16).load_state_dict(encoder_state(state), strict=True)


def test_weights_without_an_encoder_are_named() -> None:
    with pytest.raises(ModelError, match="no Microsnoop encoder"):
        encoder_state({"module.decoder.base_conv.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match="multiple of 8"):
        MicrosnoopEncoder(100)


def test_an_embedding_does_not_depend_on_its_batch(small: MicrosnoopEncoder) -> None:
    crops = _waves(4, 1, 64, 64)
    alone = torch.cat([small(crop[None]) for crop in crops])
    torch.testing.assert_close(small(crops), alone, rtol=0, atol=1e-6)
    assert (alone[0] - alone[1]).abs().max() > 1e-3
    in_training = _weighted(MicrosnoopEncoder(16)).train()
    assert not torch.allclose(in_training(crops), alone, atol=1e-3)


def test_percentiles_are_scaled_tile_by_tile() -> None:
    tiles = _waves(3, 1, 40, 50) * torch.tensor([1.0, 0.5, 0.01])[:, None, None, None]
    want = []
    for tile in tiles.double().numpy():
        low, high = np.percentile(tile, [1, 99])
        want.append((tile - low) / (high - low))
    np.testing.assert_allclose(percentile_scaled(tiles), want, atol=1e-4)
    constant = torch.full((1, 1, 8, 8), 0.3)
    torch.testing.assert_close(percentile_scaled(constant), constant)
    hot = torch.zeros(1, 1, 20, 20)
    hot[0, 0, 3, 4] = 1
    torch.testing.assert_close(percentile_scaled(hot), hot * 1e6)


def test_scaling_makes_embeddings_blind_to_offset_and_gain(small: MicrosnoopEncoder) -> None:
    crops = _waves(2, 1, 64, 64)
    torch.testing.assert_close(small(crops), small(0.1 + 0.02 * crops), rtol=0, atol=1e-4)
    torch.testing.assert_close(small(crops), small(percentile_scaled(crops)))


def test_planes_of_a_lake_are_embedded_as_the_mean_of_their_crops(
    lake: Lake, small: MicrosnoopEncoder
) -> None:
    rows = lake.query(
        "select channel_index, dtype, p0_1, p99_9, uri || '/' || path as uri from image"
        " join field using (plate, well, field) join plate on plate_id = plate"
        " order by plate, well, field, channel_index limit 3"
    ).to_dicts()
    config = ModelConfig(kind="microsnoop", num_dims=16, crop_size_px=40, stride_px=40)
    forward = forward_of(small, config, torch.device("cpu"), batch_size=5)
    got = encode(lake, rows, config, forward)
    assert got.num_crops.tolist() == [4, 4, 4]
    for row, vector in zip(rows, got.means, strict=True):
        plane = pixels.read_plane(lake.resolve(row["uri"]), row["channel_index"])
        values = (plane.astype(np.float32) - row["p0_1"]) / (row["p99_9"] - row["p0_1"])
        crops = crops_of(np.clip(values, 0, 1)[None].astype(np.float32), 40, 40)
        np.testing.assert_allclose(vector, small(torch.from_numpy(crops)).mean(dim=0), atol=1e-4)


def test_a_checkpoint_comes_in_and_embeds(lake: Lake, tmp_path: Path) -> None:
    encoder = _weighted(MicrosnoopEncoder())
    state = {f"module.encoder.downsample.{k}": v for k, v in encoder.state_dict().items()}
    state["module.decoder.upsample.weight"] = torch.zeros(3)
    torch.save({"model": state, "epoch": 999}, tmp_path / "snoop.pth")
    import_model(lake, tmp_path / "snoop.pth", "snoop", architecture="microsnoop")
    tiles = _waves(2, 1, 224, 224)
    with torch.inference_mode():
        network = load_network(lake, "snoop", torch.device("cpu"))
        torch.testing.assert_close(network(tiles), encoder(tiles))
    # Few images, because the network is slow.
    lake.execute("update image set qc = 'blank' where well <> 'B02' or channel <> 'DNA'")
    embed(lake, "snoop", plates=["tiny_b1_p1"])
    assert lake.query("select distinct len(embedding) from embedding").item() == 256
    name = next(iter(state))
    torch.save({"model": {k: v for k, v in state.items() if k != name}}, tmp_path / "less.pth")
    with pytest.raises(ModelError, match="is missing"):
        import_model(lake, tmp_path / "less.pth", "less", architecture="microsnoop")
