"""Microsnoop's encoder, a baseline: one vector for each single-channel crop.

The layers, their names and the embedding follow the authors' program
(github.com/cellimnet/microsnoop-publish, whose convolutional blocks are those of its dependency
scellseg 0.1.8, after Cellpose): with equal random weights the network returns what scellseg's does.
This is not verified with the file of published weights,
`..._cnn_..._inputSize-224_inChans-1_embedDim-256_maskRatio-0.25_epoch-999.pth`, in whose entry
`model` the authors' program expects these names.

Shapes: N crops, H height, W width, D embedding.
Source: Xun et al. 2023, "Microsnoop: a generalist tool for microscopy image representation",
doi 10.1016/j.xinn.2023.100541.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.errors import ModelError


class MicrosnoopEncoder(nn.Module):
    """The contracting half of a residual U-Net; embeds crops (N, 1, H, W) as unit vectors (N, D).

    Four residual blocks of D/8, D/4, D/2 and D channels, with max-pooling by 2 between them; the
    embedding is the mean over the last block's map. The published network has D = 256.
    The 1st..99th percentile of each crop is scaled to 0..1 and not clamped, as the authors' program
    does before the network.
    Raises ModelError if D is not a multiple of 8.
    """

    def __init__(self, num_dims: int = 256) -> None:
        super().__init__()
        if num_dims < 8 or num_dims % 8:
            raise ModelError(
                f"a Microsnoop embedding cannot have {num_dims} entries; choose a multiple of 8"
            )
        self.num_dims = num_dims
        widths = (1, num_dims // 8, num_dims // 4, num_dims // 2, num_dims)
        blocks = [_ResidualBlock(*pair) for pair in pairwise(widths)]
        self.down = nn.Sequential(
            OrderedDict((f"res_down_{i}", block) for i, block in enumerate(blocks))
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, D) of crops (N, 1, H, W) in [0, 1]; sides of 8 px or more."""
        features = percentile_scaled(crops)
        for i, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if i else features)
        return F.normalize(features.mean(dim=(2, 3)))


class _ResidualBlock(nn.Module):
    """Two residual steps of two 3×3 convolutions, each after batch norm and ReLU.

    The first step's shortcut is a 1×1 convolution after batch norm. Parameter names are published.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        widths = (num_inputs, num_outputs, num_outputs, num_outputs)
        layers = [
            nn.Sequential(
                nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, num_outputs, 3, padding=1)
            )
            for width in widths
        ]
        self.conv = nn.Sequential(
            OrderedDict((f"conv_{i}", layer) for i, layer in enumerate(layers))
        )
        self.proj = nn.Sequential(
            nn.BatchNorm2d(num_inputs), nn.Conv2d(num_inputs, num_outputs, kernel_size=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, num_outputs, H, W) of features (N, num_inputs, H, W)."""
        halfway: Tensor = self.proj(features) + self.conv[:2](features)
        whole: Tensor = halfway + self.conv[2:](halfway)
        return whole


def percentile_scaled(crops: Tensor) -> Tensor:
    """Crops (N, ...) whose 1st percentile is 0 and whose 99th is 1; outliers lie outside 0..1.

    A constant crop is not changed; if only the percentiles are equal, they are 1e-6 apart.
    """
    flat = crops.float().flatten(1)
    low, high = flat.quantile(torch.tensor([0.01, 0.99], device=flat.device), dim=1)[..., None]
    span = torch.where(high == low, 1e-6, high - low)
    constant = flat.amin(dim=1, keepdim=True) == flat.amax(dim=1, keepdim=True)
    return torch.where(constant, flat, (flat - low) / span).view_as(crops)


def encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the encoder, under this module's names, of a checkpoint's entry `model`.

    The decoder's parameters are dropped. Unknown names are kept, so that strict loading reports
    them. Raises ModelError if the checkpoint has no encoder.
    """
    bare = {re.sub(r"^(module\.)+", "", name): value for name, value in state.items()}
    kept = {
        name.removeprefix("encoder.downsample."): value
        for name, value in bare.items()
        if not name.startswith("decoder.")
    }
    if not any(name.startswith("down.") for name in kept):
        raise ModelError("these weights have no Microsnoop encoder; pass the entry 'model'")
    return kept
