"""Drift of negative controls over plates, on controls with and without one."""

import numpy as np
import pytest

from unidino.scores.drift import control_drift


def _controls(
    drift: float, num_plates: int = 12, num: int = 6, num_dims: int = 60, seed: int = 0
) -> tuple[np.ndarray, list[str], list[str | None]]:
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(num_plates), num)
    vectors = rng.normal(size=(len(number), num_dims))
    vectors += drift * number[:, None] * rng.normal(size=num_dims)
    return vectors, [f"plate{n + 1}" for n in number], [None] * len(number)


def test_without_drift_plates_differ_by_chance() -> None:
    found = [control_drift(*_controls(0, seed=seed)) for seed in range(20)]
    assert all(f is not None for f in found)
    shifts = [p.shift for f in found if f for p in f.plates]
    assert np.mean(shifts) == pytest.approx(1, abs=0.05)
    assert sum(f.p_value < 0.05 for f in found if f) <= 3


def test_a_drift_is_a_trend_in_the_order_of_plates() -> None:
    found = control_drift(*_controls(0.2))
    assert found is not None
    assert [p.plate for p in found.plates] == [f"plate{i}" for i in range(1, 13)]
    assert found.trend > 0.9
    assert found.p_value == pytest.approx(0.001)
    assert found.plates[0].shift > found.plates[5].shift > 0.7
    assert found.plates[11].num_controls == 6


def test_one_odd_plate_stands_out_and_is_no_trend() -> None:
    vectors, plates, batches = _controls(0)
    vectors[np.array(plates) == "plate5"] += 2
    found = control_drift(vectors, plates, batches)
    assert found is not None
    worst = max(found.plates, key=lambda p: p.shift)
    assert (worst.plate, worst.number) == ("plate5", 5)
    assert worst.shift > 4
    assert found.p_value > 0.05


def test_few_orders_are_counted_and_few_plates_say_nothing() -> None:
    found = control_drift(*_controls(0.5, num_plates=4))
    assert found is not None
    # Of 24 orders, the given one and its reverse have the largest trend.
    assert found.p_value == pytest.approx(2 / 24)
    assert control_drift(*_controls(0.5, num_plates=2)) is None
    assert control_drift(*_controls(0.5, num_plates=5, num=1)) is None


def test_controls_that_a_normalization_sets_to_zero_have_no_trend() -> None:
    vectors, plates, batches = _controls(0.2)
    for plate in set(plates):
        of_plate = np.array(plates) == plate
        vectors[of_plate] -= vectors[of_plate].mean(axis=0)
    found = control_drift(vectors, plates, batches)
    assert found is not None
    assert (found.trend, found.p_value) == (0, 1)
    assert max(p.shift for p in found.plates) < 1e-9


def test_a_feature_that_explodes_on_one_plate_does_not_hide_the_others() -> None:
    vectors, plates, batches = _controls(0.2)
    vectors[np.array(plates) == "plate3", 0] *= 1e9
    found = control_drift(vectors, plates, batches)
    assert found is not None
    assert found.trend > 0.9
