"""Activity is copairs' phenotypic activity; small p-values are counts of all rankings."""

import json
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unidino as ud
from unidino.core.errors import InputError, ProfileError
from unidino.profiles.treatments import with_treatment
from unidino.scores.accuracy import score_profiles
from unidino.scores.activity import active_labels
from unidino.scores.labels import label_classes
from unidino.scores.precision import (
    all_precisions,
    expected_precision,
    null_precisions,
)
from unidino.scores.question import Question

ANY = Question("any", label="treatment")


def _screen(
    seed: int, *, controls: int = 12, replicates: int = 4
) -> tuple[pl.DataFrame, np.ndarray]:
    """Compounds at two concentrations on two plates, half with a phenotype, and controls."""
    rng = np.random.default_rng(seed)
    rows, vectors = [], []
    for c in range(6):
        phenotype = rng.normal(size=10) * (2 if c % 2 else 0)
        for um in (1.0, 10.0):
            for i in range(replicates):
                rows.append((f"c{c}", um, "trt", f"p{i % 2}"))
                vectors.append(phenotype * um / 10 + rng.normal(size=10))
    for i in range(controls):
        rows.append(("DMSO", None, "negcon", f"p{i % 2}"))
        vectors.append(rng.normal(size=10))
    columns = ["compound", "concentration_um", "control_type", "plate"]
    return pl.DataFrame(rows, columns, orient="row"), np.array(vectors)


def _copairs(frame: pl.DataFrame, vectors: np.ndarray, of: str, controls_of: list[str]) -> object:
    """Average precisions as copairs' own example of phenotypic activity computes them."""
    from copairs.map import average_precision
    from copairs.matching import assign_reference_index

    table = frame.with_columns(
        treatment=pl.col("compound") + pl.col("concentration_um").cast(pl.String).fill_null("")
    ).to_pandas()
    table = assign_reference_index(
        table, "control_type == 'negcon'", reference_col="index_", default_value=-1
    )
    found = average_precision(
        table,
        vectors,
        [of, "index_"],
        [],
        controls_of,
        [of, "index_"],
        progress_bar=False,
    )
    return found.query("control_type != 'negcon'")


@pytest.mark.parametrize("of", ["treatment", "compound"])
@pytest.mark.parametrize("controls_of", ["dataset", "plate"])
def test_activity_equals_copairs(of: str, controls_of: str) -> None:
    from copairs.map import mean_average_precision

    frame, vectors = _screen(0)
    same = [] if controls_of == "dataset" else [controls_of]
    theirs = _copairs(frame, vectors, of, same)
    want = mean_average_precision(theirs, [of], 20_000, 0.05, seed=0, progress_bar=False)
    want = want.sort_values(of)
    question = Question("any", label=of)
    _, got = active_labels(frame, vectors, question, controls_of=controls_of)
    assert len(got) == len(want) == (12 if of == "treatment" else 6)
    np.testing.assert_allclose(
        got["mean_average_precision"], want["mean_average_precision"], rtol=0, atol=1e-6
    )
    # copairs draws 20,000 rankings and counts those that do better; here those that do as well
    # count too, so the p-value is no smaller, and equal where no ranking does exactly as well.
    assert (got["p_value"].to_numpy() > want["p_value"].to_numpy() - 0.01).all()
    if controls_of == "dataset" and of == "treatment":
        nulls = all_precisions(3, 15)
        for row, p in zip(got.to_dicts(), want["p_value"], strict=True):
            better = (nulls > row["mean_average_precision"] + 1e-9).mean()
            assert p == pytest.approx(better, abs=4 * np.sqrt(0.25 / 20_000) + 1e-4)
            as_well = (nulls > row["mean_average_precision"] - 1e-9).mean()
            assert row["p_value"] == pytest.approx(as_well, abs=1e-12)


