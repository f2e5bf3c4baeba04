"""What a model is: `config.json` beside its weights."""

from pydantic import BaseModel, ConfigDict, PositiveInt

from unidino.core.choices import Intensity
from unidino.models.kinds import EVERY_CHANNEL, KINDS, Kind, KindTraits

VIT_S = "vit_small_patch16_224"
MAX_SIDE_PX = 8192  # of a crop
MAX_OPTION = 65_536  # of numbers that give the shape of a network


class ModelConfig(BaseModel):
    """What a model is and how images are prepared for it.

    kind: `vit` embeds by a vision transformer, `timm` by any timm network's pooled features,
    `microsnoop` by that encoder, `codebook` by the nearness of patches to centres, `cellprofiler`
    by features of segmented cells, `gaussian` by random numbers, `cell_count` by the number of
    cells of a well alone; `imported` profiles were computed by another program.
    architecture: name of a timm network, whose CLS token a `vit` embeds by; or `openphenom`,
    `openphenom-channelwise` or `subcell`. architecture_options override its shape, such as
    `img_size` for crops of another size than the network's position embeddings.
    crop_size_px: side of the square crops; stride_px: distance between their corners.
    intensity: `percentile` scales a plane's 0.1st..99.9th percentile to 0..1, clamped;
    `dtype` divides by the type's maximum, as the published checkpoints were trained.
    instance_norm: crops have mean 0 and standard deviation 1 when they enter the network.
    input_channels: names of the channels that a multi-channel network sees at once, in order; none
    for a network that embeds each channel alone. nuclei: name of the channel to segment.
    features: names of imported features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    architecture: str | None = None
    architecture_options: dict[str, int] = {}
    num_dims: PositiveInt
    crop_size_px: PositiveInt = 224
    stride_px: PositiveInt = 224
    intensity: Intensity = "percentile"
    instance_norm: bool = False
    input_channels: tuple[str, ...] = ()
    nuclei: str | None = None
    features: tuple[str, ...] = ()
    seed: int = 0

    @property
    def traits(self) -> KindTraits:
        """What all models of this kind have in common."""
        return KINDS[self.kind]

    @property
    def num_inputs(self) -> int:
        """Number of channels that the model sees at once."""
        return len(self.input_channels) or 1


def vector_names(config: ModelConfig) -> list[str] | None:
    """Names of a model's vectors of a field; None where these are just the channels of its plate.

    This is the column `channels` of the table `model`. `*` stands for the plate's channels.
    """
    if config.input_channels:
        return ["+".join(config.input_channels)]
    groups = list(config.traits.groups)
    return None if groups == [EVERY_CHANNEL] else groups
