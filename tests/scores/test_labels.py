"""Mean average precision is copairs', replicate correlation is that of every pair written out."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unidino.core.errors import ProfileError, UnidinoError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.labels import score_labels
from unidino.scores.precision import mean_average_precision, null_precisions
from unidino.scores.question import Question
from unidino.scores.ranking import rank
from unidino.scores.replicates import replicate_correlation


def _screen(seed: int, signal: float = 1.5) -> tuple[pa.Table, np.ndarray]:
    """6 compounds in 3 batches, 2 profiles of each compound and batch; half of them alike."""
    rng = np.random.default_rng(seed)
    rows, vectors = [], []
    for c in range(6):
        phenotype = rng.normal(size=8) * (signal if c < 3 else 0)
        for batch in "123":
            for _ in range(2):
                rows.append(
                    {
                        "profile_id": len(rows),
                        "compound": f"c{c}",
                        "moa": f"m{c // 2}",
                        "batch": batch,
                        "control_type": "trt",
                    }
                )
                vectors.append(phenotype + rng.normal(size=8))
    return pa.Table.from_pylist(rows), np.array(vectors)


@pytest.mark.parametrize(
    ("metric", "label", "differ"),
    [
        ("nsb", "compound", ["batch"]),
        ("nscb", "moa", ["compound", "batch"]),
    ],
)
def test_mean_average_precision_equals_copairs(metric: str, label: str, differ: list[str]) -> None:
    from copairs.map import average_precision
    from copairs.map import mean_average_precision as theirs

    table, vectors = _screen(0)
    own = candidates(table, vectors, Question(metric, label=label))
    got = mean_average_precision(rank(vectors, own), own, seed=1)
    frame = table.to_pandas()
    precisions = average_precision(
        frame, vectors, [label], differ, [], [label, *differ], progress_bar=False
    )
    np.testing.assert_allclose(
        rank(vectors, own).precision, precisions["average_precision"], rtol=1e-6
    )
    want = theirs(precisions, [label], 10_000, 0.05, seed=0, progress_bar=False)
    want = want.sort_values(label)
    np.testing.assert_allclose(
        got["mean_average_precision"], want["mean_average_precision"], rtol=1e-6
    )
    # Random rankings differ, by three standard errors of a share of 10,000 at most.
    np.testing.assert_allclose(got["p_value"], want["p_value"], atol=0.022)
    assert got["is_significant"].to_list() == want["below_corrected_p"].to_list()


def _precision_by_hand(vectors: np.ndarray, own: Candidates, query: int, keys: np.ndarray) -> float:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = [j for j in range(len(unit)) if j != query and keys[j] != keys[query]]
    ranked = sorted(
        others, key=lambda j: (-(unit[j] @ unit[query]), own.labels[j] != own.labels[query])
    )
    hits = [r for r, j in enumerate(ranked, 1) if own.labels[j] == own.labels[query]]
    return float(np.mean([(i + 1) / r for i, r in enumerate(hits)])) if hits else np.nan


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(5, 30))
def test_average_precision_equals_a_naive_loop(seed: int, num: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num, 3))
    keys, labels = rng.integers(0, 3, num), rng.integers(0, 3, num)
    own = Candidates(
        np.arange(num),
        np.arange(num),
        labels.astype(str),
        labels,
        labels.astype(str),
        [keys[None, :].astype(np.int32)],
        np.ones(num, bool),
        {},
    )
    got = rank(vectors, own)
    want = [_precision_by_hand(vectors, own, i, keys) for i in range(num)]
    np.testing.assert_allclose(got.precision, want, rtol=1e-9)


@pytest.mark.parametrize(
    ("num_same", "num_eligible"), [(1, 4), (3, 6), (2, 40), (5, 1000), (160, 1000)]
)
def test_random_rankings_have_the_precision_of_chance(num_same: int, num_eligible: int) -> None:
    got = null_precisions(num_same, num_eligible, 20_000, 0)
    rng = np.random.default_rng(1)
    want = []
    for _ in range(4000):
        places = np.sort(rng.choice(num_eligible, num_same, replace=False)) + 1
        want.append(np.mean(np.arange(1, num_same + 1) / places))
    assert got.mean() == pytest.approx(np.mean(want), abs=4 * np.std(want) / np.sqrt(4000))
    assert np.quantile(got, 0.9) == pytest.approx(np.quantile(want, 0.9), rel=0.15)


def test_replicate_correlation_is_the_median_of_every_pair() -> None:
    table, vectors = _screen(2, signal=3)
    own = candidates(table, vectors, Question("nsb"))
    got, share = replicate_correlation(vectors, own)
    frame = table.to_pandas()
    for row in got.to_dicts():
        members = np.flatnonzero(frame["compound"] == row["class"])
        pairs = [
            np.corrcoef(vectors[a], vectors[b])[0, 1]
            for a, b in combinations(members, 2)
            if frame["batch"][a] != frame["batch"][b]
        ]
        assert row["correlation"] == pytest.approx(np.median(pairs))
        assert row["num_profiles"] == 6
    assert share == got["is_replicating"].mean()
    assert got["is_replicating"].to_list()[:3] == [True] * 3
    noise, by_chance = replicate_correlation(np.random.default_rng(0).normal(size=(36, 50)), own)
    assert by_chance <= 0.5
    assert abs(noise["threshold"]).max() < 0.5


def test_label_scores_land_in_the_lake(lake: Lake) -> None:
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    (got,) = score_labels(lake, "map", ["nsb"])
    assert (got.num_classes, got.n) == (4, 8)
    (again,) = score_labels(lake, "replicates", ["nsb"])
    rows = lake.query(
        "select measure, class, mean_average_precision, correlation from label_score order by all"
    )
    assert rows.height == 8
    assert rows["mean_average_precision"].drop_nulls().mean() == pytest.approx(got.value)
    assert rows["correlation"].drop_nulls().mean() == pytest.approx(again.value)
    with pytest.raises(UnidinoError, match="unknown measure 'auc'; choose one of map, replicates"):
        score_labels(lake, "auc", ["nsb"])


def test_labels_without_pairs_are_named() -> None:
    table = pa.table(
        {
            "profile_id": [0, 1],
            "compound": ["a", "b"],
            "batch": ["1", "2"],
            "control_type": ["trt", "trt"],
        }
    )
    own = candidates(table, np.eye(2), Question("nsb", label_filter="none"))
    with pytest.raises(ProfileError, match="no profile has an eligible neighbour"):
        mean_average_precision(rank(np.eye(2), own), own)
    with pytest.raises(ProfileError, match="no label has two profiles"):
        replicate_correlation(np.eye(2), own)
