"""Harmony as a normalization: the package's numbers, fitted anew to what is selected."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unidino.core.errors import InputError, ProfileError
from unidino.lake.lake import Lake
from unidino.profiles.form import ProfileForm
from unidino.profiles.groups import groups
from unidino.profiles.importing import import_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection
from unidino.profiles.steps import normalize_profiles


def _screen(num: int = 60, num_features: int = 6) -> tuple[pl.DataFrame, np.ndarray]:
    """Four compounds in two batches, which differ by a shift."""
    rng = np.random.default_rng(0)
    compound = np.arange(num) % 4
    batch = np.arange(num) % 2 if num % 2 else (np.arange(num) // 4) % 2
    phenotype = rng.normal(0, 3, (4, num_features))
    vectors = phenotype[compound] + rng.normal(size=(num, num_features)) + 2 * batch[:, None]
    frame = pl.DataFrame(
        {
            "plate": [f"p{b}" for b in batch],
            "batch": [f"b{b}" for b in batch],
            "well": [f"{'ABCDEFGH'[i // 12]}{i % 12 + 1:02d}" for i in range(num)],
            "compound": [f"c{c}" for c in compound],
        }
    )
    return frame, vectors


@pytest.fixture
def package():
    return pytest.importorskip("harmonypy")


def test_the_numbers_are_the_package_s(package) -> None:
    frame, vectors = _screen()
    got = normalize_profiles(frame, vectors, "harmony")
    fitted = package.run_harmony(
        vectors.T, {"b": frame["batch"].to_numpy()}, "b", nclust=2, verbose=False, random_state=0
    )
    np.testing.assert_allclose(got, fitted.Z_corr)
    np.testing.assert_array_equal(got, normalize_profiles(frame, vectors, "harmony"))
    first = frame["batch"].to_numpy() == "b0"
    before, after = (np.abs(x[first].mean(0) - x[~first].mean(0)).mean() for x in (vectors, got))
    assert after < before


def test_a_square_table_is_not_turned(package) -> None:
    frame, vectors = _screen(num=20, num_features=20)
    got = normalize_profiles(frame, vectors, "harmony")
    assert np.corrcoef(got.ravel(), vectors.ravel())[0, 1] > 0.9


def test_missing_values_need_select(package) -> None:
    frame, vectors = _screen()
    vectors[0, 0] = np.nan
    with pytest.raises(
        ProfileError, match=r"not finite, which harmony cannot use; drop .*select=na"
    ):
        normalize_profiles(frame, vectors, "harmony")
    assert np.isfinite(normalize_profiles(frame, vectors, "harmony,select=na")).all()


def test_what_harmony_cannot_mix_is_said(package) -> None:
    frame, vectors = _screen()
    with pytest.raises(ProfileError, match="harmony mixes batches, and all wells are of 'b'"):
        normalize_profiles(frame.with_columns(batch=pl.lit("b")), vectors, "harmony")
    vectors[3] = 0
    with pytest.raises(ProfileError, match="1 wells are zero"):
        normalize_profiles(frame, vectors, "harmony")
    with pytest.raises(InputError, match="harmony keeps no statistics"):
        ProfileForm.parse("mad_robustize+harmony,statistics=01234567")


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "harmonypy", None)
    frame, vectors = _screen()
    with pytest.raises(InputError, match=r"harmonypy; install it by `pip install 'unidino\[harm"):
        normalize_profiles(frame, vectors, "harmony")


@pytest.fixture
def lake(tmp_path: Path, package) -> Lake:
    frame, vectors = _screen()
    table = frame.hstack([pl.Series(f"f{i}", vectors[:, i]) for i in range(vectors.shape[1])])
    table.write_csv(tmp_path / "screen.csv")
    lake = Lake.create(tmp_path / "lake")
    import_profiles(lake, tmp_path / "screen.csv", "m", dataset="screen", features="^f")
    return lake


def test_it_is_fitted_anew_to_the_selected_profiles(lake: Lake, caplog) -> None:
    normalize = "mad_robustize+harmony"
    (whole,) = groups(lake, Selection(normalize=normalize))
    assert "fitted to these 60 profiles of 2 batches (b0, b1)" in caplog.text
    where = "compound <> 'c3'"
    (some,) = groups(lake, Selection(normalize=normalize, where=where))
    assert "fitted to these 45 profiles" in caplog.text
    assert set(some.metadata["normalization"].to_pylist()) == {normalize}
    assert some.profiled.normalization == whole.profiled.normalization == normalize
    (raw,) = groups(lake, Selection(where=where))
    expected = normalize_profiles(raw.metadata, raw.vectors, "harmony")
    np.testing.assert_allclose(some.vectors, expected, rtol=1e-6)
    kept = np.array([c != "c3" for c in whole.metadata["compound"].to_pylist()])
    assert not np.allclose(some.vectors, whole.vectors[kept], atol=0.01)
    assert (
        lake.query("select count(*) from statistic where normalization = $n", {"n": normalize})[
            0, 0
        ]
        == 0
    )


def test_a_fit_to_some_profiles_that_has_no_meaning_is_refused(lake: Lake) -> None:
    for normalize, level in (
        ("harmony+mad_robustize", "well"),
        ("mad_robustize+harmony", "treatment"),
        ("mad_robustize+harmony,select=variance", "well"),
    ):
        selection = Selection(level=level, normalize=normalize, where="compound <> 'c3'")
        with pytest.raises(ProfileError, match="harmony is fitted to the selected"):
            list(groups(lake, selection))
        assert profile(lake, Selection(level=level, normalize=normalize))[0].num_profiles
