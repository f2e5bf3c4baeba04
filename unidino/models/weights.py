"""New models with published weights: from a file, or from timm's model hub."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
from torch import Tensor

from unidino.core.choices import Intensity, Normalization
from unidino.core.errors import ModelError
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import dinov2, microsnoop, openphenom, subcell
from unidino.models.config import MAX_SIDE_PX, VIT_S, ModelConfig
from unidino.models.encoder import Encoder
from unidino.models.kinds import Kind
from unidino.models.networks import Network, PooledNetwork, new_network
from unidino.models.openphenom import OPENPHENOM
from unidino.models.registry import check_new_name, register
from unidino.models.subcell import SUBCELL
from unidino.models.weight_files import backbone, grey_stem, load_strictly, read_weights


@dataclass(frozen=True)
class Trained:
    """How published weights were trained, and what of it a user chooses.

    architecture: a timm vision transformer, or one of `PUBLISHED`. intensity: scaling in training.
    input_channels: names of the channels that the network sees at once. normalization: how colour
    images were normalized. crop_size_px: side of the crops to embed; default that of the training.
    """

    architecture: str = VIT_S
    intensity: Intensity = "dtype"
    input_channels: tuple[str, ...] = ()
    normalization: Normalization = "none"
    crop_size_px: int | None = None


# Networks of one published size, and what puts their parameters under this package's names.
_FIXED = {
    "microsnoop": ModelConfig(kind="microsnoop", num_dims=256),
    SUBCELL: ModelConfig(
        kind="vit", architecture=SUBCELL, num_dims=1536, crop_size_px=448, stride_px=448
    ),
    **{
        name: ModelConfig(
            kind="vit", architecture=name, num_dims=384, crop_size_px=256, stride_px=256
        )
        for name in OPENPHENOM
    },
}
_ENCODER_STATE: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "microsnoop": microsnoop.encoder_state,
    SUBCELL: subcell.encoder_state,
    **dict.fromkeys(OPENPHENOM, openphenom.encoder_state),
}
PUBLISHED = tuple(_FIXED)


def import_model(
    lake: Lake,
    file: Path,
    name: str,
    *,
    architecture: str = VIT_S,
    intensity: Intensity = "dtype",
    input_channels: Sequence[str] = (),
    normalization: Normalization = "none",
    crop_size_px: int | None = None,
    licence: str | None = None,
) -> ModelConfig:
    """Configuration of a new model with published weights, from a local file.

    architecture: a timm vision transformer (uniDINO, DINO, and DINOv2 with or without registers),
    `microsnoop`, `openphenom`, `openphenom-channelwise` or `subcell`. intensity: the scaling that
    the weights were trained with; published uniDINO divided by the type's maximum.
    input_channels: names of the channels that the network sees at once, in the order of training.
    Without them a stem for colour images is converted to one for grey images. normalization: how
    colour images were normalized in training. crop_size_px: side of the crops to embed, if it is
    not that of the training; position embeddings are interpolated.
    Raises ModelError if the file does not hold tensors, or these do not fit the architecture.

    >>> import timm, torch
    >>> import unidino as ud
    >>> network = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    >>> torch.save(network.state_dict(), folder / "weights.pth")
    >>> file = folder / "weights.pth"
    >>> ud.import_model(lake, file, "theirs", architecture="vit_tiny_patch16_224").num_dims
    192
    """
    run = Run.of("models import", locals(), reads_files=True)
    check_new_name(lake, name, may_mend=True)
    trained = Trained(architecture, intensity, tuple(input_channels), normalization, crop_size_px)
    return land_weights(
        lake, run, Path(file), name, trained, parent=Path(file).name, licence=licence
    )


def land_weights(
    lake: Lake,
    run: Run,
    file: Path,
    name: str,
    trained: Trained,
    *,
    parent: str,
    licence: str | None,
) -> ModelConfig:
    """Configuration of a new model with the weights of a file.

    parent: where the weights come from; errors name it. Errors as of `import_model`.
    """
    state = read_weights(file, parent)
    prepare = _fixed if trained.architecture in _FIXED else _vision_transformer
    config, network, state = prepare(state, trained, parent)
    load_strictly(network, state, parent)
    config = config.model_copy(update={"num_dims": network.num_dims})
    register(lake, run, name, config, network, parent=parent, licence=licence)
    return config


def _fixed(
    state: dict[str, Tensor], trained: Trained, source: str
) -> tuple[ModelConfig, Network, dict[str, Tensor]]:
    """Configuration, network and parameters of a network of one published size."""
    architecture, channels = trained.architecture, trained.input_channels
    config = _FIXED[architecture]
    if trained.crop_size_px not in (None, config.crop_size_px):
        raise ModelError(
            f"{architecture} takes crops of {config.crop_size_px} px, not {trained.crop_size_px}"
        )
    if trained.normalization != "none":
        raise ModelError(f"{architecture} saw no colour images; use --normalization none")
    if channels and config.kind == "microsnoop":
        raise ModelError(f"{architecture} sees one channel at a time; omit --input-channels")
    state = _ENCODER_STATE[architecture](state)
    num_channels = subcell.num_channels_of(state) if architecture == SUBCELL else len(channels)
    if architecture == SUBCELL and num_channels != max(1, len(channels)):
        raise ModelError(
            f"'{source}' takes {num_channels} channels, not {max(1, len(channels))}; name them with"
            " --input-channels in the order microtubules, endoplasmic reticulum, nuclei, protein"
            " (those that the variant has)"
        )
    config = config.model_copy(update={"intensity": trained.intensity, "input_channels": channels})
    return config, new_network(config), state


def _vision_transformer(
    state: dict[str, Tensor], trained: Trained, source: str
) -> tuple[ModelConfig, Network, dict[str, Tensor]]:
    """Configuration, network and parameters of a timm vision transformer."""
    state = dinov2.timm_names(backbone(state))
    native_px, patch_px = _sizes_of(state, source)
    crop_size_px = native_px if trained.crop_size_px is None else trained.crop_size_px
    if not patch_px <= crop_size_px <= MAX_SIDE_PX or crop_size_px % patch_px:
        raise ModelError(
            f"--crop-size is {crop_size_px}; it must be a multiple of {patch_px} px, up to"
            f" {MAX_SIDE_PX}"
        )
    config = ModelConfig(
        kind="vit",
        architecture=trained.architecture,
        architecture_options={} if crop_size_px == native_px else {"img_size": native_px},
        num_dims=state["pos_embed"].shape[-1],
        crop_size_px=crop_size_px,
        stride_px=crop_size_px,
        intensity=trained.intensity,
        input_channels=trained.input_channels,
    )
    network = new_network(config)
    if not trained.input_channels:
        state = grey_stem(network, state, trained.normalization)
    return config, network, state


def _sizes_of(state: dict[str, Tensor], source: str) -> tuple[int, int]:
    """Sides in px of the crops of a vision transformer's position embeddings, and of its patches.

    The embeddings of a square grid may be preceded by those of a few other tokens.
    """
    try:
        _, num_positions, num_dims = state["pos_embed"].shape
        _, _, _, patch_px = state["patch_embed.proj.weight"].shape
    except (KeyError, ValueError) as error:
        some = ", ".join(sorted(state)[:4])
        raise ModelError(
            f"'{source}' is not a vision transformer: it lacks pos_embed or"
            f" patch_embed.proj.weight, or these have other axes; it has {some} ..."
        ) from error
    if not (num_positions and num_dims and patch_px):
        raise ModelError(
            f"'{source}' is not a vision transformer: pos_embed has the shape"
            f" {tuple(state['pos_embed'].shape)}, and a patch {patch_px} px"
        )
    return math.isqrt(num_positions) * patch_px, patch_px


def timm_network(architecture: str) -> tuple[ModelConfig, Network]:
    """Configuration and network of a timm architecture, which embeds by its CLS token if any."""
    try:
        encoder: Network = Encoder(architecture, 224)
        kind: Kind = "vit"
    except ModelError:
        encoder = PooledNetwork(architecture)
        kind = "timm"
    return ModelConfig(kind=kind, architecture=architecture, num_dims=encoder.num_dims), encoder


def hub_weights(architecture: str) -> dict[str, Tensor]:
    """Weights of a timm network from the model hub.

    Raises ModelError if the hub cannot be reached or has no weights of that name.
    """
    try:
        network = timm.create_model(architecture, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client raises exceptions of many packages
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"cannot get weights of {architecture} from the model hub ({reason});"
            " pass --weights FILE"
        ) from error
    state: dict[str, Tensor] = network.state_dict()
    return state
