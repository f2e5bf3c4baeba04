"""Files of weights: their tensors, under the names of a network and for a grey image."""

import argparse
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unidino.core.choices import Normalization
from unidino.core.errors import ModelError
from unidino.models.networks import Network, weights_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
# Checkpoints keep the network that embeds under these keys, its parameters with these prefixes.
_KEYS = ("teacher", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.vit.", "vit.")
_HEADS = ("head.", "fc.", "classifier.", "projection_head.", "dino_head.", "ibot_head.")


def read_weights(path: Path, source: str | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file or of a torch checkpoint, by name; code in it is not run.

    If a checkpoint holds several networks, the teacher's tensors. source: names the file in errors,
    by default its path. Raises ModelError for any other file.
    """
    source = source or str(path)
    try:
        if _is_safetensors(path):
            return load_file(path)
        # The published program of DINO stores its options, an argparse.Namespace, with the weights.
        with (
            path.open("rb") as file,  # torch would judge a path by its name
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of unusual pickles: they are read, or refused below
            document: Any = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read '{source}': {error.strerror or error}") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"'{source}' is neither a safetensors file nor a checkpoint of tensors only: {reason}"
        ) from error
    while isinstance(document, dict) and (key := next((k for k in _KEYS if k in document), None)):
        document = document[key]
    if not isinstance(document, dict) or not any(isinstance(v, Tensor) for v in document.values()):
        raise ModelError(
            f"'{source}' has no named tensors, at the top level or under {', '.join(_KEYS)}"
        )
    return {str(k): v.float() for k, v in document.items() if isinstance(v, Tensor)}


def _is_safetensors(path: Path) -> bool:
    """Whether a file is of that format; some checkpoints of torch are only named so."""
    with path.open("rb") as file:
        start = file.read(2)
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the network that embeds, without the heads of its training."""
    parameters: dict[str, Tensor] = {}
    for full, tensor in state.items():
        name = full
        while prefix := next((p for p in _PREFIXES if name.startswith(p)), None):
            name = name[len(prefix) :]
        if not name.startswith(_HEADS):
            parameters[name] = tensor
    return parameters


def grey_stem(
    network: Network, state: dict[str, Tensor], normalization: Normalization
) -> dict[str, Tensor]:
    """Weights whose first convolution takes one channel instead of three colours.

    Convolving a grey image that is repeated as three colours equals convolving the image with the
    sum of the three kernels. A normalization divides each kernel by its colour's standard deviation
    and subtracts a constant, which goes into the bias. So the embeddings are those of the repeated
    image, for a third of the stem's work.
    Raises ModelError for any other number of channels.
    """
    first = next((n for n, p in weights_of(network).named_parameters() if p.ndim == 4), "")
    stem = state.get(first)
    if stem is None or stem.ndim != 4 or stem.shape[1] == 1:
        return state
    if stem.shape[1] != 3:
        raise ModelError(
            f"the weights take {stem.shape[1]} channels; name the channels with --input-channels"
        )
    if normalization == "none":
        return state | {first: stem.sum(dim=1, keepdim=True)}
    bias = first.replace("weight", "bias")
    if bias not in state:
        raise ModelError(
            "this network's stem has no bias, which a normalization needs; use --normalization none"
        )
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    kernels = stem / torch.tensor(IMAGENET_SD).view(1, 3, 1, 1)
    return state | {
        first: kernels.sum(dim=1, keepdim=True),
        bias: state[bias] - (kernels * mean).sum(dim=(1, 2, 3)),
    }


def load_strictly(network: Network, state: dict[str, Tensor], source: str) -> None:
    """Load weights into a network; the names must be exactly those of its parameters.

    Raises ModelError that names the parameters that are missing, left over, or of another shape.
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
