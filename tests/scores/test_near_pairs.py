"""What is dropped of the pairs that were found cannot change the choice among them."""

from unittest.mock import patch

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from unidino.scores import near_pairs
from unidino.scores.keys import encode_keys
from unidino.scores.near_pairs import NearPairs, joined
from unidino.scores.neighbours import nearest

# Equal values, values that are equal up to rounding, and values a little beyond that.
_VALUES = [0.5 + step * 0.4e-12 for step in range(6)] + [0.5, 0.5, -0.25, 0.75]


def _naive(pairs: list[tuple[int, int, float]], num: int, k: int) -> list[list[int]]:
    """The k nearest of each row, one after another: the lowest column among those within 1e-12."""
    chosen = []
    for row in range(num):
        left = {column: value for r, column, value in pairs if r == row}
        won = []
        while left and len(won) < k:
            top = max(left.values())
            won.append(min(c for c, value in left.items() if value >= top - 1e-12))
            del left[won[-1]]
        chosen.append(won + [-1] * (k - len(won)))
    return chosen


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 15)), st.sampled_from(_VALUES), max_size=40
    ),
    st.integers(1, 4),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_pairs_of_any_parts_give_the_choice_among_all(found, k: int, num_parts: int, order) -> None:
    pairs = [(row, column, value) for (row, column), value in found.items()]
    order.shuffle(pairs)
    kept = joined([])
    for part in range(num_parts):
        own = pairs[part::num_parts]
        rows, columns, values = (np.array(x) for x in zip(*own, strict=True)) if own else ((),) * 3
        more = NearPairs(
            np.array(rows, np.int64), np.array(columns, np.int64), np.array(values, np.float64)
        )
        kept = joined([kept, more.few(k)]).few(k)
    index, similarity = kept.nearest(4, k)
    assert index.tolist() == _naive(pairs, 4, k)
    for row, column in np.argwhere(index >= 0):
        assert similarity[row, column] == found[row, index[row, column]]
    assert np.isnan(similarity[index < 0]).all()
    is_tied = pl.DataFrame({"row": kept.rows, "cosine": kept.cosines}).group_by("row", "cosine")
    assert is_tied.len()["len"].max() in (None, *range(1, k + 1))


def test_neighbours_do_not_depend_on_how_many_pairs_are_kept() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(-1, 2, (600, 5)).astype(np.float32)
    vectors[:, 0] = 1
    batch = pl.DataFrame(
        {"profile_id": np.arange(600), "reason": "batch", "key": rng.integers(0, 3, 600)}
    )
    keys = encode_keys(batch.with_columns(pl.col("key").cast(pl.String)), np.arange(600))
    want = nearest(vectors, keys, np.zeros(600, int), k=3)
    with patch.object(near_pairs, "_FEW_PAIRS", 1):
        got = nearest(vectors, keys, np.zeros(600, int), k=3)
    for name, values in vars(want).items():
        np.testing.assert_array_equal(vars(got)[name], values)