def _by_hand(frame: pl.DataFrame, vectors: np.ndarray) -> dict[str, float]:
    """Mean average precision of every treatment by loops over ranked names."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [
        None if kind == "negcon" else f"{c} {um:g} uM"
        for c, um, kind in frame.select("compound", "concentration_um", "control_type").rows()
    ]
    precisions: dict[str, list[float]] = {}
    for q, name in enumerate(names):
        if name is None:
            continue
        others = [i for i in range(len(names)) if i != q and names[i] in (name, None)]
        ranked = sorted(
            others, key=lambda i: (-np.round(unit[i] @ unit[q], 9), names[i] is not None)
        )
        places = [r for r, i in enumerate(ranked, 1) if names[i] == name]
        precisions.setdefault(name, []).append(
            float(np.mean([(n + 1) / r for n, r in enumerate(places)]))
        )
    return {name: float(np.mean(values)) for name, values in precisions.items()}


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(2, 4))
def test_activity_equals_a_naive_loop(seed: int, controls: int, replicates: int) -> None:
    frame, vectors = _screen(seed, controls=controls, replicates=replicates)
    vectors = np.round(vectors)  # ties
    vectors[~vectors.any(axis=1)] = 1
    _, got = active_labels(frame, vectors, ANY)
    want = _by_hand(frame, vectors)
    assert dict(got.select("class", "mean_average_precision").rows()) == pytest.approx(want)


@pytest.mark.parametrize(("num_same", "num_eligible"), [(1, 1), (1, 4), (2, 5), (3, 7)])
def test_all_rankings_are_counted(num_same: int, num_eligible: int) -> None:
    """Against every order of the profiles, written out."""
    want = []
    for order in set(permutations([1] * num_same + [0] * (num_eligible - num_same))):
        places = [r for r, hit in enumerate(order, 1) if hit]
        want.append(np.mean([(n + 1) / r for n, r in enumerate(places)]))
    got = all_precisions(num_same, num_eligible)
    np.testing.assert_allclose(np.sort(got), np.sort(want))
    assert expected_precision(num_same, num_eligible) == pytest.approx(np.mean(want))
    assert len(got) == len(list(combinations(range(num_eligible), num_same)))


def test_draws_of_large_shapes_are_like_those_of_the_shape_itself() -> None:
    from unidino.scores.precision import _near, _Nulls

    shape = (203, 9291)
    assert _near(shape) != shape
    borrowed = _Nulls(10_000, 0)._some(shape)
    own = null_precisions(*shape, 10_000, 5)
    for share in (0.5, 0.95, 0.999):
        assert np.quantile(borrowed, share) == pytest.approx(np.quantile(own, share), rel=0.02)


def test_two_replicates_among_two_controls_are_never_called_active() -> None:
    """One of three rankings is perfect, so a perfect one says little."""
    frame = pl.DataFrame(
        {
            "compound": ["a", "a", "DMSO", "DMSO"],
            "concentration_um": [1.0, 1.0, None, None],
            "control_type": ["trt", "trt", "negcon", "negcon"],
        }
    )
    vectors = np.array([[1.0, 0], [1, 0.1], [-1, 1], [-1, -1]])
    _, got = active_labels(frame, vectors, ANY)
    assert got.rows() == [
        ("a 1 uM", 2, 1.0, pytest.approx(1 / 3), True, pytest.approx(1 / 3), False)
    ]


def test_what_cannot_be_asked_is_said_in_one_line() -> None:
    frame, vectors = _screen(1)
    treated = frame["control_type"] == "trt"
    with pytest.raises(ProfileError, match="no negative controls, which activity compares with"):
        active_labels(frame.filter(treated), vectors[treated.to_numpy()], ANY)
    single = frame.with_columns(
        concentration_um=pl.int_range(pl.len()).cast(pl.Float64)  # every well another dose
    )
    with pytest.raises(ProfileError, match="no treatment has two profiles that the rule allows"):
        active_labels(single, vectors, ANY)
    apart = frame.with_columns(plate=pl.when(treated).then(pl.lit("p0")).otherwise(pl.lit("p1")))
    with pytest.raises(ProfileError, match="no profile with replicates has a control of its plate"):
        active_labels(apart, vectors, ANY, controls_of="plate")
    with pytest.raises(ProfileError, match="no profile has a batch"):
        active_labels(frame, vectors, ANY, controls_of="batch")


def test_equal_profiles_are_not_active() -> None:
    frame, vectors = _screen(0)
    _, got = active_labels(frame, np.ones_like(vectors), ANY)
    assert (got["p_value"] == 1).all()


def test_all_inactive_is_an_answer() -> None:
    rng = np.random.default_rng(3)
    frame, vectors = _screen(2)
    _, got = active_labels(frame, rng.normal(size=vectors.shape), ANY)
    assert not got["is_significant"].any()


def test_the_command_scores_treatments_and_compounds(
    profiled: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    import shutil

    shutil.copytree(profiled, tmp_path / "lake")
    status, out, _ = run_cli(
        "score", "--measure", "activity", "--lake", tmp_path / "lake", "--json"
    )
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["label"] for row in rows] == ["treatment", "compound"]
    assert rows[0]["num_classes"] == len(rows[0]["classes"]) == 4
    assert {"class", "num_profiles", "mean_average_precision", "p_value", "q_value"} <= set(
        rows[0]["classes"][0]
    )
    lake = ud.Lake.open(tmp_path / "lake")
    kept = lake.query("from label_score where measure = 'activity'")
    assert kept["class"].str.contains("10 uM").sum() == 4
    assert len(kept) == 8
    status, out, _ = run_cli("score", "--measure", "activity", "--lake", tmp_path / "lake")
    assert "0 of 4" in out
    assert "sim" in out or "tiny" in out
    status, _, err = run_cli(
        "score",
        "--metric",
        "nsc",
        "--controls-of",
        "plate",
        "--measure",
        "map",
        "--lake",
        lake.path,
    )
    assert (status, err) == (
        1,
        "error: --controls-of is an option of --measure activity alone\n",
    )


def test_a_treatment_is_a_label_of_every_score() -> None:
    """Doses are no longer pooled: the high dose of a compound is told from its low one."""
    frame, vectors = _screen(0)
    high = (frame["concentration_um"] == 10).fill_null(False).to_numpy()
    vectors = vectors + 5 * high[:, None]
    got = score_profiles(frame, vectors, ANY)
    names = [f"{c} {um:g} uM" for c, um in frame.select("compound", "concentration_um").rows()[:48]]
    unit = vectors[:48] / np.linalg.norm(vectors[:48], axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(48)
    want = np.mean([names[j] == names[i] for i, j in enumerate(cosine.argmax(axis=1))])
    assert (got.n, got.num_classes) == (48, 12)
    assert got.accuracy == pytest.approx(want)


@pytest.mark.parametrize(
    ("um", "text"), [(0.3, "a 0.3 uM"), (1.0, "a 1 uM"), (1e-05, "a 1e-05 uM"), (None, "a")]
)
def test_a_treatment_is_named_by_its_dose(um: float | None, text: str) -> None:
    table = pa.table({"compound": ["a", None], "concentration_um": pa.array([um, 1.0])})
    assert with_treatment(table)["treatment"].to_pylist() == [text, None]


def _odds_by_hand(vectors: np.ndarray, labels: list[str], percent: float) -> dict[str, float]:
    from scipy.stats import fisher_exact

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    tables: dict[str, list[list[list[int]]]] = {}
    for q in range(len(labels)):
        others = sorted(
            (i for i in range(len(labels)) if i != q), key=lambda i: -(unit[i] @ unit[q])
        )
        top = others[: max(1, int(np.ceil(len(others) * percent / 100)))]
        rest = others[len(top) :]
        counts = [
            [sum(labels[i] == labels[q] for i in part), sum(labels[i] != labels[q] for i in part)]
            for part in (top, rest)
        ]
        tables.setdefault(labels[q], []).append(counts)
    found = {}
    for label, several in tables.items():
        upper = sum(t[0][0] * t[1][1] / np.sum(t) for t in several)
        lower = sum(t[0][1] * t[1][0] / np.sum(t) for t in several)
        p = sorted(fisher_exact(t, alternative="greater").pvalue for t in several)
        middle = -(-len(p) // 2)
        found[label] = (
            upper / lower if lower else np.inf,
            min(1, p[middle - 1] * len(p) / middle),
        )
    return found


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([1.0, 10.0, 30.0]))
def test_enrichment_is_fishers_test_on_every_ranking(seed: int, percent: float) -> None:
    frame, vectors = _screen(seed, controls=0)
    question = Question("any", label="compound")
    _, got = label_classes(frame, vectors, "enrichment", question, top_percent=percent)
    want = _odds_by_hand(vectors, frame["compound"].to_list(), percent)
    for row in got.to_dicts():
        assert (row["odds_ratio"], row["p_value"]) == pytest.approx(want[row["class"]])


def test_a_top_that_cannot_be_is_refused() -> None:
    frame, vectors = _screen(0)
    with pytest.raises(InputError, match="--top-percent is 0; it must be above 0 and at most 50"):
        label_classes(frame, vectors, "enrichment", ANY, top_percent=0)
