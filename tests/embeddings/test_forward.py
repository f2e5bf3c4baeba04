"""Every way through a network gives what float32 in torch gives, or is not taken."""

from typing import get_args

import pytest
import torch

from unidino.core.choices import Engine
from unidino.core.errors import InputError, UnidinoError
from unidino.embeddings.forward import _fastest, default_batch_size, device_of, forward_of
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder, scaled

CPU = torch.device("cpu")
SMALL = ModelConfig(
    kind="vit",
    architecture="vit_tiny_patch16_224",
    architecture_options={"depth": 2},
    num_dims=192,
    crop_size_px=32,
    stride_px=32,
)


def _crops(num: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 4096, (num, 1, 32, 32), generator=generator).to(torch.uint16)
    return counts, torch.full((num,), 100.0), torch.full((num,), 4000.0)


@pytest.mark.parametrize(
    ("engine", "precision", "tolerance"),
    [
        ("torch", "fp32", 0),
        ("torch", "bf16", 0.05),
        ("openvino", "fp32", 1e-4),
        ("openvino", "bf16", 0.05),
    ],
)
@pytest.mark.sample(2)
def test_engines_agree(engine: str, precision: str, tolerance: float) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    network = new_encoder(SMALL).eval()
    counts, low, high = _crops(13)
    with torch.inference_mode():
        want = network(scaled(counts, low, high))
    forward = forward_of(network, SMALL, CPU, precision=precision, engine=engine, batch_size=8)
    got = torch.cat([forward(*(t[i : i + 8] for t in (counts, low, high))) for i in (0, 8)])
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, rtol=0, atol=tolerance + 1e-6)
    assert forward.about == {"engine": engine, "precision": precision, "device": "cpu"}
    again = forward(*(t[:8] for t in (counts, low, high)))
    torch.testing.assert_close(again, got[:8], rtol=0, atol=0)


@pytest.mark.slow
def test_a_compiled_network_agrees() -> None:
    network = new_encoder(SMALL).eval()
    counts, low, high = _crops(13)
    want = forward_of(network, SMALL, CPU)(counts, low, high)
    forward = forward_of(network, SMALL, CPU, engine="compile", batch_size=16)
    torch.testing.assert_close(forward(counts, low, high), want, rtol=1e-4, atol=1e-4)


def test_auto_takes_the_fastest_that_is_near_float32(caplog: pytest.LogCaptureFixture) -> None:
    network = new_encoder(SMALL).eval()

    def slow(crops: torch.Tensor) -> torch.Tensor:
        return torch.stack([network(crops) for _ in range(20)])[0]

    def wrong(crops: torch.Tensor) -> torch.Tensor:
        return torch.flip(crops.flatten(1)[:, :192], (1,))

    ways = {"slow fp32": slow, "torch fp32": network, "wrong fp32": wrong}
    assert _fastest(ways, network, SMALL, CPU, 8) == "torch fp32"
    said = caplog.text
    assert "wrong fp32: too far from float32" in said
    assert "using torch fp32" in said


def test_auto_is_one_of_what_is_here() -> None:
    forward = forward_of(new_encoder(SMALL), SMALL, CPU, engine="auto", precision="bf16")
    assert forward.about["engine"] in get_args(Engine)
    assert forward(*_crops(3)).shape == (3, 192)


def test_larger_crops_go_through_in_smaller_batches() -> None:
    large = SMALL.model_copy(update={"crop_size_px": 224})
    assert default_batch_size(large, CPU) == 8
    assert default_batch_size(SMALL, CPU) > 100
    assert default_batch_size(large, torch.device("cuda")) > 200


def test_what_is_not_here_is_said() -> None:
    network = new_encoder(SMALL)
    with pytest.raises(UnidinoError, match="unknown engine 'tpu'; choose one of auto, torch"):
        forward_of(network, SMALL, CPU, engine="tpu")  # type: ignore[arg-type]
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no CUDA device"):
            device_of("cuda")
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        device_of("gpu")
