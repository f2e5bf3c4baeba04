"""Drawn cells are found and measured as they were drawn."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unidino.core.errors import ModelError
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines
from unidino.models.cellprofiler import measure, nuclear_channel, segment
from unidino.models.features import NUM_DIMS, group_names
from unidino.profiles.export import export_profiles
from unidino.profiles.profile import profile
from unidino.profiles.selection import Selection

pytest.importorskip("cp_measure")

PLACES = [(40, 40), (40, 110), (110, 40), (110, 110), (170, 60)]


def _disks(radius: float, places: list[tuple[int, int]] = PLACES) -> np.ndarray:
    rows, columns = np.ogrid[:220, :150]
    inside = [np.hypot(rows - r, columns - c) < radius for r, c in places]
    return np.any(inside, axis=0)


def _plane(radius: float, level: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(100 + level * _disks(radius)).astype(np.uint16)


def test_nuclei_are_counted_and_of_the_area_drawn() -> None:
    nuclei, cells = segment(_plane(12, 2000), _plane(24, 800))
    assert nuclei.max() == len(PLACES)
    areas = np.bincount(nuclei.ravel())[1:]
    np.testing.assert_allclose(areas, _disks(12).sum() / len(PLACES), rtol=0.12)
    for row, column in PLACES:
        assert nuclei[row, column] == cells[row, column] > 0
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    cell_areas = np.bincount(cells.ravel())[1:]
    assert (cell_areas > 2.5 * areas).all()


def test_touching_nuclei_are_parted() -> None:
    nuclei, _ = segment(_plane(0, 0) + 3000 * _disks(14, [(60, 60), (60, 84)]), None)
    assert nuclei.max() == 2
    assert nuclei[60, 58] != nuclei[60, 86]


@pytest.mark.parametrize("level", [0, 7, 60_000])
def test_a_field_without_cells_has_no_vector(level: int) -> None:
    flat = np.full((2, 100, 80), level, np.uint16)
    noise = np.random.default_rng(0).poisson(300 + level, (2, 100, 80)).astype(np.uint16)
    assert measure(flat, ["DNA", "Actin"], "DNA") is None
    assert measure(noise, ["DNA", "Actin"], "DNA") is None


def test_groups_are_as_long_as_their_names_and_measure_what_was_drawn() -> None:
    planes = np.stack([_plane(12, 2000), _plane(24, 800, 1)])
    found = measure(planes, ["DNA", "Actin"], "DNA")
    names = group_names(["DNA", "Actin"])
    assert found is not None
    assert list(found) == list(names) == ["DNA", "Actin", "Shape", "Correlation"]
    for group, vector in found.items():
        assert vector.shape == (NUM_DIMS,)
        assert np.isfinite(vector).all()
        assert not vector[len(names[group]) :].any()
        assert len(set(names[group])) == len(names[group])
    shape = dict(zip(names["Shape"], found["Shape"], strict=False))
    assert shape["Nuclei_Count"] == len(PLACES)
    assert shape["Nuclei_AreaShape_Area"] == pytest.approx(np.pi * 12**2, rel=0.12)
    assert shape["Nuclei_AreaShape_Eccentricity"] < 0.4
    dna = dict(zip(names["DNA"], found["DNA"], strict=False))
    assert dna["Nuclei_Intensity_MeanIntensity_DNA"] == pytest.approx(2100 / 65535, rel=0.05)
    assert (
        dna["Cells_Intensity_MeanIntensity_DNA"] < 0.6 * dna["Nuclei_Intensity_MeanIntensity_DNA"]
    )


def test_8_bit_images_are_measured_on_their_own_scale() -> None:
    planes = np.stack([_plane(12, 20_000), _plane(24, 8000, 1)])
    names = group_names(["DNA", "Actin"])["DNA"]
    levels = []
    for counts in (planes, (planes >> 8).astype(np.uint8)):
        found = measure(counts, ["DNA", "Actin"], "DNA")
        assert found is not None
        levels.append(
            dict(zip(names, found["DNA"], strict=False))["Nuclei_Intensity_MeanIntensity_DNA"]
        )
    assert levels[1] == pytest.approx(levels[0], rel=0.03)


def test_up_to_eight_channels_fit_and_nine_are_refused() -> None:
    rng = np.random.default_rng(0)
    channels = [f"c{i}" for i in range(8)]
    planes = np.stack([_plane(12, 2000), *[_plane(24, 500, i) for i in range(7)]])
    found = measure(planes, channels, "c0")
    assert found is not None
    assert np.count_nonzero(found["Correlation"]) > 100
    nine = rng.integers(0, 9, (9, 8, 8)).astype(np.uint16)
    with pytest.raises(ModelError, match="at most 8"):
        measure(nine, [*channels, "c8"], "c0")


@settings(max_examples=4)
@given(st.permutations([0, 1, 2]))
def test_the_order_of_channels_changes_no_group(order: list[int]) -> None:
    names = ["DNA", "Actin", "Tubulin"]
    planes = np.stack([_plane(12, 2000), _plane(24, 800, 1), _plane(20, 500, 2)])
    one = measure(planes, names, "DNA")
    other = measure(planes[order], [names[i] for i in order], "DNA")
    assert one is not None
    assert other is not None
    for group, vector in one.items():
        np.testing.assert_allclose(other[group], vector, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        (["DNA", "ER"], "DNA"),
        (["actin", "Hoechst 33342"], "Hoechst 33342"),
        (["nucleoli", "DAPI"], "DAPI"),
        (["Nuclei", "tub"], "Nuclei"),
    ],
)
def test_the_nuclear_channel_is_known_by_name(channels: list[str], found: str) -> None:
    assert nuclear_channel(channels) == found


def test_a_nuclear_channel_that_is_unclear_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"no channel's name .*\(ch1, ch2\).*--nuclei NAME"):
        nuclear_channel(["ch1", "ch2"])
    with pytest.raises(ModelError, match="both DNA and DAPI"):
        nuclear_channel(["DNA", "DAPI"])


def test_a_plate_is_measured_and_profiled(lake: Lake) -> None:
    baselines.create_model(lake, "cellprofiler")
    done = embed(lake, "cellprofiler", plates=["tiny_b1_p1"])
    rows = lake.query(
        "select channel, channel_index, count(*) as n from embedding group by all"
        " order by channel_index"
    ).rows()
    assert [row[0] for row in rows] == ["DNA", "Actin", "Tubulin", "Shape", "Correlation"]
    num_fields = 12 - done.left_out.get("field_without_cells", 0) // 3
    assert {row[2] for row in rows} == {num_fields}
    profile(lake, Selection(models=["cellprofiler"]))
    channels = lake.query("select distinct channels from profile").item()
    assert channels.to_list() == ["DNA", "Actin", "Tubulin", "Shape", "Correlation"]
    # What is exported has the names of the measurements.
    selection = Selection(["cellprofiler"])
    export_profiles(lake, lake.path.parent / "measured.parquet", selection)
    names = [
        n
        for n in pl.read_parquet_schema(lake.path.parent / "measured.parquet")
        if n[:9] != "Metadata_"
    ]
    assert len(set(names)) == 5 * 112
    assert names[0] == "Nuclei_Intensity_IntegratedIntensity_DNA"
    for name in ("Nuclei_Count", "Cells_AreaShape_Area", "Cells_Correlation_Pearson_Actin_DNA"):
        assert name in names
    two = replace(selection, channels=["Shape", "DNA"])
    export_profiles(lake, lake.path.parent / "two.parquet", two)
    cut = [n for n in pl.read_parquet_schema(lake.path.parent / "two.parquet") if n in set(names)]
    assert cut == names[3 * 112 : 4 * 112] + names[:112]


def test_a_plate_without_nuclei_asks_for_their_channel(lake: Lake) -> None:
    lake.execute("update channel set channel = 'x' where channel = 'DNA'")
    lake.execute("update image set channel = 'x' where channel = 'DNA'")
    # Few fields, because cells are measured slowly.
    lake.execute("update image set qc = 'blank' where well <> 'B02'")
    baselines.create_model(lake, "cellprofiler")
    with pytest.raises(ModelError, match="--nuclei NAME"):
        embed(lake, "cellprofiler")
    baselines.create_model(lake, "cellprofiler", "named", nuclei="x")
    assert embed(lake, "named", plates=["tiny_b1_p1"]).plates == ("tiny_b1_p1",)
