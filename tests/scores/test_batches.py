"""Batches of a lake: what is compared, what lands, what is said."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import ProfileError, UnidinoError
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection
from unidino.scores.batches import batches


def _screen(path: Path, shift: float) -> Path:
    """Six compounds and controls, two plates in each of two batches; one more in one batch."""
    rng = np.random.default_rng(0)
    phenotype, moved = rng.normal(0, 2, (7, 30)), shift * rng.normal(size=30)
    rows = []
    for batch in range(2):
        for plate in range(2):
            for i in range(36):
                compound = i % 6 if i < 30 else None
                if i == 29 and batch:
                    compound = 6
                state = phenotype[compound] if compound is not None else 0
                values = state + rng.normal(size=30) + batch * moved
                rows.append(
                    {
                        "plate": f"b{batch}p{plate}",
                        "well": f"{'ABC'[i // 12]}{i % 12 + 1:02d}",
                        "batch": f"b{batch}",
                        "source": "s1",
                        "compound": "DMSO" if compound is None else f"c{compound}",
                    }
                    | {f"f{j}": v for j, v in enumerate(values)}
                )
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.create(tmp_path / "lake")
    for name, shift in (("same", 0.0), ("moved", 3.0)):
        table = _screen(tmp_path / f"{name}.csv", shift)
        import_profiles(lake, table, name, dataset="screen", features="^f")
    return lake


def test_wells_and_controls_are_compared_apart(lake: Lake) -> None:
    found = batches(lake, Selection(normalize="none"))
    assert [(s.model, s.wells) for s in found] == [
        *(("moved", "trt"), ("moved", "negcon"), ("same", "trt"), ("same", "negcon"))
    ]
    moved, moved_controls, same, same_controls = (s.found for s in found)
    # Compound 6 is in one batch only: its two wells do not count.
    assert (same.num_profiles, same.num_labels, same_controls.num_profiles) == (118, 6, 24)
    assert found[0].dropped == {"not_compared": 2}
    assert moved.mixing < 0.3 < 0.85 < same.mixing
    assert moved_controls.mixing < 0.3 < 0.8 < same_controls.mixing
    assert found[0].drift is None
    assert [p.plate for p in found[1].drift.plates] == ["b0p0", "b0p1", "b1p0", "b1p1"]
    assert found[1].drift.plates[0].shift > 4 > 2 > found[3].drift.plates[0].shift
    rows = lake.query("select model, wells, mixing, trend from batch_mixing order by all")
    assert rows["mixing"].to_list() == [s.found.mixing for s in sorted(found, key=_place)]
    assert lake.query("select count(*), max(number) from batch_drift").row(0) == (8, 4)


def _place(score) -> tuple[str, str]:
    return score.model, score.wells


def test_normalizations_are_compared_on_the_same_wells(lake: Lake, run_cli) -> None:
    status, out, err = run_cli(
        *("batches", "--model", "moved", "--normalize", "none", "--normalize", "standardize"),
        *("--by", "plate", "--lake", lake.path, "--json"),
    )
    assert status == 0
    rows = {(r["normalization"], r["wells"]): r for r in map(json.loads, out.splitlines())}
    none, mended = (rows[name, "trt"] for name in ("none", "standardize"))
    assert none["num_profiles"] == mended["num_profiles"]
    assert none["num_batches"] == 4
    assert none["mixing"] < 0.6 < mended["mixing"]
    assert len(rows["none", "negcon"]["drift"]["plates"]) == 4
    assert "2 wells have no such label in two batches" not in err
    status, out, _ = run_cli("batches", "--plates", "--lake", lake.path)
    assert status == 0
    assert "b1p1" in out


def test_what_cannot_be_compared_is_one_line(lake: Lake, run_cli) -> None:
    with pytest.raises(
        ProfileError, match=r"a compound that two laboratories have; .*plate, batch"
    ):
        batches(lake, by="source")
    with pytest.raises(UnidinoError, match="unknown batch unit 'day'; choose one of plate, batch"):
        batches(lake, by="day")
    with pytest.raises(ProfileError, match="fewer than 6 profiles have a moa that two batches"):
        batches(lake, Selection(where="control_type = 'trt'"), label="moa")
    status, _, err = run_cli("batches", "--by", "source", "--lake", lake.path)
    assert status == 1
    assert err.splitlines()[-1].startswith("error: ")
