"""SubCell's encoder takes the published names and returns what the published program returns."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import weights
from unidino.models.subcell import SubCellEncoder, encoder_state
from unidino.models.weight_files import load_strictly
from unidino.models.weights import import_model

DIMS, HEADS, PATCH = 768, 12, 16


def _published(depth: int, *, num_channels: int = 2, side: int = 28) -> dict[str, Tensor]:
    """Random weights under the names that the inference program reads."""
    generator = torch.Generator().manual_seed(depth)

    def normal(*shape: int, mean: float = 0.0, scale: float = 0.05) -> Tensor:
        return mean + scale * torch.randn(*shape, generator=generator)

    def linear(name: str, num_outputs: int, num_inputs: int) -> None:
        state[f"{name}.weight"] = normal(num_outputs, num_inputs)
        state[f"{name}.bias"] = normal(num_outputs)

    def norm(name: str) -> None:
        state[f"{name}.weight"] = normal(DIMS, mean=1)
        state[f"{name}.bias"] = normal(DIMS)

    embeddings = "encoder.embeddings"
    state = {
        f"{embeddings}.cls_token": normal(1, 1, DIMS, scale=1),
        f"{embeddings}.position_embeddings": normal(1, 1 + side**2, DIMS, scale=1),
        f"{embeddings}.patch_embeddings.projection.weight": normal(
            DIMS, num_channels, PATCH, PATCH
        ),
        f"{embeddings}.patch_embeddings.projection.bias": normal(DIMS),
    }
    for i in range(depth):
        layer = f"encoder.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.attention.{part}", DIMS, DIMS)
        linear(f"{layer}.attention.output.dense", DIMS, DIMS)
        linear(f"{layer}.intermediate.dense", 4 * DIMS, DIMS)
        linear(f"{layer}.output.dense", DIMS, 4 * DIMS)
        norm(f"{layer}.layernorm_before")
        norm(f"{layer}.layernorm_after")
    norm("encoder.layernorm")
    linear("pool_model.attention_v.1", 512, DIMS)
    linear("pool_model.attention_u.1", 512, DIMS)
    linear("pool_model.attention", 2, 512)
    return state


def _gelu(values: Tensor) -> Tensor:
    return values * 0.5 * (1 + torch.erf(values / math.sqrt(2)))


def _published_embedding(state: dict[str, Tensor], counts: Tensor) -> Tensor:
    """The pooled output for crops (N, C, H, W) in counts, step by step as the program computes."""

    def linear(name: str, values: Tensor) -> Tensor:
        return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, values: Tensor) -> Tensor:
        centred = values - values.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    images = []
    for crop in counts.double():
        low, high = crop.min(), crop.max()
        images.append((crop - low) / (high - low + 1e-6))
    patches = torch.stack(images).float().unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    kernel = state["encoder.embeddings.patch_embeddings.projection.weight"].flatten(1)
    tokens = patches @ kernel.T + state["encoder.embeddings.patch_embeddings.projection.bias"]
    cls = state["encoder.embeddings.cls_token"].expand(len(tokens), -1, -1)
    tokens = torch.cat([cls, tokens], 1) + state["encoder.embeddings.position_embeddings"]
    for i in range(sum(name.endswith("layernorm_before.bias") for name in state)):
        layer = f"encoder.encoder.layer.{i}"
        normed = norm(f"{layer}.layernorm_before", tokens)
        query, key, value = (
            linear(f"{layer}.attention.attention.{part}", normed)
            .unflatten(-1, (HEADS, -1))
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(DIMS // HEADS)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        tokens = tokens + linear(f"{layer}.attention.output.dense", mixed)
        hidden = linear(f"{layer}.intermediate.dense", norm(f"{layer}.layernorm_after", tokens))
        tokens = tokens + linear(f"{layer}.output.dense", _gelu(hidden))
    tokens = norm("encoder.layernorm", tokens)
    value = torch.tanh(linear("pool_model.attention_v.1", tokens))
    gate = _gelu(linear("pool_model.attention_u.1", tokens))
    shares = linear("pool_model.attention", value * gate).softmax(dim=1)
    heads = [(shares[:, :, head, None] * tokens).sum(dim=1) for head in range(2)]
    return torch.cat(heads, dim=1)


@pytest.mark.parametrize("num_channels", [1, 2, 4])
def test_embeddings_equal_the_published_programs(num_channels: int) -> None:
    state = _published(2, num_channels=num_channels, side=6)
    encoder = SubCellEncoder({"depth": 2, "img_size": 96}, num_channels=num_channels).eval()
    load_strictly(encoder, encoder_state(state), "file")
    counts = torch.randint(200, 9000, (3, num_channels, 96, 96))
    counts[:, 0] //= 3  # one channel is darker, and stays so
    with torch.inference_mode():
        got = encoder(counts / 65535)
        want = _published_embedding(state, counts)
    assert got.shape == (3, encoder.num_dims) == (3, 1536)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
    assert (got[0] - got[1]).abs().max() > 0.01


def test_scaling_is_over_all_channels_together() -> None:
    encoder = SubCellEncoder({"depth": 1, "img_size": 32}, num_channels=2).eval()
    crops = torch.rand(2, 2, 32, 32)
    with torch.inference_mode():
        want = encoder(crops)
        torch.testing.assert_close(encoder(0.1 + 0.5 * crops), want, rtol=1e-4, atol=1e-4)
        darker = crops * torch.tensor([1.0, 0.1]).view(2, 1, 1)
        assert (encoder(darker) - want).abs().max() > 1e-4
        assert encoder(torch.zeros(1, 2, 32, 32)).isfinite().all()


def test_the_published_network_has_these_parameters() -> None:
    with torch.device("meta"):
        state = SubCellEncoder(num_channels=4).state_dict()
    assert sum(value.numel() for value in state.values()) == 87_235_330
    assert state["vit.patch_embed.proj.weight"].shape == (768, 4, 16, 16)
    assert state["vit.pos_embed"].shape == (1, 785, 768)
    assert len(state) == len(encoder_state(_published(12, num_channels=4)))


@pytest.mark.parametrize("number", ["0", "1"])
def test_both_names_of_the_pooling_come_in(number: str) -> None:
    state = {
        name.replace("_v.1.", f"_v.{number}.").replace("_u.1.", f"_u.{number}."): tensor
        for name, tensor in _published(1).items()
    }
    assert encoder_state(state).keys() == encoder_state(_published(1)).keys()


def _drop(name: str) -> Any:
    return lambda state: state.pop(name)


KEY = "encoder.encoder.layer.0.attention.attention.key.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("encoder.layernorm.bias"), "vit.norm.bias is missing"),
        (_drop("pool_model.attention.weight"), "pool.weight.weight is missing"),
        (_drop(KEY), r"vit.blocks.0.attn.qkv.weight is missing.*query.weight is left over"),
        (lambda s: s.update({KEY: torch.ones(3)}), "qkv.weight is missing.*is left over"),
        (lambda s: s.update(spare=torch.ones(1)), "spare is left over"),
        (
            lambda s: s.update({"encoder.embeddings.mask_token": torch.ones(1)}),
            "mask_token is left over",
        ),
        (
            lambda s: s.update({"pool_model.attention_v.0.bias": torch.ones(512)}),
            "two tensors for pool.value.bias",
        ),
        (_drop("encoder.embeddings.cls_token"), "no SubCell encoder"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, message: str) -> None:
    state = _published(1, side=2)
    change(state)
    encoder = SubCellEncoder({"depth": 1, "img_size": 32}, num_channels=2)
    with pytest.raises(ModelError, match=message):
        load_strictly(encoder, encoder_state(state), "file")


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ModelError, match="takes crops of 32 px, not 48 x 48"):
        SubCellEncoder({"depth": 1, "img_size": 32})(torch.rand(1, 1, 48, 48))


def test_a_file_comes_in_and_embeds_channels_together(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one layer and small crops: the published size takes minutes on a CPU."""
    small = weights._FIXED["subcell"].model_copy(
        update={
            "architecture_options": {"depth": 1, "img_size": 96},
            "crop_size_px": 96,
            "stride_px": 96,
        }
    )
    monkeypatch.setitem(weights._FIXED, "subcell", small)
    torch.save(_published(1, side=6), tmp_path / "encoder.pth")
    with pytest.raises(ModelError, match=r"takes 2 channels, not 1; name them with --input-cha"):
        import_model(lake, tmp_path / "encoder.pth", "bg", architecture="subcell")
    config = import_model(
        lake,
        tmp_path / "encoder.pth",
        "bg",
        architecture="subcell",
        input_channels=["DNA", "Tubulin"],
        licence="MIT",
    )
    assert (config.num_dims, config.intensity) == (1536, "dtype")
    done = embed(lake, "bg", plates=["tiny_b1_p1"])
    assert (done.num_images, done.num_crops) == (12, 12)
    names = "select distinct channel, len(embedding) as dims from embedding"
    assert lake.query(names).row(0) == ("DNA+Tubulin", 1536)
