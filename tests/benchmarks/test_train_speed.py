"""How fast a DINO step and its loader are: against the same algorithm written plainly.

Run with `python -m pytest -m benchmark tests/benchmarks/test_train_speed.py -s`.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from unidino.lake.lake import Lake
from unidino.models.networks import scaled
from unidino.plates.ingest import ingest
from unidino.training.augment import NUM_DRAWS, augmented
from unidino.training.dino import Dino
from unidino.training.network import parameter_groups
from unidino.training.reader import CropReader
from unidino.training.recipe import TrainConfig
from unidino.training.samples import draw_epoch, select_samples

pytestmark = pytest.mark.benchmark

_BATCH, _ROUNDS = 8, 3
_SCHEDULED = {"learning_rate": 1e-5, "weight_decay": 0.04}


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _plain_views(counts: np.ndarray) -> list[torch.Tensor]:
    """Views of one size, view by view and image by image."""
    views = []
    for v in range(counts.shape[1]):
        images = []
        for image in counts[:, v]:
            view = torch.from_numpy(image.astype(np.float32)) / 65535
            if torch.rand(1) < 0.5:
                view = view.flip(-1)
            if torch.rand(1) < 0.5:
                view = view.flip(-2)
            view = (view + (torch.rand(1) * 0.6 - 0.3)).clamp(0, 1) ** (torch.rand(1) + 0.5)
            images.append(view[None])
        views.append(torch.stack(images))
    return views


def _plain_step(dino: Dino, optimizer: torch.optim.Optimizer, crops: list[np.ndarray]) -> None:
    views = _plain_views(crops[0]) + _plain_views(crops[1])
    with torch.no_grad():
        teacher = [dino.teacher.head(dino.teacher.encoder(view)) for view in views[:2]]
    student = [dino.student.head(dino.student.encoder(view)) for view in views]
    losses = []
    for i, t in enumerate(teacher):
        target = torch.softmax((t - dino.loss.center) / 0.04, dim=-1)
        for j, s in enumerate(student):
            if i != j:
                losses.append(-(target * torch.log_softmax(s / 0.1, dim=-1)).sum(-1).mean())
    loss = sum(losses) / len(losses)
    dino.loss.center = 0.9 * dino.loss.center + 0.1 * torch.cat(teacher).mean(0, keepdim=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for t, s in zip(dino.teacher.parameters(), dino.student.parameters(), strict=True):
            t.copy_(0.9995 * t + 0.0005 * s)


def _our_step(dino: Dino, crops: list[np.ndarray]) -> None:
    views = []
    for raw in crops:
        counts = torch.from_numpy(raw).transpose(0, 1).flatten(0, 1).unsqueeze(1)
        low, high = torch.zeros(len(counts)), torch.full((len(counts),), 65535.0)
        draws = torch.rand(NUM_DRAWS, len(counts), 1)
        views.append(augmented(scaled(counts, low, high), draws, dino.config))
    dino.step(
        views[0],
        views[1],
        teacher_momentum=0.9995,
        teacher_temperature=0.04,
        freeze_last_layer=False,
        **_SCHEDULED,
    )


def test_a_step_against_a_plain_one(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    crops = [
        rng.integers(0, 65536, (_BATCH, n, s, s)).astype(np.uint16) for n, s in ((2, 224), (8, 96))
    ]
    device = torch.device("cpu")
    paper = TrainConfig(drop_path=0.0)
    ways: dict[str, Callable[[], object]] = {}
    plain = Dino(paper, device)
    optimizer = torch.optim.AdamW(parameter_groups(plain.student), lr=1e-5, foreach=False)
    ways["plain"] = lambda: _plain_step(plain, optimizer, crops)
    for precision in ("fp32", "bf16"):
        dino = Dino(paper.model_copy(update={"precision": precision}), device)
        ways[precision] = lambda dino=dino: _our_step(dino, crops)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            times[name].append(_seconds(way))
    with capsys.disabled():
        for name, seconds in times.items():
            ratio = statistics.median(a / b for a, b in zip(times["plain"], seconds, strict=True))
            print(
                f"\nViT-S, batch {_BATCH}, {name}: {statistics.median(seconds):.2f} s a step,"
                f" {_BATCH / statistics.median(seconds):.2f} images/s, plain / this: {ratio:.2f}",
                end="",
            )


def test_augmentation_against_loops(capsys: pytest.CaptureFixture[str]) -> None:
    counts = np.random.default_rng(0).integers(0, 65536, (32, 8, 96, 96)).astype(np.uint16)

    def ours() -> object:
        low, high = torch.zeros(32), torch.full((32,), 65535.0)
        views = scaled(torch.from_numpy(counts), low, high).transpose(0, 1).flatten(0, 1)
        return augmented(views.unsqueeze(1), torch.rand(NUM_DRAWS, 256, 1), TrainConfig())

    pairs = [(_seconds(lambda: _plain_views(counts)), _seconds(ours)) for _ in range(9)]
    with capsys.disabled():
        ratio = statistics.median(a / b for a, b in pairs)
        print(
            f"\naugmentation of 256 views of 96 px: {statistics.median(b for _, b in pairs):.4f}"
            f" s, loops / this: {ratio:.1f}",
            end="",
        )


def test_the_loader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "p1" / "Images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    plane = rng.poisson(400, (1080, 1080)).astype(np.uint16)
    for field in range(60):
        for channel in range(2):
            name = f"r01c01f{field + 1:02d}p01-ch{channel + 1}sk1fk1fl1.tiff"
            tifffile.imwrite(images / name, np.roll(plane, field))
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, tmp_path / "p1", "harmony")
    table = select_samples(lake, "training_sample")
    reader = CropReader(lake, table, (2, 224), (8, 96))
    order = np.tile(draw_epoch(table, 0, 0, every_channel=True), 4)
    rates = []
    for _ in range(_ROUNDS):
        seconds = _seconds(lambda: list(reader.minibatches(order, 32, 0, 0)))
        rates.append(len(order) // 32 * 32 / seconds)
    with capsys.disabled():
        print(
            f"\nloader: {statistics.median(rates):.0f} planes/s of 1080 px to 2 x 224 + 8 x 96",
            end="",
        )
