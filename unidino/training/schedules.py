"""The numbers of a training that change from step to step, or from epoch to epoch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unidino.training.recipe import TrainConfig


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
    """Values for each step of a training, (epochs * steps_per_epoch,) each."""

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
