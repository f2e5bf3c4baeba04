"""Assay quality: oracles by hand, planted faults that are found, and what cannot be said."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unidino as ud
from unidino.core import assets
from unidino.insight.positions import position_effects
from unidino.insight.quality_rows import separations
from unidino.insight.replicate_wells import replicate_correlations, replicate_distances
from unidino.insight.separation import on_control_axis
from unidino.reports.assay import assay_quality
from unidino.reports.page import render

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=9)


@given(negative=numbers, positive=numbers)
@settings(max_examples=30)
def test_z_prime_and_ssmd_are_as_written_by_hand(
    negative: list[float], positive: list[float]
) -> None:
    named = {"dataset": "d", "plate": "p", "subject": "profile", "axis": "taxol"}
    values = [named | {"control_type": "negcon", "value": v} for v in negative]
    values += [named | {"control_type": "poscon", "value": v} for v in positive]
    got = {row["measure"]: row["value"] for row in separations(values)}
    a, b = np.array(negative), np.array(positive)

    def mad(x: np.ndarray) -> float:
        return 1.4826 * float(np.median(np.abs(x - np.median(x))))

    for prefix, centre, spread in (
        ("", np.mean, lambda x: float(np.std(x, ddof=1))),
        ("robust_", np.median, mad),
    ):
        gap = float(centre(b) - centre(a))
        if abs(gap) > 1e-6:
            want = 1 - 3 * (spread(a) + spread(b)) / abs(gap)
            assert got[f"{prefix}z_prime"] == pytest.approx(want, rel=1e-6)
        noise = np.sqrt(spread(a) ** 2 + spread(b) ** 2)
        if noise > 1e-6:
            assert got[f"{prefix}ssmd"] == pytest.approx(gap / noise, rel=1e-6, abs=1e-9)


def test_numbers_of_a_textbook_plate() -> None:
    """Negative 0, 2; positive 10, 12, 14: Z' = 1 - 3 (1.4142 + 2) / 11, SSMD = 11 / sqrt(6)."""
    named = {"dataset": "d", "plate": "p", "subject": "profile", "axis": "taxol"}
    values = [named | {"control_type": "negcon", "value": v} for v in (0.0, 2.0)]
    values += [named | {"control_type": "poscon", "value": v} for v in (10.0, 12.0, 14.0)]
    got = {row["measure"]: row["value"] for row in separations(values)}
    assert got["z_prime"] == pytest.approx(0.0688, abs=1e-4)
    assert got["ssmd"] == pytest.approx(4.4907, abs=1e-4)


def test_the_axis_does_not_know_the_well_that_it_places() -> None:
    """In noise of many features an axis of all wells separates; this one does not."""
    random = np.random.default_rng(0)
    gaps = []
    for _ in range(40):
        low, high = on_control_axis(*random.standard_normal((2, 8, 500)))
        gaps.append(high.mean() - low.mean())
    assert abs(np.mean(gaps)) < 0.1
    shift = np.zeros(500)
    shift[0] = 50
    noise = random.standard_normal((2, 8, 500))
    low, high = on_control_axis(noise[0], noise[1] + shift)
    assert abs(low.mean()) < 0.2
    assert high.mean() == pytest.approx(1, abs=0.2)


def test_a_distance_to_replicates_names_the_one_that_is_out() -> None:
    wells = np.array([[0.0, 0], [0, 2], [30, 40], [7, 7], [1, 1]])
    found = replicate_distances(wells, ["a", "a", "a", "lone", None])
    np.testing.assert_allclose(found[:3], np.array([2, 2, np.hypot(30, 38)]) / np.sqrt(2))
    assert np.isnan(found[3:]).all()


def test_correlations_of_replicates_equal_numpy() -> None:
    random = np.random.default_rng(1)
    wells = random.standard_normal((6, 30))
    found = replicate_correlations(wells, list("aaabbb"))
    table = np.corrcoef(wells)
    assert found[0] == pytest.approx(np.median([table[0, 1], table[0, 2]]))
    assert found[5] == pytest.approx(np.median([table[5, 3], table[5, 4]]))


