"""Recall of known pairs against a naive oracle, on given tables and in the lake."""

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unidino.core.errors import InputError, ProfileError
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection
from unidino.scores import recall
from unidino.scores.entities import mean_entities
from unidino.scores.known_pairs import Database, read_pairs
from unidino.scores.pairs import pair_recall, score_pairs


def _cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


def _naive_recall(
    vectors: dict[str, list[float]], known: list[tuple[str, str]], tail: float
) -> tuple[float, float, int]:
    """Shares of the known pairs in the upper and the lower tail, and their number, pair by pair."""
    null = sorted(_cosine(vectors[a], vectors[b]) for a, b in combinations(sorted(vectors), 2))
    pairs = {tuple(sorted(p)) for p in known if p[0] != p[1] and set(p) <= set(vectors)}
    similar = opposite = 0
    for a, b in pairs:
        cosine = _cosine(vectors[a], vectors[b])
        # Sums in another order differ by rounding.
        similar += sum(other < cosine - 1e-12 for other in null) / len(null) >= 1 - tail
        opposite += sum(other <= cosine + 1e-12 for other in null) / len(null) <= tail
    return similar / len(pairs), opposite / len(pairs), len(pairs)


@settings(max_examples=20)
@given(
    st.integers(4, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([2.0, 5.0, 10.0, 25.0]),
    st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), min_size=2, max_size=30),
)
def test_recall_equals_pair_by_pair(
    num: int, seed: int, percent: float, listed: list[tuple[int, int]]
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(num, 5))
    by_name = {f"g{i:02d}": vectors[i].tolist() for i in range(num)}
    known = [(f"g{a:02d}", f"g{b:02d}") for a, b in listed]
    if not any(a != b and max(a, b) < num for a, b in listed):
        return
    frame = pl.DataFrame({"target": list(by_name)})
    database = Database("x", pl.DataFrame(known, ["entity1", "entity2"], orient="row"), "")
    found = pair_recall(mean_entities(frame, vectors, "target"), database, percent, 1)
    similar, opposite, num_pairs = _naive_recall(by_name, known, percent / 100)
    assert found.num_pairs == num_pairs
    assert found.recall_similar == pytest.approx(similar, abs=1e-12)
    assert found.recall_opposite == pytest.approx(opposite, abs=1e-12)
    assert found.recall == pytest.approx(similar + opposite, abs=1e-12)
    assert found.num_null == num * (num - 1) // 2
    assert found.interval_95[0] <= found.interval_95[1]


def test_blocks_of_the_matrix_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    unit = rng.normal(size=(37, 6))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    first, second = rng.integers(37, size=(2, 50))
    second = np.where(first == second, (second + 1) % 37, second)
    whole = recall.pair_ranks(unit, first, second)
    monkeypatch.setattr(recall, "_BLOCK", 5)
    parts = recall.pair_ranks(unit, first, second)
    np.testing.assert_array_equal(whole.below, parts.below)
    np.testing.assert_array_equal(whole.not_above, parts.not_above)
    # A pair is never below itself, and always among those that are not above it.
    assert (whole.not_above > whole.below).all()


def test_the_interval_resamples_entities_not_pairs() -> None:
    """Ten cliques of ten: their pairs are found together or not at all."""
    pairs = [(10 * c + a, 10 * c + b) for c in range(10) for a, b in combinations(range(10), 2)]
    first, second = np.array(pairs).T
    is_hit = first // 10 < 3
    low, high = recall.entity_interval(is_hit, first, second)
    binomial = 1.96 * math.sqrt(0.3 * 0.7 / len(pairs))
    assert low < 0.3 - 2 * binomial < 0.3 + 2 * binomial < high


