"""Figures show what they are given, legibly: measured on what is drawn."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from figure_checks import drawn_texts, problems
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import pearsonr

from unidino.core.errors import InputError, ProfileError, UnidinoError
from unidino.figures.draw import (
    channels,
    distributions,
    fields,
    maps,
    plates,
    readouts,
    scores,
    similarity,
    style,
    training,
)
from unidino.scores.accuracy import LakeScore, Versus

MOAS = (
    "Actin disruptors",
    "Aurora kinase inhibitors",
    "Cholesterol-lowering",
    "DNA damage",
    "DNA replication",
    "Eg5 inhibitors",
    "Epithelial",
    "Kinase inhibitors",
    "Microtubule destabilizers",
    "Microtubule stabilizers",
    "Protein degradation",
    "Protein synthesis",
)
LONG = [
    f"a mechanism with a name that is much too long for any legend, number {i}" for i in range(60)
]
ODD = ["_hidden", "a$b$c", "<b>", "50% \\alpha", "µ-opioid", "\u200b", "x"]


def points(num: int, names: list[str], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    own = rng.integers(len(names), size=num)
    own[: len(names)] = np.arange(len(names))[:num]
    return pl.DataFrame(
        {
            "x": rng.normal(size=num),
            "y": rng.normal(size=num),
            "moa": [names[i] if rng.random() > 0.1 or i == 0 else None for i in own],
            "control_type": ["negcon" if k % 10 == 9 else "trt" for k in range(num)],
            "concentration_um": 10.0 ** rng.integers(-2, 3, num),
            "plate": [f"p{i % 3}" for i in own],
        }
    )


def score(dataset: str = "d", model: str = "m", metric: str = "nsc", **values: Any) -> LakeScore:
    given: dict[str, Any] = {
        "accuracy": 0.6,
        "interval_95": (0.5, 0.7),
        "n": 96,
        "num_classes": 6,
        "num_without_neighbour": 0,
        "ceiling": 0.95,
        "chance": 0.1,
        "dropped": {},
        "normalization": "mad_robustize",
        "channels": ("DNA", "Actin"),
        "rules": "text",
        "label": "moa",
        "level": "well",
    }
    return LakeScore(**(given | values), dataset=dataset, model=model, metric=metric)


def shares(classes: list[str], channels: list[str], *, seeds: bool = False) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for name in classes:
        for channel, share in zip(channels, rng.dirichlet(np.ones(len(channels))), strict=True):
            rows.append(
                {
                    "dataset": "d",
                    "class": name,
                    "channel": channel,
                    "share": share,
                    "expected": 1 / len(channels),
                    "share_low": max(0, share - 0.1) if seeds else None,
                    "share_high": min(1, share + 0.1) if seeds else None,
                }
            )
    kinds = {"share_low": pl.Float64, "share_high": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def plate(rows: int, columns: int, name: str = "p", texts: list[str] | None = None) -> Any:
    rng = np.random.default_rng(rows)
    wells = [
        {
            "well_row": r,
            "well_column": c,
            "value": texts[(r * columns + c) % len(texts)] if texts else float(rng.normal()),
        }
        for r in range(1, rows + 1)
        for c in range(1, columns + 1)
        if (r + c) % 7
    ]
    return plates.PlateValues(name, rows, columns, pl.DataFrame(wells))


def labels(num: int) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "dataset": "d",
                "measure": "replicates",
                "metric": "nsc",
                "rules": "text",
                "label": "moa",
                "level": "well",
                "class": LONG[i % 60] + str(i),
                "mean_average_precision": None,
                "correlation": 0.9 - i / num,
                "threshold": 0.3,
                "is_above_chance": i < num / 2,
            }
            for i in range(num)
        ],
        schema_overrides={"mean_average_precision": pl.Float64},
    )


def readout_rows(models: list[str], strata: list[str]) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        [
            {
                "dataset": "d",
                "stratum": s,
                "model": m,
                "normalization": "mad_robustize",
                "level": "compound",
                "regressor": "random_forest",
                "readout": f"r{i}",
                "r2": float(max(0, rng.normal(0.2, 0.2))),
            }
            for s in strata
            for m in models
            for i in range(30)
        ]
    )


def vectors(num: int, groups: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(groups, 30))[np.arange(num) % groups] + rng.normal(size=(num, 30))


def every_subset(model: str) -> list[LakeScore]:
    names = ("DNA", "RNA", "ER", "AGP", "Mito")
    alone = [score(model=model, channels=(c,), accuracy=0.3) for c in names]
    without = [
        score(model=model, channels=tuple(n for n in names if n != c), accuracy=0.5) for c in names
    ]
    return [score(model=model, channels=names), *alone, *without]


def log(num: int) -> pl.DataFrame:
    columns = {"learning_rate": [1e-6] * num, "other_thing": [1234567.0] * num}
    return pl.DataFrame({"epoch": range(num), "loss": [9 / (e + 1) for e in range(num)]} | columns)


CASES: dict[str, Callable[[], Figure]] = {
    "map": lambda: maps.map_points([("bbbc021", points(300, list(MOAS)))]),
    "map of one point": lambda: maps.map_points([("d", points(1, ["a"]))]),
    "map of one class": lambda: maps.map_points([("d", points(20, ["a"]))], width_mm=60),
    "map of 60 long names": lambda: maps.map_points([(LONG[0] * 3, points(600, LONG))]),
    "map of odd names": lambda: maps.map_points([("$", points(60, ODD))]),
    "map of numbers": lambda: maps.map_points([("d", points(60, ["a"]))], "concentration_um"),
    "map of three datasets": lambda: maps.map_points(
        [(f"d{i}", points(50, list(MOAS), i)) for i in range(3)], "plate"
    ),
    "similarity of two": lambda: similarity.similarity_map(vectors(2, 2), ["a", "b"]),
    "similarity of 39": lambda: similarity.similarity_map(
        vectors(39, 12), LONG[:39], [MOAS[i % 12] for i in range(39)]
    ),
    "similarity of 300": lambda: similarity.similarity_map(
        vectors(300, 80), [str(i) for i in range(300)], [f"{LONG[0]} {i % 80}" for i in range(300)]
    ),
    "one score": lambda: scores.score_intervals([score()]),
    "many scores": lambda: scores.score_intervals(
        [
            score(d, f"model {i}, {LONG[0] if i == 3 else ''}", m)
            for d in ("d", "e")
            for m in ("nsc", "nscb", "not same compound, plate, well, batch")
            for i in range(9)
        ]
    ),
    "low scores": lambda: scores.score_intervals(
        [score(accuracy=0.03, interval_95=None, chance=0.004)]
    ),
    "differences": lambda: scores.difference_intervals(
        [score(), score(model="n", versus=Versus("m", "none", -0.2, (-0.3, -0.1), 96))]
    ),
    "labels": lambda: scores.label_intervals(labels(100)),
    "attribution": lambda: channels.attribution_bars(
        shares(list(MOAS), ["DNA", "Actin", "Tubulin"])
    ),
    "attribution over seeds": lambda: channels.attribution_bars(
        shares(LONG[:20], ["DNA", "a channel with a long name", "ER", "Mito"], seeds=True)
    ),
    "attribution of one class": lambda: channels.attribution_bars(shares(["a"], ["DNA"])),
    "attribution of 60 classes": lambda: channels.attribution_bars(
        shares(LONG, [f"channel {i}" for i in range(12)])
    ),
    "channels": lambda: channels.channel_accuracies(
        channels.channel_subsets([*every_subset("m"), *every_subset("n"), *every_subset("o")])
    ),
    "readouts": lambda: readouts.survival_curves(
        readout_rows(["a", LONG[0], "c"], ["A549", "ES2"])
    ),
    "readouts, one": lambda: readouts.survival_curves(readout_rows(["a"], [""])),
    "plate of 96": lambda: plates.plate_heatmaps([plate(8, 12)], "avg(focus)"),
    "plates of 384": lambda: plates.plate_heatmaps(
        [plate(16, 24, LONG[i]) for i in range(5)], "avg(focus) filter (where channel = 'DNA')"
    ),
    "plate of 1536": lambda: plates.plate_heatmaps([plate(32, 48)], "avg(mean)"),
    "24 plates": lambda: plates.plate_heatmaps([plate(8, 12, f"p{i}") for i in range(24)], "x"),
    "plates of texts": lambda: plates.plate_heatmaps(
        [plate(16, 24, texts=LONG), plate(8, 12, texts=list(MOAS))], "moa"
    ),
    "plate of one well": lambda: plates.plate_heatmaps(
        [
            plates.PlateValues(
                "p", 8, 12, pl.DataFrame({"well_row": [2], "well_column": [3], "value": [1.0]})
            )
        ],
        "x",
    ),
    "pairs": lambda: distributions.pair_distributions(
        {
            f"d{i}: model": distributions.pair_groups(
                vectors(60, 6), [str(k % 6) for k in range(60)], None
            )
            for i in range(3)
        }
    ),
    "pairs by batch": lambda: distributions.pair_distributions(
        {
            LONG[0]: distributions.pair_groups(
                vectors(60, 6), [str(k % 6) for k in range(60)], [str(k % 4) for k in range(60)]
            )
        }
    ),
    "training": lambda: training.training_curves({"a": log(5), "b": log(1)}),
    "fields": lambda: fields.field_channels(
        [np.zeros((900, 600), np.float32)] * 7, [f"channel number {i}" for i in range(7)]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_text_is_legible_and_nothing_is_empty(case: str) -> None:
    assert problems(CASES[case]()) == []


def test_the_measure_of_overlap_finds_overlap() -> None:
    figure = Figure(figsize=(3, 3))
    axes = figure.subplots()
    axes.text(0.5, 0.5, "one", fontsize=6)
    axes.text(0.5, 0.5, "another")
    axes.text(0.9, 0.9, "off the page to the right")
    found = "\n".join(problems(figure))
    for said in ("6.0 pt", "'one' overlaps 'another'", "leaves the page", "is empty"):
        assert said in found


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_a_file_of_each_format_opens(ending: str, start: bytes, tmp_path: Path) -> None:
    figure = CASES["map of odd names"]()
    path = style.save(figure, tmp_path / f"figure.{ending}", dpi=100)
    assert path.read_bytes().startswith(start)
    if ending == "png":
        with Image.open(path) as image:
            image.load()
            assert image.size[0] == pytest.approx(180 / 25.4 * 100, abs=1)
    if ending == "svg":
        root = importlib.import_module("defusedxml.ElementTree").parse(path).getroot()
        texts = {
            "".join(e.itertext()).strip("\u200b\n ") for e in root.iter() if e.tag.endswith("}text")
        }
        assert {"_hidden", "a$b$c", "<b>"} <= texts


def test_a_file_of_another_format_or_size_is_refused(tmp_path: Path) -> None:
    figure = CASES["map of one class"]()
    with pytest.raises(UnidinoError, match="unknown format of a figure 'gif'; choose one of png"):
        style.save(figure, tmp_path / "a.gif")
    with pytest.raises(InputError, match="--dpi is 9"):
        style.save(figure, tmp_path / "a.png", dpi=9)
    with pytest.raises(InputError, match="--width-mm is 9"):
        maps.map_points([("d", points(9, ["a"]))], width_mm=9)
    assert list(tmp_path.iterdir()) == []


def test_equal_figures_give_equal_files(tmp_path: Path) -> None:
    for ending in ("svg", "png", "pdf"):
        one, two = (
            style.save(CASES["map"](), tmp_path / f"{i}.{ending}", dpi=60).read_bytes()
            for i in range(2)
        )
        assert one == two


def test_a_map_shows_every_point_once_where_it_is() -> None:
    table = points(200, list(MOAS))
    figure = maps.map_points([("d", table)])
    drawn = np.concatenate(
        [
            np.asarray(c.get_offsets())
            for c in figure.axes[0].collections
            if isinstance(c, PathCollection)
        ]
    )
    expected = table.select("x", "y").to_numpy()
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, expected.tolist()))


def test_a_map_of_100000_points_is_small_and_its_text_stays_text(tmp_path: Path) -> None:
    figure = maps.map_points([("d", points(100_000, [f"class {i}" for i in range(75)]))])
    path = style.save(figure, tmp_path / "map.svg", dpi=150)
    text = path.read_text()
    assert len(text) < 2_000_000
    assert text.count(">class ") == 32
    assert "43 others" in text


def test_no_two_of_64_classes_look_alike() -> None:
    names = [str(i) for i in range(64)]
    assert len(set(style.colours_and_markers(names).values())) == 64
    assert len(set(style.colour_pairs(names).values())) == 64
    assert len({color for color, _ in list(style.colours_and_markers(names).values())[:8]}) == 8


def test_shortened_text_fits_and_keeps_both_ends() -> None:
    short = style.shortened(LONG[7], 1.0)
    assert style.text_width(short) <= 1.0
    assert short[0] == "a"
    assert short[-1] == "7"
    assert "…" in short
    assert style.shortened("short", 1.0) == "short"


def test_similarity_is_pearsons_in_the_order_of_the_tree() -> None:
    own = vectors(20, 4)
    figure = similarity.similarity_map(own, [f"c{i}" for i in range(20)], ["a"] * 20)
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
    figure = similarity.similarity_map(own, list("abcde"))
    assert {t for t, _, _ in drawn_texts(figure)} >= {"a", "d", "e"}
    assert not {t for t, _, _ in drawn_texts(figure)} & {"b", "c"}
    with pytest.raises(ProfileError, match="1 of 2 profiles can be compared"):
        similarity.similarity_map(own[:2], list("ab"))


def test_a_plate_shows_each_value_in_its_well() -> None:
    own = plate(8, 12)
    figure = plates.plate_heatmaps([own], "x")
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    shown = np.ma.filled(mesh.get_array(), np.nan).reshape(8, 12)
    for row in own.wells.iter_rows(named=True):
        assert shown[row["well_row"] - 1, row["well_column"] - 1] == row["value"]
    assert np.isnan(shown).sum() == 96 - len(own.wells)
    assert "no value" in {t for t, _, _ in drawn_texts(figure)}


def test_plates_share_one_scale() -> None:
    low, high = plate(8, 12, "low"), plate(8, 12, "high")
    high = plates.PlateValues("high", 8, 12, high.wells.with_columns(pl.col("value") + 100))
    figure = plates.plate_heatmaps([low, high], "x")
    meshes = [c for a in figure.axes for c in a.collections if isinstance(c, QuadMesh)]
    assert len({m.get_clim() for m in meshes[:2]}) == 1
    assert meshes[0].get_clim()[1] > 90


def test_cosines_of_pairs_agree_with_a_loop() -> None:
    own, compounds = vectors(25, 5), [str(k % 5) for k in range(25)]
    batches = [str(k % 3) for k in range(25)]
    own[4] = np.nan
    compounds[7] = None  # type: ignore[call-overload]
    found = {g.name: g for g in distributions.pair_groups(own, compounds, batches)}
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
    assert distributions.separation(same, other) == pytest.approx(wins)


def test_pairs_of_many_profiles_are_drawn_not_listed() -> None:
    num = 6_000
    compounds = [str(k % 1500) for k in range(num)]
    found = {g.name: g for g in distributions.pair_groups(vectors(num, 1500), compounds, None)}
    assert found["same compound"].num_pairs == len(found["same compound"].cosines) == 1500 * 6
    other = found["different compounds"]
    assert other.num_pairs == num * (num - 1) // 2 - 1500 * 6
    assert len(other.cosines) == 200_000
    assert abs(other.cosines.mean()) < 0.02


def test_subsets_of_channels_are_told_apart() -> None:
    (own,) = channels.channel_subsets(every_subset("m"))
    assert list(own.alone) == list(own.without) == ["DNA", "RNA", "ER", "AGP", "Mito"]
    assert own.all_channels.accuracy == 0.6
    assert {s.accuracy for s in own.alone.values()} == {0.3}
    assert {s.accuracy for s in own.without.values()} == {0.5}
    assert channels.channel_subsets([score()]) == []


def test_values_of_bars_are_the_shares() -> None:
    table = shares(["a", "b"], ["DNA", "Actin"])
    axes = channels.attribution_bars(table).axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(
        table.sort("channel", "class", descending=[True, False])["share"].to_list()
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: maps.map_points([]), "no profile to map"),
        (lambda: maps.map_points([("d", points(9, ["a"]).with_columns(moa=None))]), "has a moa"),
        (lambda: scores.score_intervals([score(accuracy=None)]), "run `unidino score"),
        (lambda: scores.difference_intervals([score()]), "with several --model"),
        (lambda: scores.label_intervals(labels(1).clear()), "run `unidino score --measure map"),
        (lambda: channels.attribution_bars(shares(["a"], ["b"]).clear()), "run `unidino attribute"),
        (lambda: channels.channel_accuracies([]), "attribute --model NAME --scores auto"),
        (
            lambda: readouts.survival_curves(readout_rows(["a"], [""]).clear()),
            "run `unidino readouts",
        ),
        (lambda: plates.plate_heatmaps([], "avg(x)"), "no well has a value of avg"),
        (lambda: plates.plate_heatmaps([plate(8, 12)] * 25, "x"), "25 plates are too many"),
        (lambda: distributions.pair_groups(vectors(3, 3), ["a", "b", "c"], None), "two profiles"),
        (
            lambda: distributions.pair_groups(vectors(3, 3), ["a", "a", "a"], None),
            "the same compound",
        ),
        (
            lambda: distributions.pair_groups(vectors(4, 2), list("abab"), list("1111")),
            "the same batch",
        ),
        (lambda: training.training_curves({}), "no model has a training log"),
    ],
)
def test_nothing_to_show_is_said(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        make()
