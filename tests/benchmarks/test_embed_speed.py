"""How fast plates are embedded: against the published program's forward, and against the network.

Run with `python -m pytest -m benchmark tests/benchmarks/test_embed_speed.py -s`; on a GPU with
UNIDINO_DEVICE=cuda. Pairs alternate on the same crops, so that other work meets both.
"""

import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from unidino.embeddings.crops import crops_of
from unidino.embeddings.embed import embed
from unidino.embeddings.forward import forward_of
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder, scaled
from unidino.models.registry import register
from unidino.plates.ingest import ingest

pytestmark = pytest.mark.benchmark

_DEVICE = torch.device(os.environ.get("UNIDINO_DEVICE", "cpu"))
_CPU = _DEVICE.type == "cpu"
_ROUNDS = 5
_PUBLISHED_BATCH = 10  # fields whose crops at one place the published program embeds at once
_FLOP_A_CROP = 9.12e9
VIT_S = ModelConfig(kind="vit", architecture="vit_small_patch16_224", num_dims=384)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    if not _CPU:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _matmul_rate(precision: str) -> float:
    """Measured flop/s of the network's own products: tokens of 16 crops by its wider layer."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    side = 4096 if _CPU else 16384
    a = torch.rand(side, 384, device=_DEVICE, dtype=dtype)
    b = torch.rand(384, 1536, device=_DEVICE, dtype=dtype)
    a @ b
    best = min(_seconds(lambda: a @ b) for _ in range(9))
    return 2 * side * 384 * 1536 / best


def test_forward_against_the_published_programs(capsys: pytest.CaptureFixture[str]) -> None:
    network = new_encoder(VIT_S).eval().to(_DEVICE)
    size = 40 if _CPU else 2040
    counts = torch.randint(0, 4096, (size, 1, 224, 224)).to(torch.uint16)
    low, high = torch.full((size,), 100.0), torch.full((size,), 4000.0)

    def published() -> torch.Tensor:
        outputs = []
        with torch.no_grad():
            for start in range(0, size, _PUBLISHED_BATCH):
                part = slice(start, start + _PUBLISHED_BATCH)
                crops = scaled(
                    counts[part].to(_DEVICE), low[part].to(_DEVICE), high[part].to(_DEVICE)
                )
                outputs.append(network.vit.forward_features(crops)[:, 0].cpu())
        return torch.cat(outputs)

    want = published()
    wanted = [("torch", "fp32"), ("torch", "bf16")]
    wanted += [("openvino", "fp32"), ("openvino", "bf16")] if _CPU else [("compile", "bf16")]
    ways: dict[str, Callable[[], torch.Tensor]] = {}
    for engine, precision in wanted:
        forward = forward_of(network, VIT_S, _DEVICE, engine=engine, precision=precision)

        def ours(forward=forward) -> torch.Tensor:
            step = forward.batch_size
            return torch.cat(
                [
                    forward(*(t[i : i + step] for t in (counts, low, high))).cpu()
                    for i in range(0, size, step)
                ]
            )

        ways[f"{engine} {precision}"] = ours
    times: dict[str, list[float]] = {"published": [], **{name: [] for name in ways}}
    near = {name: way() for name, way in ways.items()}
    for _ in range(_ROUNDS):
        times["published"].append(_seconds(published))
        for name, way in ways.items():
            times[name].append(_seconds(way))
    with capsys.disabled():
        for name, seconds in times.items():
            ratios = [a / b for a, b in zip(times["published"], seconds, strict=True)]
            rate = size / statistics.median(seconds)
            share = rate * _FLOP_A_CROP / _matmul_rate(name.split()[-1])
            got = near.get(name, want)
            cosine = torch.cosine_similarity(got, want).min().item()
            centred = torch.cosine_similarity(got - want.mean(0), want - want.mean(0))
            print(
                f"\n{name}: {rate:.1f} crops/s, {statistics.median(ratios):.2f} times published"
                f" ({min(ratios):.2f}-{max(ratios):.2f}), {share:.0%} of the matmul rate,"
                f" least cosine {cosine:.5f}, mean-centred {centred.median().item():.4f}",
                end="",
            )


def test_a_plate_end_to_end_against_the_network_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read, scale, crop, embed and write, against embedding the same crops from memory."""
    fields = 12 if _CPU else 400
    images = tmp_path / "p1" / "Images"
    images.mkdir(parents=True)
    plane = np.random.default_rng(0).poisson(400, (1080, 1080)).astype(np.uint16)
    for field in range(fields):
        name = f"r01c01f{field + 1:02d}p01-ch1sk1fk1fl1.tiff"
        tifffile.imwrite(images / name, np.roll(plane, field))
    lake = Lake.create(tmp_path / "lake")
    ingest(lake, tmp_path / "p1", "harmony")
    network = new_encoder(VIT_S)
    register(lake, Run("test", {}), "vit", VIT_S, network)
    precision = "fp32" if _CPU else "bf16"
    forward = forward_of(network, VIT_S, _DEVICE, precision=precision)
    crops = torch.from_numpy(
        np.concatenate([crops_of(np.roll(plane, f)[None], 224, 224) for f in range(fields)])
    )
    low, high = torch.full((len(crops),), 350.0), torch.full((len(crops),), 450.0)

    def alone() -> None:
        step = forward.batch_size
        for i in range(0, len(crops), step):
            forward(*(t[i : i + step] for t in (crops, low, high))).cpu()

    def end_to_end() -> None:
        done = embed(lake, "vit", device=str(_DEVICE), precision=precision, overwrite=True)
        assert done.num_crops == len(crops)

    alone()
    pairs = [(_seconds(alone), _seconds(end_to_end)) for _ in range(_ROUNDS)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with capsys.disabled():
        ratio = statistics.median(a / b for a, b in pairs)
        rate = len(crops) / statistics.median(b for _, b in pairs)
        print(
            f"\nplate of {fields} planes, {len(crops)} crops, {precision}: {rate:.1f} crops/s end"
            f" to end, {ratio:.0%} of the network alone, peak memory {peak_mb:.0f} MB",
            end="",
        )
