"""The figures of each epoch: computed, logged, written to files, and judged.

Shapes: G * B teacher views of a minibatch, D embedding, K head outputs.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from unidino.core.errors import ModelError
from unidino.core.log import log
from unidino.training import health
from unidino.training.dino import Step

Figures = dict[str, float]

_LEAST_RANK, _LEAST_SPREAD = 1.2, 1e-3  # of embeddings that tell images apart


def step_figures(steps: Sequence[Step]) -> Figures:
    """Figures of the last steps of an epoch, of embeddings (G * B, D) and targets (K,) of each.

    What targets and student say of images is explained in `health`.
    """
    embeddings = torch.cat([step.embeddings for step in steps]).cpu()
    mean_target = torch.stack([step.mean_target for step in steps]).double().mean(dim=0)
    entropy_of_mean = float(-torch.special.xlogy(mean_target, mean_target).sum())
    entropy = float(np.mean([step.teacher_entropy for step in steps]))
    return {
        "target_information": entropy_of_mean - entropy,
        "learned": entropy_of_mean - float(np.mean([step.loss for step in steps])),
        "entropy_limit": math.log(len(mean_target)),
        "teacher_entropy": entropy,
        "center_norm": steps[-1].center_norm,
        "feature_sd": float(embeddings.std(dim=0).mean()),
        "effective_rank": effective_rank(embeddings),
    }


def effective_rank(embeddings: Tensor) -> float:
    """Exponential of the entropy of the singular values of centred embeddings (N, D).

    It is 1 if all lie on a line, and at most min(N - 1, D). Source: Roy and Vetterli 2007.
    """
    values = torch.linalg.svdvals(embeddings.double() - embeddings.double().mean(dim=0))
    shares = values / values.sum().clamp_min(1e-300)
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))


def refuse_collapse(figures: Figures, name: str) -> None:
    """Raise ModelError if the embeddings of different images are alike."""
    if figures["effective_rank"] < _LEAST_RANK or figures["feature_sd"] < _LEAST_SPREAD:
        raise ModelError(
            f"training {name} has collapsed: the features of all images are alike (effective rank"
            f" {figures['effective_rank']:.2f}, standard deviation {figures['feature_sd']:.1e});"
            " lower the learning rate or the teacher's temperature, and train anew"
        )


class EpochLog:
    """Writes the figures of a training to `train.jsonl`, TensorBoard and the log, with alarms.

    folder: the model's. warm_up: epochs before which nothing is judged. num_steps: of the training.
    """

    def __init__(self, folder: Path, warm_up: float, num_steps: int) -> None:
        self._folder, self._warm_up = folder, warm_up
        self._state: health.State = "learns"
        _warn(health.few_steps(num_steps))
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def step(self, step: int, loss: float) -> None:
        """Record the loss of a step."""
        self._writer.add_scalar("loss", loss, step)

    def epoch(self, epochs: Sequence[Figures]) -> None:
        """Record the last of all epochs; the file is written anew, with all of them."""
        figures = epochs[-1]
        probes = "".join(f", {k} {v:.3f}" for k, v in figures.items() if k.startswith("probe_"))
        log.info(
            "epoch {epoch:.0f}: loss {loss:.3f}, targets tell {target_information:.2f} nats of the"
            " images, {learned:.2f} are learned, effective rank {effective_rank:.1f},"
            " {images_per_s:.0f} images/s, {waiting:.0%} waiting for data".format(**figures)
            + probes
        )
        with (self._folder / "train.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in epochs)
        for key, value in figures.items():
            if key != "epoch":
                self._writer.add_scalar(f"epoch/{key}", value, int(figures["epoch"]))

        if figures["epoch"] >= self._warm_up:
            _warn(health.alarm(figures, self._state))
            self._state = health.state_of(figures)

    def judge_whole(self, epochs: Sequence[Figures]) -> None:
        """Warn if the training changed nothing."""
        _warn(health.unchanged(epochs[-1]))

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        self._writer.close()


def _warn(line: str | None) -> None:
    if line:
        log.warning(line)
