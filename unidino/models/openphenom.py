"""OpenPhenom's encoder: a masked autoencoder for any channels, of Recursion.

The layers, their names and the embedding follow the authors' program: `vit.py` and `mae_modules.py`
of github.com/recursionpharma/maes_microscopy, and the model class `huggingface_mae.py` of the
published model, recursionpharma/OpenPhenom on Hugging Face. With equal random weights the network
returns what the modules of that repository return. This is not verified with the file of published
weights.

The program takes pixels of 8 bit, divides them by 255 and gives each channel of a crop mean 0 and
variance 1. Intensities in [0, 1] come in here: for plates of 8 bit, the scaling `dtype` is exactly
the program's. How its authors converted images of 16 bit is not published; the variance has 1e-5
added in the division, so crops of 16 bit that use a small part of the range need `percentile`.

Shapes: N crops, C channels seen at once, L patches of a channel, D embedding.
Source: Kraus et al. 2024, "Masked autoencoders for microscopy are scalable learners of cellular
biology". Licence of the weights: Recursion's non-commercial end user licence agreement.
"""

from collections.abc import Mapping

import timm
import torch
from timm.models.vision_transformer import ParallelScalingBlock
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.errors import ModelError

_CHANNELWISE = "openphenom-channelwise"
OPENPHENOM = ("openphenom", _CHANNELWISE)
SIZE_PX = 256
MAX_CHANNELS = 11
_PREFIX = "encoder.vit_backbone."
# The published model has a decoder, and a norm that its embedding does not use.
_UNUSED = ("decoder.", "encoder_decoder_proj.", "decoder_pred.", f"{_PREFIX}fc_norm.")


class OpenPhenomEncoder(nn.Module):
    """A vision transformer over the patches of all channels; embeds crops (N, C, 256, 256).

    Every patch of every channel is one token, by a projection that the channels share; a token's
    position is the patch's, and nothing tells the channels apart. The embedding is the mean of the
    patches' tokens, without a final norm: over all channels, or with `openphenom-channelwise` of
    each channel, side by side. options: of the architecture, such as its depth.
    Raises ModelError for more than 11 channels, for which the published network has no positions.
    """

    def __init__(
        self, architecture: str, options: Mapping[str, int] | None = None, *, num_channels: int = 1
    ) -> None:
        super().__init__()
        if num_channels > MAX_CHANNELS:
            raise ModelError(
                f"OpenPhenom takes {MAX_CHANNELS} channels at most, not {num_channels}"
            )
        vit = timm.create_model(
            "vit_small_patch16_224",
            num_classes=0,
            in_chans=1,
            global_pool="avg",
            init_values=1e-4,
            block_fn=ParallelScalingBlock,
            qkv_bias=False,
            qk_norm=True,
            **{"img_size": SIZE_PX, **(options or {})},
        )
        vit.norm = vit.fc_norm = nn.Identity()
        side = vit.patch_embed.grid_size[0]
        vit.pos_embed = nn.Parameter(_positions(vit.embed_dim, side), requires_grad=False)
        self.vit = vit
        self.channelwise = architecture == _CHANNELWISE
        self.num_dims: int = vit.embed_dim * (num_channels if self.channelwise else 1)

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, D) of crops (N, C, 256, 256) in [0, 1].

        Raises ModelError for crops of another size, for which nothing is published.
        """
        vit = self.vit
        num_crops, num_channels = crops.shape[:2]
        if tuple(crops.shape[2:]) != tuple(vit.patch_embed.img_size):
            raise ModelError(
                f"OpenPhenom takes crops of {vit.patch_embed.img_size[0]} px,"
                f" not {crops.shape[2]} x {crops.shape[3]}"
            )
        planes = F.instance_norm(crops).flatten(0, 1).unsqueeze(1)
        patches = vit.patch_embed.proj(planes).flatten(2).transpose(1, 2)
        patches = patches.reshape(num_crops, -1, vit.embed_dim)
        tokens = torch.cat([vit.cls_token.expand(num_crops, -1, -1), patches], dim=1)
        tokens = vit.blocks(tokens + vit.pos_embed[:, : tokens.shape[1]])
        means: Tensor = tokens[:, 1:].unflatten(1, (num_channels, -1)).mean(dim=2)
        return means.flatten(1) if self.channelwise else means.mean(dim=1)


def _positions(num_dims: int, side: int) -> Tensor:
    """Fixed position embeddings (1, 1 + 11 * L, D) of CLS (zeros) and of every channel's patches.

    A patch's embedding is the sines, then the cosines of its row, then those of its column, at
    frequencies from 1 to 1/10,000.
    """
    steps = torch.arange(num_dims // 4) / (num_dims // 4)
    angles = torch.outer(torch.arange(side), 10_000.0**-steps)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = waves[:, None].expand(-1, side, -1)
    columns = waves[None].expand(side, -1, -1)
    grid = torch.cat([rows, columns], dim=2).flatten(0, 1)
    return torch.cat([torch.zeros(1, num_dims), grid.repeat(MAX_CHANNELS, 1)])[None]


def encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the encoder, under this module's names, of a published file.

    Unknown names are kept, so that strict loading reports them.
    Raises ModelError if the file has no encoder.
    """
    kept = {k: v for k, v in state.items() if not k.startswith(_UNUSED)}
    if not any(name.startswith(_PREFIX) for name in kept):
        raise ModelError(f"these weights have no OpenPhenom encoder: no name begins with {_PREFIX}")
    return {
        (f"vit.{k[len(_PREFIX) :]}" if k.startswith(_PREFIX) else k): v for k, v in kept.items()
    }
