"""A lake with profiles behind the page, to be read or to be changed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.server import make_app
from unidino.lake.lake import Lake


@pytest.fixture(scope="module")
def cached(profiled: Path) -> Iterator[CachedLake]:
    """The lake with profiles, as the page reads it."""
    cached = CachedLake(Lake.open(profiled))
    yield cached
    cached.close()


@pytest.fixture
def copied(profiled: Path, tmp_path: Path) -> Lake:
    """A copy of the lake with profiles, to be changed."""
    shutil.copytree(profiled, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture(scope="module")
def client(cached: CachedLake) -> FlaskClient:
    """A client of the server of the page."""
    client: FlaskClient = make_app(cached).server.test_client()
    return client
