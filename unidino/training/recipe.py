"""What a training run does: its choices, its presets, and how they change from step to step."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from unidino.core.errors import InputError, choose


class TrainConfig(BaseModel):
    """Every choice of a training run; defaults are the paper's.

    learning_rate: at the peak. Schedules run from the first value to the second; warm-ups and the
    freezing of the last layer are counted in epochs. batch_size: images over all processes;
    accumulate: parts that each process computes one after the other, to the same gradient.

    channels: `one` draws a channel of every field at random, `all` makes each a sample of its own.
    balance: `equal` cycles every dataset to exactly the length of the longest, `repeats` by whole
    repeats as published. controls: share of the negative and positive controls of each plate.
    cells: global and local crops must show cells: by Otsu's threshold, in up to 20 tries.
    input_channels: names of the channels of a multi-channel network, which sees them all at once
    and is trained on fields that have them; without, each channel is embedded alone.
    instance_norm: views have mean 0 and standard deviation 1. saturation_noise: share of pixels set
    to the maximum.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str = "vit_small_patch16_224"
    architecture_options: dict[str, int] = {}
    intensity: Literal["percentile", "dtype"] = "percentile"
    crop_size_px: PositiveInt = 224
    num_global_crops: PositiveInt = 2
    local_crop_size_px: PositiveInt = 96
    num_local_crops: PositiveInt = 8
    epochs: PositiveInt = 100
    batch_size: PositiveInt = 510
    learning_rate: PositiveFloat = 4e-4
    final_learning_rate: PositiveFloat = 1e-6
    learning_rate_warmup: float = Field(20, ge=0)
    weight_decay: tuple[float, float] = (0.04, 0.4)
    teacher_momentum: tuple[float, float] = (0.9995, 1.0)
    teacher_temperature: tuple[float, float] = (0.01, 0.04)
    teacher_temperature_warmup: int = Field(30, ge=0)
    student_temperature: PositiveFloat = 0.1
    center_momentum: float = Field(0.9, ge=0, lt=1)
    num_outputs: PositiveInt = 20_000
    head_hidden: PositiveInt = 2048
    head_bottleneck: PositiveInt = 256
    head_batch_norm: bool = False
    drop_path: float = Field(0.1, ge=0, lt=1)
    last_layer_frozen: int = Field(3, ge=0)
    gradient_clip: PositiveFloat | None = None
    channels: Literal["one", "all"] = "one"
    input_channels: tuple[str, ...] = ()
    balance: Literal["equal", "repeats"] = "equal"
    controls: float = Field(1.0, ge=0, le=1)
    cells: bool = False
    instance_norm: bool = False
    saturation_noise: float = Field(0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    accumulate: PositiveInt = 1
    probe_every: PositiveInt = 1
    seed: int = 0


_PUBLISHED_BATCH_SIZE = 510
PRESETS: dict[str, TrainConfig] = {
    "paper": TrainConfig(),
    "published": TrainConfig(
        epochs=201,
        intensity="dtype",
        learning_rate=4e-4 * _PUBLISHED_BATCH_SIZE / 256,
        channels="all",
        balance="repeats",
        controls=0.15,
    ),
    # For a laptop and minutes. Small crops make many images a step; without a long warm-up only a
    # sharp teacher keeps the targets of different images apart.
    "small": TrainConfig(
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 4},
        crop_size_px=64,
        local_crop_size_px=32,
        num_local_crops=4,
        epochs=16,
        batch_size=64,
        learning_rate=5e-4,
        learning_rate_warmup=1,
        teacher_momentum=(0.99, 1.0),
        teacher_temperature=(0.01, 0.01),
        teacher_temperature_warmup=0,
        num_outputs=256,
        head_hidden=512,
        drop_path=0.0,
        last_layer_frozen=0,
        gradient_clip=3.0,
    ),
}


def read_config(preset: str, file: Path | None, changes: dict[str, Any]) -> TrainConfig:
    """The preset, changed by a JSON file and then by single options.

    Raises InputError that names the field that is wrong.
    """
    values = PRESETS[choose("preset", preset, sorted(PRESETS))].model_dump()
    try:
        if file:
            values |= json.loads(file.read_text(encoding="utf-8"))
        return TrainConfig.model_validate(values | changes)
    except OSError as error:
        raise InputError(f"cannot read --config '{file}': {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"configuration: {first['loc'][0]}: {first['msg']}") from error
    except ValueError as error:
        raise InputError(f"--config '{file}' is no JSON: {error}") from error


def cosine(
    start: float, end: float, num_steps: int, *, warmup_steps: int = 0
) -> NDArray[np.float64]:
    """Values (num_steps,): linear from 0 to start in the warm-up, then by cosine to end."""
    warmup = np.linspace(0, start, warmup_steps)
    steps = np.arange(num_steps - warmup_steps)
    decay = end + 0.5 * (start - end) * (1 + np.cos(np.pi * steps / max(1, len(steps))))
    return np.concatenate([warmup, decay])[:num_steps]


def teacher_temperatures(config: TrainConfig) -> NDArray[np.float64]:
    """Temperature of each epoch (epochs,): linear, then constant."""
    low, high = config.teacher_temperature
    warmup = np.linspace(low, high, config.teacher_temperature_warmup)
    return np.concatenate([warmup, np.full(config.epochs, high)])[: config.epochs]


@dataclass(frozen=True)
class Schedules:
    """What changes from step to step: each (epochs * steps_per_epoch,)."""

    learning_rate: NDArray[np.float64]
    weight_decay: NDArray[np.float64]
    teacher_momentum: NDArray[np.float64]

    @classmethod
    def of(cls, config: TrainConfig, steps_per_epoch: int) -> "Schedules":
        """Schedules of a run."""
        num_steps = config.epochs * steps_per_epoch
        warmup = min(num_steps, round(config.learning_rate_warmup * steps_per_epoch))
        return cls(
            cosine(
                config.learning_rate, config.final_learning_rate, num_steps, warmup_steps=warmup
            ),
            cosine(*config.weight_decay, num_steps),
            cosine(*config.teacher_momentum, num_steps),
        )
