"""A training run on disk: one safetensors file with its tensors and, as JSON, its state."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unidino.core.errors import ModelError
from unidino.core.files import written_beside
from unidino.training.epoch_log import Figures


@dataclass
class State:
    """The state of a run besides its tensors: its arguments and its progress.

    config: of a TrainConfig. log: figures of the epochs that are done; losses: of the steps of the
    epoch under way.
    """

    config: dict[str, Any]
    samples: str
    start: str | None = None
    probe: str | None = None
    step: int = 0
    log: list[Figures] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    samples_hash: str | None = None


def save_checkpoint(path: Path, tensors: dict[str, Tensor], state: State) -> None:
    """Write a checkpoint, whole or not at all.

    Raises ModelError if it cannot be written; an earlier checkpoint stays.
    """
    try:
        with written_beside(path) as temporary:
            # `save_file` has a temporary file of its own, which a killed run would leave.
            temporary.write_bytes(save(tensors, {"state": json.dumps(asdict(state))}))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write the checkpoint '{path}': {error}") from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], State]:
    """Tensors and state of a checkpoint.

    Raises ModelError if it is missing or damaged.
    """
    if not path.is_file():
        raise ModelError(f"no checkpoint at '{path}'; did the training finish, or never start?")
    try:
        with safe_open(path, framework="pt") as file:
            state = State(**json.loads(file.metadata()["state"]))
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the checkpoint '{path}' is damaged: {error}") from error
