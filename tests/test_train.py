"""Training draws what the SQL says, augments as documented, learns and does not collapse."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from unidino import model, samples
from unidino.augment import augmented
from unidino.catalog import Lake
from unidino.errors import InputError, ModelError, UnidinoError
from unidino.samples import CropReader, draw_epoch, random_crops, select_samples
from unidino.train import Dino, TrainConfig, effective_rank, read_config, train

TOY = TrainConfig(
    architecture="vit_tiny_patch16_224", architecture_options={"depth": 1}, crop_size_px=32,
    local_crop_size_px=16, num_local_crops=2, epochs=2, batch_size=8, learning_rate=5e-4,
    learning_rate_warmup=0, teacher_momentum=(0.9, 1.0), teacher_temperature=(0.04, 0.04),
    teacher_temperature_warmup=0, num_outputs=64, head_hidden=64, head_batch_norm=True,
    drop_path=0.0, last_layer_frozen=0,
)  # fmt: skip


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
    assert read[0][0].global_crops.shape == (5, 2, 32, 32)


def test_crops_are_pieces_of_the_plane_at_native_resolution() -> None:
    plane = np.arange(60 * 50, dtype=np.uint16).reshape(60, 50)
    for crop in random_crops(plane, 20, 16, np.random.default_rng(0)):
        top, left = divmod(int(crop[0, 0]), 50)
        np.testing.assert_array_equal(crop, plane[top : top + 16, left : left + 16])


def test_a_plane_smaller_than_a_crop_is_mirrored() -> None:
    plane = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert samples.padded(plane, 8).shape == (8, 8)
    np.testing.assert_array_equal(samples.padded(plane, 8)[:3, :4], plane)
    np.testing.assert_array_equal(samples.padded(plane, 6)[:3, 4:], plane[:, :1:-1])


def test_views_are_flipped_shifted_and_gamma_changed_as_documented() -> None:
    spot = torch.zeros(4000, 1, 4, 4)
    spot[:, :, 0, 1] = 0.5
    views = augmented(spot, torch.Generator().manual_seed(0))
    assert views.min() >= 0
    assert views.max() <= 1
    places = views[:, 0].flatten(1).argmax(dim=1)
    for place in (1, 2, 13, 14):
        assert 0.2 < (places == place).float().mean() < 0.3
    assert torch.equal(spot[0], spot[1])
    brightest = views.flatten(1).amax(dim=1)
    assert 0.2**1.5 - 1e-6 <= brightest.min() < 0.12
    assert 0.85 < brightest.max() <= 0.8**0.5 + 1e-6


def test_augmentation_is_reproducible() -> None:
    views = torch.rand(5, 1, 8, 8)
    first = augmented(views, torch.Generator().manual_seed(7))
    torch.testing.assert_close(first, augmented(views, torch.Generator().manual_seed(7)))


def test_a_step_moves_the_student_by_gradient_and_the_teacher_by_average() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    before = {n: p.clone() for n, p in dino.teacher.named_parameters()}
    dino.step(
        torch.rand(8, 1, 32, 32), torch.rand(8, 1, 16, 16), learning_rate=1e-3, weight_decay=0.04,
        teacher_momentum=0.75, teacher_temperature=0.04, freeze_last_layer=True,
    )  # fmt: skip
    students = dict(dino.student.named_parameters())
    moved = 0
    for name, teacher in dino.teacher.named_parameters():
        expected = 0.75 * before[name] + 0.25 * students[name]
        torch.testing.assert_close(teacher, expected)
        moved += int(not torch.equal(teacher, before[name]))
    assert moved > 10
    torch.testing.assert_close(dino.student_head.last_layer, dino.teacher_head.last_layer)


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


def test_training_learns_and_lands_a_model(lake: Lake) -> None:
    config = TOY.model_copy(update={"epochs": 6})
    log = train(lake, "toy", config=config)
    losses = [row["loss"] for row in log]
    assert losses[-1] < losses[0]
    assert log[-1]["effective_rank"] > 2
    assert lake.query("select model, samples from model").row(0) == ("toy", "training_sample")
    lines = (lake.path / "models" / "toy" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3, 4, 5]
    encoder = model.load_encoder(lake, "toy", torch.device("cpu"))
    assert encoder(torch.rand(1, 1, 32, 32)).shape == (1, 192)


def test_training_is_reproducible(lake: Lake) -> None:
    logs = [train(lake, name, config=TOY) for name in ("one", "two")]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    hashes = lake.query("select distinct weights_hash from model")
    assert hashes.height == 1


def test_training_refuses_what_cannot_be(lake: Lake) -> None:
    with pytest.raises(InputError, match="fewer than one minibatch of 800"):
        train(lake, "big", config=TOY.model_copy(update={"batch_size": 800}))
    model.create(lake, "gaussian", "taken")
    with pytest.raises(ModelError, match="'taken' already"):
        train(lake, "taken", config=TOY)
    assert lake.query("select count(*) from model").item() == 1


def test_a_loss_that_is_not_finite_names_the_images(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dino, "step", lambda self, *a, **k: (float("nan"), torch.zeros(2, 192)))
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
