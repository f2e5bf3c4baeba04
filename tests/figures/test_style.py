"""Figures are legible, measured on what is drawn, and become files."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from figure_checks import problems
from figure_data import (
    LONG,
    MOAS,
    ODD,
    every_subset,
    labels,
    log,
    plate,
    points,
    readout_rows,
    score,
    shares,
    vectors,
)
from matplotlib.figure import Figure
from PIL import Image

from unidino.core.errors import InputError, UnidinoError
from unidino.figures.draw.channels import attribution_bars, channel_accuracies, channel_subsets
from unidino.figures.draw.distributions import pair_distributions, pair_groups
from unidino.figures.draw.fields import field_channels
from unidino.figures.draw.maps import map_points
from unidino.figures.draw.plates import PlateValues, plate_heatmaps
from unidino.figures.draw.readouts import survival_curves
from unidino.figures.draw.scores import difference_intervals, label_intervals, score_intervals
from unidino.figures.draw.similarity import similarity_map
from unidino.figures.draw.style import (
    colour_pairs,
    colours_and_markers,
    new_figure,
    save,
    shortened,
    text_width,
    wrapped,
)
from unidino.figures.draw.training import training_curves
from unidino.scores.accuracy import Versus

CASES: dict[str, Callable[[], Figure]] = {
    "map": lambda: map_points([("bbbc021", points(300, list(MOAS)))]),
    "map of one point": lambda: map_points([("d", points(1, ["a"]))]),
    "map of one class": lambda: map_points([("d", points(20, ["a"]))], width_mm=60),
    "map of 60 long names": lambda: map_points([(LONG[0] * 3, points(600, LONG))]),
    "map of odd names": lambda: map_points([("$", points(60, ODD))]),
    "map of numbers": lambda: map_points([("d", points(60, ["a"]))], "concentration_um"),
    "map of three datasets": lambda: map_points(
        [(f"d{i}", points(50, list(MOAS), i)) for i in range(3)], "plate"
    ),
    "similarity of two": lambda: similarity_map(vectors(2, 2), ["a", "b"]),
    "similarity of 39": lambda: similarity_map(
        vectors(39, 12), LONG[:39], [MOAS[i % 12] for i in range(39)]
    ),
    "similarity of 300": lambda: similarity_map(
        vectors(300, 80), [str(i) for i in range(300)], [f"{LONG[0]} {i % 80}" for i in range(300)]
    ),
    "one score": lambda: score_intervals([score()]),
    "many scores": lambda: score_intervals(
        [
            score(d, f"model {i}, {LONG[0] if i == 3 else ''}", m)
            for d in ("d", "e")
            for m in ("nsc", "nscb", "not same compound, plate, well, batch")
            for i in range(9)
        ]
    ),
    "low scores": lambda: score_intervals([score(accuracy=0.03, interval_95=None, chance=0.004)]),
    "differences": lambda: difference_intervals(
        [score(), score(model="n", versus=Versus("m", "none", -0.2, (-0.3, -0.1), 96))]
    ),
    "labels": lambda: label_intervals(labels(100)),
    "attribution": lambda: attribution_bars(shares(list(MOAS), ["DNA", "Actin", "Tubulin"])),
    "attribution over seeds": lambda: attribution_bars(
        shares(LONG[:20], ["DNA", "a channel with a long name", "ER", "Mito"], seeds=True)
    ),
    "attribution of one class": lambda: attribution_bars(shares(["a"], ["DNA"])),
    "attribution of 60 classes": lambda: attribution_bars(
        shares(LONG, [f"channel {i}" for i in range(12)])
    ),
    "channels": lambda: channel_accuracies(
        channel_subsets([*every_subset("m"), *every_subset("n"), *every_subset("o")])
    ),
    "readouts": lambda: survival_curves(readout_rows(["a", LONG[0], "c"], ["A549", "ES2"])),
    "readouts, one": lambda: survival_curves(readout_rows(["a"], [""])),
    "plate of 96": lambda: plate_heatmaps([plate(8, 12)], "avg(focus)"),
    "plates of 384": lambda: plate_heatmaps(
        [plate(16, 24, LONG[i]) for i in range(5)], "avg(focus) filter (where channel = 'DNA')"
    ),
    "plate of 1536": lambda: plate_heatmaps([plate(32, 48)], "avg(mean)"),
    "24 plates": lambda: plate_heatmaps([plate(8, 12, f"p{i}") for i in range(24)], "x"),
    "plates of texts": lambda: plate_heatmaps(
        [plate(16, 24, texts=LONG), plate(8, 12, texts=list(MOAS))], "moa"
    ),
    "plate of one well": lambda: plate_heatmaps(
        [
            PlateValues(
                "p", 8, 12, pl.DataFrame({"well_row": [2], "well_column": [3], "value": [1.0]})
            )
        ],
        "x",
    ),
    "pairs": lambda: pair_distributions(
        {
            f"d{i}: model": pair_groups(vectors(60, 6), [str(k % 6) for k in range(60)], None)
            for i in range(3)
        }
    ),
    "pairs by batch": lambda: pair_distributions(
        {
            LONG[0]: pair_groups(
                vectors(60, 6), [str(k % 6) for k in range(60)], [str(k % 4) for k in range(60)]
            )
        }
    ),
    "training": lambda: training_curves({"a": log(5), "b": log(1)}),
    "fields": lambda: field_channels(
        [np.zeros((900, 600), np.float32)] * 7, [f"channel number {i}" for i in range(7)]
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.sample(16)
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
    path = save(figure, tmp_path / f"figure.{ending}", dpi=100)
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
        save(figure, tmp_path / "a.gif")
    with pytest.raises(InputError, match="--dpi is 9"):
        save(figure, tmp_path / "a.png", dpi=9)
    with pytest.raises(InputError, match="--width-mm is 9"):
        map_points([("d", points(9, ["a"]))], width_mm=9)
    assert list(tmp_path.iterdir()) == []


def test_equal_figures_give_equal_files(tmp_path: Path) -> None:
    for ending in ("svg", "png", "pdf"):
        one, two = (
            save(CASES["map"](), tmp_path / f"{i}.{ending}", dpi=60).read_bytes() for i in range(2)
        )
        assert one == two


def test_a_map_of_100000_points_is_small_and_its_text_stays_text(tmp_path: Path) -> None:
    figure = map_points([("d", points(100_000, [f"class {i}" for i in range(75)]))])
    path = save(figure, tmp_path / "map.svg", dpi=150)
    text = path.read_text()
    assert len(text) < 2_000_000
    assert text.count(">class ") == 20
    assert "55 others" in text


def test_no_two_of_64_classes_look_alike() -> None:
    names = [str(i) for i in range(64)]
    assert len(set(colours_and_markers(names).values())) == 64
    assert len(set(colour_pairs(names).values())) == 64
    assert len({color for color, _ in list(colours_and_markers(names).values())[:8]}) == 8


def test_shortened_text_fits_and_keeps_both_ends() -> None:
    short = shortened(LONG[7], 1.0)
    assert text_width(short) <= 1.0
    assert short[0] == "a"
    assert short[-1] == "7"
    assert "…" in short
    assert shortened("short", 1.0) == "short"


def test_a_text_is_wrapped_at_blanks_and_shortened_only_if_it_must() -> None:
    text = "avg(focus) filter (where channel = 'DNA')"
    lines = wrapped(text, 1.2).split("\n")
    assert 1 < len(lines) <= 3
    assert " ".join(lines) == text
    assert all(text_width(line) <= 1.2 for line in lines)
    assert wrapped("focus", 1.2) == "focus"
    assert wrapped(LONG[7], 1.0) == shortened(LONG[7], 1.0)


def test_a_notebook_shows_a_figure_as_it_is() -> None:
    assert new_figure(60, 1)._repr_png_().startswith(b"\x89PNG")
