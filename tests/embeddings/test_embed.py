"""Embedding is what the model says of each plane, whole plates at a time, once."""

import inspect
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from conftest import ingest_tiny

from unidino.core.errors import InputError, LakeError, ModelError, UnidinoError
from unidino.embeddings.crops import crops_of
from unidino.embeddings.embed import embed, embedder_of
from unidino.embeddings.gaussian import GaussianEmbedder
from unidino.embeddings.how import How
from unidino.lake import pixels
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import baselines, registry
from unidino.models.config import ModelConfig
from unidino.models.kinds import KINDS


def test_an_embedding_is_the_mean_over_its_crops(toy: Lake) -> None:
    embed(toy, "toy", batch_size=7)
    encoder = registry.load_encoder(toy, "toy", torch.device("cpu"))
    rows = toy.query(
        "select embedding.*, uri, path, p0_1, p99_9 from embedding"
        " join field using (plate, well, field) join plate on plate_id = plate"
        " join image using (plate, well, field, channel_index)"
        " order by md5(plate || well || field || channel_index) limit 6"
    )
    assert rows.height == 6
    for row in rows.iter_rows(named=True):
        plane = pixels.read_plane(toy.resolve(row["uri"]) / row["path"], row["channel_index"])
        values = (plane.astype(np.float64) - row["p0_1"]) / (row["p99_9"] - row["p0_1"])
        crops = crops_of(np.clip(values, 0, 1).astype(np.float32)[None], 32, 32)
        assert row["num_crops"] == len(crops) == 9
        with torch.inference_mode():
            want = encoder(torch.from_numpy(crops)).mean(dim=0)
        np.testing.assert_allclose(row["embedding"], want, atol=2e-5)


def test_single_crops_are_kept_with_their_places(toy: Lake) -> None:
    embed(toy, "toy", plates=["tiny_b1_p1"], cover=True, keep="crop")
    crops = toy.query("from crop_embedding order by well, field, channel_index, top_px, left_px")
    assert crops.height == 36 * 9
    assert sorted(set(crops["top_px"])) == [0, 32, 64]
    means = crops.group_by("well", "field", "channel").agg(pl.col("embedding"))
    rows = means.join(
        toy.query("select well, field, channel, embedding as mean from embedding"),
        on=["well", "field", "channel"],
    )
    for row in rows.head(5).iter_rows(named=True):
        got = np.mean([list(vector) for vector in row["embedding"]], axis=0)
        np.testing.assert_allclose(got, row["mean"], atol=1e-5)
    encoder = registry.load_encoder(toy, "toy", torch.device("cpu"))
    row = crops.row(4, named=True)
    uri, low, high = toy.query(
        "select plate.uri || '/' || path, p0_1, p99_9 from image join field using"
        " (plate, well, field) join plate on plate_id = plate where plate = $p and well = $w"
        " and field = $f and channel_index = $c",
        {"p": row["plate"], "w": row["well"], "f": row["field"], "c": row["channel_index"]},
    ).row(0)
    plane = pixels.read_plane(toy.resolve(uri), row["channel_index"]).astype(np.float32)
    piece = plane[row["top_px"] : row["top_px"] + 32, row["left_px"] : row["left_px"] + 32]
    scaled = torch.from_numpy(np.clip((piece - low) / (high - low), 0, 1))
    with torch.inference_mode():
        want = encoder(scaled[None, None].float())[0]
    np.testing.assert_allclose(row["embedding"], want, atol=1e-5)


def test_crops_of_an_earlier_table_do_not_outlive_it(toy: Lake) -> None:
    embed(toy, "toy", keep="crop")
    assert toy.query("select count(*) from crop_embedding").item() == 72 * 9
    embed(toy, "toy", plates=["tiny_b1_p1"])
    assert toy.query("select count(*) from crop_embedding").item() == 36 * 9
    assert not (toy.path / "crops" / "toy" / "tiny_b1_p1.parquet").exists()
    assert check(toy) == []


def test_other_options_make_the_table_anew(toy: Lake) -> None:
    embed(toy, "toy")
    assert embed(toy, "toy", short_side_px=64).skipped == ()
    assert toy.query("select distinct num_crops from embedding").item() == 4
    assert embed(toy, "toy", short_side_px=64, precision="bf16").plates == ()
    details = json.loads(toy.query("select details from part limit 1").item())
    assert details == {
        "engine": "torch",
        "precision": "fp32",
        "device": "cpu",
        "cover": False,
        "short_side_px": 64,
    }


