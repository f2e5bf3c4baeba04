"""Weights of DINOv2 come in under both names and return what the published program returns."""

import math
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from unidino.core.errors import ModelError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models.dinov2 import timm_names
from unidino.models.encoder import Encoder
from unidino.models.registry import load_config, load_encoder
from unidino.models.weight_files import IMAGENET_MEAN, IMAGENET_SD, backbone
from unidino.models.weights import import_model

CPU = torch.device("cpu")
SMALL, REGISTERS = "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
DIMS, HEADS, DEPTH, GRID, PATCH = 384, 6, 12, 4, 14
NATIVE = GRID * PATCH


def _normal(*shape: int, mean: float = 0.0, scale: float = 0.05) -> Tensor:
    return mean + scale * torch.randn(*shape, generator=_GENERATOR)


_GENERATOR = torch.Generator().manual_seed(0)


def _published(num_registers: int, *, num_channels: int = 3, depth: int = DEPTH) -> dict[str, Any]:
    """Random weights under the names of the published files."""
    state = {
        "cls_token": _normal(1, 1, DIMS, scale=1),
        "pos_embed": _normal(1, 1 + GRID**2, DIMS, scale=1),
        "mask_token": _normal(1, DIMS),
        "patch_embed.proj.weight": _normal(DIMS, num_channels, PATCH, PATCH),
        "patch_embed.proj.bias": _normal(DIMS),
        "norm.weight": _normal(DIMS, mean=1),
        "norm.bias": _normal(DIMS),
    }
    if num_registers:
        state["register_tokens"] = _normal(1, num_registers, DIMS, scale=1)
    for i in range(depth):
        for name, shape in {
            "attn.qkv": (3 * DIMS, DIMS),
            "attn.proj": (DIMS, DIMS),
            "mlp.fc1": (4 * DIMS, DIMS),
            "mlp.fc2": (DIMS, 4 * DIMS),
        }.items():
            state[f"blocks.{i}.{name}.weight"] = _normal(*shape)
            state[f"blocks.{i}.{name}.bias"] = _normal(shape[0])
        for j in (1, 2):
            state[f"blocks.{i}.norm{j}.weight"] = _normal(DIMS, mean=1)
            state[f"blocks.{i}.norm{j}.bias"] = _normal(DIMS)
            state[f"blocks.{i}.ls{j}.gamma"] = _normal(DIMS, mean=0.5)
    return state


def _published_embedding(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The normalized CLS token, step by step as the published program computes it."""

    def linear(name: str, tokens: Tensor) -> Tensor:
        return tokens @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, tokens: Tensor) -> Tensor:
        centred = tokens - tokens.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]

    side = images.shape[-1] // PATCH
    patches = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # N C h w p p
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    stem = state["patch_embed.proj.weight"].flatten(1)
    tokens = patches @ stem.T + state["patch_embed.proj.bias"]
    positions = state["pos_embed"]
    if side != GRID:
        grid = positions[:, 1:].reshape(1, GRID, GRID, DIMS).permute(0, 3, 1, 2)
        if "register_tokens" in state:
            grid = F.interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
        else:
            factor = (side + 0.1) / GRID
            grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
        grid = grid.permute(0, 2, 3, 1).reshape(1, -1, DIMS)
        positions = torch.cat([positions[:, :1], grid], dim=1)
    num = len(images)
    tokens = torch.cat([state["cls_token"].expand(num, -1, -1), tokens], dim=1) + positions
    if "register_tokens" in state:
        registers = state["register_tokens"].expand(num, -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
    for i in range(sum(name.endswith(".norm1.bias") for name in state)):
        block = f"blocks.{i}"
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", tokens))
        heads = qkv.reshape(num, -1, 3, HEADS, DIMS // HEADS).permute(2, 0, 3, 1, 4)
        scores = heads[0] @ heads[1].transpose(-1, -2) / math.sqrt(DIMS // HEADS)
        mixed = (scores.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2)
        tokens = tokens + linear(f"{block}.attn.proj", mixed) * state[f"{block}.ls1.gamma"]
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", tokens))
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        tokens = tokens + linear(f"{block}.mlp.fc2", hidden) * state[f"{block}.ls2.gamma"]
    return norm("norm", tokens)[:, 0]


@pytest.fixture(scope="module", params=[0, 4], ids=["plain", "registers"])
def published(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    return _published(request.param)


def _architecture(state: dict[str, Tensor]) -> str:
    return REGISTERS if "register_tokens" in state else SMALL


def _as_a_trainer_saves(state: dict[str, Tensor], num_chunks: int) -> dict[str, Tensor]:
    """The teacher's tensors, its blocks in chunks, with the heads of the training."""
    saved = {"dino_head.mlp.0.weight": torch.ones(2), "ibot_head.last_layer.weight": torch.ones(2)}
    for name, tensor in state.items():
        if num_chunks and name.startswith("blocks."):
            number, rest = name.removeprefix("blocks.").split(".", 1)
            name = f"blocks.{int(number) * num_chunks // DEPTH}.{number}.{rest}"
        saved[f"backbone.{name}"] = tensor
    return saved


@pytest.mark.parametrize("crop_size_px", [NATIVE, 28, 70])
@pytest.mark.sample(2)
def test_a_published_file_returns_the_normalized_cls_token(
    lake: Lake, tmp_path: Path, published: dict[str, Tensor], crop_size_px: int
) -> None:
    torch.save(published, tmp_path / "dinov2.pth")
    import_model(
        lake,
        tmp_path / "dinov2.pth",
        "theirs",
        architecture=_architecture(published),
        normalization="imagenet",
        crop_size_px=crop_size_px,
    )
    config = load_config(lake, "theirs")
    assert (config.crop_size_px, config.stride_px, config.num_dims) == (
        crop_size_px,
        crop_size_px,
        DIMS,
    )
    crops = torch.rand(2, 1, crop_size_px, crop_size_px)
    mean, sd = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_SD))
    with torch.inference_mode():
        got = load_encoder(lake, "theirs", CPU)(crops)
        want = _published_embedding(published, (crops.expand(-1, 3, -1, -1) - mean) / sd)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
    assert (got[0] - got[1]).abs().max() > 0.01


