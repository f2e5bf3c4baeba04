"""Planted doses are found again, against oracles by hand; bad input is one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unidino as ud
from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.insight.curves import fit_curve, strengths
from unidino.insight.dose_curve import interval_text
from unidino.insight.effects import (
    control_distance,
    control_projection,
    feature_effect,
    own_axis,
)
from unidino.insight.responses import Wells
from unidino.lake.lake import Lake
from unidino.profiles.importing import import_profiles
from unidino.reports.results import dose_columns, doses

DOSES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
NUM_FEATURES = 24


def _screen(
    ec50s: dict[str, float | None],
    *,
    doses: tuple[float, ...] = DOSES,
    replicates: int = 2,
    controls: int = 24,
    strength: float = 8.0,
    seed: int = 0,
) -> pl.DataFrame:
    """Wells of compounds whose profile moves along a direction of its own, by a Hill curve.

    ec50s: micromolar by compound; None for a compound without an effect.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    for name, ec50 in ec50s.items():
        axis = rng.normal(size=NUM_FEATURES)
        axis /= np.linalg.norm(axis)
        slope = rng.choice([0.8, 1.0, 1.5, 2.5])
        for um in doses:
            share = 0 if ec50 is None else 1 / (1 + (ec50 / um) ** slope)
            for _ in range(replicates):
                vector = strength * share * axis + rng.normal(size=NUM_FEATURES)
                rows.append((name, um, "trt", *vector))
    for _ in range(controls):
        rows.append(("DMSO", None, "negcon", *rng.normal(size=NUM_FEATURES)))
    features = [f"f{i}" for i in range(NUM_FEATURES)]
    table = pl.DataFrame(rows, ["compound", "concentration_um", "control_type", *features],
                         orient="row", infer_schema_length=None)  # fmt: skip
    place = pl.int_range(pl.len())
    letters = "ABCDEFGHIJKLMNOP"
    return table.with_columns(
        plate=pl.format("p{}", place // 384),
        well=pl.concat_str(
            (place % 384 // 24).replace_strict(dict(enumerate(letters)), return_dtype=pl.String),
            (place % 24 + 1).cast(pl.String).str.zfill(2),
        ),
    )


def _lake(folder: Path, table: pl.DataFrame) -> Lake:
    table.write_parquet(folder / "wells.parquet")
    lake = Lake.create(folder / "lake")
    import_profiles(lake, folder / "wells.parquet", "m", dataset="d", unit="uM")
    return lake


RAW = ud.Selection(normalize="none")


def test_planted_ec50s_are_within_their_intervals_for_90_of_100_compounds(
    data: Path, tmp_path: Path
) -> None:
    """The potencies of 100 real compounds (OASIS), each planted in wells at eight doses."""
    pods = pl.read_csv(data / "oasis_pods" / "cellpainting_dino_pods.csv")
    potencies = (
        pods.drop_nulls("OASIS_ID")
        .group_by("OASIS_ID")
        .agg(pl.col("POD_um").min())
        .filter(pl.col("POD_um").is_between(0.1, 30))
        .sort("OASIS_ID")
        .head(100)
    )
    planted = dict(potencies.iter_rows())
    lake = _lake(tmp_path, _screen(planted, strength=10.0))
    found = ud.dose(lake, RAW, num_bootstraps=200)
    assert len(found) == 100
    assert sum(c.is_active for c in found) >= 98
    covered = narrow = 0
    for c in found:
        if c.interval_95 is None:
            continue
        low, high = c.interval_95
        covered += (low or 0) <= planted[c.compound] <= (high or np.inf)
        narrow += low is not None and high is not None and high / low < 10
    print(f"{covered} of {len(found)} planted EC50s in their intervals, {narrow} within a decade")
    assert covered >= 90
    assert narrow >= 35  # two-sided, and within a decade
    errors = [np.log10(c.ec50_um / planted[c.compound]) for c in found if c.ec50_um]
    assert len(errors) >= 80
    assert abs(np.median(errors)) < 0.1
    _shows_in_lake(lake, found)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.5, 4.18, "0.5-4.18"),
        (None, 7.27, "below 7.27"),
        (0.03, None, "above 0.03"),
        (None, None, "any tested dose"),
    ],
)
def test_an_interval_with_an_open_end_is_in_words(
    low: float | None, high: float | None, text: str
) -> None:
    assert interval_text(low, high) == text
    row = {
        "compound": "a",
        "channel": "all",
        "is_active": True,
        "beyond": None,
        "curve": "logistic",
    }
    row |= {"ec50_um": 2.0, "ec50_low_um": low, "ec50_high_um": high, "lowest_active_um": 1.0}
    row |= {"q_value": 0.01, "top": 5.0, "r2": 0.9, "num_doses": 8, "n": 16}
    assert dose_columns(pl.DataFrame([row]))["95 %"].to_list() == [text]


