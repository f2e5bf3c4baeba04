"""How a network computes crops: in which precision, by which engine, how many at once.

Shapes: N crops, C channels seen at once, S side of a crop, D embedding.
"""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.choices import Engine, Precision
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.log import log
from unidino.models.config import ModelConfig
from unidino.models.networks import Network, scaled

_LEAST_COSINE = 0.999  # with float32 in torch
# Enough to fill the caches of a CPU core, or to keep a GPU busy.
_TOKENS_AT_ONCE = {"cpu": 1600, "cuda": 100_000}
_ROUNDS = 3

EmbedCrops = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Forward:
    """A network that is ready to embed batches of crops.

    batch_size: crops at once. about: engine, precision and device, for the record of a table.
    """

    embed: EmbedCrops
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
    """The torch device of this name.

    Raises InputError if the name is unknown, or there is no such device.
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
    """A network that is ready to embed.

    engine: `auto` measures the installed engines on a few crops, with the precision and with
    float32, and takes the fastest that agrees with float32 in torch (cosine of every crop at least
    0.999). With any other engine every run returns the same numbers.
    Raises UnidinoError for an engine that is not installed.
    """
    choose("precision", precision, get_args(Precision))
    choose("engine", engine, get_args(Engine))
    size = batch_size or default_batch_size(config, device)
    network = network.eval().to(device)
    candidates = _candidates(network, config, device, precision, size, engine)
    if len(candidates) == 1:
        (name,) = candidates
    else:
        name = _fastest(candidates, network, config, device, size)
    about = dict(zip(("engine", "precision"), name.split(), strict=True)) | {"device": device.type}
    return Forward(candidates[name], device, size, about)


def default_batch_size(config: ModelConfig, device: torch.device) -> int:
    """The number of crops at once that a device computes fastest."""
    tokens = max(1, (config.crop_size_px // 16) ** 2)
    return max(8, _TOKENS_AT_ONCE[device.type] // tokens // 8 * 8)


def _candidates(
    network: Network,
    config: ModelConfig,
    device: torch.device,
    precision: Precision,
    size: int,
    engine: Engine,
) -> dict[str, EmbedCrops]:
    """Ways to compute a network, by engine and precision: one, or several for `auto`."""
    cpu = device.type == "cpu"
    shape = (size, config.num_inputs, config.crop_size_px, config.crop_size_px)
    ways: dict[str, EmbedCrops] = {}
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


def _autocast(network: EmbedCrops, device: torch.device) -> EmbedCrops:
    def embed(crops: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return network(crops)

    return embed


def _whole_batches(embed: EmbedCrops, size: int) -> EmbedCrops:
    """The same with batches padded to one size, for engines that compile for one shape."""

    def embed_some(crops: Tensor) -> Tensor:
        missing = size - len(crops)
        return embed(F.pad(crops, (0, 0, 0, 0, 0, 0, 0, missing)))[: len(crops)]

    return embed_some


def _openvino(network: nn.Module, shape: tuple[int, ...], precision: Precision) -> EmbedCrops:
    """The network compiled by OpenVINO for the CPU.

    Raises ModelError if OpenVINO is not installed.
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
    ways: dict[str, EmbedCrops],
    network: Network,
    config: ModelConfig,
    device: torch.device,
    size: int,
) -> str:
    """Name of the fastest way that agrees with float32 in torch."""
    generator = torch.Generator().manual_seed(0)
    shape = (size, config.num_inputs, config.crop_size_px, config.crop_size_px)
    # Crops of smooth noise differ from one another like images, unlike those of white noise.
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
    measured = ", ".join(f"{name} {rate:.0f}" for name, rate in sorted(rates.items()))
    inexact = f" ({', '.join(refused)}: too far from float32)" if refused else ""
    log.info(f"crops/s: {measured}{inexact}; using {best}")
    return best
