"""The choices of a training run, and the recipes that make them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from unidino.core.choices import MAX_SEED, Centring, Intensity, Precision, RecipeName
from unidino.core.documents import parse_json, refuse_special
from unidino.core.errors import InputError, choose
from unidino.models.config import MAX_OPTION, MAX_SIDE_PX, VIT_S, ModelConfig


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the first limit is above the second")
    return limits


Limits = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ordered)]


def _not_too_deep(options: dict[str, int]) -> dict[str, int]:
    if not 1 <= options.get("depth", 1) <= _DEPTH:
        raise ValueError(f"the depth of a network is 1 to {_DEPTH}")
    return options


# Limits are far above what is of use: they keep a slip of the pen from taking all memory.
_LONG, _DEPTH, _MOST_STEPS = 1_000_000, 256, 100_000_000
Option = Annotated[int, Field(ge=0, le=MAX_OPTION)]
Side = Annotated[int, Field(gt=0, le=MAX_SIDE_PX)]
Width = Annotated[int, Field(gt=0, le=MAX_OPTION)]
Long = Annotated[int, Field(gt=0, le=_LONG)]
Count = Annotated[int, Field(gt=0, le=1000)]


class TrainConfig(BaseModel):
    """Every choice of a training run; defaults are the paper's.

    learning_rate: the highest. Schedules run from the first value to the second; warm-ups and the
    freezing of the last layer are counted in epochs. steps_per_epoch: without it an epoch is one
    pass over the samples; with it, this many minibatches, so that a training is equally long in
    every lake. batch_size: images over all processes; accumulate: parts of a minibatch that each
    process computes one after the other, to the same gradient up to stochastic depth.

    centring: of the teacher's outputs; `mean` subtracts a moving mean, as Caron et al. 2021 do,
    `sinkhorn` spreads a minibatch evenly over the outputs (Caron et al. 2020, Oquab et al. 2023).
    Changes of each view: intensities x in [0, 1] become clamp(gain * x + U(-shift, shift)) to the
    power gamma; gain, gamma and the blur's standard deviation are drawn between two limits;
    blur_share of the views are blurred; noise is the largest standard deviation of camera noise;
    saturation_noise is the share of pixels set to the maximum; transpose flips along the diagonal.

    channels: `one` draws a channel of every field at random, `all` takes each channel as a sample.
    balance: `equal` cycles every dataset to exactly the length of the longest, `repeats` by whole
    repeats as published. controls: share of the negative and positive controls of each plate.
    cells: crops must show cells, by Otsu's threshold, in up to 20 tries.
    input_channels: names of the channels of a multi-channel network, which sees all of these at
    once and is trained on fields that have them; without, each channel is embedded alone.
    instance_norm: views have mean 0 and standard deviation 1.

    >>> import unidino as ud
    >>> ud.TrainConfig(input_channels=("DNA", "Actin"), epochs=3).learning_rate
    0.0004
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    architecture: str = VIT_S
    architecture_options: Annotated[dict[str, Option], AfterValidator(_not_too_deep)] = {}
    intensity: Intensity = "percentile"
    crop_size_px: Side = 224
    num_global_crops: Count = 2
    local_crop_size_px: Side = 96
    num_local_crops: Count = 8
    epochs: Long = 100
    steps_per_epoch: Long | None = None
    batch_size: Long = 510
    learning_rate: PositiveFloat = 4e-4
    final_learning_rate: PositiveFloat = 1e-6
    learning_rate_warmup: float = Field(20, ge=0, le=_LONG)
    weight_decay: tuple[float, float] = (0.04, 0.4)
    teacher_momentum: tuple[float, float] = (0.9995, 1.0)
    teacher_temperature: tuple[float, float] = (0.01, 0.04)
    teacher_temperature_warmup: int = Field(30, ge=0, le=_LONG)
    student_temperature: PositiveFloat = 0.1
    centring: Centring = "mean"
    center_momentum: float = Field(0.9, ge=0, lt=1)
    num_outputs: Long = 20_000
    head_hidden: Width = 2048
    head_bottleneck: Width = 256
    head_batch_norm: bool = False
    drop_path: float = Field(0.1, ge=0, lt=1)
    last_layer_frozen: int = Field(3, ge=0, le=_LONG)
    gradient_clip: PositiveFloat | None = None
    channels: Literal["one", "all"] = "one"
    input_channels: tuple[str, ...] = ()
    balance: Literal["equal", "repeats"] = "equal"
    controls: float = Field(1.0, ge=0, le=1)
    cells: bool = False
    instance_norm: bool = False
    shift: float = Field(0.3, ge=0, le=1)
    gain: Limits = (1.0, 1.0)
    gamma: Limits = (0.5, 1.5)
    transpose: bool = False
    blur_share: float = Field(0.0, ge=0, le=1)
    blur_px: Limits = (0.1, 1.2)
    noise: float = Field(0.0, ge=0, le=1)
    saturation_noise: float = Field(0.0, ge=0, lt=1)
    precision: Precision = "fp32"
    compile: bool = False
    accumulate: Long = 1
    probe_every: PositiveInt = 1
    seed: int = Field(0, ge=0, le=MAX_SEED)

    @model_validator(mode="after")
    def _is_not_endless(self) -> "TrainConfig":
        num_steps = self.epochs * (self.steps_per_epoch or 1)
        if num_steps > _MOST_STEPS:
            raise ValueError(f"{num_steps} steps are more than the {_MOST_STEPS} of a training")
        return self


