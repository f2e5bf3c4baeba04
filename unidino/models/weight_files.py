"""Files of weights: their tensors, under the names of a network and for a grey image."""

import argparse
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unidino.core.choices import Normalization
from unidino.core.documents import refuse_special
from unidino.core.errors import ModelError
from unidino.core.text import first_line
from unidino.models.networks import Network, weights_of
from unidino.models.registry import refuse_not_finite

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
# Checkpoints keep the network that embeds under these keys, its parameters with these prefixes.
_KEYS = ("teacher", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.vit.", "vit.")
_MAX_DEPTH = 20
_SMALL_BYTES = 1 << 26
# What damaged files make torch, pickle and safetensors raise.
_DAMAGE = (
    SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    ImportError,
    MemoryError,
    NotImplementedError,
)
_HEADS = ("head.", "fc.", "classifier.", "projection_head.", "dino_head.", "ibot_head.")


def read_weights(path: Path, source: str | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file or of a torch checkpoint, by name; code in it is not run.

    If a checkpoint holds several networks, the teacher's tensors. source: names the file in errors,
    by default its path. Raises ModelError for any other file.
    """
    source = source or str(path)
    try:
        refuse_special(path)
        if _is_safetensors(path):
            return _checked(load_file(path), source)
        _refuse_bomb(path, source)
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
    except _DAMAGE as error:
        reason = first_line(error)
        raise ModelError(
            f"'{source}' is neither a safetensors file nor a checkpoint of tensors only: {reason}"
        ) from error
    for _ in range(_MAX_DEPTH):  # a document may hold itself
        key = next((k for k in _KEYS if isinstance(document, dict) and k in document), None)
        if key is None:
            break
        document = document[key]
    if not isinstance(document, dict) or not any(isinstance(v, Tensor) for v in document.values()):
        raise ModelError(
            f"'{source}' has no named tensors, at the top level or under {', '.join(_KEYS)}"
        )
    return _checked({str(k): v for k, v in document.items() if isinstance(v, Tensor)}, source)


def _checked(tensors: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors as finite numbers of float32.

    Raises ModelError for other values, and for tensors that only declare that they are large.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
            raise ModelError(f"'{source}': {name} is no ordinary tensor of numbers")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ModelError(
                f"'{source}': {name} declares {tensor.numel()} numbers, but the file holds fewer"
            )
    refuse_not_finite(tensors, f"'{source}'")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _refuse_bomb(path: Path, source: str) -> None:
    """Raise ModelError if a checkpoint, which is a ZIP archive, unpacks to far more than it is."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        num_bytes = sum(entry.file_size for entry in archive.infolist())
    if num_bytes > max(_SMALL_BYTES, 2 * path.stat().st_size):
        raise ModelError(
            f"'{source}' unpacks to {num_bytes / 2**30:.1f} GiB, but is"
            f" {path.stat().st_size / 2**30:.3f} GiB: it is no checkpoint of torch"
        )


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
