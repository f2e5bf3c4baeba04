"""Plates that workers of a dask cluster ingest and embed, one of which is killed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TINY
from servers import free_port

import unidino as ud
from unidino.core.cluster import connected
from unidino.core.errors import InputError, UnidinoError
from unidino.embeddings.on_cluster import embed_on_cluster
from unidino.lake.lake import Lake
from unidino.plates.manifest import Choice
from unidino.plates.on_cluster import ingest_on_cluster

# A worker dies by the signal that cannot be caught, once, while it embeds a plate.
PRELOAD = """
import os, signal
from pathlib import Path
from unidino.embeddings.embed import _Work

embed_plate = getattr(_Work, "whole", _Work._embed_plate)  # this may be loaded twice
_Work.whole = embed_plate
order = Path({order!r})

def killed(self, task, advance):
    try:
        order.unlink()
    except FileNotFoundError:
        return embed_plate(self, task, advance)
    os.kill(os.getpid(), signal.SIGKILL)

_Work._embed_plate = killed
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The file of a scheduler with two workers, and the file that orders one of them to die."""
    pytest.importorskip("distributed", reason="needs dask's distributed")
    folder = tmp_path_factory.mktemp("cluster")
    file, order = folder / "scheduler.json", folder / "die"
    (folder / "preload.py").write_text(PRELOAD.format(order=str(order)))
    run = [sys.executable, "-W", "ignore", "-m"]
    commands = [
        [
            *(*run, "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
            *("--port", str(free_port()), "--no-dashboard", "--scheduler-file", str(file)),
        ],
        [
            *(*run, "distributed.cli.dask_worker", "--scheduler-file", str(file)),
            *("--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"),
            *("--preload", str(folder / "preload.py"), "--local-directory", str(folder)),
        ],
    ]
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) for command in commands
        ]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with connected(str(file)) as client:
            client.wait_for_workers(2, timeout=60)
        yield str(file), order
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def test_workers_ingest_and_embed_as_one_process_does(
    cluster: tuple[str, Path], lake: Lake, tiny_export: Path, tmp_path: Path
) -> None:
    shared = Lake.create(tmp_path / "shared")
    done = ingest_on_cluster(
        shared,
        tiny_export,
        "harmony",
        cluster[0],
        platemap=tiny_export / "platemap.csv",
        metadata=[tiny_export / "plates.csv"],
        choice=Choice(channel_names=TINY.channels),
    )
    assert done.landed == ("tiny_b1_p1", "tiny_b2_p1")
    assert (done.num_wells, done.num_images) == (12, 72)
    for table in ("well", "field", "image", "channel"):
        rows = lake.query(f"from {table} order by all")
        assert shared.query(f"from {table} order by all").equals(rows)

    ud.create_model(shared, "gaussian")
    cluster[1].touch()  # the first worker that embeds a plate dies with the lock of it
    embedded = embed_on_cluster(shared, "gaussian", cluster[0])
    assert not cluster[1].exists()
    assert embedded.plates == ("tiny_b1_p1", "tiny_b2_p1")
    assert embedded.num_images == 72
    assert embed_on_cluster(shared, "gaussian", cluster[0]).skipped == embedded.plates
    assert not ud.check(shared, deep=True)

    ud.create_model(lake, "gaussian")
    ud.embed(lake, "gaussian")
    vectors = "select plate, well, field, channel, embedding from embedding order by all"
    assert shared.query(vectors).equals(lake.query(vectors))


def test_an_error_of_a_worker_is_that_of_the_command(cluster: tuple[str, Path], lake: Lake) -> None:
    with pytest.raises(UnidinoError, match="'none'"):
        embed_on_cluster(lake, "none", cluster[0])


def test_a_scheduler_that_is_not_there_is_one_line(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="neither a file nor an address"):
        embed_on_cluster(lake, "gaussian", str(tmp_path / "none.json"))
    monkeypatch.setattr("unidino.core.cluster._PATIENCE_S", 0.5)
    (tmp_path / "old.json").write_text(json.dumps({"address": f"tcp://127.0.0.1:{free_port()}"}))
    with pytest.raises(InputError, match="no scheduler answers"):
        embed_on_cluster(lake, "gaussian", str(tmp_path / "old.json"))
