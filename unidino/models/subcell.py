"""SubCell's encoder: a vision transformer with attention pooling, of the Human Protein Atlas.

The layers, their names and the embedding follow the authors' inference program
github.com/CellProfiling/SubCellPortable, whose vision transformer is that of transformers 4.45 with
the sizes of its `model_config.yaml`. Its published variants see two to four channels, in the order
of their names: r microtubules, y endoplasmic reticulum, b nuclei, g the protein of interest.
With equal random weights the transformer returns what that of transformers returns, and the network
what an independent computation by the program's steps returns. This is not verified with a file of
published weights, whose licence is not stated in the program.

Each crop is scaled so that its least pixel is 0 and its largest is 1, over all its channels
together, as in the training (`normalize: min_max` of github.com/czi-ai/sub-cell-embed) and in the
first inference program. A later version of that program scales each channel's image by itself. The
intensity scaling `dtype` keeps the channels' ratio, which this needs. The networks were trained on
crops around single cells; here crops lie on a grid.

Shapes: N crops, C channels seen at once, L tokens, D token, P heads of the pooling.
Source: Gupta et al. 2024, "SubCell", doi 10.1101/2024.12.06.627299. Both programs have the licence
MIT.
"""

import re
from collections.abc import Mapping
from functools import partial

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unidino.core.errors import ModelError

SUBCELL = "subcell"
SIZE_PX = 448
_INNER_DIMS, _HEADS = 512, 2  # of the pooling
_TINY = 1e-12


class SubCellEncoder(nn.Module):
    """ViT-B/16 with gated attention pooling over its tokens; embeds crops (N, C, 448, 448).

    options: of the architecture, such as its depth.
    """

    def __init__(self, options: Mapping[str, int] | None = None, *, num_channels: int = 1) -> None:
        super().__init__()
        self.vit = timm.create_model(
            "vit_base_patch16_224",
            num_classes=0,
            in_chans=num_channels,
            norm_layer=partial(nn.LayerNorm, eps=1e-12),
            **{"img_size": SIZE_PX, **(options or {})},
        )
        self.pool = _GatedPooling(self.vit.embed_dim)
        self.num_dims: int = _HEADS * self.vit.embed_dim

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, P * D) of crops (N, C, 448, 448) of any linear scale.

        Raises ModelError for crops of another size, whose positions depend on the version of
        transformers.
        """
        if tuple(crops.shape[2:]) != tuple(self.vit.patch_embed.img_size):
            raise ModelError(
                f"SubCell takes crops of {self.vit.patch_embed.img_size[0]} px,"
                f" not {crops.shape[2]} x {crops.shape[3]}"
            )
        low, high = (f(crops, dim=(1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
        scaled = (crops - low) / (high - low).clamp_min(_TINY)
        embeddings: Tensor = self.pool(self.vit.forward_features(scaled))
        return embeddings


class _GatedPooling(nn.Module):
    """Weighted means of tokens, one for each head; the weights are learnt from the tokens."""

    def __init__(self, num_dims: int) -> None:
        super().__init__()
        self.value = nn.Linear(num_dims, _INNER_DIMS)
        self.gate = nn.Linear(num_dims, _INNER_DIMS)
        self.weight = nn.Linear(_INNER_DIMS, _HEADS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Means (N, P * D), head by head, of tokens (N, L, D), CLS among them."""
        scores = self.weight(torch.tanh(self.value(tokens)) * F.gelu(self.gate(tokens)))
        means: Tensor = scores.softmax(dim=1).transpose(1, 2) @ tokens
        return means.flatten(1)


_LAYER = re.compile(r"encoder\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_LAYER_PREFIX = re.compile(r"encoder\.encoder\.layer\.\d+\.")
_QUERY_KEY_VALUE = [f"attention.attention.{part}" for part in ("query", "key", "value")]
_LAYER_NAMES = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_NAMES = {
    "encoder.embeddings.cls_token": "vit.cls_token",
    "encoder.embeddings.position_embeddings": "vit.pos_embed",
    "encoder.embeddings.patch_embeddings.projection.weight": "vit.patch_embed.proj.weight",
    "encoder.embeddings.patch_embeddings.projection.bias": "vit.patch_embed.proj.bias",
    "encoder.layernorm.weight": "vit.norm.weight",
    "encoder.layernorm.bias": "vit.norm.bias",
}
# The trainer has a dropout before each linear layer, the inference program has none.
_POOL_NAMES = {"attention_v": "value", "attention_u": "gate", "attention": "weight"}
_POOL = re.compile(r"pool_model\.(?:(attention_[uv])\.[01]|(attention))\.(weight|bias)")


def encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the encoder and its pooling, under this module's names, of a published file.

    Query, key and value become one matrix. Unknown names, and a query, key or value without the
    other two, are kept, so that strict loading reports them.
    Raises ModelError if the file has no encoder, or two tensors for one parameter.
    """
    if "encoder.embeddings.cls_token" not in state:
        raise ModelError("these weights have no SubCell encoder: encoder.embeddings.cls_token")
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        ours = _our_name(name)
        if ours in renamed:
            raise ModelError(f"the weights have two tensors for {ours}; one of them is {name}")
        renamed[ours] = tensor
    for layer in {m[0] for name in renamed if (m := _LAYER_PREFIX.match(name))}:
        _merge(renamed, layer)
    return renamed


def _our_name(name: str) -> str:
    """The name of a parameter in this module; an unknown one keeps its name."""
    if pool := _POOL.fullmatch(name):
        return f"pool.{_POOL_NAMES[pool[1] or pool[2]]}.{pool[3]}"
    layer = _LAYER.fullmatch(name)
    if layer and layer[2] in _LAYER_NAMES:
        return f"vit.blocks.{layer[1]}.{_LAYER_NAMES[layer[2]]}.{layer[3]}"
    return _NAMES.get(name, name)


def _merge(state: dict[str, Tensor], layer: str) -> None:
    """Replace query, key and value of a layer by one matrix and one bias, where all are there."""
    number = layer.split(".")[-2]
    for kind in ("weight", "bias"):
        names = [f"{layer}{part}.{kind}" for part in _QUERY_KEY_VALUE]
        if all(n in state for n in names) and len({state[n].shape for n in names}) == 1:
            merged = torch.cat([state.pop(n) for n in names])
            state[f"vit.blocks.{number}.attn.qkv.{kind}"] = merged


def num_channels_of(state: Mapping[str, Tensor]) -> int:
    """The number of channels that weights under this module's names see at once."""
    stem = state.get("vit.patch_embed.proj.weight")
    return stem.shape[1] if stem is not None and stem.ndim == 4 else 1
