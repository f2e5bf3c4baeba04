"""The compounds nearest to one compound, against loops over pairs of profiles."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import InputError, ProfileError
from unidino.lake.lake import Lake
from unidino.scores.nearest import near_compounds, nearest
from unidino.scores.question import Question


def _screen(seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = [
        {
            "compound": f"c{c}" if c < 5 else "DMSO",
            "moa": f"m{c // 2}" if c < 5 else None,
            "batch": f"b{r % 2}",
            "plate": f"p{r}",
            "control_type": "trt" if c < 5 else "negcon",
        }
        for c in range(6)
        for r in range(4)
    ]
    return pl.DataFrame(rows), rng.normal(size=(24, 7))


@pytest.mark.parametrize("columns", [["compound"], ["compound", "batch"], ["plate"]])
def test_similarity_is_the_mean_over_allowed_pairs(columns: list[str]) -> None:
    metadata, vectors = _screen(3)
    rule = "not same " + ", ".join(columns)
    question = Question(rule, label="compound", label_filter="none")
    found = near_compounds(metadata, vectors, "c1", question)
    expected = {}
    rows = metadata.to_dicts()
    for name in ("c0", "c2", "c3", "c4"):
        cosines = []
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                if (one["compound"], other["compound"]) != ("c1", name):
                    continue
                if any(one[c] == other[c] for c in columns):
                    continue
                norms = math.dist(vectors[i], [0] * 7) * math.dist(vectors[j], [0] * 7)
                cosines.append(float(vectors[i] @ vectors[j]) / norms)
        expected[name] = (np.mean(cosines), len(cosines))
    assert set(found["compound"]) == set(expected)
    for row in found.iter_rows(named=True):
        mean, num = expected[row["compound"]]
        assert row["num_pairs"] == num
        assert row["similarity"] == pytest.approx(mean, abs=1e-12)
        assert row["moa"] == f"m{int(row['compound'][1]) // 2}"


def test_controls_are_compared_only_on_demand() -> None:
    metadata, vectors = _screen(0)
    with pytest.raises(ProfileError, match=r"no profile of 'DMSO' can be compared: it is a contr"):
        near_compounds(metadata, vectors, "DMSO", Question("nsc", "text", "compound", "none"))
    asked = Question("nsc", "text", "compound", "none", include_controls=True)
    assert "DMSO" in near_compounds(metadata, vectors, "c1", asked)["compound"]


def test_a_rule_that_allows_nothing_is_said() -> None:
    metadata, vectors = _screen(0)
    one_batch = metadata.with_columns(batch=pl.lit("b"))
    with pytest.raises(ProfileError, match="nscb allows no profile of another compound beside"):
        near_compounds(one_batch, vectors, "c1", Question("nscb", "text", "compound", "none"))


def test_the_command_ranks_and_names_what_is_near(profiled: Path, tmp_path: Path, run_cli) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    near = nearest(lake, "tiny-01")
    far = nearest(lake, "tiny-01", opposite=True)
    assert [r.rank for r in near] == [1, 2, 3]
    assert [r.compound for r in far] == [r.compound for r in near][::-1]
    assert near[0].similarity >= near[1].similarity >= near[2].similarity
    status, out, _ = run_cli("nearest", "tiny-01", "--num", 1, "--lake", lake.path, "--json")
    assert status == 0
    assert json.loads(out)["compound"] == near[0].compound
    with pytest.raises(InputError, match="no profile is of the compound 'Tiny-01'; did you mean t"):
        nearest(lake, "Tiny-01")
    with pytest.raises(InputError, match="'x'; there are DMSO, tiny-01"):
        nearest(lake, "x")
