"""Models that come with this package: a folder each, with what a model's folder in a lake holds.

That is `config.json`, `model.safetensors`, `card.md` and `train.jsonl`, the log of its training.
"""

import shutil
from pathlib import Path
from typing import Any

from unidino.core.files import written_beside
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.model_files import damaged_files
from unidino.models.registry import model_names, register

ROOT = Path(__file__).parent
_PARENT = "unidino"


def packaged_names() -> list[str]:
    """Names of the models of this package, sorted."""
    return sorted(path.parent.name for path in ROOT.glob("*/config.json"))


def packaged_folder(name: str) -> Path | None:
    """Folder of a model of this package; None if it has none of this name."""
    return ROOT / name if name in packaged_names() else None


def bring_packaged(lake: Lake, name: str) -> None:
    """Register a model of this package in the lake, unless the lake has a model of this name.

    Any other name is ignored.
    """
    folder = packaged_folder(name)
    if folder is None or _is_there(lake, name):
        return
    with lake.lock(f"bring-{name}"):
        if _is_there(lake, name):  # another process was faster
            return
        run = Run("bring packaged model", {"model": name})
        text = (folder / "config.json").read_text(encoding="utf-8")
        config = ModelConfig.model_validate_json(text)
        for file in ("card.md", "train.jsonl"):
            with written_beside(lake.place_of(f"models/{name}/{file}")) as path:
                shutil.copyfile(folder / file, path)
        register(lake, run, name, config, _network(folder, config), parent=_PARENT, licence="MIT")


def _is_there(lake: Lake, name: str) -> bool:
    """Whether the lake has a model of this name, and it is not this package's and damaged."""
    if name not in model_names(lake):
        return False
    query = "select parent from model where model = $m"
    is_ours = lake.look_up(query, {"m": name}).item() == _PARENT
    return not (is_ours and damaged_files(lake, name))


def _network(folder: Path, config: ModelConfig) -> Any:
    """The network of a packaged model, with its weights."""
    from safetensors.torch import load_file

    from unidino.models.networks import new_network, weights_of

    network = new_network(config)
    weights_of(network).load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return network
