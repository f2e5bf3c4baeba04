"""Weights of DINOv2 under timm's names.

The names are those of github.com/facebookresearch/dinov2, as its trainer saves the teacher and as
its published files hold them. timm's vision transformers `*_dinov2` have the same layers; their
networks with registers (`*_reg4_dinov2`) embed positions of patches only.
With equal random weights the network returns what the published program returns, also for blocks
in chunks and for other crop sizes than the native one. This is not verified with a published file.
Source: Oquab et al. 2023, "DINOv2: learning robust visual features without supervision"; Darcet et
al. 2023, "Vision transformers need registers". Code and weights have the licence Apache 2.0.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from unidino.core.errors import ModelError

_CHUNK = re.compile(r"^blocks\.\d+\.(?=\d+\.)")  # the trainer may save blocks in chunks
_SWIGLU = {".mlp.w12.": ".mlp.fc1.", ".mlp.w3.": ".mlp.fc2."}


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters under timm's names; those that have timm's names already are not changed.

    The mask token, which replaces patches in training only, is dropped.
    The published network adds the first position embedding to the CLS token, and none to the
    registers; timm's networks with registers have that sum as their CLS token.
    Raises ModelError if two parameters get the same name.
    """
    renamed: dict[str, Tensor] = {}
    for full, tensor in state.items():
        name = _CHUNK.sub("blocks.", full)
        for theirs, ours in _SWIGLU.items():
            name = name.replace(theirs, ours)
        if name in renamed:
            raise ModelError(f"the weights have two tensors for {name}; one of them is {full}")
        if name != "mask_token":
            renamed[name] = tensor
    if "register_tokens" in renamed:
        renamed["reg_token"] = renamed.pop("register_tokens")
        cls, positions = renamed.get("cls_token"), renamed.get("pos_embed")
        if cls is not None and positions is not None and cls.shape == positions[:, :1].shape:
            renamed["cls_token"] = cls + positions[:, :1]
            renamed["pos_embed"] = positions[:, 1:]
    return renamed
