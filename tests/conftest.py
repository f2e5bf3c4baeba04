"""One tiny simulated plate, ingested once, serves every stage; real data where they are at hand."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from server_fixtures import cluster, new_remote, served  # noqa: F401

from unidino.lake import records
from unidino.lake.copying import copy_lake
from unidino.lake.file_catalog import FileCatalog
from unidino.lake.lake import Lake
from unidino.lake.opened import close_idle, keep_open
from unidino.lake.remote import RemoteLake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice
from unidino.simulation.screens import Screen
from unidino.simulation.simulate import simulate_screen

# Processes of tests share the cores, so that threads of each would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "OPENBLAS", "NUMBA"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# How long an example takes says how busy the machine is.
settings.register_profile("unidino", deadline=None)
settings.load_profile("unidino")

_CREATE_CATALOG = FileCatalog.create
SHARED = Path(__file__).resolve().parents[2] / "shared"
TINY = Screen(
    name="tiny",
    channels=("DNA", "Actin", "Tubulin"),
    mechanisms={"topoisomerase inhibitor": "DNA", "actin disruptor": "Actin"},
    compounds_per_mechanism=2,
    concentrations_um=(10.0,),
    num_controls=2,
    num_batches=2,
    plates_per_batch=1,
    rows="BC",
    columns=(2, 3, 4),
)


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not at hand")
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real images and profiles."""
    return _shared("data")


@pytest.fixture(scope="session")
def parity() -> Path:
    """Folder of what the published program returns."""
    return _shared("parity")


@pytest.fixture(scope="session")
def tiny_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vendor-like export: 2 plates in 2 batches, 6 wells, 2 fields, 3 channels of 96 px."""
    folder = tmp_path_factory.mktemp("export") / "tiny"
    simulate_screen(folder, TINY, seed=1, size_px=96)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is marked `sample(n)`, n parameters run each time, all with the slow tests."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, alike in tests.items():
        (num,) = alike[0].get_closest_marker("sample").args
        kept = random.Random(name).sample(range(len(alike)), min(num, len(alike)))
        for number in set(range(len(alike))).difference(kept):
            alike[number].add_marker(pytest.mark.slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is marked `anywhere` runs on a lake in a folder and on one at a URL."""
    if marked := metafunc.definition.get_closest_marker("anywhere"):
        marks = [pytest.mark.slow] if marked.kwargs.get("remote") == "slow" else []
        metafunc.parametrize("place", ["folder", pytest.param("remote", marks=marks)])


@pytest.fixture(scope="session", autouse=True)
def _empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty catalog is made once, as the program does, and copied for each new lake.

    Catalogs stay open for a moment, as in the program.

    Tests of how it is made start a process, or take the fixture `new_catalogs`.
    """
    keep_open()
    template = tmp_path_factory.mktemp("empty") / "lake"
    Lake.create(template)

    def copy(new: FileCatalog) -> None:
        shutil.copytree(template / records.FOLDER, new.folder / records.FOLDER, dirs_exist_ok=True)
        shutil.copyfile(template / new.file.name, new.file)

    with patch.object(FileCatalog, "create", copy):
        yield


@pytest.fixture
def new_catalogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new lake gets a catalog that the program makes."""
    monkeypatch.setattr(FileCatalog, "create", _CREATE_CATALOG)


def ingest_tiny(lake: Lake, export: Path, **options: object) -> object:
    """Ingest the tiny export as a user would."""
    return ingest(
        lake,
        export,
        "harmony",
        platemap=export / "platemap.csv",
        metadata=[export / "plates.csv"],
        choice=Choice(channel_names=TINY.channels),
        **options,
    )


_lakes: dict[Path, tuple[int, int]] = {}  # catalogs of lakes that tests share, with their states


def _state_of(catalog: Path) -> tuple[int, int]:
    return catalog.stat().st_size, catalog.stat().st_mtime_ns


