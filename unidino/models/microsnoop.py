"""Microsnoop's encoder, to compare with: one vector for each single-channel tile or field.

No published weights were at hand when this was written. The layers, their names, the embedding and
the tiles follow the authors' program (github.com/cellimnet/microsnoop-publish, whose convolutional
blocks are those of its dependency scellseg 0.1.8, after Cellpose): with equal random weights the
network returned what scellseg's does. That the published file
`..._cnn_..._inputSize-224_inChans-1_embedDim-256_maskRatio-0.25_epoch-999.pth` holds these names,
as an entry `model`, is what that program expects of it; the file itself was not seen.

Shapes: N tiles, H height, W width, D embedding.
Source: Xun et al. 2023, "Microsnoop: a generalist tool for microscopy image representation",
doi 10.1016/j.xinn.2023.100541.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.errors import ModelError

TILE_PX = 224
_OVERLAP = 0.1


class MicrosnoopEncoder(nn.Module):
    """The contracting half of a residual U-Net; embeds tiles (N, 1, H, W) as unit vectors (N, D).

    Four residual blocks of D/8, D/4, D/2 and D channels, halved between by max-pooling; the mean
    over the last block's map is the embedding. The published network has D = 256.
    tile_percentiles: each tile's 1st..99th percentile is scaled to 0..1 and not clamped, as the
    authors' program does before the network. Without it tiles enter as they are, as in the
    comparison of Morelli et al. 2025 (counts / 65535).
    Raises ModelError if D is no multiple of 8.
    """

    def __init__(self, num_dims: int = 256, *, tile_percentiles: bool = True) -> None:
        super().__init__()
        if num_dims < 8 or num_dims % 8:
            raise ModelError(f"Microsnoop has no embedding of {num_dims}; choose a multiple of 8")
        self.num_dims = num_dims
        self.tile_percentiles = tile_percentiles
        widths = (1, num_dims // 8, num_dims // 4, num_dims // 2, num_dims)
        blocks = [_ResidualBlock(*pair) for pair in pairwise(widths)]
        self.down = nn.Sequential(
            OrderedDict((f"res_down_{i}", block) for i, block in enumerate(blocks))
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, D) of crops (N, 1, H, W) in [0, 1]; sides of 8 px or more."""
        features = percentile_scaled(crops) if self.tile_percentiles else crops
        for i, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if i else features)
        return F.normalize(features.mean(dim=(2, 3)))

    def embed_field(self, plane: Tensor) -> Tensor:
        """Embedding (D,) of a plane (H, W) in [0, 1]: the mean of its tiles', no unit vector."""
        embeddings: Tensor = self(tiles_of(plane))
        return embeddings.mean(dim=0)


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


def percentile_scaled(tiles: Tensor) -> Tensor:
    """Tiles (N, ...) whose 1st percentile is 0 and whose 99th is 1; other values lie beyond.

    A constant tile stays as it is; where only the percentiles are equal, their distance is 1e-6.
    """
    flat = tiles.float().flatten(1)
    low, high = flat.quantile(torch.tensor([0.01, 0.99], device=flat.device), dim=1)[..., None]
    span = torch.where(high == low, 1e-6, high - low)
    constant = flat.amin(dim=1, keepdim=True) == flat.amax(dim=1, keepdim=True)
    return torch.where(constant, flat, (flat - low) / span).view_as(tiles)


def tiles_of(plane: Tensor) -> Tensor:
    """Tiles (N, 1, S, S) of a plane (H, W), row by row, S = 224 px: all of it is covered.

    They are spaced evenly and overlap by a tenth or more. A side shorter than S is a tile's side.
    """
    rows, columns = ([(at, min(TILE_PX, side)) for at in _starts(side)] for side in plane.shape)
    return torch.stack(
        [
            plane[None, top : top + height, left : left + width]
            for (top, height), (left, width) in product(rows, columns)
        ]
    )


def _starts(side: int) -> list[int]:
    """First pixels of the tiles along a side."""
    num = 1 if side <= TILE_PX else int(np.ceil((1.0 + 2 * _OVERLAP) * side / TILE_PX))
    starts: list[int] = np.linspace(0, max(0, side - TILE_PX), num).astype(int).tolist()
    return starts


def encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's parameters of a whole network's, under this module's names.

    state: the entry `model` of a checkpoint. The decoder is dropped; names that are neither the
    encoder's nor the decoder's are kept, so that strict loading names them.
    Raises ModelError if there is no encoder among them.
    """
    bare = {re.sub(r"^(module\.)+", "", name): value for name, value in state.items()}
    kept = {
        name.removeprefix("encoder.downsample."): value
        for name, value in bare.items()
        if not name.startswith("decoder.")
    }
    if not any(name.startswith("down.") for name in kept):
        raise ModelError("no Microsnoop encoder among these weights; pass the entry 'model'")
    return kept
