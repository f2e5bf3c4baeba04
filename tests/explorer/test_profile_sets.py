"""Neighbours of one well are those that scores use, and obey the rule."""

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.explorer.cached_lake import CachedLake
from unidino.scores.candidates import candidates
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest, nearest_to
from unidino.scores.question import Question
from unidino.scores.rules import metrics

NAMES = ("gaussian", "mad_robustize", "tiny")


def first_well(cached: CachedLake) -> tuple[str, str]:
    row = cached.wells("tiny").table.row(0, named=True)
    return row["plate"], row["well"]


@pytest.mark.parametrize("seed", range(6))
def test_one_profiles_neighbours_are_those_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (60, 4)).astype(np.float32)  # many ties
    vectors[~vectors.any(axis=1)] = 1
    ids = np.arange(60)
    keys = pl.DataFrame(
        {
            "profile_id": np.concatenate([ids, ids]),
            "reason": ["a"] * 60 + ["b"] * 60,
            "key": [str(v) if v else None for v in rng.integers(0, 9, 120)],
        }
    )
    codes = encode_keys(keys, ids)
    k = int(rng.integers(1, 70))
    found = nearest(vectors, codes, np.zeros(60, np.int64), k=k)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    for i in range(60):
        index, similarity = nearest_to(vectors, norms, codes, i, k=k)
        is_there = found.index[i] >= 0
        assert index.tolist() == found.index[i][is_there].tolist()
        np.testing.assert_allclose(similarity, found.similarity[i][is_there], atol=1e-12)


def test_neighbours_among_some_are_those_of_these_alone() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 5))
    norms = np.linalg.norm(vectors, axis=1)
    some = np.array([1, 3, 4, 8, 20, 21, 39])
    alone = nearest(vectors[some], [], np.zeros(7, np.int64), k=3)
    for nth, position in enumerate(some):
        index, _ = nearest_to(vectors, norms, [], int(position), k=3, among=some)
        assert index.tolist() == some[alone.index[nth]].tolist()


@pytest.mark.parametrize("reading", ["text", "published"])
@pytest.mark.parametrize("rule", [*metrics(), "not same compound,plate", "not same batch"])
def test_neighbours_shown_are_the_scored_ones(cached: CachedLake, rule: str, reading: str) -> None:
    (profiles,) = cached.sets(cached.file(*NAMES))
    question = Question(rule, reading, "moa")

    def naively() -> dict[tuple[str, str], list[tuple[str, str]]]:
        scored = candidates(profiles.metadata, profiles.vectors, question)
        found = nearest(profiles.vectors[scored.positions], scored.keys, scored.labels, k=3)
        names = list(profiles.row)
        return {
            names[scored.positions[i]]: [
                names[scored.positions[j]] for j in found.index[i] if j >= 0
            ]
            for i in range(len(scored.positions))
        }

    try:
        expected = naively()
    except ProfileError as error:
        with pytest.raises(ProfileError, match=str(error).split("(")[0].split("'")[0]):
            profiles.neighbours(*first_well(cached), question, among="scored", k=3)
        return
    assert expected
    for (plate, well), neighbours in expected.items():
        found = profiles.neighbours(plate, well, question, among="scored", k=3)
        assert found.select("plate", "well").rows() == neighbours


def test_all_wells_have_neighbours_that_the_rule_allows(cached: CachedLake) -> None:
    (profiles,) = cached.sets(cached.file(*NAMES))
    wells = cached.wells("tiny")
    question = Question("not same compound,plate", label="moa")
    controls = 0
    for plate, well in profiles.row:
        found = profiles.neighbours(plate, well, question, k=12)
        mine = wells.row(plate, well) or {}
        others = [wells.row(*key) or {} for key in found.select("plate", "well").rows()]
        allowed = [
            r
            for r in wells.table.iter_rows(named=True)
            if r["compound"] != mine["compound"] and r["plate"] != plate
        ]
        assert len(others) == len(allowed)
        assert all(o["compound"] != mine["compound"] and o["plate"] != plate for o in others)
        assert found["similarity"].is_sorted(descending=True)
        controls += mine["control_type"] == "negcon"
        for row in found.iter_rows(named=True):
            known = wells.row(row["plate"], row["well"]) or {}
            assert row["label"] == known["moa"]
            both = mine["moa"] is not None and known["moa"] is not None
            assert row["is_same_label"] == (mine["moa"] == known["moa"] if both else None)
    assert controls == 4


def test_a_control_is_not_scored_and_that_is_said(cached: CachedLake) -> None:
    (profiles,) = cached.sets(cached.file(*NAMES))
    control = cached.wells("tiny").table.filter(pl.col("control_type") == "negcon")
    plate, well = control.select("plate", "well").row(0)
    with pytest.raises(ProfileError, match=f"{plate} {well} is not scored by moa"):
        profiles.neighbours(plate, well, Question("nsc"), among="scored")
    with pytest.raises(UnidinoError, match="unknown wells 'some'; choose one of all, scored"):
        profiles.neighbours(plate, well, Question("nsc"), among="some")
