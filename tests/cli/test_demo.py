"""The demo: its commands go through on two small screens, and the model that it trains learns."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from unidino.cli import demo
from unidino.simulation.screens import SCREENS

_MODELS = {"cell_count", "demo_vit", "random_vit", "gaussian"}


def _check(table: pl.DataFrame, folder: Path) -> None:
    assert {*table.columns} >= {"screen", "metric", "rules", "n", "chance", *_MODELS}
    assert len(table) == 2 * 2 * 4  # screens, readings, metrics
    assert table.null_count().sum_horizontal().item() == 0
    assert (folder / "report.html").stat().st_size > 100_000


def test_every_command_goes_through(
    tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {
        name: replace(
            screen,
            mechanisms=dict(islice(screen.mechanisms.items(), 2)),
            plates_per_batch=1,
            rows="BC",
            columns=tuple(range(2, 9)),
        )
        for name, screen in SCREENS.items()
    }
    monkeypatch.setattr(demo, "SCREENS", few)
    short = tmp_path / "short.json"
    short.write_text(
        json.dumps({"architecture_options": {"depth": 1}, "epochs": 1, "steps_per_epoch": 2})
    )

    def run(words: list[str]) -> None:
        status, _, messages = run_cli(*words, *(["--config", short] * (words[0] == "train")))
        assert status == 0, messages

    _check(demo.demo(tmp_path / "demo", run), tmp_path / "demo")


@pytest.mark.slow
def test_the_model_of_the_demo_learns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unidino", "demo", str(tmp_path / "demo")]
    subprocess.run(command, check=True)
    table = demo.closing_table(demo.Lake.open(tmp_path / "demo" / "lake"))
    _check(table, tmp_path / "demo")
    nsc = table.filter(pl.col("metric") == "NSC moa", pl.col("rules") == "text")
    assert (nsc["demo_vit"] > nsc["random_vit"] + 0.1).all(), nsc
