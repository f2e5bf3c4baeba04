"""The systems that models are compared with: random, Gaussian, pretrained, measured or fitted.

Source: Morelli et al. 2025, doi 10.1016/j.csbj.2025.02.020, sections 2.3 and 2.4.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from unidino.core.choices import Normalization
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.files import written_beside
from unidino.core.log import log
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.lake.samples import query_samples
from unidino.models.config import VIT_S, ModelConfig
from unidino.models.features import NUM_DIMS
from unidino.models.packaged import bring_packaged
from unidino.models.registry import check_new_name, load_config, register

PRESETS: dict[str, ModelConfig] = {
    "random_vit": ModelConfig(kind="vit", architecture=VIT_S, num_dims=384),
    "gaussian": ModelConfig(kind="gaussian", num_dims=384),
    "imagenet_dino": ModelConfig(kind="vit", architecture=VIT_S, num_dims=384),
    "cellprofiler": ModelConfig(kind="cellprofiler", num_dims=NUM_DIMS),
    "cell_count": ModelConfig(kind="cell_count", num_dims=1),
    # Crops of 128 px reach more of most fields than those of 224 px.
    "codebook": ModelConfig(kind="codebook", num_dims=192, crop_size_px=128, stride_px=128),
}
_PRETRAINED = {"imagenet_dino": f"{VIT_S}.dino"}
# What a preset takes beside a seed; pretrained networks take weights and their normalization.
_OPTIONS = {
    "random_vit": ("like",),
    "gaussian": ("like",),
    "cellprofiler": ("nuclei",),
    "cell_count": (),
    "codebook": ("samples",),
}
_PATCHES_A_CENTRE = 10


def create_model(
    lake: Lake,
    preset: str,
    name: str | None = None,
    *,
    like: str | None = None,
    weights: Path | None = None,
    normalization: Normalization = "none",
    nuclei: str | None = None,
    samples: str | None = None,
    seed: int = 0,
) -> str:
    """Name of a new model, made from a preset or from a pretrained timm network.

    preset: `random_vit`, `gaussian`, `imagenet_dino`, `cellprofiler`, `cell_count`, `codebook`, or
    a timm network by name.
    like: a model whose network, crops and intensity scaling a random or Gaussian one copies.
    weights: a local file instead of the model hub's. normalization: how colour images were
    normalized when the weights were trained; the paper uses `none`. nuclei: for `cellprofiler`,
    the channel to segment. samples: for `codebook`, a view's name or a SELECT with the columns of
    `training_sample`, the default; patches of these images are clustered.
    Raises ModelError if the name is taken, there are no weights, or an option is of no use for this
    preset; InputError if there are too few patches.

    >>> import unidino as ud
    >>> ud.create_model(lake, "gaussian", "noise", like="gaussian", seed=1)
    'noise'
    """
    run = Run.of("models create", locals(), reads_files=True)
    if preset not in PRESETS and not _is_timm(preset):
        choose("preset", preset, [*sorted(PRESETS), "the name of a timm network"])
    name = name or preset.replace(".", "_")
    check_new_name(lake, name, may_mend=True)
    colours = None if normalization == "none" else normalization
    given = {"like": like, "weights": weights, "normalization": colours, "nuclei": nuclei}
    _check_options(preset, given | {"samples": samples})
    if preset == "codebook":
        samples = samples or "training_sample"
        run.arguments = {**run.arguments, "samples": samples}
        config = PRESETS[preset].model_copy(update={"seed": seed})
        _create_codebook(lake, run, config, name, samples)
    elif preset in PRESETS and preset not in _PRETRAINED:
        _create_untrained(lake, run, PRESETS[preset], name, like=like, nuclei=nuclei, seed=seed)
    else:
        architecture = _PRETRAINED.get(preset, preset)
        _create_pretrained(lake, run, architecture, name, weights, normalization)
    return name


def _check_options(preset: str, given: Mapping[str, object]) -> None:
    """Raise ModelError for an option that is given, but that a preset has no use for."""
    used = _OPTIONS.get(preset, ("weights", "normalization"))
    for option, value in given.items():
        if value is not None and option not in used:
            takes = ", ".join(f"--{name}" for name in used) or "none but --seed"
            raise ModelError(
                f"'{preset}' has no use for --{option} '{value}'; omit it"
                f" ('{preset}' takes {takes})"
            )


def _is_timm(name: str) -> bool:
    import timm

    known: bool = timm.is_model(name)
    return known


def _create_untrained(
    lake: Lake,
    run: Run,
    preset: ModelConfig,
    name: str,
    *,
    like: str | None,
    nuclei: str | None,
    seed: int,
) -> None:
    config = preset.model_copy(update={"nuclei": nuclei})
    config = _like(lake, config, like) if like else config
    config = config.model_copy(update={"seed": seed})
    network = None
    if config.traits.has_network:
        from unidino.models.networks import new_network

        network = new_network(config)
    register(lake, run, name, config, network)


def _create_codebook(lake: Lake, run: Run, config: ModelConfig, name: str, samples: str) -> None:
    import pyarrow.parquet as pq

    from unidino.models.codebook import Codebook, fit_codebook
    from unidino.models.patches import draw_planes, read_patches

    started = time.monotonic()
    planes = draw_planes(query_samples(lake, samples, "--samples"), config.seed)
    codebook = Codebook(config.num_dims)
    patches = read_patches(lake, planes, config, codebook, f"read patches for {name}")
    least = _PATCHES_A_CENTRE * config.num_dims
    if len(patches) < least:
        raise InputError(
            f"--samples '{samples}' has {len(patches):,} patches that are not constant, but"
            f" {config.num_dims} centres need {least:,}; select more images"
        )
    fit_codebook(codebook, patches, config.seed)
    with written_beside(lake.place_of(f"models/{name}/samples.parquet")) as path:
        pq.write_table(planes, path, compression="zstd")
    register(lake, run, name, config, codebook, samples=samples)
    log.info(
        f"{config.num_dims} centres of {len(patches):,} patches of {planes.num_rows:,} planes in"
        f" {time.monotonic() - started:.0f} s"
    )


def _create_pretrained(
    lake: Lake,
    run: Run,
    architecture: str,
    name: str,
    weights: Path | None,
    normalization: Normalization,
) -> None:
    from unidino.models.weight_files import backbone, grey_stem, load_strictly, read_weights
    from unidino.models.weights import hub_weights, timm_network

    state = backbone(read_weights(weights)) if weights else hub_weights(architecture)
    config, network = timm_network(architecture.split(".")[0])
    load_strictly(network, grey_stem(network, state, normalization), str(weights or architecture))
    register(lake, run, name, config, network, parent=str(weights or f"timm/{architecture}"))


def _like(lake: Lake, config: ModelConfig, like: str) -> ModelConfig:
    """A preset with the network, crops and intensity scaling of another model."""
    bring_packaged(lake, like)
    template = load_config(lake, like)
    if config.kind == "vit" and template.kind != "vit":
        raise ModelError(f"model '{like}' has no network to copy; choose a trained one")
    copied = template.model_copy(update={"kind": config.kind})
    if config.traits.has_network:
        return copied
    return copied.model_copy(update={"architecture": None, "architecture_options": {}})
