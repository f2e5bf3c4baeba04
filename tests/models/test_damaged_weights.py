"""Files of weights that are damaged, empty, hostile or not finite are refused in one line."""

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from unidino.core.errors import ModelError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder
from unidino.models.weights import import_model

_VIT = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(timm.create_model(_VIT, num_classes=0).state_dict())


def _itself(key: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    document[key] = document
    return document


class _Command:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        import os

        return os.system, ("touch hacked",)


def _header(document: object) -> bytes:
    head = json.dumps(document).encode()
    return struct.pack("<Q", len(head)) + head


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.pth", b""),
        ("w.pth", b"\0"),
        ("w.pth", b"PK\3\4"),
        ("w.pth", b"\x80\x02}."),
        ("w.pth", b"\x80\x04\x95" + b"\xff" * 8),
        ("w.pth", pickle.dumps(_Command())),
        ("w.safetensors", b""),
        ("w.safetensors", b"\0"),
        ("w.safetensors", struct.pack("<Q", 2**63)),
        (
            "w.safetensors",
            _header({"a": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 8]}}),
        ),
        ("w.safetensors", _header([1])),
        ("w.safetensors", struct.pack("<Q", 40_000) + b"[" * 40_000),
    ],
)
def test_bytes_that_are_no_weights(run_cli, lake: Lake, tmp_path: Path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    _is_refused(run_cli, lake, tmp_path / name, "neither a safetensors file nor a checkpoint")
    assert not Path("hacked").exists()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (_itself("model"), "no named tensors"),
        (_itself("teacher"), "no named tensors"),
        ({}, "no named tensors"),
        (None, "no named tensors"),
        ([torch.zeros(2)], "no named tensors"),
        ({"model": {"state_dict": {"model": 3}}}, "no named tensors"),
        ({1: torch.zeros(2)}, "is not a vision transformer"),
        ({"x": torch.zeros(1).expand(10**12)}, "declares 1000000000000 numbers"),
        ({"x": torch.zeros(2, dtype=torch.complex64)}, "no ordinary tensor"),
        ({"x": torch.zeros(2, 2).to_sparse()}, "no ordinary tensor"),
        ({"x": torch.tensor([1.0, float("nan")])}, "1 of the 2 numbers of x are NaN or infinite"),
    ],
)
def test_checkpoints_of_other_things(
    run_cli, lake: Lake, tmp_path: Path, document: object, reason: str
) -> None:
    torch.save(document, tmp_path / "w.pth")
    _is_refused(run_cli, lake, tmp_path / "w.pth", reason)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("pos_embed", torch.zeros(1, 0, 192), "pos_embed has the shape (1, 0, 192)"),
        ("pos_embed", torch.zeros(1, 197, 0), "pos_embed has the shape (1, 197, 0)"),
        ("pos_embed", torch.zeros(0), "not a vision transformer"),
        ("pos_embed", torch.tensor(1.0), "not a vision transformer"),
        ("pos_embed", torch.zeros(1, 200, 192), "does not fit the network"),
        ("patch_embed.proj.weight", torch.zeros(192, 3, 0, 0), "a patch 0 px"),
        ("patch_embed.proj.weight", torch.zeros(3), "not a vision transformer"),
        ("patch_embed.proj.weight", torch.zeros(192, 0, 16, 16), ""),
        ("norm.weight", torch.full((192,), float("nan")), "192 of the 192 numbers of norm.weight"),
        ("norm.bias", torch.full((192,), float("-inf")), "NaN or infinite"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.sample(8)
def test_tensors_of_wrong_shapes_or_values(
    run_cli, lake: Lake, tmp_path: Path, state, name: str, tensor, reason: str, suffix: str
) -> None:
    path = tmp_path / f"w{suffix}"
    changed = state | {name: tensor}
    save_file(changed, path) if suffix == ".safetensors" else torch.save(changed, path)
    _is_refused(run_cli, lake, path, reason)


def test_an_archive_that_unpacks_to_far_more_is_refused(run_cli, lake: Lake, tmp_path) -> None:
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(200 << 20))
    _is_refused(run_cli, lake, path, "it is no checkpoint of torch")


def test_a_device_is_no_file_of_weights(run_cli, lake: Lake) -> None:
    _is_refused(run_cli, lake, Path("/dev/zero"), "is a device; expected a file")


def _is_refused(run_cli, lake: Lake, path: Path, reason: str) -> None:
    words = ("models", "import", path, "--model", "imp", "--architecture", _VIT)
    status, out, err = run_cli(*words, "--lake", lake.path)
    assert (status, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith("error: ")
    assert "bug of unidino" not in err
    assert reason in err
    assert not (lake.path / "models" / "imp").exists()
    assert lake.query("from model").is_empty()


def _toy(lake: Lake, change: Callable[[torch.nn.Module], object]) -> None:
    """Register a small network whose weights are changed."""
    config = ModelConfig(
        kind="vit",
        architecture=_VIT,
        architecture_options={"depth": 1, "embed_dim": 32, "num_heads": 2},
        num_dims=32,
        crop_size_px=32,
        stride_px=32,
    )
    network = new_encoder(config)
    with torch.no_grad():
        change(network.vit)
    registry.register(lake, Run("test", {}), "toy", config, network)


def test_weights_that_are_not_finite_are_not_used(lake: Lake) -> None:
    _toy(lake, lambda vit: vit.norm.weight.fill_(float("nan")))
    with pytest.raises(ModelError, match=r"32 of the 32 numbers of norm\.weight are NaN"):
        embed(lake, "toy")
    assert lake.query("from part").is_empty()


@pytest.mark.parametrize("keep", ["mean", "crop"])
def test_vectors_that_are_not_finite_do_not_land(lake: Lake, keep: str) -> None:
    _toy(lake, lambda vit: [p.fill_(3e38) for p in (vit.norm.weight, vit.norm.bias)])
    with pytest.raises(ModelError, match=r"model 'toy' embeds .* NaN or infinite; nothing of"):
        embed(lake, "toy", keep=keep)
    assert lake.query("from part").is_empty()
    assert not list(lake.path.glob("embeddings/**/*.parquet"))


def test_the_shapes_that_a_configuration_asks_for_are_limited(lake: Lake) -> None:
    with pytest.raises(ModelError, match="--crop-size is 1600000; it must be a multiple of 16"):
        _import_with(lake, 1_600_000)


def _import_with(lake: Lake, crop_size_px: int) -> None:
    path = lake.path.parent / "w.pth"
    torch.save(timm.create_model(_VIT, num_classes=0).state_dict(), path)
    import_model(lake, path, "imp", architecture=_VIT, crop_size_px=crop_size_px)
