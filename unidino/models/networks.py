"""The network of a configuration, and the scaling of intensities before it.

Shapes: N crops, C channels seen at once (1 if each is embedded alone), D embedding.
"""

from collections.abc import Mapping

import timm
import torch
from torch import Tensor, nn

from unidino.core.choices import Intensity
from unidino.core.errors import ModelError
from unidino.models.codebook import Codebook
from unidino.models.config import ModelConfig
from unidino.models.encoder import Encoder as Encoder
from unidino.models.microsnoop import MicrosnoopEncoder
from unidino.models.openphenom import OPENPHENOM, OpenPhenomEncoder
from unidino.models.subcell import SUBCELL, SubCellEncoder


class PooledNetwork(nn.Module):
    """Any timm network; embeds crops (N, C, H, W) in [0, 1] as its pooled features (N, D).

    Raises ModelError for an architecture that timm does not know.
    """

    def __init__(
        self, architecture: str, options: Mapping[str, int] | None = None, *, num_channels: int = 1
    ) -> None:
        super().__init__()
        if not timm.is_model(architecture):
            raise ModelError(f"unknown architecture '{architecture}'; see timm.list_models()")
        self.network = timm.create_model(
            architecture, in_chans=num_channels, num_classes=0, **(options or {})
        )
        self.num_dims: int = self.network.head_hidden_size

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, D) of crops (N, C, H, W)."""
        embeddings: Tensor = self.network(crops)
        return embeddings


Network = (
    Encoder | PooledNetwork | MicrosnoopEncoder | OpenPhenomEncoder | SubCellEncoder | Codebook
)


def scaled(planes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Intensities in [0, 1] of planes (N, ...) in counts: low maps to 0, high to 1, clamped.

    low, high: counts, (N,) or, for planes (N, C, ...), (N, C). Where they are equal, low becomes 0.
    """
    shape = (*low.shape, *[1] * (planes.dim() - low.dim()))
    span = (high - low).clamp_min(1e-6)
    return ((planes.float() - low.view(shape)) / span.view(shape)).clamp_(0, 1)


def intensity_range(
    intensity: Intensity, dtype: str, p0_1: float, p99_9: float
) -> tuple[float, float]:
    """Counts that map to 0 and 1 under a model's intensity scaling."""
    if intensity == "percentile":
        return p0_1, p99_9
    return 0.0, float({"uint8": 255, "uint16": 65535}[dtype])


def new_encoder(config: ModelConfig, *, drop_path: float = 0.0) -> Encoder:
    """A vision transformer with weights drawn from the configuration's seed.

    Raises ModelError for a model without network.
    """
    if config.architecture is None:
        raise ModelError(f"a model of kind {config.kind} has no network")
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return Encoder(
            config.architecture,
            config.crop_size_px,
            config.architecture_options,
            num_channels=config.num_inputs,
            drop_path=drop_path,
            instance_norm=config.instance_norm,
        )


def new_network(config: ModelConfig) -> Network:
    """The network of a model, with weights drawn from the configuration's seed.

    The weights of a codebook are not random: `fit_codebook` learns them.
    Raises ModelError for a model without network, or for a codebook of several channels.
    """
    if config.kind == "vit" and config.architecture not in (*OPENPHENOM, SUBCELL):
        return new_encoder(config)
    options = config.architecture_options
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if config.architecture in OPENPHENOM:
            return OpenPhenomEncoder(config.architecture, options, num_channels=config.num_inputs)
        if config.architecture == SUBCELL:
            return SubCellEncoder(options, num_channels=config.num_inputs)
        if config.kind == "timm" and config.architecture:
            return PooledNetwork(
                config.architecture,
                options,
                num_channels=config.num_inputs,
            )
        if config.kind == "microsnoop":
            return MicrosnoopEncoder(config.num_dims)
    if config.kind == "codebook":
        if config.input_channels:
            raise ModelError(
                "a codebook embeds each channel alone; omit the channels"
                f" {', '.join(config.input_channels)}"
            )
        return Codebook(config.num_dims, **config.architecture_options)
    raise ModelError(f"a model of kind {config.kind} has no network")


def weights_of(network: Network) -> nn.Module:
    """The part of a network whose parameters are stored: timm's module where timm built it."""
    if isinstance(network, Encoder):
        vit: nn.Module = network.vit
        return vit
    if isinstance(network, PooledNetwork):
        inner: nn.Module = network.network
        return inner
    return network
