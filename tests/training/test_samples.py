"""Samples are what SQL selects, and epochs draw from them as documented."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from unidino.core.errors import InputError, UnidinoError
from unidino.lake.lake import Lake
from unidino.lake.samples import COLUMNS
from unidino.training.samples import draw_epoch, select_samples, stretch


def _samples(sizes: dict[str, int], num_channels: int = 3) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"dataset": d, "plate": f"{d}-p", "well": f"A{i:02d}", "field": 1, "channel_index": c}
            for d, size in sizes.items()
            for i in range(size)
            for c in range(num_channels)
        ]
    )


def test_datasets_are_cycled_to_the_longest() -> None:
    table = _samples({"long": 50, "short": 7})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0))).to_pylist()
    counts = {d: sum(r["dataset"] == d for r in drawn) for d in ("long", "short")}
    assert counts == {"long": 50, "short": 50}
    short = [r["well"] for r in drawn if r["dataset"] == "short"]
    repeats = {well: short.count(well) for well in set(short)}
    assert len(repeats) == 7
    assert set(repeats.values()) == {7, 8}


def test_an_epoch_is_reproducible_and_epochs_differ() -> None:
    table = _samples({"a": 40, "b": 9})
    first = draw_epoch(table, 3, 0)
    np.testing.assert_array_equal(first, draw_epoch(table, 3, 0))
    assert not np.array_equal(first, draw_epoch(table, 3, 1))
    assert not np.array_equal(first, draw_epoch(table, 4, 0))


def test_every_channel_is_drawn_about_as_often() -> None:
    table = _samples({"a": 3000})
    channels = table["channel_index"].to_numpy()[draw_epoch(table, 0, 0)]
    shares = np.bincount(channels) / len(channels)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)


def test_every_channel_may_be_a_sample_of_its_own() -> None:
    table = _samples({"a": 20, "b": 7})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0, every_channel=True))).to_pylist()
    counts = Counter(row["dataset"] for row in drawn)
    assert counts == {"a": 60, "b": 60}
    assert len({(r["well"], r["channel_index"]) for r in drawn if r["dataset"] == "a"}) == 60


def test_datasets_may_be_cycled_by_whole_repeats() -> None:
    table = _samples({"long": 50, "short": 7, "half": 26})
    drawn = table.take(pa.array(draw_epoch(table, 0, 0, whole_repeats=True))).to_pylist()
    assert Counter(row["dataset"] for row in drawn) == {"long": 50, "short": 49, "half": 26}
    wells = Counter(row["well"] for row in drawn if row["dataset"] == "short")
    assert set(wells.values()) == {7}


def test_samples_may_be_any_select(lake: Lake) -> None:
    everything = select_samples(lake, "training_sample")
    assert everything.num_rows == 72
    dna = select_samples(lake, "select * from training_sample where channel = 'DNA'")
    assert set(dna["channel"].to_pylist()) == {"DNA"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nothing", "--samples 'nothing': .*does not exist"),
        ("select * from training_sample where false", "selects no image"),
        ("select plate from training_sample", "lacks the column dataset"),
        ("delete from image", "--samples 'delete from image': delete statements are refused"),
        ("selekt", "syntax|does not exist"),
    ],
)
def test_samples_that_cannot_be_are_refused(lake: Lake, query: str, message: str) -> None:
    with pytest.raises(UnidinoError, match=message):
        select_samples(lake, query)


def test_a_share_of_the_controls_is_drawn_from_every_plate(lake: Lake) -> None:
    everything = select_samples(lake, "training_sample")
    half = select_samples(lake, "training_sample", controls=0.5)
    wells = dict(lake.query("select plate || well, control_type from well").iter_rows())

    def fields(table: pa.Table) -> Counter:
        rows = table.select(["plate", "well", "field"]).to_pylist()
        places = {(r["plate"], r["well"], r["field"]) for r in rows}
        return Counter((plate, wells[plate + well]) for plate, well, _ in places)

    assert {k: n for k, n in fields(everything).items() if k[1] == "negcon"} == {
        ("tiny_b1_p1", "negcon"): 4,
        ("tiny_b2_p1", "negcon"): 4,
    }
    assert {k: n for k, n in fields(half).items() if k[1] == "negcon"} == {
        ("tiny_b1_p1", "negcon"): 2,
        ("tiny_b2_p1", "negcon"): 2,
    }
    assert {k: n for k, n in fields(half).items() if k[1] == "trt"} == {
        k: n for k, n in fields(everything).items() if k[1] == "trt"
    }
    columns = ", ".join(COLUMNS)
    with pytest.raises(InputError, match="lacks the column control_type"):
        select_samples(lake, f"select {columns} from training_sample", controls=0.5)


def test_an_endless_sequence_of_passes_is_cut_into_stretches() -> None:
    def draw_pass(number: int) -> np.ndarray:
        return np.arange(5) + 10 * number

    whole = np.concatenate([draw_pass(n) for n in range(20)])
    for start in range(12):
        for num in range(1, 14):
            np.testing.assert_array_equal(
                stretch(draw_pass, 5, start, num), whole[start : start + num]
            )
