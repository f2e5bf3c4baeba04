"""Crops cover what they should, are pieces of their plane, and show cells if asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.embeddings.crops import corners, crops_of, otsu, padded, random_crops, resized


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


@given(st.integers(1, 90), st.integers(1, 90), st.integers(4, 32), st.integers(3, 40))
def test_crops_with_cover_reach_the_far_edges(
    height: int, width: int, size: int, stride: int
) -> None:
    seen = np.zeros((max(height, size), max(width, size)), bool)
    places = corners((1, height, width), size, stride, cover=True)
    for top, left in places:
        seen[top : top + size, left : left + size] = True
        assert top + size <= seen.shape[0]
        assert left + size <= seen.shape[1]
    assert len(np.unique(places, axis=0)) == len(places)
    assert seen[-1, -1]
    if stride <= size:
        assert seen.all()
    plane = np.arange(height * width, dtype=np.uint16).reshape(1, height, width)
    assert len(crops_of(plane, size, stride, cover=True)) == len(places)


@pytest.mark.parametrize("shape", [(70, 40), (40, 70), (33, 33), (20, 90)])
def test_fields_of_any_shape_lose_no_crop_and_with_cover_no_pixel(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 4096, (1, *shape), np.uint16)
    whole = [max(side, 32) for side in shape]
    assert len(crops_of(planes, 32, 32)) == (whole[0] // 32) * (whole[1] // 32)
    covered = crops_of(planes, 32, 32, cover=True)
    assert len(covered) == -(-whole[0] // 32) * -(-whole[1] // 32)
    assert set(np.unique(planes)) == set(np.unique(covered))


def test_a_resized_field_keeps_its_shape_and_its_mean() -> None:
    rows = np.linspace(0, 1000, 300)
    planes = (rows[:, None] + np.zeros((1, 300, 200))).astype(np.uint16)
    smaller = resized(planes, 100)
    assert smaller.shape == (1, 150, 100)
    assert smaller.mean() == pytest.approx(planes.mean(), rel=1e-3)
    np.testing.assert_allclose(smaller[0, :, 0], np.linspace(0, 1000, 150), atol=5)


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
