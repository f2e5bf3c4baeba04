"""Embedding is what the model says of each plane, whole plates at a time, once."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unidino import model, store
from unidino.catalog import Lake
from unidino.embed import crops_of, embed
from unidino.errors import InputError, LakeError, UnidinoError
from unidino.model import ModelConfig


@pytest.fixture
def toy(lake: Lake) -> Lake:
    """The tiny lake with a small random model called toy."""
    config = ModelConfig(
        kind="vit", architecture="vit_tiny_patch16_224", architecture_options={"depth": 1},
        num_dims=192, crop_size_px=32, stride_px=32,
    )  # fmt: skip
    from unidino.catalog import Run

    model.register(lake, Run("test", {}), "toy", config, model.new_encoder(config))
    return lake


@given(st.integers(1, 90), st.integers(1, 90), st.integers(4, 32), st.integers(3, 40))
def test_crops_cover_the_grid_of_any_plane(height: int, width: int, size: int, stride: int) -> None:
    plane = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    crops = crops_of(np.stack([plane, plane + 1]), size, stride)
    whole = np.pad(plane, [(0, max(0, size - height)), (0, max(0, size - width))], mode="symmetric")
    expected = [
        whole[top : top + size, left : left + size]
        for top in range(0, whole.shape[0] - size + 1, stride)
        for left in range(0, whole.shape[1] - size + 1, stride)
    ]
    np.testing.assert_array_equal(crops[:, 0], expected)
    np.testing.assert_array_equal(crops[:, 1], np.array(expected) + 1)


def test_an_embedding_is_the_mean_over_its_crops(toy: Lake) -> None:
    embed(toy, "toy", batch_size=7)
    encoder = model.load_encoder(toy, "toy", torch.device("cpu"))
    rows = toy.query(
        "select embedding.*, uri, path, p0_1, p99_9 from embedding"
        " join field using (plate, well, field) join plate on plate_id = plate"
        " join image using (plate, well, field, channel_index)"
        " order by md5(plate || well || field || channel_index) limit 6"
    )
    assert rows.height == 6
    for row in rows.iter_rows(named=True):
        plane = store.read_plane(toy.resolve(row["uri"]) / row["path"], row["channel_index"])
        values = (plane.astype(np.float64) - row["p0_1"]) / (row["p99_9"] - row["p0_1"])
        crops = crops_of(np.clip(values, 0, 1).astype(np.float32)[None], 32, 32)
        assert row["num_crops"] == len(crops) == 9
        with torch.inference_mode():
            want = encoder(torch.from_numpy(crops)).mean(dim=0)
        np.testing.assert_allclose(row["embedding"], want, atol=2e-5)


def test_the_file_has_vectors_of_fixed_size_and_its_checksum(toy: Lake) -> None:
    from unidino.check import check

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
    with pytest.raises(InputError, match="no plate fits"):
        embed(toy, "toy", where="batch = '9'")
    with pytest.raises(InputError, match="nonsense"):
        embed(toy, "toy", where="nonsense = 1")


def test_unknown_names_are_listed(toy: Lake) -> None:
    with pytest.raises(UnidinoError, match="unknown plate 'p'; choose one of tiny_b1_p1, tiny_b2"):
        embed(toy, "toy", plates=["p"])
    with pytest.raises(UnidinoError, match="unknown model 'dino'; choose one of toy"):
        embed(toy, "dino")


def test_gaussian_profiles_are_standard_normal_and_the_same_for_the_fields_of_a_well(
    lake: Lake,
) -> None:
    model.create(lake, "gaussian")
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
    assert embed(toy, "toy").num_left_out == 4
    assert toy.query("select count(*) from embedding").item() == 68


def test_a_missing_plane_is_named_and_nothing_lands(toy: Lake) -> None:
    import shutil

    shutil.rmtree(toy.path / "plates" / "tiny_b1_p1.zarr" / "B" / "03")
    with pytest.raises(LakeError, match="tiny_b1_p1"):
        embed(toy, "toy", plates=["tiny_b1_p1"])
    assert toy.query("select count(*) from part").item() == 0
    assert not list((toy.path / "embeddings").rglob("*.parquet"))
