"""The network that a training fits: an encoder that becomes a model, and a head.

Shapes: B images, G global and L local views of each, K head outputs.
"""

from typing import Any

import torch
from torch import Tensor, nn

from unidino.core.errors import InputError
from unidino.core.limits import check_memory
from unidino.models.config import ModelConfig
from unidino.models.networks import Encoder, new_encoder
from unidino.training.loss import DinoHead
from unidino.training.recipe import TrainConfig

# Student, teacher, gradients and two moments, in float32.
_BYTES_A_PARAMETER = 5 * 4


class Network(nn.Module):
    """An encoder and a head; maps views of two sizes to outputs, global views first."""

    def __init__(self, encoder: Encoder, head: DinoHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, global_views: Tensor, local_views: Tensor) -> Tensor:
        """Outputs ((G + L) * B, K) of views (G * B, C, S, S) and (L * B, C, s, s)."""
        embeddings = [self.encoder(views) for views in (global_views, local_views) if len(views)]
        outputs: Tensor = self.head(torch.cat(embeddings))
        return outputs


def new_network(config: TrainConfig, *, drop_path: float = 0.0) -> Network:
    """A network with weights drawn from the configuration's seed.

    Raises InputError if its patches do not divide the crops.
    """
    encoder = new_encoder(model_config_of(config), drop_path=drop_path)
    patch_px = encoder.vit.patch_embed.patch_size[0]
    for option in ("crop_size_px", "local_crop_size_px"):
        size_px = getattr(config, option)
        if size_px % patch_px:
            raise InputError(
                f"{option} is {size_px}, which patches of {patch_px} px do not divide; choose"
                f" {max(patch_px, size_px // patch_px * patch_px)}"
            )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed + 1)
        head = DinoHead(
            encoder.num_dims,
            config.num_outputs,
            hidden=config.head_hidden,
            bottleneck=config.head_bottleneck,
            batch_norm=config.head_batch_norm,
        )
    return Network(encoder, head)


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Parameters with weight decay, then biases and norms without."""
    with_decay: list[nn.Parameter] = []
    without_decay: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_bias_or_norm = parameter.ndim == 1 or name.endswith(".bias")
        (without_decay if is_bias_or_norm else with_decay).append(parameter)
    return [{"params": with_decay}, {"params": without_decay, "weight_decay": 0.0}]


def model_config_of(config: TrainConfig) -> ModelConfig:
    """Configuration of the model that a training run creates.

    Raises InputError if its training does not fit in memory.
    """
    with torch.device("meta"):
        encoder = Encoder(config.architecture, config.crop_size_px, config.architecture_options)
    num_dims = encoder.num_dims
    hidden, bottleneck = config.head_hidden, config.head_bottleneck
    num_parameters = sum(p.numel() for p in encoder.parameters()) + (
        num_dims * hidden + hidden**2 + hidden * bottleneck + bottleneck * config.num_outputs
    )
    what = f"training a network of {num_parameters / 1e6:,.1f} million parameters"
    check_memory(num_parameters * _BYTES_A_PARAMETER, what)
    return ModelConfig(
        kind="vit",
        architecture=config.architecture,
        architecture_options=config.architecture_options,
        num_dims=num_dims,
        crop_size_px=config.crop_size_px,
        stride_px=config.crop_size_px,
        intensity=config.intensity,
        instance_norm=config.instance_norm,
        input_channels=config.input_channels,
        seed=config.seed,
    )
