"""Missing and infinite values: every step leaves them out, and says so where it cannot."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import ProfileError
from unidino.lake.lake import Lake
from unidino.profiles.export import export_profiles
from unidino.profiles.groups import groups
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.select import select_features
from unidino.profiles.selection import Selection
from unidino.profiles.steps import normalize_profiles
from unidino.scores.accuracy import score

NUM, HALF, DIMS = 40, 20, 6
AFFINE = ["mad_robustize", "standardize", "mad_robustize+standardize,controls=all"]
MIXING = ["spherize", "whiten", "tvn", "tvn_efaar", "mad_robustize+spherize"]


def _wells() -> pl.DataFrame:
    control = [i % 4 == 0 for i in range(NUM)]
    return pl.DataFrame(
        {
            "plate": ["p1"] * HALF + ["p2"] * HALF,
            "well": [f"A{i % HALF + 1:02d}" for i in range(NUM)],
            "batch": ["b"] * NUM,
            "compound": ["DMSO" if c else f"c{i % 5}" for i, c in enumerate(control)],
            "moa": [f"m{i % 2}" for i in range(NUM)],
            "control_type": ["negcon" if c else "trt" for c in control],
            "dataset": ["d"] * NUM,
            "source": ["s"] * NUM,
        }
    )


def _vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(5, 2, size=(NUM, DIMS))


@pytest.mark.parametrize("form", AFFINE)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_missing_value_costs_no_other_value(form: str, bad: float) -> None:
    holes, without = _vectors(), _vectors()
    holes[[0, 5], [1, 2]] = bad  # a control and a treated well
    without[[0, 5], [1, 2]] = np.nan
    got = normalize_profiles(_wells(), holes, form)
    np.testing.assert_array_equal(got, normalize_profiles(_wells(), without, form))
    assert np.isnan(got).sum() == 2
    same = [0, 3, 4, 5]  # features without a hole
    want = normalize_profiles(_wells(), _vectors(), form)
    np.testing.assert_array_equal(got[:, same], want[:, same])
    assert np.isfinite(np.delete(got, [0, 5], axis=0)).all()


@pytest.mark.parametrize("form", AFFINE)
def test_a_feature_without_values_stays_missing_in_its_unit(form: str) -> None:
    holes = _vectors()
    on_first = np.array(_wells()["plate"]) == "p1"
    holes[on_first, 3] = np.inf
    got = normalize_profiles(_wells(), holes, form)
    assert np.isnan(got[on_first, 3]).all()
    assert np.isfinite(got[~on_first]).all()
    assert np.isnan(got).sum() == on_first.sum()


@pytest.mark.parametrize("form", MIXING)
def test_steps_that_mix_features_take_missing_values_only_if_told(form: str) -> None:
    holes = _vectors()
    holes[0, 1], holes[5, 2] = np.inf, np.nan
    with pytest.raises(ProfileError, match=r"not finite, .*by select=na, which counts the few"):
        normalize_profiles(_wells(), holes, form)
    got = normalize_profiles(_wells(), holes, f"{form},select=na")
    assert got.shape == (NUM, DIMS)
    assert np.isfinite(got).all()
    want = normalize_profiles(_wells(), _vectors(), f"{form},select=na")
    np.testing.assert_array_equal(want, normalize_profiles(_wells(), _vectors(), form))


@pytest.mark.parametrize("form", ["spherize", "whiten"])
def test_the_mean_stands_in_for_a_missing_value(form: str) -> None:
    holes = _vectors()
    holes[0, 1] = np.inf  # a control
    control = np.array(_wells()["control_type"]) == "negcon"
    filled = holes.copy()
    filled[0, 1] = np.delete(holes[control, 1], 0).mean()
    got = normalize_profiles(_wells(), holes, f"{form},select=na")
    np.testing.assert_allclose(got, normalize_profiles(_wells(), filled, form), atol=1e-9)


def test_features_with_many_missing_values_are_dropped_before_features_are_mixed() -> None:
    holes = _vectors()
    holes[::3, 4] = np.inf
    got = normalize_profiles(_wells(), holes, "spherize,select=na")
    want = normalize_profiles(_wells(), np.delete(_vectors(), 4, axis=1), "spherize")
    np.testing.assert_array_equal(got, want)
    with pytest.raises(ProfileError, match="no feature is left after select=na"):
        normalize_profiles(_wells(), np.full((NUM, DIMS), np.inf), "spherize,select=na")


@pytest.mark.parametrize("selection", ["na", "variance", "correlation", "blocklist"])
def test_selections_take_infinite_values_as_missing(selection: str) -> None:
    names = [f"f{i}" for i in range(DIMS)]
    infinite, missing = _vectors(), _vectors()
    infinite[:3, 1], infinite[0, 2] = np.inf, -np.inf
    missing[:3, 1], missing[0, 2] = np.nan, np.nan
    kept, dropped = select_features(infinite, names, [selection])
    others, same = select_features(missing, names, [selection])
    assert (kept.tolist(), dropped) == (others.tolist(), same)
    assert dropped == {selection: int(selection == "na")}
    assert np.isinf(infinite).sum() == 4


@pytest.fixture
def holed(tmp_path: Path) -> Lake:
    """Wells of two plates, with two infinite values; a feature has no value on a plate."""
    values = _vectors()
    values[0, 1], values[5, 2] = np.inf, -np.inf
    values[:HALF, 3] = np.nan
    table = _wells().drop("dataset").hstack([pl.Series(f"f{i}", values[:, i]) for i in range(DIMS)])
    table.write_parquet(tmp_path / "t.parquet")
    lake = Lake.create(tmp_path / "lake")
    done = import_profiles(lake, tmp_path / "t.parquet", "m")
    assert done.num_missing == 22
    return lake


def test_infinite_values_are_missing_from_the_import_on(
    holed: Lake, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    said = [record.getMessage() for record in caplog.get_records("setup")]
    assert "numbers: t.parquet: 2 infinite values are missing values: f1, f2" in said
    stored = np.stack(holed.query("select embedding from embedding")["embedding"].to_list())
    assert (np.isnan(stored).sum(), np.isinf(stored).sum()) == (22, 0)
    export_profiles(holed, tmp_path / "o.csv", Selection(normalize="none"))
    lines = (tmp_path / "o.csv").read_text()
    assert "nan" not in lines.lower()
    assert "inf" not in lines.lower()


def test_what_is_missing_is_said(holed: Lake, run_cli) -> None:
    (made,) = profile(holed, Selection(normalize="standardize,select=na"))
    assert made.dropped == {"unknown_feature": 1, "feature_na": 1}
    (got,) = score(holed, "nsc", Selection(normalize="standardize,select=na"))
    assert (got.n, got.dropped["nan_feature"]) == (29, 1)
    status, _, err = run_cli(
        "score",
        *("--metric", "nsc", "--label", "moa", "--normalize", "spherize,select=na"),
        *("--lake", holed.path),
    )
    assert status == 0
    assert "1 feature has too many missing values" in err
    assert "2 missing values count as the mean of the wells that are learnt from" in err
    assert "Warning" not in err


@pytest.mark.parametrize("average", ["mean", "median"])
def test_levels_average_the_values_that_are_there(holed: Lake, average: str) -> None:
    form = f"none,aggregate={average}"
    (group,) = groups(holed, Selection(level="compound", normalize=form))
    values = _vectors()
    values[0, 1], values[5, 2] = np.nan, np.nan
    values[:HALF, 3] = np.nan
    compounds = np.array(_wells()["compound"])
    for row, vector in zip(group.metadata.to_pylist(), group.vectors, strict=True):
        members = values[compounds == row["compound"]]
        there = ~np.isnan(members).all(axis=0)
        want = getattr(np, f"nan{average}")(members[:, there], axis=0)
        np.testing.assert_allclose(vector[there], want)
        assert np.isnan(vector[~there]).all()
