"""The systems that are compared: models made from a preset, or from weights that exist already.

Source: Morelli et al. 2025, doi 10.1016/j.csbj.2025.02.020, sections 2.3 and 2.4.
"""

from pathlib import Path

import timm

from unidino.core.errors import ModelError, choose
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.cellprofiler import NUM_DIMS
from unidino.models.config import ModelConfig
from unidino.models.networks import new_network
from unidino.models.registry import check_new_name, load_config, register
from unidino.models.weights import (
    VIT_S,
    Normalization,
    backbone,
    grey_stem,
    hub_weights,
    load_strictly,
    read_weights,
    timm_network,
)

PRESETS: dict[str, ModelConfig] = {
    "random_vit": ModelConfig(kind="vit", architecture=VIT_S, num_dims=384),
    "gaussian": ModelConfig(kind="gaussian", num_dims=384),
    "imagenet_dino": ModelConfig(kind="vit", architecture=VIT_S, num_dims=384),
    "cellprofiler": ModelConfig(kind="cellprofiler", num_dims=NUM_DIMS),
}
_PRETRAINED = {"imagenet_dino": f"{VIT_S}.dino"}


def create_model(
    lake: Lake,
    preset: str,
    name: str | None = None,
    *,
    like: str | None = None,
    weights: Path | None = None,
    normalization: Normalization = "none",
    nuclei: str | None = None,
    seed: int = 0,
) -> str:
    """Name of a new model made from a preset, or from any network that timm knows with its weights.

    like: a model whose network, crops and intensity scaling a random or Gaussian one takes over.
    weights: a local file instead of the model hub's. normalization: what colour images were
    normalized by when the weights were trained; `none` as the paper. nuclei: for `cellprofiler`,
    the channel to segment. Raises ModelError if the name is taken or there are no weights.
    """
    if preset not in PRESETS and not timm.is_model(preset):
        choose("preset", preset, [*sorted(PRESETS), "the name of a timm network"])
    name = name or preset.replace(".", "_")
    check_new_name(lake, name)
    run = Run(
        "models create",
        {
            "preset": preset,
            "name": name,
            "like": like,
            "seed": seed,
            "weights": weights and str(weights),
            "nuclei": nuclei,
            "normalization": normalization,
        },
    )
    if preset in PRESETS and preset not in _PRETRAINED:
        config = PRESETS[preset].model_copy(update={"nuclei": nuclei})
        config = _like(lake, config, like) if like else config
        config = config.model_copy(update={"seed": seed})
        network = new_network(config) if config.kind in ("vit", "timm") else None
        register(lake, run, name, config, network)
        return name
    architecture = _PRETRAINED.get(preset, preset)
    state = backbone(read_weights(weights)) if weights else hub_weights(architecture)
    config, network = timm_network(architecture.split(".")[0])
    load_strictly(network, grey_stem(network, state, normalization), str(weights or architecture))
    register(lake, run, name, config, network, parent=str(weights or f"timm/{architecture}"))
    return name


def _like(lake: Lake, config: ModelConfig, like: str) -> ModelConfig:
    """A preset with the network, crops and intensity scaling of another model."""
    template = load_config(lake, like)
    if config.kind == "vit" and template.kind != "vit":
        raise ModelError(f"model '{like}' has no network to copy; choose a trained one")
    changed = template.model_copy(update={"kind": config.kind})
    if config.kind != "vit":
        changed = changed.model_copy(update={"architecture": None, "architecture_options": {}})
    return changed
