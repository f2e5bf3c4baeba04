"""A small network over the tiny lake, registered once for all tests."""

import shutil
from pathlib import Path

import pytest

from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import networks, registry
from unidino.models.config import ModelConfig


@pytest.fixture(scope="session")
def toy_folder(ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny lake with a small random model called toy; copy it before changing it."""
    folder = tmp_path_factory.mktemp("toy") / "lake"
    shutil.copytree(ingested, folder)
    config = ModelConfig(
        kind="vit",
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 1},
        num_dims=192,
        crop_size_px=32,
        stride_px=32,
    )
    network = networks.new_encoder(config)
    registry.register(Lake.open(folder), Run("test", {}), "toy", config, network)
    return folder


@pytest.fixture
def toy(toy_folder: Path, tmp_path: Path) -> Lake:
    """A fresh lake with the small random model toy."""
    shutil.copytree(toy_folder, tmp_path / "toy_lake")
    return Lake.open(tmp_path / "toy_lake")