def _genes(path: Path) -> Path:
    """Thirty genes of ten complexes on two plates, and non-targeting controls."""
    rng = np.random.default_rng(0)
    complexes = rng.normal(size=(10, 20))
    rows = []
    for plate in ("p1", "p2"):
        for i in range(36):
            gene = f"G{i:02d}" if i < 30 else None
            values = (complexes[i // 3] if i < 30 else 0) + rng.normal(0, 0.4, 20)
            rows.append(
                {
                    "plate": plate,
                    "well": f"{'ABC'[i // 12]}{i % 12 + 1:02d}",
                    "target": gene,
                    "compound": gene or "non-targeting",
                    "control_type": "trt" if gene else "negcon",
                }
                | {f"f{j}": v for j, v in enumerate(values)}
            )
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture
def genes(tmp_path: Path) -> Lake:
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, _genes(tmp_path / "genes.csv"), "m", dataset="genes", features="^f")
    return lake


def _known(path: Path) -> Path:
    pairs = [f"G{a:02d},G{b:02d}" for a, b in combinations(range(30), 2) if a // 3 == b // 3]
    path.write_text("\n".join(["entity1,entity2", *pairs, "G01,G00", "G02,G02", "G00,TP53"]))
    return path


def test_a_map_finds_its_complexes_again(genes: Lake, tmp_path: Path, run_cli) -> None:
    file = _known(tmp_path / "complexes.txt")
    scores = score_pairs(genes, file, label="target")
    found = scores[0].found
    assert (found.num_pairs, found.num_entities, found.num_map_entities) == (30, 30, 30)
    assert (found.num_null, found.num_unmatched, found.chance) == (435, 1, 0.1)
    # 21 of 435 pairs are in the upper 5 %, and all of them are of a complex.
    assert found.recall_similar == pytest.approx(21 / 30)
    assert found.recall_opposite == 0
    assert scores[0].dropped == {"control": 12}
    landed = genes.query("select database, recall, interval_low, num_pairs from pair_score")
    assert landed.rows() == [("complexes", found.recall, found.interval_95[0], 30)]
    random = tmp_path / "random.csv"
    random.write_text("gene,partner\n" + "".join(f"G{i:02d},G{i + 3:02d}\n" for i in range(27)))
    status, out, _ = run_cli(
        *("score", "--measure", "pairs", "--pairs", file, "--pairs", random, "--label", "target"),
        *("--tail-percent", 10, "--lake", genes.path, "--json"),
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(r["database"], r["num_pairs"]) for r in rows] == [("complexes", 30), ("random", 27)]
    assert rows[0]["recall_similar"] == 1
    assert rows[1]["recall"] < 0.4
    newest = genes.query("select special from latest where is_standard order by number")
    assert newest["special"].to_list() == [""]


def test_what_cannot_be_scored_is_one_line(genes: Lake, tmp_path: Path, run_cli) -> None:
    file = tmp_path / "known.csv"
    for text, line in (
        ("a,b,c\nG00,G01,1\n", "has the columns a, b, c; pairs need entity1 and entity2"),
        ("entity1,entity2\nG00,\n", "has no pair: no row has both entity1 and entity2"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=line):
            read_pairs(file)
    file.write_text("entity1,entity2\ng00,g01\n")
    with pytest.raises(ProfileError, match=r"it has g00, g01, profiles have G00, .*; 2 names diff"):
        score_pairs(genes, file, label="target")
    file.write_text("entity1,entity2\nG00,G01\n")
    with pytest.raises(ProfileError, match=r"1 and 1 entities .*; 20 are needed"):
        score_pairs(genes, file, label="target")
    with pytest.raises(InputError, match="is 60; it must be over 0 and at most 50"):
        score_pairs(genes, file, tail_percent=60)
    with pytest.raises(ProfileError, match="no profile is left to score by target"):
        score_pairs(genes, file, Selection(where="control_type = 'negcon'"), label="target")
    for options in (
        ("--measure", "pairs"),
        ("--measure", "pairs", "--pairs", file, "--metric", "nsc"),
        ("--metric", "nsc", "--pairs", file),
    ):
        status, _, err = run_cli("score", *options, "--lake", genes.path)
        assert (status, err.count("\n")) == (1, 1)
        assert "--pairs" in err or "leave out --metric" in err


def test_the_published_lists_are_read(data: Path) -> None:
    corum = read_pairs(data / "efaar" / "CORUM.txt")
    assert (corum.name, len(corum.pairs)) == ("CORUM", 75_298)