def _shows_in_lake(lake: Lake, found: object) -> None:
    kept = lake.query("select compound, ec50_um, point_um, point_effect from dose order by all")
    assert kept["ec50_um"].to_list() == [c.ec50_um for c in found]  # type: ignore[attr-defined]
    assert all(len(p) == 16 for p in kept["point_um"])
    assert lake.query("select command from run where command = 'dose'").height == 1
    assert len({t.get_text() for t in ud.plot(lake, "dose").texts}) > 0


@pytest.mark.parametrize("kind", ["distance", "projection"])
def test_other_effects_find_planted_doses_too(kind: str, tmp_path: Path) -> None:
    planted: dict[str, float | None] = {f"c{i:02d}": 0.3 * 1.2**i for i in range(20)}
    table = _screen(planted, strength=12.0, replicates=3, seed=4)
    features = [f"f{i}" for i in range(NUM_FEATURES)]
    x = table.select(features).to_numpy()
    is_control = (table["control_type"] == "negcon").to_numpy()
    covered = 0
    for name, ec50 in planted.items():
        own = (table["compound"] == name).to_numpy()
        um = table["concentration_um"].fill_null(0).to_numpy()
        if kind == "distance":
            effect = control_distance(x, is_control)
        else:
            effect = control_projection(x, is_control, own & (um >= 100))
        chosen = own | is_control
        is_distance = kind == "distance"
        wells = Wells(um[chosen], effect[chosen], is_distance, is_distance)
        curve = fit_curve(wells, num_bootstraps=200)
        covered += (curve.ec50_low or 0) <= ec50 <= (curve.ec50_high or np.inf)
    assert covered >= 17


def test_inactive_compounds_are_rarely_called_active(tmp_path: Path) -> None:
    none = dict.fromkeys(f"c{i:02d}" for i in range(30))
    lake = _lake(tmp_path, _screen({**none, "strong": 1.0}, seed=2))
    found = ud.dose(lake, RAW, num_bootstraps=100)
    active = {c.compound for c in found if c.is_active}
    assert "strong" in active
    assert len(active) <= 4
    quiet = next(c for c in found if not c.is_active)
    assert (quiet.ec50_um, quiet.interval_95, quiet.lowest_active_um) == (None, None, None)
    assert "inactive" in str(found.frame["EC50 uM"].to_list())