@pytest.mark.parametrize("num_features", [1, 20])
def test_a_planted_gradient_is_found_and_noise_is_not(num_features: int) -> None:
    random = np.random.default_rng(2)
    rows, columns = np.repeat(np.arange(2, 8), 4), np.tile([2, 11, 5, 8], 6)
    noise = random.standard_normal((24, num_features))
    plain = {e.kind: e for e in position_effects(noise, rows, columns, (8, 12))}
    assert all(e.p_value is None or e.p_value > 0.02 for e in plain.values())
    assert plain["edge"].reason == "all are away from the edge"
    tilted = position_effects(noise + rows[:, None], rows, columns, (8, 12))
    assert tilted[0].p_value == 0.001
    assert tilted[1].p_value is not None
    assert tilted[1].p_value > 0.02
    # One feature: the share is that of a one-way analysis of variance.
    one = noise[:, :1] + rows[:, None]
    means = np.array([one[rows == r].mean() for r in rows])
    share = ((means - one.mean()) ** 2).sum() / ((one - one.mean()) ** 2).sum()
    (row_effect, *_) = position_effects(one, rows, columns, (8, 12))
    assert row_effect.share == pytest.approx(share)


def plate_table(folder: Path, kinds: dict[str, str], *, plates: int = 2, num: int = 6) -> Path:
    """Wells of 20 features: `num` of each compound on each plate, 3 apart by compound.

    kinds: control type by compound.
    """
    random = np.random.default_rng(3)
    centres = {name: random.standard_normal(20) * 3 for name in kinds}
    rows = []
    for plate in range(plates):
        wells = iter([f"{r}{c:02d}" for c in range(1, 13) for r in "ABCDEFGH"])
        for name, kind in kinds.items():
            for _ in range(num):
                features = centres[name] + 0.3 * random.standard_normal(20)
                rows.append(
                    {"plate": f"p{plate}", "well": next(wells), "compound": name,
                     "concentration_um": "1", "control_type": kind, "num_cells": 100}
                    | {f"f{i}": v for i, v in enumerate(features)}
                )  # fmt: skip
    path = folder / "wells.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def make(tmp_path: Path, kinds: dict[str, str], **options: int) -> ud.Lake:
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, plate_table(tmp_path, kinds, **options), "m")
    return lake


GOOD = {"DMSO": "negcon", "taxol": "poscon", "a": "trt", "b": "trt", "c": "trt"}


def test_a_good_screen_is_good_and_a_swapped_well_is_named(tmp_path: Path) -> None:
    table = pl.read_parquet(plate_table(tmp_path, GOOD))
    # A well of compound a has got the liquid of compound b, and another has lost its cells.
    swap = (pl.col("plate") == "p1") & (pl.col("well") == "E02")
    donor = table.filter((pl.col("compound") == "b") & (pl.col("plate") == "p1")).row(0, named=True)
    table = table.with_columns(
        *(pl.when(swap).then(donor[f"f{i}"]).otherwise(f"f{i}").alias(f"f{i}") for i in range(20)),
        num_cells=pl.when(pl.col("well") == "F02").then(20).otherwise("num_cells"),
    )
    assert table.filter(swap)["compound"].item() == "a"
    table.write_parquet(tmp_path / "swapped.parquet")
    lake = ud.Lake.create(tmp_path / "lake")
    ud.import_profiles(lake, tmp_path / "swapped.parquet", "m")
    found = ud.quality(lake)
    assert found.frame["plate"].to_list() == ["p0", "p1"]
    assert found.frame["z_prime"].to_numpy().min() > 0.5
    assert found.frame["axis"].to_list() == ["taxol", "taxol"]
    assert found.frame["replicate_correlation"].to_numpy().min() > 0.7
    assert found.frame["outlier_wells"].to_list() == [0, 1]
    assert found.frame["few_cells"].to_list() == [1, 1]
    wells = found.flagged.drop_nulls("well")
    named = set(wells.select("plate", "well", "measure").iter_rows())
    assert named == {
        ("p1", "E02", "outlier_wells"), ("p0", "F02", "few_cells"), ("p1", "F02", "few_cells"),
    }  # fmt: skip
    again = lake.query("select count(*) as n from latest_quality")["n"].item()
    assert again == len(found.rows)
    ud.quality(lake)
    assert lake.query("select count(*) as n from latest_quality")["n"].item() == again
    assert lake.query("select count(*) as n from quality")["n"].item() == 2 * again


