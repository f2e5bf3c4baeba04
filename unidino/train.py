"""DINO on single channels: schedules, the step, the loop.

Shapes: B images, G global and L local views of each, V = G + L, K head outputs.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from torch import Tensor

from unidino.augment import augmented
from unidino.catalog import Lake, Run, written_beside
from unidino.errors import InputError, ModelError, choose
from unidino.model import (
    DinoHead,
    DinoLoss,
    Encoder,
    ModelConfig,
    check_new_name,
    intensity_range,
    new_encoder,
    register,
    scaled,
)
from unidino.progress import progress_bar, say
from unidino.samples import CropReader, Crops, draw_epoch, select_samples


class TrainConfig(BaseModel):
    """Every choice of a training run; defaults are the paper's.

    learning_rate: at the peak. Schedules run from the first value to the second; warm-ups and the
    freezing of the last layer are counted in epochs.
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
    seed: int = 0


_PUBLISHED_BATCH_SIZE = 510
PRESETS: dict[str, TrainConfig] = {
    "paper": TrainConfig(),
    "published": TrainConfig(
        epochs=201, intensity="dtype", learning_rate=4e-4 * _PUBLISHED_BATCH_SIZE / 256
    ),
    # For a laptop and minutes. Two hundred steps of the paper's head shrink the features until all
    # targets are alike; batch normalization in the head keeps them apart.
    "small": TrainConfig(
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 4},
        crop_size_px=128,
        local_crop_size_px=64,
        num_local_crops=4,
        epochs=8,
        batch_size=32,
        learning_rate=1e-4,
        learning_rate_warmup=1,
        teacher_momentum=(0.996, 1.0),
        teacher_temperature=(0.03, 0.03),
        teacher_temperature_warmup=0,
        num_outputs=256,
        head_hidden=512,
        head_batch_norm=True,
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
            cosine(config.learning_rate, config.final_learning_rate, num_steps,
                   warmup_steps=warmup),
            cosine(*config.weight_decay, num_steps),
            cosine(*config.teacher_momentum, num_steps),
        )  # fmt: skip


