"""Points keep near what is near, and are the same every time."""

import numpy as np
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.insight import points as module
from unidino.insight.points import METHODS, points_of


def _clusters(num: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of three directions, of lengths that say nothing."""
    rng = np.random.default_rng(0)
    label = np.arange(num) % 3
    vectors = np.eye(8)[label] + 0.05 * rng.normal(size=(num, 8))
    return (vectors * rng.uniform(0.1, 10, (num, 1))).astype(np.float32), label


@pytest.mark.parametrize("method", ["umap", "densmap"])
def test_neighbours_of_a_direction_stay_neighbours(method: str) -> None:
    vectors, label = _clusters(60)
    points = points_of(vectors, method, seed=1)
    for i, point in enumerate(points):
        distance = [np.inf if j == i else np.hypot(*(point - p)) for j, p in enumerate(points)]
        assert label[int(np.argmin(distance))] == label[i]
    np.testing.assert_array_equal(points, points_of(vectors, method, seed=1))
    # Only directions count: lengths by powers of two change no digit of them.
    longer = vectors * (2.0 ** label[:, None]).astype(np.float32)
    np.testing.assert_array_equal(points, points_of(longer, method, seed=1))


def test_pca_is_the_two_axes_of_greatest_spread() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    points = points_of(vectors, "pca")
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
        points = points_of(vectors, method)
        assert points.shape == (num, 2)
        assert np.isfinite(points).all()
        if np.ptp(vectors) == 0:
            assert not points.any()


def test_many_vectors_are_reduced_and_still_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_EXACT", 50)
    vectors, label = _clusters(60)
    whole = points_of(vectors)
    monkeypatch.setattr(module, "_REDUCED_DIMS", 5)
    points = points_of(vectors)
    assert not np.array_equal(points, whole)
    np.testing.assert_array_equal(points, points_of(vectors))
    centres = np.array([points[label == k].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, label)


def test_what_cannot_be_projected_is_named() -> None:
    with pytest.raises(UnidinoError, match="unknown method of projection 'tsne'; choose one of"):
        points_of(np.ones((3, 2)), "tsne")
    with pytest.raises(ProfileError, match="missing or infinite"):
        points_of(np.array([[1.0, np.nan]]))
