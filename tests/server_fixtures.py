"""Servers as fixtures of all tests: a lake in PostgreSQL and S3, and a dask cluster."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from servers import Bucket, Database, bucket, dask_cluster, postgres

from unidino.lake.remote import RemoteLake, create_remote

NewRemote = Callable[[], RemoteLake]
# A worker dies by the signal that cannot be caught, once, where an order lies for it.
_PRELOAD = """
import os, signal
from pathlib import Path
from unidino.embeddings.embed import _Work
from unidino.scores import on_cluster

def dying(function, order):
    function = getattr(function, "whole", function)  # this may be loaded twice

    def run(*args, **options):
        try:
            order.unlink()
        except FileNotFoundError:
            return function(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    run.whole = function
    return run

orders = Path({orders!r})
_Work._embed_plate = dying(_Work._embed_plate, orders / "embed")
on_cluster._compare = dying(on_cluster._compare, orders / "compare")
"""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Bucket]]:
    """A database server and a bucket, which the environment names."""
    above = tmp_path_factory.mktemp("servers")
    for name in ("postgres", "s3"):
        (above / name).mkdir()
    with (
        postgres(above / "postgres") as database,
        bucket(above / "s3") as storage,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in storage.variables.items():
            patched.setenv(name, value)
        patched.setenv("UNIDINO_CACHE", str(above / "cache"))
        yield database, storage


@pytest.fixture(scope="session")
def new_remote(served: tuple[Database, Bucket]) -> NewRemote:
    """A function that makes an empty lake, in a database and a folder of the bucket of its own."""
    database, storage = served
    numbers = count()

    def make() -> RemoteLake:
        name = f"lake{next(numbers)}"
        database.create(name)
        return create_remote(f"{storage.url}/{name}", database.address(name))

    return make


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The file of a scheduler with two workers, and the folder for orders that one of them die.

    The orders are files: `embed`, `compare`.
    """
    folder = tmp_path_factory.mktemp("cluster")
    with dask_cluster(folder, _PRELOAD.format(orders=str(folder))) as file:
        yield file, folder
