"""How fast mean average precision is, against nearest neighbours of the same profiles, in pairs.

Run with `python -m pytest -m benchmark tests/benchmarks/test_precision_speed.py -s`. Both run one
after the other in the same process, so that other work meets both; processor time counts all
threads.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from unidino.scores.candidates import Candidates
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest
from unidino.scores.precision import mean_average_precision
from unidino.scores.ranking import rank

pytestmark = pytest.mark.benchmark
_ROUNDS = 5


def _screen(num: int, num_features: int) -> tuple[np.ndarray, Candidates]:
    """Random profiles of 300 compounds of 40 mechanisms in 16 batches, under the rule nscb."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((num, num_features), dtype=np.float32)
    compound, batch = rng.integers(0, 300, num), rng.integers(0, 16, num)
    moa, ids = compound % 40 + 1, np.arange(num)
    rows = [
        pl.DataFrame({"profile_id": ids, "reason": reason, "key": key.astype(str)})
        for reason, key in (("compound", compound), ("batch", batch))
    ]
    keys = encode_keys(pl.concat(rows), ids)
    names = moa.astype(str)
    return vectors, Candidates(ids, ids, names, moa, names, keys, np.ones(num, bool), {})


def _seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of all processors."""
    start, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - used


def test_mean_average_precision_against_nearest_neighbours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vectors, found = _screen(10_000, 1920)
    pairs = [
        (
            _seconds(lambda: nearest(vectors, found.keys, found.labels)),
            _seconds(lambda: mean_average_precision(rank(vectors, found), found)),
        )
        for _ in range(_ROUNDS)
    ]
    with capsys.disabled():
        for i, kind in enumerate(("clock", "processors")):
            ratios = [precision[i] / neighbours[i] for neighbours, precision in pairs]
            print(
                f"\n10000 x 1920, {kind}: neighbours"
                f" {statistics.median(n[i] for n, _ in pairs):.1f} s, mean average precision with"
                f" p-values {statistics.median(p[i] for _, p in pairs):.1f} s,"
                f" {statistics.median(ratios):.2f} times ({min(ratios):.2f}-{max(ratios):.2f})"
            )
