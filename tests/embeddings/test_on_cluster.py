"""Plates that workers of a dask cluster ingest and embed, one of which is killed."""

import json
from pathlib import Path

import pytest
from conftest import TINY
from servers import free_port

import unidino as ud
from unidino.core.errors import InputError, UnidinoError
from unidino.embeddings.on_cluster import embed_on_cluster
from unidino.lake.lake import Lake
from unidino.plates.manifest import Choice
from unidino.plates.on_cluster import ingest_on_cluster


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
    (cluster[1] / "embed").touch()  # the first worker that embeds a plate dies with the lock of it
    embedded = embed_on_cluster(shared, "gaussian", cluster[0])
    assert not (cluster[1] / "embed").exists()
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