class Dino:
    """Student, teacher, loss and optimizer: one object with one `step`."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        model_config = model_config_of(config)
        self.student = new_encoder(model_config, drop_path=config.drop_path).to(device)
        self.teacher = new_encoder(model_config).to(device)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed + 1)
            self.student_head = self._head().to(device)
        self.teacher_head = self._head().to(device)
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        self.teacher.load_state_dict(self.student.state_dict())
        for module in (self.teacher, self.teacher_head):
            module.requires_grad_(False)
        self.loss = DinoLoss(
            config.num_outputs,
            student_temperature=config.student_temperature,
            center_momentum=config.center_momentum,
        ).to(device)
        parameters = [*self.student.named_parameters(), *self.student_head.named_parameters()]
        plain = [p for name, p in parameters if p.ndim == 1 or name.endswith(".bias")]
        decayed = [p for name, p in parameters if not (p.ndim == 1 or name.endswith(".bias"))]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": plain, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, fused=True)

    def _head(self) -> DinoHead:
        config = self.config
        return DinoHead(
            self.student.num_dims, config.num_outputs,
            hidden=config.head_hidden, bottleneck=config.head_bottleneck,
            batch_norm=config.head_batch_norm,
        )  # fmt: skip

    def step(
        self, global_views: Tensor, local_views: Tensor, *, learning_rate: float,
        weight_decay: float, teacher_momentum: float, teacher_temperature: float,
        freeze_last_layer: bool,
    ) -> tuple[float, Tensor]:  # fmt: skip
        """One optimizer step; the loss, and the teacher's embeddings (G * B, D).

        global_views: (G * B, 1, S, S), view-major; local_views: (L * B, 1, s, s), view-major.
        """
        num_global = self.config.num_global_crops
        with torch.no_grad():
            teacher_embeddings = self.teacher(global_views)
            targets = self.teacher_head(teacher_embeddings)
        embeddings = torch.cat([self.student(global_views), self.student(local_views)])
        outputs = self.student_head(embeddings)
        num_images = len(global_views) // num_global
        loss: Tensor = self.loss(
            outputs.unflatten(0, (-1, num_images)),
            targets.unflatten(0, (num_global, num_images)),
            teacher_temperature,
        )
        self.optimizer.param_groups[0]["weight_decay"] = weight_decay
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip:
            for module in (self.student, self.student_head):
                torch.nn.utils.clip_grad_norm_(module.parameters(), self.config.gradient_clip)
        if freeze_last_layer:
            self.student_head.last_layer.grad = None
        self.optimizer.step()
        self._move_teacher(teacher_momentum)
        return loss.item(), teacher_embeddings

    @torch.no_grad()
    def _move_teacher(self, momentum: float) -> None:
        pairs = ((self.teacher, self.student), (self.teacher_head, self.student_head))
        for teacher, student in pairs:
            torch._foreach_lerp_(
                list(teacher.parameters()), list(student.parameters()), 1 - momentum
            )


def model_config_of(config: TrainConfig) -> ModelConfig:
    """Configuration of the model that a training run makes."""
    draft = ModelConfig(
        kind="vit",
        architecture=config.architecture,
        architecture_options=config.architecture_options,
        num_dims=1,
        crop_size_px=config.crop_size_px,
        stride_px=config.crop_size_px,
        intensity=config.intensity,
        seed=config.seed,
    )
    with torch.device("meta"):
        num_dims = Encoder(
            config.architecture, config.crop_size_px, config.architecture_options
        ).num_dims
    return draft.model_copy(update={"num_dims": num_dims})


def effective_rank(embeddings: Tensor) -> float:
    """Exponential of the entropy of the singular values of centred embeddings (N, D).

    1 when all lie on a line, up to min(N - 1, D). Source: Roy and Vetterli 2007.
    """
    values = torch.linalg.svdvals(embeddings.double() - embeddings.double().mean(dim=0))
    shares = values / values.sum().clamp_min(1e-300)
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))


def train(
    lake: Lake,
    name: str,
    *,
    samples: str = "training_sample",
    config: TrainConfig = PRESETS["paper"],
    device: str = "cpu",
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> list[dict[str, float]]:
    """Figures of each epoch of a new model trained on the samples; the model lands in the lake.

    samples: a view's name or a SELECT with the columns of `training_sample`.
    Raises ModelError if the name is taken, InputError if there is nothing to train on,
    TrainingError if the loss is not finite.
    """
    check_new_name(lake, name)
    model_config = model_config_of(config)
    table = select_samples(lake, samples)
    run = Run("train", {"model": name, "samples": samples, "config": config.model_dump()})
    order = draw_epoch(table, config.seed, 0)
    steps_per_epoch = len(order) // config.batch_size
    if steps_per_epoch == 0:
        raise InputError(
            f"an epoch has {len(order)} samples, fewer than one minibatch of {config.batch_size};"
            f" pass --batch-size {len(order)} or less"
        )
    schedules = Schedules.of(config, steps_per_epoch)
    temperatures = teacher_temperatures(config)
    dino = Dino(config, torch.device(device))
    low, high = _ranges(table, config, dino.device)
    reader = CropReader(
        lake, table,
        (config.num_global_crops, config.crop_size_px),
        (config.num_local_crops, config.local_crop_size_px),
    )  # fmt: skip
    log: list[dict[str, float]] = []
    with progress_bar(f"train {name}", config.epochs * steps_per_epoch, "steps") as advance:
        for epoch in range(config.epochs):
            started = time.monotonic()
            losses: list[float] = []
            embeddings: list[Tensor] = []
            order = draw_epoch(table, config.seed, epoch)
            minibatches = reader.minibatches(order, config.batch_size, config.seed, epoch)
            for i, crops in enumerate(minibatches):
                step = epoch * steps_per_epoch + i
                generator = torch.Generator().manual_seed(_seed(config.seed, step))
                global_views, local_views = _views(crops, low, high, generator, dino.device)
                loss, teacher = dino.step(
                    global_views, local_views,
                    learning_rate=schedules.learning_rate[step],
                    weight_decay=schedules.weight_decay[step],
                    teacher_momentum=schedules.teacher_momentum[step],
                    teacher_temperature=temperatures[epoch],
                    freeze_last_layer=epoch < config.last_layer_frozen,
                )  # fmt: skip
                if not math.isfinite(loss):
                    raise ModelError(
                        f"the loss is {loss} at step {step}; images: {_named(table, crops)}"
                    )
                losses.append(loss)
                embeddings = [*embeddings[-7:], teacher.cpu()]
                advance(1)
            seen = torch.cat(embeddings)
            figures = {
                "epoch": epoch,
                "loss": float(np.mean(losses)),
                "learning_rate": float(schedules.learning_rate[step]),
                "feature_sd": float(seen.std(dim=0).mean()),
                "effective_rank": effective_rank(seen),
                "images_per_s": len(losses) * config.batch_size / (time.monotonic() - started),
            }
            log.append(figures)
            say("epoch {epoch:.0f}: loss {loss:.3f}, effective rank {effective_rank:.1f},"
                " {images_per_s:.0f} images/s".format(**figures))  # fmt: skip
            if on_epoch:
                on_epoch(figures)
    register(lake, run, name, model_config, dino.teacher, samples=samples)
    with written_beside(lake.path / "models" / name / "train.jsonl") as path:
        path.write_text("".join(json.dumps(f) + "\n" for f in log), encoding="utf-8")
    return log


def _ranges(table: pa.Table, config: TrainConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Counts that map to 0 and 1 for each image of the samples: two tensors (num_images,)."""
    columns = (table[c].to_pylist() for c in ("dtype", "p0_1", "p99_9"))
    ranges = [intensity_range(config.intensity, *row) for row in zip(*columns, strict=True)]
    low, high = torch.tensor(ranges, dtype=torch.float32, device=device).T
    return low, high


def _views(
    crops: Crops, low: Tensor, high: Tensor, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Augmented global (G * B, 1, S, S) and local (L * B, 1, s, s) views, view-major."""
    images = torch.from_numpy(crops.images).to(device)
    views = []
    for raw in (crops.global_crops, crops.local_crops):
        counts = torch.from_numpy(raw).to(device)
        view_major = scaled(counts, low[images], high[images]).transpose(0, 1)
        views.append(augmented(view_major.flatten(0, 1).unsqueeze(1), generator))
    return views[0], views[1]


def _seed(seed: int, step: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}|{step}".encode(), digest_size=7).digest())


def _named(table: pa.Table, crops: Crops) -> str:
    rows = table.take(pa.array(crops.images[:8])).to_pylist()
    named = [f"{r['plate']}/{r['well']}/{r['field']}/{r['channel']}" for r in rows]
    return ", ".join(named) + (" ..." if len(crops.images) > 8 else "")
