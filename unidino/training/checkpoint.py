"""A training run on disk: one safetensors file with its tensors and, as JSON, all else of it."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.core.files import written_beside


def save_checkpoint(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Raises ModelError if the disk does not take it; a checkpoint that was there stays.
    """
    try:
        with written_beside(path) as temporary:
            save_file(tensors, temporary, metadata={"state": json.dumps(state)})
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write the checkpoint '{path}': {error}") from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a checkpoint.

    Raises ModelError if there is none, or it is damaged.
    """
    if not path.is_file():
        raise ModelError(f"no checkpoint at '{path}'; was the training finished, or never begun?")
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the checkpoint '{path}' is damaged: {error}") from error
