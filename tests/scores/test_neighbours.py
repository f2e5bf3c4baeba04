"""The fast neighbours are those of the rule written out in SQL."""

from functools import cache
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unidino.core.errors import ProfileError
from unidino.core.sql import Connection, scratch
from unidino.scores import neighbours
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest

ORACLE = """
with pair as (
    select a.i as query, b.i as reference, a.label = b.label as same_label,
        list_cosine_similarity(a.v, b.v) as similarity
    from profile a join profile b on a.i <> b.i
    where not exists (
        from key ka join key kb on ka.reason = kb.reason and ka.key = kb.key
        where ka.profile_id = a.i and kb.profile_id = b.i
    )
)
select query,
    list(reference order by -round(similarity, 9), reference) as neighbors,
    count(*) as num_eligible,
    count(*) filter (where same_label) as num_same_label
from pair group by query
"""


@st.composite
def _cases(draw: st.DrawFn) -> tuple[np.ndarray, pl.DataFrame, np.ndarray]:
    num = draw(st.integers(1, 24))
    directions = draw(
        st.lists(
            st.lists(st.integers(-3, 3), min_size=3, max_size=3).filter(any),
            min_size=num,
            max_size=num,
        )
    )
    vectors = np.array(directions, dtype=np.float32)
    name = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
    rows = [
        {"profile_id": i, "reason": reason, "key": draw(name)}
        for i in range(num)
        for reason in ("compound", "batch", "target", "target")
    ]
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=num, max_size=num)))
    schema = {"profile_id": pl.Int64, "reason": pl.String, "key": pl.String}
    if draw(st.booleans()):  # one key of a reason at most
        rows = [row for i, row in enumerate(rows) if i % 4 != 3]
    return vectors, pl.DataFrame(rows, schema=schema), labels


@cache
def _scratch() -> Connection:
    """One connection for all examples."""
    return scratch()


@settings(max_examples=150)
@given(
    _cases(),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(1, 4),
    st.sampled_from(["cpu", "cpu:0"]),
)
def test_neighbors_equal_the_sql_oracle(
    case, query_block: int, reference_block: int, k: int, device: str
) -> None:
    # cpu:0 is a device of torch: the code that runs where there is a GPU.
    vectors, keys, labels = case
    num = len(vectors)
    with (
        patch.object(neighbours, "QUERY_BLOCK", query_block),
        patch.object(neighbours, "REFERENCE_BLOCK", reference_block),
    ):
        got = nearest(vectors, encode_keys(keys, np.arange(num)), labels, k=k, device=device)
    con = _scratch()
    profile = pl.DataFrame(
        {"i": np.arange(num), "label": labels, "v": vectors.astype(float).tolist()}
    )
    con.register("profile", profile.to_arrow())
    con.register("key", keys.to_arrow())
    want = {row[0]: row[1:] for row in con.execute(ORACLE).fetchall()}
    for i in range(num):
        sorted_, num_eligible, num_same_label = want.get(i, ([], 0, 0))
        assert got.num_eligible[i] == num_eligible
        assert got.num_same_label[i] == num_same_label
        assert got.index[i].tolist() == (sorted_ + [-1] * k)[:k]


def test_many_profiles_equal_the_full_matrix() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2500, 32)).astype(np.float32)
    batch = rng.integers(0, 5, 2500)
    keys = pl.DataFrame(
        {"profile_id": np.arange(2500), "reason": "batch", "key": batch.astype(str)}
    )
    got = nearest(vectors, encode_keys(keys, np.arange(2500)), batch)
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    similarity = np.where(batch[:, None] == batch, -np.inf, unit @ unit.T)
    np.testing.assert_array_equal(got.index[:, 0], similarity.argmax(axis=1))
    np.testing.assert_allclose(got.similarity[:, 0], similarity.max(axis=1), atol=1e-12)


def test_ties_break_to_the_lower_profile() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 2], [0, 3]], dtype=np.float32)
    got = nearest(vectors, [], np.zeros(4, dtype=int))
    assert got.index.tolist() == [[1], [2], [1], [1]]


def test_a_profile_that_shares_keys_with_all_has_no_neighbor() -> None:
    keys = pl.DataFrame({"profile_id": [0, 1], "reason": "plate", "key": "p"})
    got = nearest(np.eye(2, dtype=np.float32), encode_keys(keys, np.arange(2)), np.arange(2))
    assert got.index.tolist() == [[-1], [-1]]
    assert np.isnan(got.similarity).all()


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(bad: list[float]) -> None:
    vectors = np.array([[1, 0], bad], dtype=np.float32)
    with pytest.raises(ProfileError, match="profile 1 is zero or not finite"):
        nearest(vectors, [], np.zeros(2, dtype=int))
