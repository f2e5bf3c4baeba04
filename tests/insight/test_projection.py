"""Points keep what is near near, are the same every time, and are kept with what they were of."""

import shutil

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.core.files import file_sha256
from unidino.embeddings.embed import embed
from unidino.insight import projection as module
from unidino.insight.projection import METHODS, project, projection
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.profiles.profile import profile


def _clusters(num: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of three directions, of lengths that say nothing."""
    rng = np.random.default_rng(0)
    label = np.arange(num) % 3
    vectors = np.eye(8)[label] + 0.05 * rng.normal(size=(num, 8))
    return (vectors * rng.uniform(0.1, 10, (num, 1))).astype(np.float32), label


@pytest.mark.parametrize("method", ["umap", "densmap"])
def test_neighbours_of_a_direction_stay_neighbours(method: str) -> None:
    vectors, label = _clusters(60)
    points = project(vectors, method, seed=1)
    for i, point in enumerate(points):
        distance = [np.inf if j == i else np.hypot(*(point - p)) for j, p in enumerate(points)]
        assert label[int(np.argmin(distance))] == label[i]
    np.testing.assert_array_equal(points, project(vectors, method, seed=1))
    # Only directions count: lengths by powers of two change no digit of them.
    longer = vectors * (2.0 ** label[:, None]).astype(np.float32)
    np.testing.assert_array_equal(points, project(longer, method, seed=1))


def test_pca_is_the_two_axes_of_greatest_spread() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    points = project(vectors, "pca")
    centred = vectors - vectors.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(left[:, :2] * spread[:2]), atol=1e-9)


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("method", METHODS)
def test_few_or_equal_vectors_have_points(num: int, method: str) -> None:
    for vectors in (
        np.random.default_rng(0).normal(size=(num, 4)),
        np.ones((num, 4)),
        np.zeros((num, 1)),
    ):
        points = project(vectors, method)
        assert points.shape == (num, 2)
        assert np.isfinite(points).all()
        if np.ptp(vectors) == 0:
            assert not points.any()


def test_many_vectors_are_reduced_and_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 50)
    vectors, label = _clusters(60)
    whole = project(vectors)
    monkeypatch.setattr(module, "_REDUCED_DIMS", 5)
    points = project(vectors)
    assert not np.array_equal(points, whole)
    np.testing.assert_array_equal(points, project(vectors))
    centers = np.array([points[label == k].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(points[:, None] - centers, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, label)


def test_what_cannot_be_projected_is_named() -> None:
    with pytest.raises(UnidinoError, match="unknown method of projection 'tsne'; choose one of"):
        project(np.ones((3, 2)), "tsne")
    with pytest.raises(ProfileError, match="missing or infinite"):
        project(np.array([[1.0, np.nan]]))


@pytest.fixture
def profiled(lake: Lake) -> Lake:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    return lake


def test_points_are_kept_until_the_profiles_change(
    profiled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = projection(profiled, "gaussian", method="pca")
    assert first.dataset == "tiny"
    assert first.channels == ("DNA", "Actin", "Tubulin")
    assert first.points.height == 12
    wells = profiled.query("select profile_id, plate, well, compound, moa from profile")
    joined = first.points.join(wells, on=wells.columns, nulls_equal=True)
    assert joined.height == 12
    assert first.points.select("x", "y").null_count().sum_horizontal().item() == 0

    def refuse(*_: object) -> None:
        raise AssertionError("projected again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_project", refuse)
        (again,) = projection(profiled, "gaussian", method="pca")
        assert again.points.equals(first.points)
        with pytest.raises(AssertionError, match="projected again"):
            projection(profiled, "gaussian", method="pca", seed=1)
    assert check(profiled) == []
    profiled.execute("update part set sha256 = 'of other profiles' where kind = 'profile'")
    monkeypatch.setattr(module, "_project", refuse)
    with pytest.raises(AssertionError, match="projected again"):
        projection(profiled, "gaussian", method="pca")


def test_a_condition_chooses_and_has_a_file_of_its_own(profiled: Lake) -> None:
    (every,) = projection(profiled, "gaussian", method="pca")
    (some,) = projection(profiled, "gaussian", method="pca", where="control_type = 'trt'")
    assert (every.points.height, some.points.height) == (12, 8)
    assert set(some.points["control_type"]) == {"trt"}
    with pytest.raises(ProfileError, match="no profile is left to project where moa = 'none'"):
        projection(profiled, "gaussian", method="pca", where="moa = 'none'")
    with pytest.raises(UnidinoError, match="unknown dataset 'other'; choose one of tiny"):
        projection(profiled, "gaussian", dataset="other")


def test_the_method_that_was_used_is_said(profiled: Lake, caplog: pytest.LogCaptureFixture) -> None:
    (few,) = projection(profiled, "gaussian", where="profile_id < 3")
    assert few.method == "pca"
    assert "umap needs 5 profiles that differ, there are 3: pca instead" in caplog.text


def test_profiles_of_other_channels_are_projected_apart(profiled: Lake) -> None:
    uri = profiled.query("select uri from part where kind = 'profile'").item()
    path = profiled.resolve(uri)
    rows = pq.read_table(path)
    table = rows.to_pylist()
    for row in table[:4]:
        row["channels"], row["embedding"] = ["DNA"], row["embedding"][:384]
    table[11]["embedding"][0] = float("nan")
    pq.write_table(pa.Table.from_pylist(table, rows.schema), path)
    profiled.execute(f"update part set sha256 = '{file_sha256(path)}' where uri = '{uri}'")
    both = projection(profiled, "gaussian", method="pca")
    assert [(p.channels, p.points.height) for p in both] == [
        (("DNA",), 4),
        (("DNA", "Actin", "Tubulin"), 7),
    ]
    dropped = profiled.query("select dropped from part where kind = 'projection'").item()
    assert dropped == '{"nan_feature": 1}'
    points = pl.concat([p.points for p in both])
    assert points["profile_id"].sort().to_list() == list(range(11))


def test_a_lake_elsewhere_keeps_its_points(profiled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = projection(profiled, "gaussian", method="pca")
    there = profiled.path.with_name("moved")
    shutil.move(profiled.path, there)
    monkeypatch.setattr(module, "_project", None)
    (again,) = projection(Lake.open(there), "gaussian", method="pca")
    assert again.points.equals(first.points)
