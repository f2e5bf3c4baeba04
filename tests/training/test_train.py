"""Training draws what the SQL says, augments as documented, learns and does not collapse."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from unidino.core.errors import InputError, LakeError, ModelError, UnidinoError
from unidino.embeddings.crops import otsu, padded, random_crops
from unidino.embeddings.embed import embed
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models import baselines, registry
from unidino.profiles.profile import profile
from unidino.training import checkpoint, samples
from unidino.training.augment import augmented, saturated
from unidino.training.dino import Dino, Step, effective_rank, parameter_groups
from unidino.training.reader import CropReader
from unidino.training.recipe import TrainConfig, read_config
from unidino.training.samples import draw_epoch, select_samples
from unidino.training.train import train

TOY = TrainConfig(
    architecture="vit_tiny_patch16_224",
    architecture_options={"depth": 1},
    crop_size_px=32,
    local_crop_size_px=16,
    num_local_crops=2,
    epochs=2,
    batch_size=8,
    learning_rate=5e-4,
    learning_rate_warmup=0,
    teacher_momentum=(0.9, 1.0),
    teacher_temperature=(0.04, 0.04),
    teacher_temperature_warmup=0,
    num_outputs=64,
    head_hidden=64,
    head_batch_norm=True,
    drop_path=0.0,
    last_layer_frozen=0,
)
TOY_PLAIN = TOY.model_copy(update={"head_batch_norm": False})


def _samples(sizes: dict[str, int], num_channels: int = 3) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"dataset": d, "plate": f"{d}-p", "well": f"A{i:02d}", "field": 1, "channel_index": c}
            for d, size in sizes.items()
            for i in range(size)
            for c in range(num_channels)
        ]
    )


def test_datasets_are_cycled_to_the_longest() -> None:
    table = _samples({"long": 50, "short": 7})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0))).to_pylist()
    counts = {d: sum(r["dataset"] == d for r in drawn) for d in ("long", "short")}
    assert counts == {"long": 50, "short": 50}
    short = [r["well"] for r in drawn if r["dataset"] == "short"]
    repeats = {well: short.count(well) for well in set(short)}
    assert len(repeats) == 7
    assert set(repeats.values()) == {7, 8}


def test_an_epoch_is_reproducible_and_epochs_differ() -> None:
    table = _samples({"a": 40, "b": 9})
    first = draw_epoch(table, 3, 0)
    np.testing.assert_array_equal(first, draw_epoch(table, 3, 0))
    assert not np.array_equal(first, draw_epoch(table, 3, 1))
    assert not np.array_equal(first, draw_epoch(table, 4, 0))


def test_every_channel_is_drawn_about_as_often() -> None:
    table = _samples({"a": 3000})
    channels = table["channel_index"].to_numpy()[draw_epoch(table, 0, 0)]
    shares = np.bincount(channels) / len(channels)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)


def test_samples_may_be_any_select(lake: Lake) -> None:
    everything = select_samples(lake, "training_sample")
    assert everything.num_rows == 72
    dna = select_samples(lake, "select * from training_sample where channel = 'DNA'")
    assert set(dna["channel"].to_pylist()) == {"DNA"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nothing", "does not exist"),
        ("select * from training_sample where false", "gives no image"),
        ("select plate from training_sample", "lacks the column dataset"),
        ("delete from image", "refused"),
        ("selekt", "syntax|does not exist"),
    ],
)
def test_samples_that_cannot_be_are_refused(lake: Lake, query: str, message: str) -> None:
    with pytest.raises(UnidinoError, match=message):
        select_samples(lake, query)


def test_crops_do_not_depend_on_threads(lake: Lake) -> None:
    table = select_samples(lake, "training_sample")
    order = draw_epoch(table, 0, 0)
    read = []
    for threads in (1, 4):
        reader = CropReader(lake, table, (2, 32), (3, 16), threads=threads)
        read.append(list(reader.minibatches(order, 5, 0, 0)))
    assert len(read[0]) == len(order) // 5
    for a, b in zip(*read, strict=True):
        np.testing.assert_array_equal(a.global_crops, b.global_crops)
        np.testing.assert_array_equal(a.local_crops, b.local_crops)
    assert read[0][0].global_crops.shape == (5, 2, 1, 32, 32)


def test_crops_are_pieces_of_the_plane_at_native_resolution() -> None:
    plane = np.arange(60 * 50, dtype=np.uint16).reshape(60, 50)
    for (crop,) in random_crops(plane[None], 20, 16, np.random.default_rng(0)):
        top, left = divmod(int(crop[0, 0]), 50)
        np.testing.assert_array_equal(crop, plane[top : top + 16, left : left + 16])


def test_a_plane_smaller_than_a_crop_is_mirrored() -> None:
    plane = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert padded(plane, 8).shape == (8, 8)
    np.testing.assert_array_equal(padded(plane, 8)[:3, :4], plane)
    np.testing.assert_array_equal(padded(plane, 6)[:3, 4:], plane[:, :1:-1])


def test_views_are_flipped_shifted_and_gamma_changed_as_documented() -> None:
    spot = torch.zeros(4000, 1, 4, 4)
    spot[:, :, 0, 1] = 0.5
    views = augmented(spot, torch.rand(4, 4000, 1, generator=torch.Generator().manual_seed(0)))
    assert views.min() >= 0
    assert views.max() <= 1
    places = views[:, 0].flatten(1).argmax(dim=1)
    for place in (1, 2, 13, 14):
        assert 0.2 < (places == place).float().mean() < 0.3
    assert torch.equal(spot[0], spot[1])
    brightest = views.flatten(1).amax(dim=1)
    assert 0.2**1.5 - 1e-6 <= brightest.min() < 0.12
    assert 0.85 < brightest.max() <= 0.8**0.5 + 1e-6


def test_a_step_moves_the_student_by_gradient_and_the_teacher_by_average() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    before = {n: p.clone() for n, p in dino.teacher.named_parameters()}
    dino.step(
        torch.rand(8, 1, 32, 32),
        torch.rand(8, 1, 16, 16),
        learning_rate=1e-3,
        weight_decay=0.04,
        teacher_momentum=0.75,
        teacher_temperature=0.04,
        freeze_last_layer=True,
    )
    students = dict(dino.student.named_parameters())
    moved = 0
    for name, teacher in dino.teacher.named_parameters():
        expected = 0.75 * before[name] + 0.25 * students[name]
        torch.testing.assert_close(teacher, expected)
        moved += int(not torch.equal(teacher, before[name]))
    assert moved > 10
    torch.testing.assert_close(dino.student.head.last_layer, dino.teacher.head.last_layer)


def test_biases_and_norms_are_not_decayed() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    decayed, plain = dino.optimizer.param_groups
    assert plain["weight_decay"] == 0
    assert all(p.ndim == 1 for p in plain["params"])
    assert all(p.ndim > 1 for p in decayed["params"])


def test_effective_rank_counts_directions() -> None:
    line = torch.linspace(-1, 1, 50)[:, None] * torch.ones(1, 4)
    assert effective_rank(line) == pytest.approx(1, abs=0.01)
    assert effective_rank(torch.randn(5000, 4)) == pytest.approx(4, abs=0.01)


def test_a_student_learns_what_a_teacher_that_stands_still_says() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((16, 32), (16, 16))]
    losses = [
        dino.step(
            *views,
            learning_rate=1e-3,
            weight_decay=0.04,
            teacher_momentum=1.0,
            teacher_temperature=0.01,
            freeze_last_layer=False,
        )
        for _ in range(60)
    ]
    surprise = [step.loss - step.teacher_entropy for step in losses]
    assert surprise[-1] < 0.7 * surprise[10]


def test_training_lands_a_model(lake: Lake) -> None:
    log = train(lake, "toy", config=TOY.model_copy(update={"epochs": 6}))
    assert log[-1]["effective_rank"] > 2
    assert lake.query("select model, samples from model").row(0) == ("toy", "training_sample")
    lines = (lake.path / "models" / "toy" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3, 4, 5]
    encoder = registry.load_encoder(lake, "toy", torch.device("cpu"))
    assert encoder(torch.rand(1, 1, 32, 32)).shape == (1, 192)


def test_training_is_reproducible(lake: Lake) -> None:
    logs = [train(lake, name, config=TOY) for name in ("one", "two")]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    hashes = lake.query("select distinct weights_hash from model")
    assert hashes.height == 1


def test_training_refuses_what_cannot_be(lake: Lake) -> None:
    with pytest.raises(InputError, match="fewer than one minibatch of 800"):
        train(lake, "big", config=TOY.model_copy(update={"batch_size": 800}))
    baselines.create_model(lake, "gaussian", "taken")
    with pytest.raises(ModelError, match="'taken' already"):
        train(lake, "taken", config=TOY)
    assert lake.query("select count(*) from model").item() == 1


def test_a_loss_that_is_not_finite_names_the_images(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = Step(float("nan"), 0.0, 0.0, torch.zeros(2, 192))
    monkeypatch.setattr(Dino, "step", lambda self, *a, **k: nan)
    with pytest.raises(ModelError, match=r"loss is nan at step 0; images: tiny_b\d_p1/"):
        train(lake, "toy", config=TOY)
    assert lake.query("select count(*) from model").item() == 0


def test_configurations_say_which_field_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"epochs": 3}')
    assert read_config("paper", file, {"batch_size": 4}).epochs == 3
    file.write_text('{"epoks": 3}')
    with pytest.raises(InputError, match="configuration: epoks"):
        read_config("paper", file, {})
    file.write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        read_config("paper", file, {})
    with pytest.raises(UnidinoError, match="unknown preset 'tiny'"):
        read_config("tiny", None, {})
    with pytest.raises(InputError, match="cannot read --config"):
        read_config("paper", tmp_path / "none.json", {})


def test_the_papers_preset_is_the_papers() -> None:
    paper = read_config("paper", None, {})
    assert (paper.learning_rate, paper.epochs, paper.batch_size) == (4e-4, 100, 510)
    assert (paper.num_outputs, paper.teacher_temperature) == (20_000, (0.01, 0.04))
    assert read_config("published", None, {}).learning_rate == pytest.approx(7.97e-4, rel=1e-3)


# What is drawn


def test_every_channel_may_be_a_sample_of_its_own() -> None:
    table = _samples({"a": 20, "b": 7})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0, every_channel=True))).to_pylist()
    counts = Counter(row["dataset"] for row in drawn)
    assert counts == {"a": 60, "b": 60}
    assert len({(r["well"], r["channel_index"]) for r in drawn if r["dataset"] == "a"}) == 60


def test_datasets_may_be_cycled_by_whole_repeats() -> None:
    table = _samples({"long": 50, "short": 7, "half": 26})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0, whole_repeats=True))).to_pylist()
    assert Counter(row["dataset"] for row in drawn) == {"long": 50, "short": 49, "half": 26}
    wells = Counter(row["well"] for row in drawn if row["dataset"] == "short")
    assert set(wells.values()) == {7}


def test_a_share_of_the_controls_is_drawn_from_every_plate(lake: Lake) -> None:
    everything = select_samples(lake, "training_sample")
    half = select_samples(lake, "training_sample", controls=0.5)
    wells = dict(lake.query("select plate || well, control_type from well").iter_rows())

    def fields(table: pa.Table) -> Counter:
        rows = table.select(["plate", "well", "field"]).to_pylist()
        places = {(r["plate"], r["well"], r["field"]) for r in rows}
        return Counter((plate, wells[plate + well]) for plate, well, _ in places)

    assert {k: n for k, n in fields(everything).items() if k[1] == "negcon"} == {
        ("tiny_b1_p1", "negcon"): 4,
        ("tiny_b2_p1", "negcon"): 4,
    }
    assert {k: n for k, n in fields(half).items() if k[1] == "negcon"} == {
        ("tiny_b1_p1", "negcon"): 2,
        ("tiny_b2_p1", "negcon"): 2,
    }
    assert {k: n for k, n in fields(half).items() if k[1] == "trt"} == {
        k: n for k, n in fields(everything).items() if k[1] == "trt"
    }
    columns = ", ".join(samples.COLUMNS)
    with pytest.raises(InputError, match="lacks the column control_type"):
        select_samples(lake, f"select {columns} from training_sample", controls=0.5)


def test_processes_share_every_minibatch(lake: Lake) -> None:
    table = select_samples(lake, "training_sample")
    order = draw_epoch(table, 0, 0)
    reader = CropReader(lake, table, (2, 32), (3, 16))
    whole = list(reader.minibatches(order, 6, 0, 0))
    parts = [list(reader.minibatches(order, 6, 0, 0, rank=r, world=2)) for r in range(2)]
    later = list(reader.minibatches(order, 6, 0, 0, first=2))
    for i, crops in enumerate(whole):
        both = np.concatenate([part[i].global_crops for part in parts])
        np.testing.assert_array_equal(crops.global_crops, both)
        if i >= 2:
            np.testing.assert_array_equal(crops.local_crops, later[i - 2].local_crops)


def test_a_sample_of_several_channels_is_one_place_of_a_field(lake: Lake) -> None:
    table = select_samples(lake, "training_sample", input_channels=["Tubulin", "DNA"])
    assert table.num_rows == 24
    assert table["channel_index"].to_pylist() == [[2, 0]] * 24
    order = draw_epoch(table, 0, 0)
    assert sorted(order) == list(range(24))
    both = next(CropReader(lake, table, (2, 32), (3, 16)).minibatches(order, 4, 0, 0))
    assert both.global_crops.shape == (4, 2, 2, 32, 32)
    for i, image in enumerate(both.images):
        row = table.slice(image, 1).to_pylist()[0]
        field = lake.resolve(row["uri"])
        planes = np.stack([pixels.read_plane(field, c) for c in row["channel_index"]])
        windows = np.lib.stride_tricks.sliding_window_view(planes, (32, 32), axis=(1, 2))
        places = windows[0].reshape(-1, 32 * 32) == both.global_crops[i, 0, 0].ravel()
        (place,) = np.flatnonzero(places.all(axis=1))
        np.testing.assert_array_equal(
            windows[1].reshape(-1, 32, 32)[place], both.global_crops[i, 0, 1]
        )
    with pytest.raises(InputError, match="no field with all of the channels DNA, ER; there are"):
        select_samples(lake, "training_sample", input_channels=["DNA", "ER"])


def test_channels_of_a_view_are_flipped_together_and_changed_each_by_itself() -> None:
    views = torch.rand(500, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    views[:, 1] = views[:, 0]
    draws = torch.rand(4, 500, 2, generator=torch.Generator().manual_seed(1))
    first, second = augmented(views, draws).unbind(dim=1)
    assert (first != second).any(dim=(1, 2)).all()
    np.testing.assert_array_equal(first.flatten(1).argmax(1), second.flatten(1).argmax(1))


def test_a_network_of_several_channels_is_trained_and_embeds_fields(
    lake: Lake, tmp_path: Path
) -> None:
    config = TOY.model_copy(update={"input_channels": ("DNA", "Tubulin"), "epochs": 1})
    log = train(lake, "both", config=config)
    assert np.isfinite(log[0]["loss"])
    done = embed(lake, "both")
    assert (done.num_images, done.left_out) == (24, {"no_input_of_the_model": 24})
    rows = lake.query("select distinct channel, channel_index from embedding where model = 'both'")
    assert rows.rows() == [("DNA+Tubulin", 0)]
    profile(lake, ["both"])
    profiles = lake.query("select channels, len(embedding) from profile where model = 'both'")
    assert profiles.unique().rows() == [(["DNA+Tubulin"], 192)]


def test_crops_may_have_to_show_cells() -> None:
    plane = np.zeros((200, 200), np.uint16)
    plane[150:190, 10:50] = 1000
    rng = np.random.default_rng(0)
    threshold = otsu(plane)
    assert 0 <= threshold < 1000
    crops = random_crops(plane[None], 50, 40, rng, threshold=threshold)
    shown = sum(np.count_nonzero(crop) >= 16 for crop in crops)
    anywhere = sum(np.count_nonzero(c) >= 16 for c in random_crops(plane[None], 50, 40, rng))
    assert shown > 40 > 20 > anywhere


# What a step does


def _naive_step(dino, views, old, rate: float, decay: float, temperature: float) -> None:
    """A DINO step as one would first write it: views one by one, loops, a Python average."""
    global_views, local_views = views
    num_images = len(global_views) // 2
    per_view = [*global_views.split(num_images), *local_views.split(num_images)]
    with torch.no_grad():
        teacher = [dino.teacher.head(dino.teacher.encoder(v)) for v in per_view[:2]]
    student = [dino.student.head(dino.student.encoder(v)) for v in per_view]
    losses = []
    for i, t in enumerate(teacher):
        target = torch.softmax((t - dino.loss.center) / temperature, dim=-1)
        for j, s in enumerate(student):
            if i != j:
                losses.append(-(target * torch.log_softmax(s / 0.1, dim=-1)).sum(-1).mean())
    loss = sum(losses) / len(losses)
    dino.loss.center = 0.9 * dino.loss.center + 0.1 * torch.cat(teacher).mean(0, keepdim=True)
    old.zero_grad()
    loss.backward()
    for group in old.param_groups:
        group["lr"] = rate
    old.param_groups[0]["weight_decay"] = decay
    old.step()
    with torch.no_grad():
        for t, s in zip(dino.teacher.parameters(), dino.student.parameters(), strict=True):
            t.copy_(0.9 * t + 0.1 * s)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_five_steps_equal_a_plain_implementation(accumulate: int) -> None:
    config = TOY.model_copy(update={"head_batch_norm": False, "accumulate": accumulate})
    fast, plain = Dino(config, torch.device("cpu")), Dino(TOY_PLAIN, torch.device("cpu"))
    optimizer = torch.optim.AdamW(parameter_groups(plain.student), foreach=False, fused=False)
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.full_like(p, torch.inf).detach() for p in plain.student.parameters()]
    for step in range(5):
        views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((8, 32), (8, 16))]
        rate, decay = 1e-5 * (step + 1), 0.04 + 0.01 * step
        fast.step(
            *views,
            learning_rate=rate,
            weight_decay=decay,
            teacher_momentum=0.9,
            teacher_temperature=0.04,
            freeze_last_layer=False,
        )
        _naive_step(plain, views, optimizer, rate, decay, 0.04)
        for smallest, parameter in zip(gradients, plain.student.parameters(), strict=True):
            torch.minimum(smallest, parameter.grad.abs(), out=smallest)
    torch.testing.assert_close(fast.loss.center, plain.loss.center, rtol=0, atol=1e-6)
    # Where a gradient was 0 but for rounding (a key's bias changes no attention), AdamW made a step
    # of the rounding.
    compared = [smallest > 1e-6 for smallest in gradients]
    assert sum(int(c.sum()) for c in compared) > 0.95 * sum(c.numel() for c in compared)
    for a, b in ((fast.student, plain.student), (fast.teacher, plain.teacher)):
        for one, other, where in zip(a.parameters(), b.parameters(), compared, strict=True):
            torch.testing.assert_close(one[where], other[where], rtol=0, atol=1e-6)


def test_bf16_is_near_fp32() -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        dino = Dino(TOY_PLAIN.model_copy(update={"precision": precision}), torch.device("cpu"))
        generator = torch.Generator().manual_seed(1)
        views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((8, 32), (8, 16))]
        losses[precision] = dino.step(
            *views,
            learning_rate=1e-4,
            weight_decay=0.04,
            teacher_momentum=0.9,
            teacher_temperature=0.04,
            freeze_last_layer=False,
        ).loss
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_stochastic_depth_is_the_students_alone() -> None:
    dino = Dino(TOY.model_copy(update={"drop_path": 0.5}), torch.device("cpu"))
    rates = {
        name: {m.drop_prob for m in network.modules() if type(m).__name__ == "DropPath"}
        for name, network in (("student", dino.student), ("teacher", dino.teacher))
    }
    assert rates["teacher"] == set()
    assert max(rates["student"], default=0) > 0 or TOY.architecture_options == {"depth": 1}


def test_instance_norm_takes_brightness_and_contrast_away(lake: Lake) -> None:
    train(lake, "normed", config=TOY.model_copy(update={"epochs": 1, "instance_norm": True}))
    encoder = registry.load_encoder(lake, "normed", torch.device("cpu"))
    crops = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(encoder(crops), encoder(0.3 * crops + 0.1), rtol=1e-3, atol=1e-3)


def test_saturation_noise_is_a_share_of_the_pixels() -> None:
    views = saturated(torch.zeros(20, 1, 32, 32), 0.1, torch.Generator().manual_seed(0))
    assert views.unique().tolist() == [0, 1]
    assert views.mean().item() == pytest.approx(0.1, abs=0.01)


# A run and what may happen to it


def _weights(lake: Lake, name: str) -> dict[str, torch.Tensor]:
    return load_file(lake.path / "models" / name / "model.safetensors")


def _assert_same_weights(lake: Lake, one: str, other: str, atol: float = 0) -> None:
    for (name, a), b in zip(
        sorted(_weights(lake, one).items()),
        [w for _, w in sorted(_weights(lake, other).items())],
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=atol, msg=name)


LONG = TOY.model_copy(update={"epochs": 4, "drop_path": 0.2, "architecture_options": {"depth": 2}})


@pytest.mark.parametrize("stop_after", [1, 4, 6, 11])
def test_a_training_that_is_stopped_and_resumed_is_the_uninterrupted_one(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    train(lake, "whole", config=LONG)
    step = Dino.step
    made = []

    def stopping(self, *args, **kwargs):
        made.append(1)
        if len(made) == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Dino, "step", stopping)
    with pytest.raises(ModelError, match=f"stopped at step {stop_after}, .*--resume"):
        train(lake, "cut", config=LONG)
    assert lake.query("select model from model").rows() == [("whole",)]
    log = train(lake, "cut", resume=True)
    _assert_same_weights(lake, "whole", "cut")
    expected = (lake.path / "models" / "whole" / "train.jsonl").read_text().splitlines()
    for row, line in zip(log, expected, strict=True):
        assert row["loss"] == json.loads(line)["loss"]
    assert not (lake.path / "models" / "cut" / "checkpoint.safetensors").exists()
    hashes = lake.query("select distinct weights_hash from model")
    assert hashes.height == 1


def test_a_training_that_is_killed_resumes_from_its_last_epoch(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(lake, "whole", config=LONG)
    step = Dino.step
    made = []

    def dying(self, *args, **kwargs):
        made.append(1)
        if len(made) == 8:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Dino, "step", dying)
        with pytest.raises(KeyboardInterrupt):
            train(lake, "cut", config=LONG)
    train(lake, "cut", resume=True)
    _assert_same_weights(lake, "whole", "cut")


def test_a_training_is_not_resumed_on_other_samples(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Dino.step

    def stopping(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Dino, "step", stopping)
    with pytest.raises(ModelError, match="stopped at step 1"):
        train(lake, "cut", config=LONG)
    lake.execute("update image set qc = 'blank' where well = 'B02'")
    with pytest.raises(ModelError, match="no longer those it was begun with"):
        train(lake, "cut", resume=True)


def test_what_cannot_be_resumed_is_said(lake: Lake, run_cli) -> None:
    with pytest.raises(ModelError, match="no checkpoint at"):
        train(lake, "toy", resume=True)
    path = lake.path / "models" / "toy" / "checkpoint.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="is damaged"):
        train(lake, "toy", resume=True)
    status, _, errors = run_cli(
        "train", "--model", "toy", "--resume", "--epochs", "3", "--lake", lake.path
    )
    assert (status, "give --model only" in errors) == (1, True)


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    save = checkpoint.save_file

    def full(tensors, path, metadata):
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(path)
        save(tensors, path, metadata)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save_file", full)
        with pytest.raises(ModelError, match=r"cannot write the checkpoint .*No space left"):
            train(lake, "toy", config=TOY)
    _, state = checkpoint.load_checkpoint(lake.path / "models" / "toy" / "checkpoint.safetensors")
    assert state["step"] == 3
    assert len(train(lake, "toy", resume=True)) == 2


def test_a_plate_that_goes_missing_stops_and_resumes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(lake, "whole", config=LONG)
    plate = lake.path / "plates" / "tiny_b1_p1.zarr"
    step = Dino.step
    made = []

    def moving(self, *args, **kwargs):
        made.append(1)
        if len(made) == 4:
            plate.rename(plate.with_name("away"))
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Dino, "step", moving)
        with pytest.raises(LakeError, match=r"was its plate moved\?.*--resume"):
            train(lake, "cut", config=LONG)
    plate.with_name("away").rename(plate)
    train(lake, "cut", resume=True)
    _assert_same_weights(lake, "whole", "cut")


def test_a_collapse_stops_with_its_figures(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Step(1.0, 1.0, 1.0, torch.ones(16, 192) + 1e-6 * torch.rand(16, 192))
    monkeypatch.setattr(Dino, "step", lambda self, *a, **k: flat)
    with pytest.raises(ModelError, match=r"has collapsed: .*effective rank"):
        train(lake, "toy", config=TOY)


def test_student_and_teacher_start_from_a_model(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(lake, "first", config=TOY)
    seen = []
    monkeypatch.setattr(
        Dino,
        "step",
        lambda self, *a, **k: seen.append(self.state()) or Step(1, 1, 1, torch.rand(16, 192)),
    )
    train(lake, "second", config=TOY.model_copy(update={"seed": 5, "epochs": 1}), start="first")
    for name, weights in _weights(lake, "first").items():
        torch.testing.assert_close(seen[0][f"student.encoder.vit.{name}"], weights)
        torch.testing.assert_close(seen[0][f"teacher.encoder.vit.{name}"], weights)
    assert lake.query("select parent from model where model = 'second'").item() == "first"
    other = TOY.model_copy(update={"architecture_options": {"depth": 2}})
    with pytest.raises(ModelError, match="network of another shape"):
        train(lake, "third", config=other, start="first")


def test_a_probe_judges_the_teacher(lake: Lake) -> None:
    log = train(lake, "toy", config=TOY, probe="labelled_sample")
    assert all(0 <= row["probe_tiny"] <= 1 for row in log)
    by_plate = "select *, compound as label, plate as exclude from training_sample"
    assert 0 <= train(lake, "plates", config=TOY, probe=by_plate)[-1]["probe_tiny"] <= 1
    with pytest.raises(InputError, match="lacks the column label"):
        train(lake, "other", config=TOY, probe="training_sample")
    with pytest.raises(InputError, match="no label that a neighbour may have too"):
        train(lake, "other", config=TOY, probe="select *, compound as label from training_sample")


def test_what_a_model_was_trained_on_is_kept_with_it(lake: Lake) -> None:
    query = "select * from training_sample where channel = 'DNA'"
    train(lake, "toy", config=TOY, samples=query)
    kept = pq.read_table(lake.path / "models" / "toy" / "samples.parquet")
    assert (kept.num_rows, set(kept["channel"].to_pylist())) == (24, {"DNA"})
    assert lake.query("select samples from model").item() == query
    assert list((lake.path / "models" / "toy" / "tensorboard").iterdir())
    figures = json.loads((lake.path / "models" / "toy" / "train.jsonl").read_text().split("\n")[0])
    assert {
        "loss",
        "learning_rate",
        "teacher_entropy",
        "center_norm",
        "feature_sd",
        "effective_rank",
        "images_per_s",
        "waiting",
    } <= set(figures)


def test_two_processes_make_the_same_model_as_one(lake: Lake, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(TOY_PLAIN.model_dump_json())
    words = ["train", "--lake", str(lake.path), "--config", str(config), "--model"]
    subprocess.run([sys.executable, "-m", "unidino", *words, "one"], check=True, timeout=120)
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "unidino",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*launcher, *words, "two"], check=True, timeout=180, env=environment)
    _assert_same_weights(lake, "one", "two", atol=1e-5)


def test_a_minibatch_that_processes_cannot_share_is_refused(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"a minibatch of 8 .* choose a multiple of 3"):
        train(lake, "toy", config=TOY.model_copy(update={"accumulate": 3}))
