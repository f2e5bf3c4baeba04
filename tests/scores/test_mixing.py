"""Mixing of batches against LISI as it is defined, on screens with a known shift."""

import math

import numpy as np
import pytest

from unidino.scores.mixing import _inverse_simpson, _neighbours, batch_mixing


def _screen(seed: int, shift: float, num: int = 96) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight compounds in two batches, which differ by a shift in standard deviations of a well."""
    rng = np.random.default_rng(seed)
    label, batch = np.arange(num) % 8, (np.arange(num) // 8) % 2
    phenotype, shifts = rng.normal(size=(8, 40)), rng.normal(size=(2, 40))
    vectors = 0.8 * phenotype[label] + rng.normal(size=(num, 40)) + shift * shifts[batch]
    return vectors, batch, label


def _naive_lisi(vectors: np.ndarray, batch: np.ndarray) -> list[float]:
    """Profile by profile: weights of perplexity 30 by bisection, and 1 / sum of squared shares."""
    found = []
    for i, one in enumerate(vectors):
        distances = []
        for j, other in enumerate(vectors):
            if i != j:
                norms = math.sqrt(float(one @ one) * float(other @ other))
                distances.append((1 - float(one @ other) / norms, j))
        near = sorted(distances)[: min(90, len(vectors) - 1)]
        perplexity = min(30, len(near) / 3)
        low, high = 0.0, 1e9
        for _ in range(200):
            beta = (low + high) / 2
            weights = [math.exp(-beta * (d - near[0][0])) for d, _ in near]
            total = sum(weights)
            entropy = -sum(w / total * math.log(w / total) for w in weights if w > 0)
            low, high = (beta, high) if entropy > math.log(perplexity) else (low, beta)
        shares = dict.fromkeys(batch.tolist(), 0.0)
        for weight, (_, j) in zip(weights, near, strict=True):
            shares[int(batch[j])] += weight / total
        found.append(1 / sum(s**2 for s in shares.values()))
    return found


def test_the_effective_number_of_batches_is_lisi() -> None:
    vectors, batch, _ = _screen(0, 0.4)
    index, weights = _neighbours(vectors)
    got = _inverse_simpson(batch, index, weights, 2)
    np.testing.assert_allclose(got, _naive_lisi(vectors, batch), rtol=1e-4)


def test_mixing_falls_from_one_to_zero_as_batches_part() -> None:
    found = [
        np.mean([batch_mixing(*_screen(seed, shift)).mixing for seed in range(3)])
        for shift in (0.0, 0.5, 1.0, 3.0)
    ]
    assert found[0] == pytest.approx(1, abs=0.05)
    assert found[0] > found[1] > found[2] > found[3]
    assert found[3] < 0.01


def test_it_says_how_far_labels_and_batches_lie_apart() -> None:
    near, far = batch_mixing(*_screen(1, 0)), batch_mixing(*_screen(1, 3))
    assert near.silhouette_label > 0.05 > near.silhouette_batch
    assert far.silhouette_batch > 0.4 > far.silhouette_label
    assert near.interval_95[0] <= near.mixing <= near.interval_95[1]
    assert (near.num_profiles, near.num_batches, near.num_labels) == (96, 2, 8)
    vectors, batch, _ = _screen(1, 0)
    assert batch_mixing(vectors, batch, np.zeros(96)).silhouette_label is None


def test_a_layout_that_gives_batches_other_shares_of_compounds_is_no_effect_of_batches() -> None:
    """Batch 0 has the one compound nine times of ten, batch 1 the other: they are not mixed."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 60)
    batch = np.where(np.arange(120) % 10 == 0, 1 - label, label)
    vectors = rng.normal(size=(120, 20)) + 4 * np.eye(20)[label]
    assert batch_mixing(vectors, batch, label).mixing == pytest.approx(1, abs=0.15)
    # Without the label, the same wells look as if batches parted.
    assert batch_mixing(vectors, batch, np.zeros(120)).mixing < 0.6
