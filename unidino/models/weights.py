"""Weights that exist already: files of tensors, and timm's model hub."""

import argparse
import math
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.microsnoop import encoder_state
from unidino.models.networks import Encoder, Network, PooledNetwork, new_network, weights_of
from unidino.models.registry import check_new_name, register

Normalization = Literal["none", "imagenet"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
VIT_S = "vit_small_patch16_224"
# Names under which programs keep the network that embeds, and what its parameters begin with.
_KEYS = ("teacher", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.vit.", "vit.")
_HEADS = ("head.", "fc.", "classifier.", "projection_head.")


def import_model(
    lake: Lake,
    path: Path,
    name: str,
    *,
    architecture: str = VIT_S,
    intensity: Literal["dtype", "percentile"] = "dtype",
    input_channels: Sequence[str] = (),
    normalization: Normalization = "none",
    licence: str | None = None,
) -> ModelConfig:
    """Configuration of a new model with published weights: of uniDINO, DINO, or Microsnoop.

    architecture: a timm vision transformer, or `microsnoop`. intensity: what the weights were
    trained with; published uniDINO divided by the type's maximum. A stem for colour images is made
    one for grey ones, to the same embeddings of grey repeated as colours, unless input_channels
    names its channels. Raises ModelError if the file is no file of tensors, or lacks a parameter,
    or has one more.
    """
    check_new_name(lake, name)
    state = read_weights(path)
    if architecture == "microsnoop":
        config = ModelConfig(kind="microsnoop", num_dims=256, intensity=intensity)
        network = new_network(config)
        state = encoder_state(state)
    else:
        state = backbone(state)
        grid = _grid_of(state, path)
        config = ModelConfig(
            kind="vit",
            architecture=architecture,
            num_dims=state["pos_embed"].shape[-1],
            crop_size_px=grid,
            stride_px=grid,
            intensity=intensity,
            input_channels=tuple(input_channels),
        )
        network = new_network(config)
        if not input_channels:
            state = grey_stem(network, state, normalization)
    load_strictly(network, state, str(path))
    config = config.model_copy(update={"num_dims": network.num_dims})
    run = Run(
        "models import",
        {
            "file": str(path),
            "name": name,
            "architecture": architecture,
            "normalization": normalization,
            "intensity": intensity,
        },
    )
    register(lake, run, name, config, network, parent=path.name, licence=licence)
    return config


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file or of a torch checkpoint, by name; no code in it is run.

    Of a checkpoint of several networks the teacher's. Raises ModelError if it is no such file.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # The options that DINO's own program stores beside its weights are plain values.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unusual pickle is refused below, or read
            document: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read '{path}': {error.strerror or error}") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"'{path}' is no safetensors file and no checkpoint of tensors alone: {reason}"
        ) from error
    while isinstance(document, dict) and (key := next((k for k in _KEYS if k in document), None)):
        document = document[key]
    if not isinstance(document, dict) or not any(isinstance(v, Tensor) for v in document.values()):
        raise ModelError(f"'{path}' has no tensors by name, at top or under {', '.join(_KEYS)}")
    return {str(k): v.float() for k, v in document.items() if isinstance(v, Tensor)}


def backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the network that embeds, without the heads that training put on it."""
    named: dict[str, Tensor] = {}
    for full, tensor in state.items():
        name = full
        while prefix := next((p for p in _PREFIXES if name.startswith(p)), None):
            name = name[len(prefix) :]
        if not name.startswith(_HEADS):
            named[name] = tensor
    return named


def _grid_of(state: dict[str, Tensor], path: Path) -> int:
    """Side in px of the crops that a vision transformer's position embeddings were made for."""
    try:
        num_patches = state["pos_embed"].shape[1] - 1
        patch_px = state["patch_embed.proj.weight"].shape[-1]
    except (KeyError, IndexError) as error:
        some = ", ".join(sorted(state)[:4])
        raise ModelError(
            f"'{path}' is no vision transformer: it has no pos_embed and patch_embed.proj.weight,"
            f" but {some} ..."
        ) from error
    return round(math.sqrt(num_patches)) * int(patch_px)


def grey_stem(
    network: Network, state: dict[str, Tensor], normalization: Normalization
) -> dict[str, Tensor]:
    """Weights whose first convolution takes one channel where it took three colours.

    A grey image repeated as colours, normalized or not, and convolved is the image convolved with
    the sum of the colours' kernels, each over its standard deviation, less a constant. So the
    embeddings are the same, for a third of the stem's work.
    """
    first = next((n for n, p in weights_of(network).named_parameters() if p.ndim == 4), "")
    stem = state.get(first)
    if stem is None or stem.ndim != 4 or stem.shape[1] == 1:
        return state
    if stem.shape[1] != 3:
        raise ModelError(
            f"the weights take {stem.shape[1]} channels; name them with --input-channels"
        )
    if normalization == "none":
        return state | {first: stem.sum(dim=1, keepdim=True)}
    bias = first.replace("weight", "bias")
    if bias not in state:
        raise ModelError("this network's stem has no bias to take up a normalization; use none")
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    kernels = stem / torch.tensor(IMAGENET_SD).view(1, 3, 1, 1)
    return state | {
        first: kernels.sum(dim=1, keepdim=True),
        bias: state[bias] - (kernels * mean).sum(dim=(1, 2, 3)),
    }


def load_strictly(network: Network, state: dict[str, Tensor], source: str) -> None:
    """Put the weights into the network: every parameter, and none besides.

    Raises ModelError that names what is missing, left over, or of another shape.
    """
    module = weights_of(network)
    wanted = module.state_dict()
    problems = [f"{n} is missing" for n in wanted if n not in state]
    problems += [f"{n} is left over" for n in state if n not in wanted]
    problems += [
        f"{n} is {tuple(state[n].shape)}, not {tuple(tensor.shape)}"
        for n, tensor in wanted.items()
        if n in state and state[n].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ModelError(f"'{source}' does not fit the network: {'; '.join(problems[:3])}{more}")
    module.load_state_dict(state)


def timm_network(architecture: str) -> tuple[ModelConfig, Network]:
    """Configuration and network of a timm architecture: its CLS token if it has one."""
    try:
        encoder: Network = Encoder(architecture, 224)
        kind: Literal["vit", "timm"] = "vit"
    except ModelError:
        encoder = PooledNetwork(architecture)
        kind = "timm"
    return ModelConfig(kind=kind, architecture=architecture, num_dims=encoder.num_dims), encoder


def hub_weights(architecture: str) -> dict[str, Tensor]:
    """Weights of a timm network from the model hub.

    Raises ModelError if there is no network, or no weights of that name.
    """
    try:
        network = timm.create_model(architecture, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client raises errors of many packages
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"no weights of {architecture} from the model hub ({reason}); pass --weights FILE"
        ) from error
    state: dict[str, Tensor] = network.state_dict()
    return state