def test_the_command_prints_a_list_for_programs(
    tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    lake = _lake(tmp_path, _screen({"a": 1.0, "b": None, "c": 0.001, "d": 500.0}, replicates=3))
    status, out, err = run_cli(
        "dose", "--lake", lake.path, "--normalize", "none", "--bootstraps", 200, "--json"
    )
    assert (status, err) == (0, "")
    rows = {row["compound"]: row for row in map(json.loads, out.splitlines())}
    assert {"compound", "channel", "ec50_um", "interval_95", "lowest_active_um", "n"} <= set(
        rows["a"]
    )
    assert rows["a"]["ec50_um"] == pytest.approx(1, rel=0.6)
    assert rows["a"]["interval_95"][0] < 1 < rows["a"]["interval_95"][1]
    assert rows["a"]["lowest_active_um"] in DOSES
    assert rows["a"]["n"] == 24
    assert rows["a"]["channel"] == "all"
    assert (rows["b"]["is_active"], rows["b"]["ec50_um"]) == (False, None)
    assert (rows["c"]["ec50_um"], rows["c"]["beyond"]) == (None, "below")
    assert rows["c"]["lowest_active_um"] == DOSES[0]
    again = run_cli(
        "dose", "--lake", lake.path, "--normalize", "none", "--bootstraps", 200, "--json"
    )
    assert again[1] == out  # the same seed gives the same intervals
    status, out, _ = run_cli(
        "dose", "--lake", lake.path, "--normalize", "none", "--compound", "a",
        "--feature", "f0", "--feature", "f1*", "--bootstraps", 100, "--json"
    )  # fmt: skip
    named = [json.loads(line)["channel"] for line in out.splitlines()]
    assert named[:3] == ["f0", "f1", "f10"]
    status, _, _ = run_cli(
        "plot", "dose", "-o", tmp_path / "dose.svg", "--lake", lake.path, "--compound", "a",
        "--normalize", "none"
    )  # fmt: skip
    text = (tmp_path / "dose.svg").read_text()
    assert status == 0
    assert "0.03" in text
    assert "mathdefault" not in text


def _distances_by_hand(x: np.ndarray, is_control: np.ndarray) -> np.ndarray:
    """Shrunken Mahalanobis distances, fold by fold, with whole covariance matrices."""
    from sklearn.covariance import LedoitWolf

    controls = x[is_control]
    centre = np.median(controls, axis=0)
    spread = 1.4826 * np.median(np.abs(controls - centre), axis=0)
    scaled = (x - centre) / spread
    where = np.flatnonzero(is_control)
    folds = min(10, len(where))
    squares: list[list[float]] = [[] for _ in x]
    for fold in range(folds):
        held = set(where[fold::folds])
        taught = scaled[[i for i in where if i not in held]]
        middle = np.median(taught, axis=0)
        clipped = np.clip(taught - middle, -3, 3)
        found = LedoitWolf(assume_centered=True).fit(clipped - clipped.mean(axis=0))
        inverse = np.linalg.inv(found.covariance_)
        for i, row in enumerate(scaled):
            if i in held or i not in set(where):
                squares[i].append((row - middle) @ inverse @ (row - middle))
    excess = np.array([np.mean(s) for s in squares])
    excess -= np.median(excess[is_control])
    return np.sign(excess) * np.sqrt(np.abs(excess))


@pytest.mark.parametrize("num_features", [3, 40])
def test_distances_equal_those_of_whole_covariance_matrices(num_features: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, num_features)) @ rng.normal(size=(num_features, num_features))
    is_control = np.arange(40) < 17
    x[30:] += 5
    got = control_distance(x, is_control)
    np.testing.assert_allclose(got, _distances_by_hand(x, is_control), rtol=1e-6, atol=1e-6)


