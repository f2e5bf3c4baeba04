"""What a model is: `config.json` beside its weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt


class ModelConfig(BaseModel):
    """What a model is and how images are prepared for it.

    kind: `vit` embeds by a vision transformer's CLS token, `timm` by any timm network's pooled
    features, `microsnoop` by that encoder, `cellprofiler` by features of segmented cells,
    `gaussian` at random; `imported` profiles were made elsewhere.
    architecture: name of a timm network; architecture_options override its shape.
    crop_size_px: side of the square crops; stride_px: distance of their corners.
    intensity: `percentile` scales a plane's 0.1st..99.9th percentile to 0..1, clamped;
    `dtype` divides by the type's maximum, as the published checkpoints were trained.
    instance_norm: crops have mean 0 and standard deviation 1 when they enter the network.
    input_channels: names of the channels that a multi-channel network sees at once, in order; none
    for a network that embeds each channel alone. nuclei: name of the channel to segment.
    features: names of imported features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["vit", "timm", "microsnoop", "cellprofiler", "gaussian", "imported"]
    architecture: str | None = None
    architecture_options: dict[str, int] = {}
    num_dims: PositiveInt
    crop_size_px: PositiveInt = 224
    stride_px: PositiveInt = 224
    intensity: Literal["percentile", "dtype"] = "percentile"
    instance_norm: bool = False
    input_channels: tuple[str, ...] = ()
    nuclei: str | None = None
    features: tuple[str, ...] = ()
    seed: int = 0