_PUBLISHED_BATCH_SIZE = 510
# For minutes of one core: crops that hold cells, small changes, targets that cannot collapse.
_SMALL = TrainConfig(
    architecture="vit_tiny_patch16_224",
    architecture_options={"embed_dim": 128, "depth": 3, "num_heads": 4},
    crop_size_px=128,
    local_crop_size_px=64,
    num_local_crops=2,
    epochs=30,
    steps_per_epoch=20,
    batch_size=32,
    learning_rate=1e-3,
    learning_rate_warmup=3,
    teacher_momentum=(0.99, 1.0),
    teacher_temperature=(0.025, 0.025),
    teacher_temperature_warmup=0,
    centring="sinkhorn",
    num_outputs=256,
    head_hidden=512,
    head_batch_norm=True,
    drop_path=0.0,
    last_layer_frozen=0,
    gradient_clip=3.0,
    shift=0.05,
    gain=(0.86, 1.16),
    gamma=(0.82, 1.22),
    transpose=True,
    blur_share=0.5,
    noise=0.03,
)
RECIPES: dict[RecipeName, TrainConfig] = {
    "paper": TrainConfig(),
    "published": TrainConfig(
        epochs=201,
        intensity="dtype",
        learning_rate=4e-4 * _PUBLISHED_BATCH_SIZE / 256,
        channels="all",
        balance="repeats",
        controls=0.15,
    ),
    "small": _SMALL,
    "medium": _SMALL.model_copy(
        update={"epochs": 60, "steps_per_epoch": 40, "learning_rate_warmup": 2}
    ),
    # Continues a model on other plates.
    "adapt": _SMALL.model_copy(
        update={"epochs": 10, "learning_rate": 3e-4, "learning_rate_warmup": 1}
    ),
}


def config_of(recipe: RecipeName, changes: Mapping[str, Any]) -> TrainConfig:
    """A recipe with some of its choices changed.

    Raises UnidinoError for an unknown recipe, InputError that names a choice that is invalid.
    """
    choose("recipe", recipe, get_args(RecipeName))
    try:
        return TrainConfig.model_validate(RECIPES[recipe].model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"][:1])
        raise InputError(f"configuration: {where}{first['msg']}") from error


def network_choices(model: ModelConfig) -> dict[str, Any]:
    """Choices of a training that continues a model: its network, crops and scaling."""
    names = (set(ModelConfig.model_fields) & set(TrainConfig.model_fields)) - {"seed"}
    return model.model_dump(include=names)


def read_changes(file: Path) -> dict[str, Any]:
    """Changes to a recipe, by name, of a JSON file.

    Raises InputError if the file cannot be read or is not a JSON object.
    """
    try:
        refuse_special(file)
        changes = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read --config '{file}': {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--config '{file}' is not JSON: {error}") from error
    if not isinstance(changes, dict):
        raise InputError(f"--config '{file}' is not a JSON object of choices and values")
    return changes
