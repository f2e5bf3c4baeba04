"""One tiny simulated plate, ingested once, serves every stage; real data where they are at hand."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from unidino.lake.lake import Lake
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice
from unidino.simulation.screens import Screen
from unidino.simulation.simulate import simulate_screen

# How long an example takes says how busy the machine is.
settings.register_profile("unidino", deadline=None)
settings.load_profile("unidino")

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


@pytest.fixture(scope="session")
def ingested(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake that holds the tiny export; copy it before changing it."""
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    ingest_tiny(Lake.create(folder), tiny_export)
    return folder


@pytest.fixture
def lake(ingested: Path, tmp_path: Path) -> Lake:
    """A fresh lake that holds the tiny export."""
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
    return folder


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command and returns its exit status, output and messages."""
    from unidino import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        import sys
        from unittest.mock import patch

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
