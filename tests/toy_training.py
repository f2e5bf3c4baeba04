"""A training of moments, and how its results are compared."""

import torch
from safetensors.torch import load_file

from unidino.lake.lake import Lake
from unidino.training.recipe import TrainConfig

TOY = TrainConfig(
    architecture="vit_tiny_patch16_224",
    architecture_options={"depth": 1},
    crop_size_px=32,
    local_crop_size_px=16,
    num_local_crops=2,
    epochs=2,
    batch_size=8,
    learning_rate=5e-4,
    learning_rate_warmup=0,
    teacher_momentum=(0.9, 1.0),
    teacher_temperature=(0.04, 0.04),
    teacher_temperature_warmup=0,
    num_outputs=64,
    head_hidden=64,
    head_batch_norm=True,
    drop_path=0.0,
    last_layer_frozen=0,
)
TOY_PLAIN = TOY.model_copy(update={"head_batch_norm": False})
LONG = TOY.model_copy(
    update={
        "epochs": 3,
        "steps_per_epoch": 3,
        "drop_path": 0.2,
        "architecture_options": {"depth": 2},
        "centring": "sinkhorn",
        "blur_share": 0.5,
        "noise": 0.03,
        "saturation_noise": 0.01,
    }
)
"""Three epochs of three steps each, with every random number that a recipe can ask for."""


def weights(lake: Lake, name: str) -> dict[str, torch.Tensor]:
    """Weights of a model of the lake."""
    return load_file(lake.path / "models" / name / "model.safetensors")


def assert_same_weights(lake: Lake, one: str, other: str, atol: float = 0) -> None:
    """Fail unless two models have equal weights."""
    first, second = weights(lake, one), weights(lake, other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=atol, msg=name)
