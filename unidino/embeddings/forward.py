"""How crops go through a network: in which precision, by which engine, how many at once.

Shapes: N crops, C channels seen at once, S side of a crop, D embedding.
"""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.errors import InputError, ModelError, choose
from unidino.core.log import log
from unidino.models.config import ModelConfig
from unidino.models.networks import Network, scaled

Precision = Literal["fp32", "bf16"]
Engine = Literal["auto", "torch", "compile", "openvino"]
ENGINES = ("auto", "torch", "compile", "openvino")
_LEAST_COSINE = 0.999  # with float32 in torch
_TOKENS_AT_ONCE = {"cpu": 1600, "cuda": 100_000}  # fills the caches of a core; keeps a GPU busy
_ROUNDS = 3

Embedder = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Forward:
    """Embeds batches of crops; `about` says how, for the record.

    batch_size: crops at once, chosen by the device and the size of a crop.
    """

    embed: Embedder
    device: torch.device
    batch_size: int
    about: dict[str, str] = field(default_factory=dict)

    def __call__(self, counts: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Embeddings (N, D), float32 on the device, of crops (N, C, S, S) in counts.

        low, high: counts that map to 0 and 1, (N,) or (N, C).
        """
        with torch.inference_mode():
            on_device = [t.to(self.device, non_blocking=True) for t in (counts, low, high)]
            return self.embed(scaled(*on_device)).float()


def device_of(name: str) -> torch.device:
    """The device of this name.

    Raises InputError if there is none.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device '{name}'; choose cpu, cuda, or cuda:0 ...") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA device here; use --device cpu")
    return device


def forward_of(
    network: Network,
    config: ModelConfig,
    device: torch.device,
    *,
    precision: Precision = "fp32",
    engine: Engine = "torch",
    batch_size: int | None = None,
) -> Forward:
    """A way through a network, made ready.

    engine: `auto` tries what is installed on a few crops, float32 among it whatever the precision,
    and keeps the fastest that agrees with float32 in torch (cosine of every crop at least 0.999).
    The others give the same numbers in every run.
    Raises UnidinoError for an engine that is not here.
    """
    choose("precision", precision, ["fp32", "bf16"])
    choose("engine", engine, list(ENGINES))
    size = batch_size or default_batch_size(config, device)
    network = network.eval().to(device)
    if engine == "auto":
        ways = _ways(network, config, device, precision, size)
        name = next(iter(ways)) if len(ways) == 1 else _fastest(ways, network, config, device, size)
    else:
        name = f"{engine} {precision}"
        ways = _ways(network, config, device, precision, size, engine)
    about = dict(zip(("engine", "precision"), name.split(), strict=True)) | {"device": device.type}
    return Forward(ways[name], device, size, about)


def default_batch_size(config: ModelConfig, device: torch.device) -> int:
    """Crops at once that a device computes fastest."""
    tokens = max(1, (config.crop_size_px // 16) ** 2)
    return max(8, _TOKENS_AT_ONCE[device.type] // tokens // 8 * 8)


def _ways(
    network: Network,
    config: ModelConfig,
    device: torch.device,
    precision: Precision,
    size: int,
    engine: Engine = "auto",
) -> dict[str, Embedder]:
    """Ways through the network by engine and precision."""
    cpu = device.type == "cpu"
    shape = (size, len(config.input_channels) or 1, config.crop_size_px, config.crop_size_px)
    ways: dict[str, Embedder] = {}
    if engine == "auto":
        if cpu or precision == "fp32":
            ways["torch fp32"] = network
        if precision == "bf16":
            ways["torch bf16"] = _autocast(network, device)
        if cpu and importlib.util.find_spec("openvino"):
            ways[f"openvino {precision}"] = _openvino(network, shape, precision)
    elif engine == "torch":
        ways[f"torch {precision}"] = network if precision == "fp32" else _autocast(network, device)
    elif engine == "compile":
        compiled = torch.compile(network, dynamic=False)
        inner = compiled if precision == "fp32" else _autocast(compiled, device)
        ways[f"compile {precision}"] = _whole_batches(inner, size)
    elif not cpu:
        raise InputError("the engine openvino runs on --device cpu")
    else:
        ways[f"openvino {precision}"] = _openvino(network, shape, precision)
    return ways


def _autocast(network: Embedder, device: torch.device) -> Embedder:
    def embed(crops: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return network(crops)

    return embed


def _whole_batches(embed: Embedder, size: int) -> Embedder:
    """An embedder that always sees as many crops, for engines that are made for one shape."""

    def embed_some(crops: Tensor) -> Tensor:
        missing = size - len(crops)
        return embed(F.pad(crops, (0, 0, 0, 0, 0, 0, 0, missing)))[: len(crops)]

    return embed_some


def _openvino(network: nn.Module, shape: tuple[int, ...], precision: Precision) -> Embedder:
    """The network compiled by OpenVINO for the CPU.

    Raises ModelError if OpenVINO is not installed or cannot take the network.
    """
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "the engine openvino is not installed: pip install 'unidino[openvino]'"
        ) from error
    with torch.no_grad():
        graph = openvino.convert_model(torch.export.export(network, (torch.zeros(shape),)))
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled: Any = openvino.Core().compile_model(
        graph, "CPU", {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    )

    def embed(crops: Tensor) -> Tensor:
        return torch.from_numpy(compiled(crops.numpy())[0])

    return _whole_batches(embed, shape[0])


def _fastest(
    ways: dict[str, Embedder],
    network: Network,
    config: ModelConfig,
    device: torch.device,
    size: int,
) -> str:
    """Name of the fastest of several ways that agree with float32."""
    generator = torch.Generator().manual_seed(0)
    shape = (size, len(config.input_channels) or 1, config.crop_size_px, config.crop_size_px)
    # Smooth noise: crops that differ from one another as images do.
    coarse = torch.rand(*shape[:2], 14, 14, generator=generator)
    crops = F.interpolate(coarse, size=shape[2:], mode="bilinear").to(device)
    rates, refused = {}, []
    with torch.inference_mode():
        want = network(crops)
        for name, embed in ways.items():
            got = embed(crops).float()
            if torch.cosine_similarity(got, want).min() < _LEAST_COSINE:
                refused.append(name)
        for name in ways.keys() - set(refused):
            seconds = []
            for _ in range(_ROUNDS):
                started = time.perf_counter()
                ways[name](crops).sum().item()
                seconds.append(time.perf_counter() - started)
            rates[name] = size / min(seconds)
    best = max(rates, key=lambda name: rates[name])
    rated = ", ".join(f"{name} {rate:.0f}" for name, rate in sorted(rates.items()))
    inexact = f" ({', '.join(refused)}: too far from float32)" if refused else ""
    log.info(f"crops/s: {rated}{inexact}; using {best}")
    return best
