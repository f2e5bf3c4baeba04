"""An empty lake for what is ingested."""

from pathlib import Path

import pytest

from unidino.lake.lake import Lake


@pytest.fixture
def new_lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake.create(tmp_path / "lake")