def _shared_by_tests(lake: Path) -> Path:
    """The same lake; a test that changes it fails."""
    close_idle()
    _lakes[lake / "catalog.duckdb"] = _state_of(lake / "catalog.duckdb")
    return lake


@pytest.fixture(autouse=True)
def _shared_lakes_stay() -> Iterator[None]:
    yield
    for catalog, state in _lakes.items():
        now = _state_of(catalog)
        _lakes[catalog] = now
        assert now == state, f"this test changed {catalog.parent}, which others use: copy it"


@pytest.fixture(scope="session")
def ingested(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake that holds the tiny export; copy it before changing it."""
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    ingest_tiny(Lake.create(folder), tiny_export)
    return _shared_by_tests(folder)


@pytest.fixture
def place() -> str:
    """Where the lake of a test is: in a folder, or remote if the test is marked `anywhere`."""
    return "folder"


@pytest.fixture
def new_lake(tmp_path: Path, place: str, request: pytest.FixtureRequest) -> Lake:
    """A lake without plates."""
    if place == "remote":
        remote: RemoteLake = request.getfixturevalue("new_remote")()
        return remote
    return Lake.create(tmp_path / "lake")


@pytest.fixture
def lake(ingested: Path, tmp_path: Path, place: str, request: pytest.FixtureRequest) -> Lake:
    """A fresh lake that holds the tiny export."""
    if place == "remote":
        remote: RemoteLake = request.getfixturevalue("new_remote")()
        copy_lake(Lake.open(ingested), remote)
        return remote
    shutil.copytree(ingested, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture(scope="session")
def profiled(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny lake with the model gaussian, its embeddings and profiles."""
    folder = tmp_path_factory.mktemp("profiled") / "lake"
    shutil.copytree(ingested, folder)
    from unidino.embeddings.embed import embed
    from unidino.models import baselines
    from unidino.profiles.profile import profile

    lake = Lake.open(folder)
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian")
    profile(lake)
    return _shared_by_tests(folder)


@pytest.fixture
def profiled_lake(profiled: Path, tmp_path: Path) -> Lake:
    """A fresh copy of the tiny lake with the model gaussian and its profiles."""
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture(scope="session")
def full(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The tiny lake with two models and every kind of result."""
    from unidino.embeddings.embed import embed
    from unidino.insight.quality import quality
    from unidino.lake.answers import land_answers
    from unidino.lake.runs import Run
    from unidino.models import baselines
    from unidino.profiles.selection import Selection
    from unidino.scores.accuracy import score
    from unidino.scores.batches import batches
    from unidino.scores.labels import score_labels
    from unidino.scores.pairs import score_pairs

    folder = tmp_path_factory.mktemp("full") / "lake"
    shutil.copytree(ingested, folder)
    lake = Lake.open(folder)
    for seed, name in enumerate(("first", "second")):
        baselines.create_model(lake, "gaussian", name=name, seed=seed)
        embed(lake, name)
    score(lake, ["nsc", "nscb"])
    for channel in TINY.channels:
        score(lake, "nsc", Selection(channels=[channel]))
        score(lake, "nsc", Selection(channels=[c for c in TINY.channels if c != channel]))
    score_labels(lake, "map", "nsc")
    quality(lake, Selection(models=["first"]))
    same = {"normalization": "mad_robustize", "dataset": "tiny"}
    shares = [
        same
        | {
            "model": model,
            "level": "well",
            "label": "moa",
            "class": moa,
            "channel": channel,
            "num_profiles": 4,
            "share": share,
            "share_low": share - 0.05,
            "share_high": share + 0.05,
            "expected": 1 / 3,
            "num_seeds": 5,
            "top": 50,
        }
        for model in ("first", "second")
        for moa in TINY.mechanisms
        for channel, share in zip(TINY.channels, (0.5, 0.3, 0.2), strict=True)
    ]
    readouts = [
        same
        | {
            "model": "first",
            "level": "well",
            "stratum": stratum,
            "readout": f"r{i}",
            "regressor": "random_forest",
            "num_profiles": 9,
            "num_folds": 5,
            "r2": i / 20,
            "r2_unclipped": i / 20,
            "seed": 0,
        }
        for stratum in ("A549", "ES2")
        for i in range(10)
    ]
    responses = [
        same
        | {
            "model": "first",
            "level": "well",
            "effect": "axis",
            "compound": compound,
            "channel": channel,
            "curve": "logistic",
            "n": 4,
            "num_doses": 4,
            "num_controls": 4,
            "is_active": compound == "a",
            "p_value": 0.01,
            "q_value": 0.01 if compound == "a" else 0.6,
            "ec50_um": 3.0 if compound == "a" else None,
            "ec50_low_um": 1.0 if compound == "a" else None,
            "bottom": 0.0,
            "top": 5.0,
            "slope": 1.0,
            "r2": 0.9,
            "point_um": [0.1, 1.0, 10.0, 100.0],
            "point_effect": [0.0, 1.0, 4.0, 5.0],
            "control_effect": [-1.0, 0.0, 0.5, 1.0],
            "curve_um": [0.1, 1.0, 100.0],
            "curve_effect": [0.0, 1.0, 5.0],
            "curve_low": [-1.0, 0.0, 4.0],
            "curve_high": [1.0, 2.0, 6.0],
        }
        for compound in ("a", "b")
        for channel in ("all", *TINY.channels)
    ]
    run = Run("test", {})
    asked = {"level": "well", "normalize": "mad_robustize"}
    land_answers(
        lake, run, "attribution", [({"kind": "attribution", "label": "moa"} | asked, shares)]
    )
    regressed = {"kind": "readouts", "regressor": "random_forest"} | asked
    land_answers(lake, run, "readout_score", [(regressed, readouts)])
    land_answers(lake, run, "dose", [({"kind": "dose"} | asked, responses)])
    pairs = folder.parent / "known.csv"
    pairs.write_text("entity1,entity2\ntiny-01,tiny-02\ntiny-03,tiny-04\n")
    score_pairs(lake, pairs, fewest_entities=2)
    batches(lake, label="moa")
    drift = [
        same
        | {"model": "first", "level": "well", "channels": list(TINY.channels)}
        | {"number": i + 1, "plate": f"p{i}", "batch": f"b{i // 3}", "num_controls": 2}
        | {"shift": 1 + i / 10}
        for i in range(6)
    ]
    asked |= {"by": "batch", "label": "moa", "wells": "negcon"}
    mixing = {
        "model": "first",
        "level": "well",
        "channels": list(TINY.channels),
        "unit": "batch",
        "label": "moa",
        "wells": "negcon",
        "mixing": 0.5,
        "silhouette_batch": 0.1,
        "num_profiles": 12,
        "num_batches": 2,
        "num_labels": 1,
        "dropped": "{}",
    }
    land_answers(lake, run, "batch_mixing", [({"kind": "batches"} | asked, [same | mixing])])
    land_answers(lake, run, "batch_drift", [({"kind": "batches"} | asked, drift)])
    log = lake.path / "models" / "first" / "train.jsonl"
    rows = [{"epoch": e, "loss": 3.0 / (e + 1), "learning_rate": 0.1} for e in range(3)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _shared_by_tests(folder)
    return lake


@pytest.fixture
def own_full(full: Lake, tmp_path: Path) -> Lake:
    """A fresh copy of the lake with every kind of result."""
    shutil.copytree(full.path, tmp_path / "full")
    return Lake.open(tmp_path / "full")


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command and returns its exit status, output and messages."""
    from unidino import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        import sys

        capfd.readouterr()
        with patch.object(sys, "argv", ["unidino", *map(str, arguments)]):
            try:
                cli.main()
                status = 0
            except SystemExit as exit_:
                status = int(exit_.code or 0)
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run