@pytest.mark.parametrize("num_chunks", [0, 1, 4])
def test_a_trainers_teacher_is_the_published_file(
    published: dict[str, Tensor], num_chunks: int
) -> None:
    got = timm_names(backbone(_as_a_trainer_saves(published, num_chunks)))
    want = timm_names(published)
    assert got.keys() == want.keys()
    assert all(torch.equal(got[name], want[name]) for name in want)
    assert timm_names(want).keys() == want.keys()


@pytest.mark.parametrize("architecture", [SMALL, REGISTERS])
@pytest.mark.parametrize("crop_size_px", [NATIVE, 28, 70])
def test_embeddings_equal_timms(architecture: str, crop_size_px: int) -> None:
    options = {"depth": 2, "img_size": NATIVE}
    encoder = Encoder(architecture, crop_size_px, options, num_channels=2).eval()
    with torch.no_grad():
        for parameter in encoder.vit.parameters():
            parameter.copy_(_normal(*parameter.shape, scale=0.3))
    crops = torch.rand(2, 2, crop_size_px, crop_size_px)
    with torch.inference_mode():
        got, want = encoder(crops), encoder.vit(crops)
    if architecture == REGISTERS or crop_size_px == NATIVE:
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
    else:  # timm interpolates with antialiasing, the published program does not
        assert (got - want).abs().max() > 1e-3


@pytest.mark.parametrize(
    "name",
    ["vit_small_patch16_224", "vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"],
)
@pytest.mark.sample(1)
def test_timms_names_come_in(lake: Lake, tmp_path: Path, name: str) -> None:
    network = timm.create_model(name, num_classes=0, in_chans=1, img_size=NATIVE * 2).eval()
    save_file(network.state_dict(), tmp_path / "timm.safetensors")
    config = import_model(lake, tmp_path / "timm.safetensors", "theirs", architecture=name)
    assert config.crop_size_px == NATIVE * 2
    crops = torch.rand(2, 1, NATIVE * 2, NATIVE * 2)
    with torch.inference_mode():
        got, want = load_encoder(lake, "theirs", CPU)(crops), network(crops)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_swiglu_has_timms_names() -> None:
    names = ["blocks.3.mlp.w12.weight", "blocks.3.mlp.w3.bias", "blocks.0.7.mlp.w3.weight"]
    renamed = timm_names({name: torch.zeros(1) for name in names})
    assert list(renamed) == [
        "blocks.3.mlp.fc1.weight",
        "blocks.3.mlp.fc2.bias",
        "blocks.7.mlp.fc2.weight",
    ]
    with pytest.raises(ModelError, match=r"two tensors for blocks.7.norm1.bias"):
        timm_names({f"blocks.{i}.7.norm1.bias": torch.zeros(1) for i in (0, 1)})


def _drop(name: str) -> Any:
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("num_registers", "architecture", "change", "message"),
    [
        (4, REGISTERS, _drop("register_tokens"), "reg_token is missing"),
        (4, REGISTERS, _drop("cls_token"), "cls_token is missing"),
        (0, SMALL, _drop("blocks.11.ls1.gamma"), "blocks.11.ls1.gamma is missing"),
        (4, SMALL, lambda s: None, "reg_token is left over"),
        (0, REGISTERS, lambda s: None, "reg_token is missing"),
        (0, SMALL, lambda s: s.update(spare=torch.ones(1)), "spare is left over"),
        (
            4,
            REGISTERS,
            lambda s: s.update(register_tokens=torch.ones(1, 3, DIMS)),
            r"\(1, 3, 384\)",
        ),
    ],
)
@pytest.mark.sample(3)
def test_what_does_not_fit_is_named(
    lake: Lake, tmp_path: Path, num_registers: int, architecture: str, change: Any, message: str
) -> None:
    state = _published(num_registers, num_channels=1)
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=message):
        import_model(lake, tmp_path / "w.safetensors", "bad", architecture=architecture)
    assert lake.query("select count(*) from model").item() == 0


def test_crops_must_be_whole_patches(lake: Lake, tmp_path: Path) -> None:
    save_file(_published(0, num_channels=1), tmp_path / "w.safetensors")
    for crop_size_px in (0, 100):
        with pytest.raises(ModelError, match="must be a multiple of 14 px"):
            import_model(
                lake,
                tmp_path / "w.safetensors",
                "bad",
                architecture=SMALL,
                crop_size_px=crop_size_px,
            )


@pytest.mark.parametrize("channels", [(), ("DNA", "Actin")])
def test_plates_are_embedded(lake: Lake, tmp_path: Path, channels: tuple[str, ...]) -> None:
    save_file(_published(4, num_channels=len(channels) or 1), tmp_path / "w.safetensors")
    import_model(
        lake,
        tmp_path / "w.safetensors",
        "theirs",
        architecture=REGISTERS,
        intensity="percentile",
        input_channels=channels,
        crop_size_px=42,
    )
    done = embed(lake, "theirs", plates=["tiny_b1_p1"])
    num_vectors = 12 if channels else 36
    assert (done.num_images, done.num_crops) == (num_vectors, 4 * num_vectors)
    assert lake.query("select distinct len(embedding) from embedding").item() == DIMS