def test_shards_part_the_plates(toy: Lake) -> None:
    parts = [embed(toy, "toy", shard=(i, 2)).plates for i in (1, 2)]
    assert parts == [("tiny_b1_p1",), ("tiny_b2_p1",)]


_WORKER = """
import sys
from unidino.lake.lake import Lake
from unidino.embeddings.embed import embed
from pathlib import Path
done = embed(Lake.open(Path(sys.argv[1])), "toy")
print(*done.plates, sep=",")
"""


@pytest.mark.slow
def test_several_workers_embed_each_plate_once(toy: Lake) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, toy.path], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [worker.communicate()[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    plates = [plate for line in said for plate in line.split(",") if plate]
    assert sorted(plates) == ["tiny_b1_p1", "tiny_b2_p1"]
    assert toy.query("select count(*) from embedding").item() == 72


def test_a_plate_that_another_process_embeds_first_is_not_embedded_again(
    toy: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Lake.lock

    def late(lake: Lake, name: str, *, wait: bool = True) -> object:
        if name == "embed-toy-tiny_b1_p1":
            monkeypatch.setattr(Lake, "lock", lock)
            embed(lake, "toy", plates=["tiny_b1_p1"])
        return lock(lake, name, wait=wait)

    monkeypatch.setattr(Lake, "lock", late)
    done = embed(toy, "toy")
    assert (done.plates, done.skipped) == (("tiny_b2_p1",), ("tiny_b1_p1",))
    assert toy.query("select count(distinct run_id) from part").item() == 2


def test_left_over_temporary_files_are_removed(toy: Lake) -> None:
    left_over = toy.path / "embeddings" / "toy" / ".tiny_b1_p1.parquet.1.tmp"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half a table")
    embed(toy, "toy", plates=["tiny_b1_p1"])
    assert [path.name for path in left_over.parent.iterdir()] == ["tiny_b1_p1.parquet"]


def test_every_argument_is_recorded(toy: Lake) -> None:
    done = embed(toy, "toy", plates=["tiny_b1_p1"], cover=True)
    recorded = json.loads(toy.query("select arguments from run where command = 'embed'").item())
    assert set(recorded) == set(inspect.signature(embed).parameters) - {"lake"}
    assert (recorded["plates"], recorded["cover"]) == (["tiny_b1_p1"], True)
    assert done.frame.select("plates", "num_images").row(0) == ("tiny_b1_p1", 36)


def test_every_kind_that_embeds_has_an_embedder(lake: Lake) -> None:
    units = {}
    for kind, traits in KINDS.items():
        if traits.embeds:
            config = ModelConfig(kind=kind, num_dims=8)
            units[kind] = embedder_of(lake, "m", config, How()).unit
    assert units == {
        "vit": "crops",
        "timm": "crops",
        "microsnoop": "crops",
        "codebook": "crops",
        "cellprofiler": "images",
        "gaussian": "images",
        "cell_count": "images",
    }
    registry.register(
        lake, Run("test", {}), "theirs", ModelConfig(kind="imported", num_dims=2), None
    )
    with pytest.raises(ModelError, match="'theirs' was imported"):
        embed(lake, "theirs")


def test_a_plate_that_a_dead_worker_held_is_taken_over(toy: Lake) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom unidino.lake.lake import Lake\n"
        "with Lake.open(Path(sys.argv[1])).lock('embed-toy-tiny_b1_p1'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, toy.path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        free = toy.path / "embeddings" / "toy" / "tiny_b2_p1.parquet"

        def kill_after_the_free_plate() -> None:
            while not free.exists():
                time.sleep(0.01)
            holder.kill()

        threading.Thread(target=kill_after_the_free_plate, daemon=True).start()
        done = embed(toy, "toy")
    assert holder.returncode < 0
    assert done.plates == ("tiny_b2_p1", "tiny_b1_p1")


def test_the_file_has_vectors_of_fixed_size_and_its_checksum(toy: Lake) -> None:
    embed(toy, "toy")
    uri = toy.query("select uri from part limit 1").item()
    assert uri.startswith("embeddings/toy/")
    schema = pq.read_schema(toy.resolve(uri))
    assert str(schema.field("embedding").type) == "fixed_size_list<element: float>[192]" or (
        schema.field("embedding").type.list_size == 192
    )
    assert check(toy) == []
    toy.resolve(uri).write_bytes(b"bitten")
    assert [p.check for p in check(toy)] == ["changed_file"]


def test_one_plate_then_all_then_nothing(toy: Lake) -> None:
    first = embed(toy, "toy", plates=["tiny_b1_p1"])
    assert (first.plates, first.skipped, first.num_images) == (("tiny_b1_p1",), (), 36)
    again = embed(toy, "toy", plates=["tiny_b1_p1"])
    assert (again.plates, again.skipped, again.num_images) == ((), ("tiny_b1_p1",), 0)
    rest = embed(toy, "toy")
    assert (rest.plates, rest.skipped) == (("tiny_b2_p1",), ("tiny_b1_p1",))
    assert toy.query("select count(*) from embedding").item() == 72


def test_a_lost_file_is_embedded_again_to_the_same_bytes(toy: Lake) -> None:
    embed(toy, "toy")
    uri, sha256 = toy.query("select uri, sha256 from part order by uri limit 1").row(0)
    toy.resolve(uri).unlink()
    assert len(embed(toy, "toy").plates) == 1
    assert toy.query("select sha256 from part order by uri limit 1").item() == sha256


def test_where_chooses_plates(toy: Lake) -> None:
    assert embed(toy, "toy", where="batch = '2'").plates == ("tiny_b2_p1",)
    with pytest.raises(InputError, match="selects no plate"):
        embed(toy, "toy", where="batch = '9'")
    with pytest.raises(InputError, match="nonsense"):
        embed(toy, "toy", where="nonsense = 1")


def test_unknown_names_are_listed(toy: Lake) -> None:
    with pytest.raises(UnidinoError, match="unknown plate 'p'; choose one of tiny_b1_p1, tiny_b2"):
        embed(toy, "toy", plates=["p"])
    with pytest.raises(UnidinoError, match="unknown model 'dino'; choose one of toy"):
        embed(toy, "dino")


@pytest.mark.anywhere(remote="slow")
def test_gaussian_profiles_are_standard_normal_and_the_same_for_the_fields_of_a_well(
    lake: Lake,
) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    rows = lake.query("select plate, well, channel, embedding from embedding")
    vectors = rows.group_by("plate", "well", "channel").agg("embedding")["embedding"]
    values = np.array([list(pair[0]) for pair in vectors])
    for pair in vectors:
        assert list(pair[0]) == list(pair[1])
    assert len(values) == 36
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.05)


def test_blank_planes_are_left_out_and_counted(toy: Lake) -> None:
    toy.execute("update image set qc = 'blank' where well = 'B02' and channel = 'DNA'")
    assert embed(toy, "toy").left_out == {"blank": 4}
    assert toy.query("select count(*) from embedding").item() == 68


def test_a_missing_plane_is_named_and_nothing_lands(toy: Lake) -> None:
    import shutil

    shutil.rmtree(toy.path / "plates" / "tiny_b1_p1.zarr" / "B" / "03")
    with pytest.raises(LakeError, match="tiny_b1_p1"):
        embed(toy, "toy", plates=["tiny_b1_p1"])
    assert toy.query("select count(*) from part").item() == 0
    assert not list((toy.path / "embeddings").rglob("*.parquet"))


@pytest.mark.anywhere
def test_vectors_of_images_that_were_replaced_meanwhile_do_not_land(
    lake: Lake, tiny_export: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    baselines.create_model(lake, "gaussian", "noise")
    encode, encoded = GaussianEmbedder.encode, []

    def slowly(self, images, advance):
        if not encoded:
            ingest_tiny(lake, tiny_export, overwrite=True, dataset="again")
        encoded.append(len(images))
        return encode(self, images, advance)

    monkeypatch.setattr(GaussianEmbedder, "encode", slowly)
    done = embed(lake, "noise", plates=["tiny_b1_p1"])
    assert done.plates == ("tiny_b1_p1",)
    assert len(encoded) == 2
    assert "was replaced while it was embedded" in caplog.text
    assert embed(lake, "noise", plates=["tiny_b1_p1"]).skipped == ("tiny_b1_p1",)
    assert not check(lake)
