"""A codebook embeds crops as a naive loop over their patches does, and is learnt from any view."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

import unidino as ud
from unidino.core.errors import InputError, ModelError, UnidinoError
from unidino.embeddings.crops import crops_of, read_planes
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.lake.samples import query_samples
from unidino.models import codebook as module
from unidino.models.codebook import Codebook, fit_codebook
from unidino.models.config import ModelConfig
from unidino.models.networks import new_network
from unidino.models.patches import draw_planes, read_patches
from unidino.models.registry import load_config, load_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fitted(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny lake with a codebook; copy it before changing it."""
    folder = tmp_path_factory.mktemp("fitted") / "lake"
    shutil.copytree(ingested, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_NUM_MINIBATCHES", 10)
        ud.create_model(Lake.open(folder), "codebook", seed=3)
    return folder


@pytest.fixture
def lake(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A fresh tiny lake with a codebook; others are learnt quickly."""
    monkeypatch.setattr(module, "_NUM_MINIBATCHES", 10)
    shutil.copytree(fitted, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def _random(num_dims: int = 5, patch_px: int = 4, pooling: int = 2) -> Codebook:
    rng = np.random.default_rng(1)
    codebook = Codebook(num_dims, patch_px, pooling)
    for buffer in (codebook.whitening, codebook.centres, codebook.mean):
        buffer.copy_(torch.from_numpy(rng.standard_normal(tuple(buffer.shape))))
    codebook.mean.fill_(0.5)
    codebook.centres.mul_(0.5)
    return codebook


def _naive(codebook: Codebook, crop: np.ndarray) -> np.ndarray:
    """The embedding of one crop (S, S), patch by patch in float64."""
    whitening, centres, mean = (
        b.numpy().astype(np.float64) for b in (codebook.whitening, codebook.centres, codebook.mean)
    )
    pooling, patch_px = codebook.pooling, codebook.patch_px
    height, width = (side // pooling for side in crop.shape)
    pooled = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            block = crop[y * pooling : (y + 1) * pooling, x * pooling : (x + 1) * pooling]
            pooled[y, x] = block.mean(dtype=np.float64)
    activations = []
    for y in range(height - patch_px + 1):
        for x in range(width - patch_px + 1):
            patch = pooled[y : y + patch_px, x : x + patch_px].ravel()
            whitened = whitening @ (patch - mean)
            distances = np.array([np.linalg.norm(whitened - centre) for centre in centres])
            activations.append([max(0.0, distances.mean() - d) for d in distances])
    return np.mean(activations, axis=0)


def test_embeddings_equal_a_loop_over_patches() -> None:
    codebook = _random()
    crops = np.random.default_rng(0).random((3, 1, 24, 24), dtype=np.float32)
    with torch.inference_mode():
        got = codebook(torch.from_numpy(crops)).numpy()
    want = np.stack([_naive(codebook, crop[0]) for crop in crops])
    assert (want > 0).any(axis=0).sum() >= 4
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_embeddings_are_the_same_under_autocast() -> None:
    codebook = _random()
    codebook.centres.mul_(20)
    crops = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        want = codebook(crops)
        with torch.autocast("cpu", torch.bfloat16):
            got = codebook(crops)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize("at_once", [1, 10_000, 10**9])
def test_embeddings_do_not_depend_on_the_division_into_minibatches(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    codebook = _random()
    crops = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = codebook(crops)
        monkeypatch.setitem(module._BYTES_AT_ONCE, "cpu", at_once)
        parts = torch.cat([codebook(crops[:2]), codebook(crops[2:])])
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_an_image_is_embedded_as_the_mean_of_its_crops(lake: Lake) -> None:
    done = embed(lake, "codebook", plates="tiny_b1_p1")
    assert done.num_images == 36
    assert done.num_crops == 36  # fields of 96 px are mirrored to a crop of 128 px
    (row,) = lake.query(
        "select embedding, image.uri, image.channel_index, p0_1, p99_9 from embedding"
        " join located_image as image using (plate, well, field, channel)"
        " order by plate, well, field, channel limit 1"
    ).to_dicts()
    planes = read_planes(lake.resolve(row["uri"]), [row["channel_index"]])
    (crop,) = crops_of(planes, 128, 128)
    low, high = row["p0_1"], row["p99_9"]
    scaled = np.clip((crop[0].astype(np.float64) - low) / (high - low), 0, 1)
    network = load_network(lake, "codebook", CPU)
    assert isinstance(network, Codebook)
    np.testing.assert_allclose(row["embedding"], _naive(network, scaled), rtol=1e-3, atol=1e-4)


def test_a_codebook_is_recorded_with_its_lineage(lake: Lake) -> None:
    config = load_config(lake, "codebook")
    assert (config.kind, config.num_dims, config.crop_size_px, config.stride_px, config.seed) == (
        "codebook",
        192,
        128,
        128,
        3,
    )
    (row,) = lake.query(
        "select samples, parent, command, arguments ->> 'samples' as given, ended"
        " from model join run using (run_id)"
    ).to_dicts()
    assert (row["samples"], row["parent"], row["command"]) == (
        "training_sample",
        None,
        "models create",
    )
    assert row["given"] == "training_sample"
    assert row["ended"] is not None
    planes = pl.read_parquet(lake.path / "models" / "codebook" / "samples.parquet")
    assert planes.height == 72
    assert planes["num_patches"].unique().to_list() == [2778]


def test_the_same_seed_learns_the_same(lake: Lake) -> None:
    some = "select * from training_sample where well in ('B02', 'B03')"
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        ud.create_model(lake, "codebook", name, samples=some, seed=seed)
    hashes = dict(lake.query("select model, weights_hash from model").iter_rows())
    assert hashes["one"] == hashes["again"] != hashes["other"]


def test_centres_are_learnt_in_the_whitened_space() -> None:
    rng = np.random.default_rng(0)
    patches = rng.normal(0.5, 0.1, (4000, 4, 4)).astype(np.float32)
    patches[:, 0] *= 3
    codebook = Codebook(6, 4)
    fit_codebook(codebook, patches, seed=0, ridge=0)
    flat = torch.from_numpy(patches.reshape(len(patches), -1))
    whitened = (flat - codebook.mean) @ codebook.whitening
    torch.testing.assert_close(torch.cov(whitened.T), torch.eye(16), atol=1e-3, rtol=0)
    nearest = torch.cdist(whitened, codebook.centres).argmin(dim=1)
    assert nearest.bincount(minlength=6).min() > 300


def test_constant_patches_are_left_out(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from unidino.lake import pixels

    config = ModelConfig(kind="codebook", num_dims=4)
    planes = draw_planes(query_samples(lake, "training_sample", ""), 0).slice(0, 2)
    plane = np.full((96, 96), 100, np.uint16)
    plane[:40] += np.random.default_rng(0).integers(0, 5000, (40, 96), np.uint16)
    monkeypatch.setattr(pixels, "read_plane", lambda *_: plane)
    patches = read_patches(lake, planes, config, Codebook(4), "")
    # The first 20 of 48 pooled rows vary, so do patches from 20 of 41 rows.
    assert patches.shape == (2 * 20 * 41, 8, 8)
    monkeypatch.setattr(pixels, "read_plane", lambda *_: plane[:15])
    assert len(read_patches(lake, planes, config, Codebook(4), "")) == 0


def test_planes_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"large": (4, 30, 3), "small": (2, 5, 1)}  # plates, wells, channels
    rows = [
        {
            "dataset": dataset,
            "plate": f"{dataset}-{plate}",
            "well": f"A{well:02d}",
            "field": 1,
            "channel": f"c{channel}",
            "channel_index": channel,
            "uri": "u",
            "dtype": "uint16",
            "p0_1": 0.0,
            "p99_9": 1.0,
        }
        for dataset, (plates, wells, channels) in sizes.items()
        for plate in range(plates)
        for well in range(wells)
        for channel in range(channels)
    ]
    monkeypatch.setattr("unidino.models.patches._MOST_PLANES", 58)
    drawn = pl.DataFrame(draw_planes(pa.Table.from_pylist(rows), 0))
    by_dataset = Counter(drawn["dataset"])
    assert by_dataset == {"large": 48, "small": 10}
    large = drawn.filter(pl.col("dataset") == "large")
    assert set(Counter(large["channel"]).values()) == {16}
    assert set(Counter(zip(large["channel"], large["plate"], strict=True)).values()) == {4}
    shares = dict(drawn.group_by("dataset").agg(pl.col("num_patches").sum()).iter_rows())
    assert all(100_000 <= share < 100_100 for share in shares.values())
    again = pl.DataFrame(draw_planes(pa.Table.from_pylist(rows[::-1]), 0))
    assert drawn.equals(again)
    assert not drawn.equals(pl.DataFrame(draw_planes(pa.Table.from_pylist(rows), 1)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "there is a model 'codebook' already; choose another name"),
        ({"name": "n", "samples": "nothing"}, "--samples 'nothing': "),
        (
            {"name": "n", "samples": "select * from training_sample where false"},
            "selects no image; ingest plates or widen the query",
        ),
        ({"name": "n", "samples": "select plate from training_sample"}, "lacks the column dataset"),
        (
            {"name": "n", "samples": "select * from training_sample limit 1"},
            "has 1,681 patches that are not constant, but 192 centres need 1,920",
        ),
        (
            {"name": "n", "like": "codebook"},
            "'codebook' has no use for --like 'codebook'; omit it ('codebook' takes --samples)",
        ),
        ({"name": "n", "weights": Path("w.pth")}, "no use for --weights 'w.pth'; omit it"),
        ({"name": "n", "nuclei": "DNA"}, "no use for --nuclei 'DNA'; omit it"),
        ({"name": "n", "normalization": "imagenet"}, "no use for --normalization 'imagenet'"),
        (
            {"preset": "gaussian", "samples": "training_sample"},
            "'gaussian' has no use for --samples 'training_sample'; omit it",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(lake: Lake, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UnidinoError) as caught:
        ud.create_model(lake, **{"preset": "codebook"} | options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in (lake.path / "models").iterdir()] == ["codebook"]


def test_a_taken_name_is_refused_before_any_image_is_read(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unidino.models.patches.draw_planes", lambda *_: pytest.fail("read"))
    with pytest.raises(ModelError, match="there is a model 'codebook' already"):
        ud.create_model(lake, "codebook")


def test_several_channels_are_refused() -> None:
    config = ModelConfig(kind="codebook", num_dims=4, input_channels=("DNA", "ER"))
    with pytest.raises(ModelError, match="embeds each channel alone; omit the channels DNA, ER"):
        new_network(config)


def test_a_query_may_not_leave_the_lake(lake: Lake) -> None:
    with pytest.raises(InputError):
        ud.create_model(lake, "codebook", "n", samples="select * from read_csv('/etc/passwd')")


def test_the_commands_create_embed_and_score(lake: Lake, run_cli: Any) -> None:
    at = ("--lake", lake.path, "--json")
    some = "select * from training_sample where well like 'B%'"
    status, out, err = run_cli(
        "models", "create", "codebook", "--model", "cb", "--samples", some, "--seed", 1, *at
    )
    assert (status, out) == (0, '{"model": "cb"}\n'), err
    assert "192 centres of " in err
    status, out, err = run_cli("embed", "--model", "cb", "--all", *at)
    assert status == 0, err
    status, out, err = run_cli("score", "--metric", "nsc", "--model", "cb", *at)
    assert status == 0, err
    assert '"model": "cb"' in out
    status, _, err = run_cli("models", "create", "codebook", *at)
    assert (status, err.count("\n")) == (1, 1)
