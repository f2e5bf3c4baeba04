"""The demo: two simulated screens go through every command; each command line is printed."""

import contextlib
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from unidino.core.errors import InputError, LakeError
from unidino.core.log import log
from unidino.lake.lake import Lake
from unidino.scores.history import latest_scores
from unidino.simulation.screens import SCREENS, Screen
from unidino.simulation.simulate import simulate_screen

_MODELS = ("demo_vit", "random_vit", "gaussian")
# The screen of the tutorial: three mechanisms, each of one channel, at three doses.
_TUTORIAL = Screen(
    "first",
    ("DNA", "Actin", "Tubulin"),
    {
        "topoisomerase inhibitor": "DNA",
        "actin disruptor": "Actin",
        "microtubule destabilizer": "Tubulin",
    },
    concentrations_um=(0.3, 3.0, 30.0),
    rows="BCDE",
)


def write_tutorial(folder: Path, *, seed: int = 0) -> int:
    """The number of images that were written: four small plates as an Opera Phenix exports them.

    folder: new folder for the plates, with platemap.csv, plates.csv and truth.json beside them.
    Raises InputError if the folder is not empty.
    """
    _refuse_full(folder)
    return simulate_screen(folder, _TUTORIAL, seed=seed, num_fields=1)


def _refuse_full(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"'{folder}' is not empty; name a new folder, or remove it")


def _refuse_full_lake(lake: Path) -> None:
    with contextlib.suppress(LakeError):  # there is none yet, or the first command says why
        if not Lake.open(lake).look_up("from plate limit 1").is_empty():
            raise InputError(f"the lake '{lake}' has plates already; name an empty one")


def demo(
    folder: Path,
    run: Callable[[list[str]], None],
    *,
    seed: int = 0,
    lake: Path | None = None,
) -> pl.DataFrame:
    """The accuracy of every model, by screen, metric and reading.

    folder: new folder for the simulated exports, the report, and the lake unless one is given.
    run: runs a command, given its words after `unidino`. lake: folder or address of an empty lake.
    Raises InputError if the folder or the lake is not empty.
    """
    _refuse_full(folder)
    lake = lake or folder / "lake"
    _refuse_full_lake(lake)
    started = time.monotonic()
    for name, screen in SCREENS.items():
        log.info(f"simulating {name}: {', '.join(screen.channels)}")
        simulate_screen(folder / name, screen, seed=seed)

    def type_and_run(words: list[str]) -> None:
        log.info("\n$ unidino " + shlex.join(words))
        run(words)

    at_lake = ["--lake", str(lake)]
    for name, screen in SCREENS.items():
        place = folder / name
        type_and_run(
            [
                "ingest",
                str(place),
                "--layout",
                "harmony",
                *at_lake,
                "--platemap",
                str(place / "platemap.csv"),
                "--metadata",
                str(place / "plates.csv"),
                "--channel-names",
                ",".join(screen.channels),
                "--count-cells",
                "DNA",
            ]
        )
    type_and_run(
        ["train", "--model", "demo_vit", "--recipe", "small", "--seed", str(seed), *at_lake]
    )
    type_and_run(["models", "create", "random_vit", "--like", "demo_vit", *at_lake])
    type_and_run(["models", "create", "gaussian", "--like", "demo_vit", *at_lake])
    for model in _MODELS:
        type_and_run(["embed", "--model", model, "--all", *at_lake])
    type_and_run(["profile", *at_lake])
    for reading in ("text", "published"):
        type_and_run(["score", "--metric", "nsc,nscb,nspw,nsb", "--reading", reading, *at_lake])
    type_and_run(["score", "--measure", "map", "--metric", "nsb", *at_lake])
    type_and_run(["attribute", "--model", "demo_vit", "--scores", "auto", *at_lake])
    type_and_run(["report", "--model", "demo_vit", "-o", str(folder / "report.html"), *at_lake])
    table = closing_table(Lake.open(lake))
    truth = {
        name: json.loads((folder / name / "truth.json").read_text(encoding="utf-8"))
        for name in SCREENS
    }
    for name, screen in truth.items():
        changed = ", ".join(f"{moa}: {channel}" for moa, channel in screen["mechanisms"].items())
        log.info(f"simulated in {name}: {changed}")
    log.info(
        f"{time.monotonic() - started:.0f} s; open {folder / 'report.html'}, or run\n"
        f"$ unidino explore --lake {lake}"
    )
    return table


def closing_table(lake: Lake) -> pl.DataFrame:
    """Accuracies by screen, metric and rules, with a column for each model."""
    rows = [
        {
            "screen": s.dataset,
            "metric": f"{s.metric.upper()} {s.label}",
            "rules": s.rules,
            "model": s.model,
            "accuracy": s.accuracy,
            "n": s.n,
            "chance": s.chance,
        }
        for s in latest_scores(lake)
    ]
    index = ["screen", "metric", "rules", "n", "chance"]
    return (
        pl.DataFrame(rows)
        .pivot("model", index=index, values="accuracy")
        .sort("screen", "rules", "metric", descending=[False, True, False])
    )
