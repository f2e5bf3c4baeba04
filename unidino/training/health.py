"""Whether a training learns, judged by the figures of its epochs.

`target_information` is the mutual information of targets with images: the entropy of the mean
target minus the mean entropy of the targets. It is 0 if all images have the same target, be it one
output or the uniform distribution. `learned` is the entropy of the mean target minus the loss: what
the student predicts of the targets from another view, beyond their mean. Both are in nats.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

State = Literal["learns", "same", "uniform", "nothing learned", "unknown"]

FEW_STEPS = 200
_LEAST_INFORMATION = 0.1  # nats; healthy runs have 0.4 and more
_LEAST_LEARNED = 0.02  # nats; healthy runs have 0.15 and more
_UNIFORM = 0.9  # of the entropy of the uniform distribution
_LEAST_DISTANCE = 1e-3  # of the norm of the weights
_LINES: dict[State, str] = {
    "same": "all images have the same target, so there is nothing to learn",
    "uniform": "the targets are uniform, so they say nothing about the images",
    "nothing learned": "the student predicts nothing of the targets beyond their mean",
}
_ADVICE = "lower the learning rate, change less in the views, or take another recipe"


def state_of(figures: Mapping[str, float]) -> State:
    """How a training is doing after an epoch."""
    if "target_information" not in figures:
        return "unknown"
    if figures["target_information"] < _LEAST_INFORMATION:
        is_uniform = figures["teacher_entropy"] > _UNIFORM * figures["entropy_limit"]
        return "uniform" if is_uniform else "same"
    return "nothing learned" if figures["learned"] < _LEAST_LEARNED else "learns"


def alarm(figures: Mapping[str, float], before: State) -> str | None:
    """One line if an epoch ends in a bad state in which the epoch before did not end."""
    state = state_of(figures)
    if state == before or state not in _LINES:
        return None
    return f"epoch {figures['epoch']:.0f}: {_LINES[state]} ({_shown(figures)}); {_ADVICE}"


def few_steps(num_steps: int) -> str | None:
    """One line if a training has too few steps to learn anything."""
    if num_steps >= FEW_STEPS:
        return None
    return (
        f"the training has {num_steps} steps, too few to learn much ({FEW_STEPS} at least): take"
        " more images, more --epochs, or a smaller --batch-size"
    )


def unchanged(figures: Mapping[str, float]) -> str | None:
    """One line if the trained weights are those of the start, but for rounding."""
    if figures.get("teacher_distance", 1.0) >= _LEAST_DISTANCE:
        return None
    return (
        f"the trained model is its start but for rounding (distance"
        f" {figures['teacher_distance']:.1e} of the weights' norm)"
    )


def verdict(epochs: Sequence[Mapping[str, float]]) -> str:
    """Whether a model learned, in words: the end of a sentence that begins with its name."""
    last = epochs[-1]
    state = state_of(last)
    if state == "unknown":
        return "was trained by a version that did not record what it learned"
    if unchanged(last):
        return "is its start but for rounding: it learned nothing"
    after = f"after {last['steps']:.0f} steps ({_shown(last)})"
    if state == "learns":
        return f"learned {after}"
    return f"did not learn {after}: {_LINES[state]}"


def _shown(figures: Mapping[str, float]) -> str:
    return (
        f"information {figures['target_information']:.2f}, learned {figures['learned']:.2f},"
        f" entropy {figures['teacher_entropy']:.2f} of at most {figures['entropy_limit']:.2f} nats"
    )
