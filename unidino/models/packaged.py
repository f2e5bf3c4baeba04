"""Models that come with this package: a folder each, with what a model's folder in a lake holds.

That is `config.json`, `model.safetensors` if the model has weights, and `card.md`.
"""

from pathlib import Path

ROOT = Path(__file__).parent


def packaged_names() -> list[str]:
    """Names of the models of this package, sorted."""
    return sorted(path.parent.name for path in ROOT.glob("*/config.json"))


def packaged_folder(name: str) -> Path | None:
    """Folder of a model of this package; None if it has none of this name."""
    return ROOT / name if name in packaged_names() else None
