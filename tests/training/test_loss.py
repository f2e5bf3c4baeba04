"""The head and the loss return what the published program returns."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unidino.training.loss import DinoHead, DinoLoss, sinkhorn
from unidino.training.recipe import TrainConfig
from unidino.training.schedules import teacher_temperatures


def _rng(key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"unidino-0:{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def test_loss_and_center_equal_the_published_programs(parity: Path) -> None:
    steps = json.loads((parity / "dino_loss.json").read_text())
    config = TrainConfig(epochs=100)
    temperatures = teacher_temperatures(config)
    loss = DinoLoss(64)
    for i, step in enumerate(steps):
        student = torch.from_numpy(_rng(f"student{i}").standard_normal((40, 64)).astype(np.float32))
        teacher = torch.from_numpy(_rng(f"teacher{i}").standard_normal((8, 64)).astype(np.float32))
        targets = loss.targets(teacher.unflatten(0, (2, 4)), temperatures[step["epoch"]])
        value = loss(student.unflatten(0, (10, 4)), targets)
        loss.move_center(teacher.mean(dim=0, keepdim=True))
        assert value.item() == pytest.approx(step["loss"], rel=1e-6)
        assert loss.center.norm().item() == pytest.approx(step["center_norm"], rel=1e-6)
        np.testing.assert_allclose(loss.center[0, :4], step["center_first"], atol=1e-6)


def test_the_loss_is_the_mean_over_pairs_of_different_views() -> None:
    student, teacher = torch.randn(4, 3, 8), torch.randn(2, 3, 8)
    terms = []
    for t in range(2):
        for v in range(4):
            if v != t:
                targets = (teacher[t] / 0.04).softmax(-1)
                terms.append(-(targets * (student[v] / 0.1).log_softmax(-1)).sum(-1).mean())
    loss = DinoLoss(8)
    got = loss(student, loss.targets(teacher, 0.04))
    assert got.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_rows_of_the_last_layer_have_unit_length() -> None:
    head = DinoHead(8, 5, hidden=16, bottleneck=4)
    outputs = head(torch.randn(100, 8))
    assert outputs.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("temperature", [0.05, 0.002])
def test_sinkhorn_equals_a_plain_iteration(temperature: float) -> None:
    outputs = torch.rand(12, 5, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    targets = np.exp(np.longdouble(outputs.numpy()) / temperature)
    for _ in range(3):
        targets /= targets.sum(axis=0, keepdims=True)
        targets /= targets.sum(axis=1, keepdims=True)
    got = sinkhorn(outputs, temperature)
    np.testing.assert_allclose(got, targets.astype(float), rtol=1e-9)


def test_sinkhorn_uses_every_output_alike() -> None:
    outputs = torch.randn(256, 8, generator=torch.Generator().manual_seed(0)) * 0.05
    outputs[:, 0] += 0.5  # softmax would send every image here
    targets = sinkhorn(outputs, 0.05)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(256))
    np.testing.assert_allclose(targets.mean(dim=0), 1 / 8, rtol=0.05)
