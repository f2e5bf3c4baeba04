"""A training that does not learn says so, in whichever way it fails."""

import json
import math

import numpy as np
import pytest
import torch
from toy_training import TOY

from unidino.lake.lake import Lake
from unidino.reports.report import report
from unidino.training import health
from unidino.training.dino import Step
from unidino.training.epoch_log import step_figures
from unidino.training.train import train


def _step(targets: np.ndarray, loss: float) -> Step:
    entropy = float(-(targets * np.log(np.maximum(targets, 1e-30))).sum(axis=1).mean())
    mean = torch.from_numpy(targets.mean(axis=0))
    return Step(loss, entropy, 0.0, torch.rand(len(targets), 4), mean)


def test_information_is_that_of_a_naive_sum() -> None:
    rng = np.random.default_rng(0)
    steps, all_targets = [], []
    for _ in range(3):
        targets = rng.dirichlet(np.full(8, 0.3), size=16)
        all_targets.append(targets)
        steps.append(_step(targets, 1.5))
    joint = np.concatenate(all_targets)
    mean = joint.mean(axis=0)
    naive = np.mean([sum(p * math.log(p / q) for p, q in zip(t, mean, strict=True)) for t in joint])
    figures = step_figures(steps)
    assert figures["target_information"] == pytest.approx(naive, rel=1e-6)
    assert figures["learned"] == pytest.approx(-(mean * np.log(mean)).sum() - 1.5, rel=1e-6)
    assert figures["entropy_limit"] == pytest.approx(math.log(8))


@pytest.mark.parametrize(
    ("targets", "loss", "state"),
    [
        (np.eye(8)[np.arange(16) % 8], 0.5, "learns"),
        (np.eye(8)[np.arange(16) % 8], 2.1, "nothing learned"),
        (np.eye(8)[np.zeros(16, int)], 0.1, "same"),
        (np.full((16, 8), 1 / 8), 2.08, "uniform"),
    ],
)
def test_states(targets: np.ndarray, loss: float, state: str) -> None:
    figures = step_figures([_step(targets, loss)]) | {"epoch": 3, "steps": 400}
    assert health.state_of(figures) == state
    line = health.alarm(figures, "learns")
    assert (line is None) == (state == "learns")
    assert line is None or line.startswith("epoch 3: ")
    assert health.alarm(figures, state) is None
    word = "learned after 400 steps" if state == "learns" else "did not learn after 400 steps"
    assert health.verdict([figures]).startswith(word)


def test_a_log_of_an_earlier_version_is_not_judged() -> None:
    assert health.state_of({"loss": 1.0}) == "unknown"
    assert "did not record" in health.verdict([{"loss": 1.0}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher_temperature": (20.0, 20.0)}, "the targets are uniform"),
        (
            {
                "teacher_temperature": (1e-4, 1e-4),
                "center_momentum": 0.999999,
                "head_batch_norm": False,
                "learning_rate": 1e-3,
                "epochs": 3,
            },
            "all images have the same target",
        ),
        (
            {
                "learning_rate": 1e-9,
                "final_learning_rate": 1e-9,
                "teacher_temperature": (0.04, 0.04),
            },
            "predicts nothing of the targets beyond their mean",
        ),
    ],
)
def test_a_run_that_fails_says_how(
    lake: Lake, caplog: pytest.LogCaptureFixture, changes: dict[str, object], said: str
) -> None:
    train(lake, "toy", config=TOY.model_copy(update=changes))
    assert said in caplog.text
    assert "too few to learn much" in caplog.text
    assert caplog.text.count(said) == 1
    report(lake, lake.path / "report.html")
    page = (lake.path / "report.html").read_text(encoding="utf-8")
    assert "toy did not learn after" in page or "toy is its start but for rounding" in page


def test_weights_that_do_not_move_are_said(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    frozen = {"learning_rate": 1e-9, "final_learning_rate": 1e-9, "weight_decay": (0.0, 0.0)}
    log = train(lake, "toy", config=TOY.model_copy(update=frozen))
    assert log[-1]["teacher_distance"] < 1e-6
    assert "is its start but for rounding" in caplog.text
    rows = (lake.path / "models" / "toy" / "train.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["steps"] == log[-1]["steps"]


def test_weights_that_move_have_a_distance(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    log = train(lake, "toy", config=TOY)
    distances = [figures["teacher_distance"] for figures in log]
    assert 1e-3 < distances[0] < distances[1]
    assert "but for rounding" not in caplog.text