@pytest.mark.parametrize(
    ("kinds", "options", "reason"),
    [
        ({"DMSO": "negcon", "a": "trt", "b": "trt"}, {}, "no positive control on the plate"),
        ({"taxol": "poscon", "a": "trt", "b": "trt"}, {}, "no negative control on the plate"),
        ({"a": "trt", "b": "trt"}, {}, "no controls on the plate"),
        (GOOD, {"num": 1, "plates": 1}, "no treated well has a replicate"),
        (GOOD, {"num": 1, "plates": 1}, "one negative control: a spread needs two"),
        ({"DMSO": "negcon", "taxol": "poscon"}, {}, "no treated wells"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_one_reason_and_the_rest_is_said(
    tmp_path: Path, kinds: dict[str, str], options: dict[str, int], reason: str
) -> None:
    lake = make(tmp_path, kinds, **options)
    found = ud.quality(lake)
    assert reason in found.rows["reason"].drop_nulls().to_list()
    assert found.rows.filter(
        pl.col("reason").is_not_null() & pl.col("value").is_not_null()
    ).is_empty()
    assert found.frame["plate"].n_unique() == options.get("plates", 2)
    assert "few_cells" in found.frame.columns
    assert len(ud.plot(lake, "quality", width_mm=120).axes) == 4


def test_images_that_are_out_are_flagged_within_plate_and_channel(lake: ud.Lake) -> None:
    lake.execute(
        "update image set focus = focus / 1e3 where plate = 'tiny_b1_p1' and well = 'B02'"
        " and field = 1 and channel = 'DNA'; update image set mean = mean * 1e3"
        " where plate = 'tiny_b2_p1' and well = 'C03' and field = 2 and channel = 'Actin'"
    )
    found = ud.quality(lake, plates=["tiny_b1_p1", "tiny_b2_p1"])
    wells = found.flagged.drop_nulls("well").select("plate", "well", "field", "channel", "measure")
    rows = set(wells.iter_rows())
    assert ("tiny_b1_p1", "B02", 1, "DNA", "blurred") in rows
    assert ("tiny_b2_p1", "C03", 2, "Actin", "bright") in rows
    with pytest.raises(ud.UnidinoError, match="unknown plate 'x'"):
        ud.quality(lake, plates=["x"])
    with pytest.raises(ud.UnidinoError, match="it must be a share"):
        ud.quality(lake, few_cells=2)


def test_the_command_and_the_section_of_the_report(
    tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    lake = make(tmp_path, GOOD)
    status, out, err = run_cli("quality", "--lake", lake.path)
    assert status == 0
    assert "z_prime" in out
    assert "negative controls, column: all are in one column" in err
    status, out, _ = run_cli("quality", "--lake", lake.path, "--json", "--flagged")
    assert status == 0
    section = assay_quality(lake, None)
    assert section.text.startswith("2 plates, as m sees them. Z′ of the controls is ")
    assert "on every plate: 2 reach 0.5." in section.text
    assert len(section.parts) == 3
    assert "Assay quality" in render("a lake", "", [section])
    status, _, err = run_cli("quality", "--lake", tmp_path / "nowhere")
    assert status == 1
    empty = ud.Lake.create(tmp_path / "empty")
    with pytest.raises(ud.UnidinoError, match="the lake has no plates"):
        ud.quality(empty)
    with pytest.raises(ud.UnidinoError, match="run `unidino quality`"):
        ud.plot(empty, "quality")


def test_a_lake_keeps_its_quality_when_its_catalog_is_lost(tmp_path: Path) -> None:
    from unidino.lake.rebuild import rebuild

    lake = make(tmp_path, GOOD)
    num = len(ud.quality(lake).rows)
    shutil.copytree(lake.path, tmp_path / "copy")
    (tmp_path / "copy" / "catalog.duckdb").unlink()
    rebuild(tmp_path / "copy")
    copy = ud.Lake.open(tmp_path / "copy")
    assert copy.query("select count(*) as n from quality")["n"].item() == num


def test_the_queries_name_their_sources() -> None:
    for name in ("control_separation", "flagged_image", "outlier_well"):
        assert "Source" in assets.sql("quality", name)
