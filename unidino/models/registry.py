"""Models in the lake: their weights and configuration on disk, their rows in the catalog."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from unidino.core.documents import parse_json
from unidino.core.errors import ModelError, choose
from unidino.core.files import digest, written_beside
from unidino.core.text import first_line
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig, vector_names
from unidino.models.model_files import damaged_files, keep_files, keep_model

if TYPE_CHECKING:
    import torch

    from unidino.models.encoder import Encoder
    from unidino.models.networks import Network

_MAX_NAME = 100


def register(
    lake: Lake,
    run: Run,
    name: str,
    config: ModelConfig,
    network: "Network | None",
    *,
    samples: str | None = None,
    parent: str | None = None,
    licence: str | None = None,
    write_more: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a model's weights and configuration to the lake, and insert its row.

    samples: SQL that chose the training samples; parent: model or file that the weights come from.
    write_more: writes other files into the model's folder.
    Raises ModelError if the name is taken or cannot name a folder.
    """
    with lake.lock(f"model-{name}"):
        check_new_name(lake, name, trained=samples is not None, may_mend=True)
        folder = lake.place_of(f"models/{name}")
        weights = _as_bytes(network) if network else b""
        document = config.model_dump_json(indent=1)
        row = {
            "model": name,
            "kind": config.kind,
            "architecture": config.architecture,
            "num_dims": config.num_dims,
            "channels": vector_names(config),
            "preprocessing": config.model_dump_json(exclude={"kind", "architecture", "num_dims"}),
            "weights_hash": hashlib.sha256(weights).hexdigest() if network else digest(document),
            "samples": samples,
            "parent": parent,
            "licence": licence,
            "created": datetime.now(UTC).replace(tzinfo=None),
            "run_id": run.run_id,
        }
        is_known = name in model_names(lake)
        if is_known:
            _refuse_other(lake, row)
        write_more(folder)
        if network:
            with written_beside(folder / "model.safetensors") as path:
                path.write_bytes(weights)
        with written_beside(folder / "config.json") as path:
            path.write_text(document, encoding="utf-8")
        if is_known:
            keep_files(lake, name)
            return
        with lake.landing() as landing:
            run.record(landing)
            landing.put("model", [row])
            keep_model(lake, landing, name)


def _refuse_other(lake: Lake, row: Mapping[str, Any]) -> None:
    """Raise ModelError unless a model is the one that the lake has lost files of."""
    query = "select weights_hash, preprocessing::varchar as preprocessing from model"
    (known,) = lake.look_up(f"{query} where model = $m", {"m": row["model"]}).to_dicts()
    for name, value in known.items():
        same = json.loads(value) == json.loads(row[name]) if name == "preprocessing" else None
        if not (same or value == row[name]):
            raise ModelError(
                f"model '{row['model']}' of the lake is damaged, but its {name} was {value}, not"
                f" {row[name]}; bring its files back from a copy, or choose another name"
            )


def _as_bytes(network: "Network") -> bytes:
    # Most commands need only a model's name and configuration; torch takes seconds to import.
    from safetensors.torch import save

    from unidino.models.networks import weights_of

    return save({k: v.contiguous() for k, v in weights_of(network).state_dict().items()})


def checkpoint_of(lake: Lake, name: str) -> Path:
    """Path of the checkpoint of a training that is not complete."""
    return lake.place_of(f"models/{name}/checkpoint.safetensors")


def check_new_name(lake: Lake, name: str, *, trained: bool = False, may_mend: bool = False) -> None:
    """Raise ModelError unless a new model may have this name.

    trained: the model may have the name of a training that is not complete. may_mend: it may have
    that of a model whose files in the lake are not whole; `register` writes them again.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ModelError(f"a model may not be named '{name}'; use letters, digits, '_', '-', '.'")
    if len(name) > _MAX_NAME:
        raise ModelError(
            f"a model may not be named '{name[:20]} ...': a name of {len(name)} letters is too long"
            f" for a file; at most {_MAX_NAME} are allowed"
        )
    if name in model_names(lake) and not (may_mend and damaged_files(lake, name)):
        raise ModelError(f"there is a model '{name}' already; choose another name")
    if not trained and checkpoint_of(lake, name).exists():
        raise ModelError(
            f"there is a training of '{name}' that is not complete; continue it by `unidino train"
            f" --model {name} --resume`, discard it by `unidino train --model {name} --overwrite"
            " ...`, or choose another name"
        )


def model_names(lake: Lake) -> list[str]:
    """Names of the models in the lake, sorted."""
    names: list[str] = lake.look_up("select model from model order by model")["model"].to_list()
    return names


def load_config(lake: Lake, name: str) -> ModelConfig:
    """Configuration of a model in the lake.

    Raises UnidinoError that lists the models if the lake has none of this name.
    """
    choose("model", name, model_names(lake))
    path = lake.resolve(f"models/{name}/config.json")
    try:
        return ModelConfig.model_validate(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ModelError(f"model '{name}': {path} is missing or damaged") from error


def load_network(lake: Lake, name: str, device: "torch.device") -> "Network":
    """A model's network with its weights, for inference.

    Raises ModelError if the weights are missing, damaged or of another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from unidino.models.networks import new_network, weights_of

    network = new_network(load_config(lake, name))
    path = lake.resolve(f"models/{name}/model.safetensors")
    try:
        state: dict[str, Any] = load_file(path)
        refuse_not_finite(state, f"model '{name}'")
        weights_of(network).load_state_dict(state, strict=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = first_line(error)
        raise ModelError(f"cannot load the weights of model '{name}': {reason}") from error
    return network.eval().requires_grad_(False).to(device)


def refuse_not_finite(state: "Mapping[str, torch.Tensor]", source: str) -> None:
    """Raise ModelError if weights have a number that is NaN or infinite. source: names them."""
    import torch

    for name, tensor in state.items():
        num = tensor.numel() - int(torch.isfinite(tensor).sum())
        if num:
            raise ModelError(
                f"{source}: {num} of the {tensor.numel()} numbers of {name} are NaN or infinite:"
                " the weights are damaged, or their training failed"
            )


def load_encoder(lake: Lake, name: str, device: "torch.device") -> "Encoder":
    """A model's vision transformer, with its weights.

    Raises ModelError if the model is of another kind; other errors as of `load_network`.
    """
    from unidino.models.encoder import Encoder

    network = load_network(lake, name, device)
    if not isinstance(network, Encoder):
        raise ModelError(f"model '{name}' is not a vision transformer")
    return network
