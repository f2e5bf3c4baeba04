"""Figures show the values that they are given."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from figure_checks import drawn_texts
from figure_data import (
    MOAS,
    every_subset,
    labels,
    plate,
    points,
    readout_rows,
    score,
    shares,
    vectors,
)
from matplotlib.collections import PathCollection, QuadMesh
from scipy.stats import pearsonr

from unidino.core.errors import ProfileError
from unidino.figures.draw.channels import attribution_bars, channel_accuracies, channel_subsets
from unidino.figures.draw.distributions import pair_groups, separation
from unidino.figures.draw.maps import map_points
from unidino.figures.draw.plates import PlateValues, plate_heatmaps
from unidino.figures.draw.readouts import survival_curves
from unidino.figures.draw.scores import difference_intervals, label_intervals, score_intervals
from unidino.figures.draw.similarity import similarity_map
from unidino.figures.draw.training import training_curves


def test_a_map_shows_every_point_once_where_it_is() -> None:
    table = points(200, list(MOAS))
    figure = map_points([("d", table)])
    drawn = np.concatenate(
        [
            np.asarray(c.get_offsets())
            for c in figure.axes[0].collections
            if isinstance(c, PathCollection)
        ]
    )
    expected = table.select("x", "y").to_numpy()
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, expected.tolist()))


def test_similarity_is_pearsons_in_the_order_of_the_tree() -> None:
    own = vectors(20, 4)
    figure = similarity_map(own, [f"c{i}" for i in range(20)], ["a"] * 20)
    matrix = next(a for a in figure.axes if a.images and a.images[0].get_clim() == (-1, 1))
    shown = np.asarray(matrix.images[0].get_array())
    order = [int(t.get_text()[1:]) for t in matrix.get_yticklabels()]
    assert sorted(order) == list(range(20))
    for i, j in ((0, 1), (3, 17), (19, 2)):
        assert shown[i, j] == pytest.approx(pearsonr(own[order[i]], own[order[j]])[0])
    near = [abs(order[i] % 4 - order[i + 1] % 4) == 0 for i in range(19)]
    assert sum(near) == 16  # four groups, each in one piece


def test_similarity_leaves_out_what_does_not_vary() -> None:
    own = vectors(5, 5)
    own[1], own[2, 0] = 3.0, np.nan
    figure = similarity_map(own, list("abcde"))
    assert {t for t, _, _ in drawn_texts(figure)} >= {"a", "d", "e"}
    assert not {t for t, _, _ in drawn_texts(figure)} & {"b", "c"}
    with pytest.raises(ProfileError, match="1 of 2 profiles can be compared"):
        similarity_map(own[:2], list("ab"))


def test_a_plate_shows_each_value_in_its_well() -> None:
    own = plate(8, 12)
    figure = plate_heatmaps([own], "x")
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    shown = np.ma.filled(mesh.get_array(), np.nan).reshape(8, 12)
    for row in own.wells.iter_rows(named=True):
        assert shown[row["well_row"] - 1, row["well_column"] - 1] == row["value"]
    assert np.isnan(shown).sum() == 96 - len(own.wells)
    assert "no value" in {t for t, _, _ in drawn_texts(figure)}


def test_plates_share_one_scale() -> None:
    low, high = plate(8, 12, "low"), plate(8, 12, "high")
    high = PlateValues("high", 8, 12, high.wells.with_columns(pl.col("value") + 100))
    figure = plate_heatmaps([low, high], "x")
    meshes = [c for a in figure.axes for c in a.collections if isinstance(c, QuadMesh)]
    assert len({m.get_clim() for m in meshes[:2]}) == 1
    assert meshes[0].get_clim()[1] > 90


def test_cosines_of_pairs_agree_with_a_loop() -> None:
    own, compounds = vectors(25, 5), [str(k % 5) for k in range(25)]
    batches = [str(k % 3) for k in range(25)]
    own[4] = np.nan
    compounds[7] = None  # type: ignore[call-overload]
    found = {g.name: g for g in pair_groups(own, compounds, batches)}
    expected: dict[str, list[float]] = {}
    for i in range(25):
        for j in range(i + 1, 25):
            if 4 in (i, j) or 7 in (i, j):
                continue
            name = ("same compound" if compounds[i] == compounds[j] else "different compounds") + (
                ", same batch" if batches[i] == batches[j] else ", different batches"
            )
            cosine = own[i] @ own[j] / np.linalg.norm(own[i]) / np.linalg.norm(own[j])
            expected.setdefault(name, []).append(float(cosine))
    assert set(found) == set(expected)
    for name, cosines in expected.items():
        assert found[name].num_pairs == len(cosines)
        np.testing.assert_allclose(sorted(found[name].cosines), sorted(cosines))
    same = found["same compound, same batch"].cosines
    other = found["different compounds, same batch"].cosines
    wins = np.mean([(a > b) + (a == b) / 2 for a in same for b in other])
    assert separation(same, other) == pytest.approx(wins)


def test_pairs_of_many_profiles_are_drawn_not_listed() -> None:
    num = 6_000
    compounds = [str(k % 1500) for k in range(num)]
    found = {g.name: g for g in pair_groups(vectors(num, 1500), compounds, None)}
    assert found["same compound"].num_pairs == len(found["same compound"].cosines) == 1500 * 6
    other = found["different compounds"]
    assert other.num_pairs == num * (num - 1) // 2 - 1500 * 6
    assert len(other.cosines) == 200_000
    assert abs(other.cosines.mean()) < 0.02


def test_subsets_of_channels_are_told_apart() -> None:
    (own,) = channel_subsets(every_subset("m"))
    assert list(own.alone) == list(own.without) == ["DNA", "RNA", "ER", "AGP", "Mito"]
    assert own.all_channels.accuracy == 0.6
    assert {s.accuracy for s in own.alone.values()} == {0.3}
    assert {s.accuracy for s in own.without.values()} == {0.5}
    assert channel_subsets([score()]) == []


def test_values_of_bars_are_the_shares() -> None:
    table = shares(["a", "b"], ["DNA", "Actin"])
    axes = attribution_bars(table).axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(
        table.sort("channel", "class", descending=[True, False])["share"].to_list()
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: map_points([]), "no profile to map"),
        (lambda: map_points([("d", points(9, ["a"]).with_columns(moa=None))]), "has a moa"),
        (lambda: score_intervals([score(accuracy=None)]), "run `unidino score"),
        (lambda: difference_intervals([score()]), "with several --model"),
        (lambda: label_intervals(labels(1).clear()), "run `unidino score --measure map"),
        (lambda: attribution_bars(shares(["a"], ["b"]).clear()), "run `unidino attribute"),
        (lambda: channel_accuracies([]), "attribute --model NAME --scores auto"),
        (
            lambda: survival_curves(readout_rows(["a"], [""]).clear()),
            "run `unidino readouts",
        ),
        (lambda: plate_heatmaps([], "avg(x)"), "no well has a value of avg"),
        (lambda: plate_heatmaps([plate(8, 12)] * 25, "x"), "25 plates are too many"),
        (lambda: pair_groups(vectors(3, 3), ["a", "b", "c"], None), "two profiles"),
        (
            lambda: pair_groups(vectors(3, 3), ["a", "a", "a"], None),
            "the same compound",
        ),
        (
            lambda: pair_groups(vectors(4, 2), list("abab"), list("1111")),
            "the same batch",
        ),
        (lambda: training_curves({}), "no model has a training log"),
    ],
)
def test_nothing_to_show_is_said(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        make()


def test_trainings_with_epochs_of_different_lengths_are_drawn_by_steps() -> None:
    logs = {
        name: pl.DataFrame({"epoch": [0, 1], "steps": [length, 2 * length], "loss": [2.0, 1.0]})
        for name, length in (("short", 5), ("long", 50))
    }
    (axes,) = training_curves(logs).axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[5, 10], [50, 100]]
    assert axes.get_xlabel() == "steps"
    earlier = {name: log.drop("steps") for name, log in logs.items()}
    assert training_curves(earlier).axes[0].get_xlabel() == "epoch"