def test_no_well_helps_to_define_its_own_effect() -> None:
    """Effects of wells without a response lie around 0, however many features there are."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 200))
    is_control = np.arange(4000) < 40
    groups = np.where(is_control, -1, np.arange(4000) // 8)
    effects = own_axis(x, is_control, groups)
    pooled = np.concatenate([wells for wells, _ in effects.values()])
    assert abs(pooled.mean()) < 0.3  # the centre of 40 controls errs by 0.2
    assert pooled.std() < 2
    away = control_distance(x, is_control)
    limit = np.quantile(away[is_control], 0.975)
    assert (away[~is_control] > limit).mean() < 0.15
    place = control_projection(x, is_control, groups == 5)
    assert np.median(place[is_control]) == pytest.approx(0, abs=1e-9)


def test_a_named_positive_control_is_taken_at_its_highest_dose(tmp_path: Path) -> None:
    lake = _lake(tmp_path, _screen({"a": 1.0, "b": 1.0}, strength=12, replicates=3))
    found = ud.dose(lake, RAW, effect="projection", positive="a", num_bootstraps=100)
    tops = {c.compound: c.curve.top for c in found}
    assert tops["a"] == pytest.approx(1, abs=0.2)
    assert abs(tops["b"]) < 0.6  # its direction is another one
    assert lake.query("select distinct effect from dose").item() == "projection"


def test_the_positive_control_is_at_one() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 10))
    is_control, is_positive = np.arange(80) < 30, np.arange(80) >= 60
    x[is_positive, 0] += 12
    x[40:50, 0] += 6
    place = control_projection(x, is_control, is_positive)
    assert np.median(place[is_control]) == pytest.approx(0, abs=0.1)
    assert np.median(place[is_positive]) == pytest.approx(1, abs=0.1)
    assert np.median(place[40:50]) == pytest.approx(0.5, abs=0.1)


def test_a_features_effect_is_a_robust_score() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 100, 9])
    is_control = np.arange(7) < 5
    np.testing.assert_allclose(
        feature_effect(values, is_control), (values - 3) / (1.4826 * 1), rtol=1e-12
    )


def _wells(effect: list[list[float]], controls: list[float]) -> Wells:
    """Effects by dose, of doses 1, 10, 100 ... micromolar."""
    um = [10.0**i for i, values in enumerate(effect) for _ in values]
    values = [v for of_dose in effect for v in of_dose]
    return Wells(np.array(um + [0.0] * len(controls)), np.array(values + controls), False)


def test_few_doses_make_a_monotone_curve_whose_half_is_between_two_doses() -> None:
    controls = [-0.1, 0.1, 0.05, -0.05, 0.0]
    curve = fit_curve(_wells([[0.0, 0.0], [8.0, 8.0], [8.0, 8.0]], controls))
    assert curve.kind == "monotone"
    assert curve.ec50_um == pytest.approx(10**0.5, rel=0.02)
    assert curve.lowest_active_um == 10
    assert (curve.top, curve.slope) == (8.0, None)
    falls = fit_curve(_wells([[0.0, 0.0], [-8.0, -8.0], [-8.0, -8.0]], controls))
    assert falls.ec50_um == pytest.approx(10**0.5, rel=0.02)
    assert falls.lowest_active_um == 10


@settings(max_examples=8)
@given(
    st.floats(-0.5, 2.5),
    st.sampled_from([0.8, 1.0, 2.0]),
    st.floats(-20, 20).filter(lambda v: abs(v) > 1),
)
def test_a_logistic_without_noise_is_found_exactly(half: float, slope: float, span: float) -> None:
    um = np.append(np.repeat(10.0 ** np.linspace(-1, 3, 9), 2), np.zeros(6))
    effect = 1 + span * um**slope / (um**slope + 10 ** (half * slope))
    curve = fit_curve(Wells(um, effect, False), num_bootstraps=100)
    assert curve.ec50_um == pytest.approx(10**half, rel=0.02)
    assert curve.top == pytest.approx(effect[17], rel=0.02, abs=0.02)
    assert curve.bottom == pytest.approx(1, rel=0.02, abs=0.02)
    assert curve.r2 == pytest.approx(1, abs=1e-3)


def test_chance_explains_shuffled_effects_as_well_as_it_should() -> None:
    """p-values of wells without a response are uniform."""
    rng = np.random.default_rng(0)
    um = np.append(np.repeat([0.1, 1.0, 10.0, 100.0], 2), np.zeros(10))
    p_values = []
    for seed in range(100):
        strength, chance = strengths(Wells(um, rng.normal(size=18), False), 99, seed)
        p_values.append((1 + (chance >= strength).sum()) / 100)
    assert 0.4 < np.mean(p_values) < 0.6
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.filter(pl.col("control_type") == "trt"), "has no negative controls"),
        (
            lambda t: t.filter(
                (pl.col("control_type") == "trt") | (pl.int_range(pl.len()) % 9 == 0)
            ),
            "negative controls, and 4 are needed to know their spread",
        ),
        (
            lambda t: t.filter(
                pl.col("concentration_um").is_null() | (pl.col("concentration_um") == 10)
            ),
            "has no compound at two doses or more",
        ),
        (
            lambda t: t.with_columns(concentration_um=pl.lit(None, pl.Float64)),
            r"no well has a concentration \(--unit at ingest or import\)",
        ),
        (
            lambda t: t.with_columns(pl.lit(0.0).alias(f"f{i}") for i in range(NUM_FEATURES)),
            "no feature varies between its negative controls",
        ),
    ],
    ids=["no controls", "few controls", "one dose", "no unit", "no spread"],
)
def test_bad_input_is_one_line(
    change: Callable[[pl.DataFrame], pl.DataFrame], said: str, tmp_path: Path
) -> None:
    lake = _lake(tmp_path, change(_screen({"a": 1.0, "b": 3.0})))
    with pytest.raises(ProfileError, match=said) as error:
        ud.dose(lake, RAW)
    assert "\n" not in str(error.value)


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = _screen({"a": 1.0, "b": None}, replicates=1)
    lonely = table.filter((pl.col("compound") != "b") | (pl.col("concentration_um") == 10))
    lake = _lake(tmp_path, lonely)
    found = ud.dose(lake, RAW, num_bootstraps=100)
    assert [c.compound for c in found] == ["a"]
    assert "no curve for compounds with one dose: 1" in caplog.text
    assert "compounds with one well a dose: 1" in caplog.text
    with pytest.raises(UnidinoError, match="unknown compound 'x'; choose one of a, b"):
        ud.dose(lake, ud.Selection(normalize="none", compounds=["x"]))
    with pytest.raises(
        InputError, match="no feature fits 'area'; the profiles have 24, such as f0"
    ):
        ud.dose(lake, RAW, features=["area"])
    with pytest.raises(ProfileError, match="no wells of control_type poscon; name the positive"):
        ud.dose(lake, RAW, effect="projection")
    with pytest.raises(InputError, match="fields of a well are no replicates"):
        ud.dose(lake, ud.Selection(level="field"))
    with pytest.raises(InputError, match="--bootstraps is 5; it must be at least 100"):
        ud.dose(lake, RAW, num_bootstraps=5)


def test_all_inactive_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lake = _lake(tmp_path, _screen({"a": None, "b": None}, seed=5))
    found = ud.dose(lake, RAW, num_bootstraps=100)
    assert not any(c.is_active for c in found)
    assert "no compound differs from the negative controls in any channel" in caplog.text


def test_a_treatment_is_a_class_of_attributions(profiled: Path, tmp_path: Path) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    shares = ud.attribute(lake, ud.Selection("gaussian"), label="treatment", num_seeds=1, jobs=1)
    assert all(share.class_name.endswith(" 10 uM") for share in shares)
    assert len({share.class_name for share in shares}) == 4


def test_each_channel_is_beside_the_others(profiled: Path, tmp_path: Path) -> None:
    shutil.copytree(profiled, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    lake.execute(
        "update well set concentration_um = 1 where plate like '%b1%' and compound <> 'DMSO'"
    )
    found = ud.dose(lake, ud.Selection(models=["gaussian"], normalize="none"), num_bootstraps=100)
    assert [c.channel for c in found[:4]] == ["all", "DNA", "Actin", "Tubulin"]
    section = doses(lake, None, None)
    assert not section.is_empty
    assert "of 4 compounds differ" in section.text
