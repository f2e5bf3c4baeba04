"""A lake with profiles, for all tests of this room."""

import shutil
from pathlib import Path

import pytest

from unidino.lake.lake import Lake


@pytest.fixture
def profiled_lake(profiled: Path, tmp_path: Path) -> Lake:
    """A fresh copy of the tiny lake with the model gaussian and its profiles."""
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")
