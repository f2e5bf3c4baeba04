"""OpenPhenom's encoder takes the published names and returns what the published program returns."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.embeddings.crops import crops_of
from unidino.embeddings.embed import embed
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.models.openphenom import OpenPhenomEncoder, encoder_state
from unidino.models.registry import load_config, load_network
from unidino.models.weight_files import load_strictly
from unidino.models.weights import import_model

CPU = torch.device("cpu")
DIMS, HEADS, PATCH, GRID, MAX_CHANNELS = 384, 6, 16, 16, 11
BACKBONE = "encoder.vit_backbone."


def _published(depth: int) -> dict[str, Tensor]:
    """Random weights under the names of the published file, with parts that do not embed."""
    generator = torch.Generator().manual_seed(depth)

    def normal(*shape: int, mean: float = 0.0, scale: float = 0.05) -> Tensor:
        return mean + scale * torch.randn(*shape, generator=generator)

    head = DIMS // HEADS
    state = {
        "cls_token": normal(1, 1, DIMS, scale=1),
        "pos_embed": normal(1, 1 + MAX_CHANNELS * GRID**2, DIMS, scale=1),
        "patch_embed.proj.weight": normal(DIMS, 1, PATCH, PATCH),
        "patch_embed.proj.bias": normal(DIMS),
        "fc_norm.weight": normal(DIMS),
        "fc_norm.bias": normal(DIMS),
    }
    for i in range(depth):
        block = f"blocks.{i}"
        state |= {
            f"{block}.in_proj.weight": normal(7 * DIMS, DIMS),
            f"{block}.mlp_bias": normal(4 * DIMS),
            f"{block}.attn_out_proj.weight": normal(DIMS, DIMS),
            f"{block}.attn_out_proj.bias": normal(DIMS),
            f"{block}.mlp_out_proj.weight": normal(DIMS, 4 * DIMS),
            f"{block}.mlp_out_proj.bias": normal(DIMS),
            f"{block}.ls.gamma": normal(DIMS, mean=0.5),
        }
        for name, size in (("in_norm", DIMS), ("q_norm", head), ("k_norm", head)):
            state[f"{block}.{name}.weight"] = normal(size, mean=1)
            state[f"{block}.{name}.bias"] = normal(size)
    return {f"{BACKBONE}{name}": tensor for name, tensor in state.items()} | {
        "decoder.mask_token": normal(1, 1, 512),
        "encoder_decoder_proj.weight": normal(512, DIMS),
        "decoder_pred.bias": normal(256),
    }


def _published_embedding(state: dict[str, Tensor], pixels: Tensor, *, channelwise: bool) -> Tensor:
    """What the program's `predict` returns of pixels of 8 bit (N, C, 256, 256), step by step."""
    state = {name.removeprefix(BACKBONE): tensor for name, tensor in state.items()}

    def norm(name: str, values: Tensor) -> Tensor:
        centred = values - values.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(name: str, values: Tensor) -> Tensor:
        return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    images = pixels.float() / 255
    mean = images.mean((2, 3), keepdim=True)
    images = (images - mean) / (images.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    num, num_channels = images.shape[:2]
    kernel = state["patch_embed.proj.weight"].flatten(1)
    tokens = [state["cls_token"].expand(num, -1, -1)]
    for channel in range(num_channels):
        patches = images[:, channel].unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
        patches = patches.reshape(num, GRID**2, PATCH**2)
        tokens.append(patches @ kernel.T + state["patch_embed.proj.bias"])
    values = torch.cat(tokens, dim=1)
    values = values + state["pos_embed"][:, : values.shape[1]]
    for i in range(sum(name.endswith(".ls.gamma") for name in state)):
        block = f"blocks.{i}"
        inner = norm(f"{block}.in_norm", values) @ state[f"{block}.in_proj.weight"].T
        hidden, query, key, value = inner.split([4 * DIMS, DIMS, DIMS, DIMS], dim=-1)
        hidden = hidden + state[f"{block}.mlp_bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        query, key, value = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (query, key, value)
        )
        query, key = norm(f"{block}.q_norm", query), norm(f"{block}.k_norm", key)
        scores = query @ key.transpose(-1, -2) / math.sqrt(DIMS // HEADS)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        out = linear(f"{block}.attn_out_proj", mixed) + linear(f"{block}.mlp_out_proj", hidden)
        values = values + state[f"{block}.ls.gamma"] * out
    patches = values[:, 1:]
    if not channelwise:
        return patches.mean(dim=1)
    means = [patches[:, c * GRID**2 : (c + 1) * GRID**2].mean(1) for c in range(num_channels)]
    return torch.cat(means, dim=1)


def _pixels(*shape: int) -> Tensor:
    """Smooth pixels of 8 bit, different in each channel."""
    coarse = torch.rand(*shape[:2], 8, 8, generator=torch.Generator().manual_seed(3))
    smooth = torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bilinear")
    return (255 * smooth).to(torch.uint8)


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("architecture", ["openphenom", "openphenom-channelwise"])
def test_embeddings_equal_the_published_programs(num_channels: int, architecture: str) -> None:
    state = _published(depth=2)
    encoder = OpenPhenomEncoder(architecture, {"depth": 2}, num_channels=num_channels).eval()
    load_strictly(encoder, encoder_state(state), "file")
    channelwise = architecture.endswith("channelwise")
    pixels_ = _pixels(2, num_channels, 256, 256)
    with torch.inference_mode():
        got = encoder(pixels_ / 255)
        want = _published_embedding(state, pixels_, channelwise=channelwise)
    assert got.shape == (2, encoder.num_dims) == (2, DIMS * (num_channels if channelwise else 1))
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
    assert (got[0] - got[1]).abs().max() > 0.01


def test_positions_are_the_published_ones() -> None:
    """Written out for each patch, after the formula of the published program."""
    got = OpenPhenomEncoder("openphenom", {"depth": 1}).vit.pos_embed
    assert got.shape == (1, 1 + MAX_CHANNELS * GRID**2, DIMS)
    frequencies = [1 / 10_000 ** (k / 96) for k in range(96)]
    for channel, row, column in ((0, 0, 0), (0, 3, 7), (10, 15, 1)):
        want = [f(x * w) for x in (row, column) for f in (math.sin, math.cos) for w in frequencies]
        token = got[0, 1 + channel * GRID**2 + row * GRID + column]
        torch.testing.assert_close(token, torch.tensor(want), rtol=0, atol=1e-5)
    assert not got[0, 0].any()


def test_the_published_network_has_these_parameters() -> None:
    state = OpenPhenomEncoder("openphenom").state_dict()
    published = encoder_state(_published(depth=12))
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in published.items()}


def _drop(name: str) -> Any:
    return lambda state: state.pop(f"{BACKBONE}{name}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("blocks.1.mlp_bias"), "vit.blocks.1.mlp_bias is missing"),
        (_drop("pos_embed"), "vit.pos_embed is missing"),
        (lambda s: s.update(spare=torch.ones(1)), "spare is left over"),
        (lambda s: s.update({f"{BACKBONE}norm.bias": torch.ones(1)}), "vit.norm.bias is left over"),
        (lambda s: s.update({f"{BACKBONE}cls_token": torch.ones(1)}), r"is \(1,\), not"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, message: str) -> None:
    state = _published(depth=2)
    change(state)
    with pytest.raises(ModelError, match=message):
        load_strictly(OpenPhenomEncoder("openphenom", {"depth": 2}), encoder_state(state), "file")


def test_what_is_unknown_is_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes 11 channels at most, not 12"):
        OpenPhenomEncoder("openphenom", num_channels=12)
    with pytest.raises(ModelError, match="takes crops of 256 px, not 224 x 224"):
        OpenPhenomEncoder("openphenom", {"depth": 1})(torch.rand(1, 1, 224, 224))
    with pytest.raises(ModelError, match="no OpenPhenom encoder"):
        encoder_state({"decoder.mask_token": torch.ones(1)})
    save_file({f"{BACKBONE}cls_token": torch.ones(1)}, tmp_path / "w.safetensors")
    for options, message in (
        ({"crop_size_px": 224}, "takes crops of 256 px, not 224"),
        ({"normalization": "imagenet"}, "saw no colour images"),
    ):
        with pytest.raises(ModelError, match=message):
            import_model(
                lake, tmp_path / "w.safetensors", "bad", architecture="openphenom", **options
            )


def test_a_file_comes_in_and_embeds_channels_together(lake: Lake, tmp_path: Path) -> None:
    """The published file is a checkpoint of torch, though its name ends with .safetensors."""
    state = _published(depth=12)
    torch.save({"state_dict": state}, tmp_path / "model.safetensors")
    channels = ["Actin", "DNA"]
    import_model(
        lake,
        tmp_path / "model.safetensors",
        "theirs",
        architecture="openphenom-channelwise",
        input_channels=channels,
        licence="non-commercial",
    )
    config = load_config(lake, "theirs")
    assert (config.num_dims, config.crop_size_px, config.intensity) == (768, 256, "dtype")
    lake.execute("update image set qc = 'blank' where well <> 'B02'")
    assert embed(lake, "theirs", plates=["tiny_b1_p1"]).num_images == 2
    got = lake.query("select field, channel, embedding from embedding order by field").row(0)
    assert got[1] == "Actin+DNA"
    rows = lake.query(
        "select channel, channel_index, uri || '/' || path as uri from image"
        " join field using (plate, well, field) join plate on plate_id = plate"
        " where plate = 'tiny_b1_p1' and well = 'B02' and field = $field",
        {"field": got[0]},
    ).to_dicts()
    index = {row["channel"]: row["channel_index"] for row in rows}
    planes = np.stack(
        [pixels.read_plane(lake.resolve(rows[0]["uri"]), index[name]) for name in channels]
    )
    crops = torch.from_numpy(crops_of(planes, 256, 256).astype(np.float32) / 65535)
    with torch.inference_mode():
        want = _published_embedding(state, 255 * crops, channelwise=True).mean(0)
    torch.testing.assert_close(torch.tensor(got[2]), want, rtol=1e-3, atol=1e-3)
    create_model(lake, "random_vit", like="theirs", seed=1)
    assert load_network(lake, "random_vit", CPU).num_dims == 768
