"""A lake in object storage with a PostgreSQL catalog: the same as in a folder, and its faults."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ingest_tiny
from server_fixtures import NewRemote
from servers import Bucket, Database

import unidino as ud
from unidino.core.errors import InputError, LakeError
from unidino.core.files import file_sha256
from unidino.lake import leftovers, remote
from unidino.lake.catalog import TABLES
from unidino.lake.copying import copy_lake
from unidino.lake.lake import Lake
from unidino.lake.named_tables import named_tables
from unidino.lake.postgres import PostgresCatalog
from unidino.lake.postgres_rows import tables_without_rows
from unidino.lake.remote import RemoteLake, create_remote
from unidino.lake.runs import Run
from unidino.profiles.groups import stored_groups

SECRET = "nobody-may-read-this"
# What differs between two lakes of one content: who made it, when, and what these name.
OWN = {"run_id", "created", "started", "ended", "modified_ns", "number", "arguments"}


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)


def fill(lake: Lake, export: Path) -> None:
    ingest_tiny(lake, export)
    ud.create_model(lake, "gaussian")
    ud.embed(lake, "gaussian")
    ud.profile(lake)
    ud.score(lake, "nsc")


@pytest.fixture(scope="module")
def filled(new_remote: NewRemote, tiny_export: Path) -> RemoteLake:
    lake = new_remote()
    fill(lake, tiny_export)
    return lake


def without_copies(lake: RemoteLake) -> None:
    """Remove what this machine has of a lake."""
    shutil.rmtree(lake.path)
    lake.path.mkdir()


def rows_of(lake: Lake, table: str) -> list[tuple[Any, ...]]:
    kept = [c for c in lake.query(f"from {table} limit 0").columns if c not in OWN]
    order = ", ".join(f'"{c}"::varchar' for c in kept)
    named = ", ".join(f'"{c}"' for c in kept)
    # A record has the run in it, so its hash differs.
    where = " where kind not in ('record', 'model')" if table == "file" else ""
    return lake.query(f"select {named} from {table}{where} order by {order}").rows()


def test_a_lake_is_the_same_in_a_folder_and_at_a_url(
    filled: RemoteLake, tiny_export: Path, tmp_path: Path
) -> None:
    folder = Lake.create(tmp_path / "lake")
    fill(folder, tiny_export)
    for table in TABLES:
        assert rows_of(filled, table) == rows_of(folder, table), table
    without_copies(filled)
    for uri in folder.query("select uri from part")["uri"]:
        assert file_sha256(filled.resolve(uri)) == file_sha256(folder.resolve(uri))
    query = "select plate, well, channel, embedding from embedding order by all"
    assert filled.query(query).equals(folder.query(query))
    assert ud.embed(filled, "gaussian").skipped == ud.embed(folder, "gaussian").skipped
    assert not ud.check(filled, deep=True)
    assert not leftovers.leftovers(filled)


def test_a_copy_either_way_has_every_row_and_file(
    filled: RemoteLake, new_remote: NewRemote, tmp_path: Path
) -> None:
    folder, back = Lake.create(tmp_path / "lake"), new_remote()
    done = copy_lake(filled, folder)
    assert done.num_skipped == 0
    assert copy_lake(folder, back).num_files == done.num_files
    assert copy_lake(folder, back).num_files == 0  # it goes on where it was stopped
    for table in TABLES:
        rows = filled.query(f"from {table} order by all")
        assert folder.query(f"from {table} order by all").equals(rows), table
        assert back.query(f"from {table} order by all").equals(rows), table
    assert not ud.check(folder, deep=True)
    assert not ud.check(back, deep=True)
    with pytest.raises(LakeError, match="copy into an empty lake"):
        copy_lake(new_remote(), folder)


def test_a_command_names_a_lake_by_its_url(filled: RemoteLake) -> None:
    script = "select count(*) as n from well"
    done = subprocess.run(
        [sys.executable, "-m", "unidino", "sql", script, "--format", "csv", "--lake", filled.url],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["n", "12"], done.stderr
    assert SECRET not in done.stderr


def test_eight_writers_at_once_land_every_row(new_remote: NewRemote) -> None:
    lake = new_remote()
    address = lake._place.catalog.address
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            catalog = PostgresCatalog(address, lake.path)
            for i in range(5):
                with catalog.landing() as landing:
                    Run(f"writer {number}", {"landing": i}).record(landing)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    numbers = lake.query("select number from run order by 1")["number"].to_list()
    assert numbers == list(range(1, 41))


HOLD = """
import sys, time
from unidino.lake.lake import Lake
lake = Lake.open(sys.argv[1])
with lake.lock("plate p", wait=False) as held, lake.landing() as landing:
    landing.put("plate", [dict(plate_id="p", dataset="d", num_rows=8, num_columns=12,
                               fingerprint="f", content_hash="c", run_id="r")])
    print(held, flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_while_it_lands_leaves_no_row_and_no_lock(
    new_remote: NewRemote,
) -> None:
    lake = new_remote()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lake.url], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with lake.lock("plate p", wait=False) as held:
            assert not held
        holder.send_signal(signal.SIGKILL)
    with lake.lock("plate p") as held:
        assert held
    assert lake.query("from plate").is_empty()
    assert not ud.check(lake)


def test_what_was_put_but_not_registered_is_listed_and_removed(
    new_remote: NewRemote, tiny_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_remote()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unidino.plates.landing.register", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_tiny(lake, tiny_export)
    monkeypatch.setattr("unidino.lake.leftovers._AGE_S", 0.0)
    assert not ud.check(lake)
    assert [item.uri for item in leftovers.leftovers(lake)] == ["plates/tiny_b1_p1.zarr"]
    leftovers.clean(lake)
    assert not leftovers.leftovers(lake)
    ingest_tiny(lake, tiny_export)
    assert not ud.check(lake, deep=True)


def test_a_database_that_restarts_is_waited_for(
    new_remote: NewRemote, served: tuple[Database, Bucket], caplog: pytest.LogCaptureFixture
) -> None:
    lake = new_remote()
    assert lake.look_up("from plate").is_empty()
    with lake.lock("plate p"):
        served[0].restart()
        assert lake.look_up("from plate").is_empty()
        with (
            pytest.raises(LakeError, match="the lock under which this command works; run it again"),
            lake.landing(),
        ):
            pass
    with lake.landing() as landing:
        Run("after", {}).record(landing)
    assert lake.query("select command from run").item() == "after"


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_storage_that_is_out_of_reach_for_a_while_is_waited_for(
    filled: RemoteLake, served: tuple[Database, Bucket], seconds: float
) -> None:
    without_copies(filled)
    uri = filled.look_up("select min(uri) as uri from part")["uri"].item()
    storage = served[1]
    storage.stop()
    starter = threading.Timer(seconds, storage.start)
    starter.start()
    try:
        assert filled.resolve(uri).is_file()
    finally:
        starter.join()


def test_a_storage_that_does_not_come_back_is_one_line(
    filled: RemoteLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from unidino.lake.objects import Objects

    monkeypatch.setattr("unidino.lake.objects._PATIENCE", timedelta(seconds=0.5))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(LakeError, match="the storage does not answer") as told:
        Objects(filled.url).read("catalog.json")
    assert "\n" not in str(told.value)


def test_a_damaged_copy_is_brought_again(filled: RemoteLake) -> None:
    uri = filled.look_up("select min(uri) as uri from part")["uri"].item()
    path = filled.resolve(uri)
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    assert filled.resolve(uri).read_bytes() == whole


def test_a_full_cache_loses_what_was_not_used_for_longest(
    filled: RemoteLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_copies(filled)
    uris = filled.look_up("select uri from file where kind = 'part' order by uri")["uri"].to_list()
    first, *others = filled.bring(uris[:2])
    os.utime(first, (0, first.stat().st_mtime))
    cache = filled._place.cache
    monkeypatch.setattr(cache, "_num_bytes", None)
    limit = sum(path.stat().st_size for path in (first, *others))
    monkeypatch.setattr(cache, "limit", limit)
    assert filled.resolve(uris[2]).is_file()
    assert not first.exists()
    assert all(path.exists() for path in others)
    assert filled.resolve(uris[0]).is_file()


def test_of_a_file_that_is_large_beside_the_cache_only_parts_are_brought(
    filled: RemoteLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (group,) = stored_groups(filled, ud.Selection())
    whole = group.vectors.read()
    without_copies(filled)
    monkeypatch.setattr(remote, "_SHARE_OF_CACHE", 0.0)
    np.testing.assert_array_equal(group.vectors.read(), whole)
    np.testing.assert_array_equal(group.vectors.at(slice(3, 7)).read(), whole[3:7])
    assert not filled.place_of(group.vectors.uri).exists()
    data = filled.objects.read(group.vectors.uri)
    assert data is not None
    filled.objects.remove([group.vectors.uri])
    with pytest.raises(LakeError, match="is missing or damaged"):
        group.vectors.read()
    filled.objects.write(group.vectors.uri, data)


def test_an_object_that_is_lost_or_changed_is_found_with_its_mend(
    new_remote: NewRemote, tiny_export: Path
) -> None:
    lake = new_remote()
    fill(lake, tiny_export)
    embedding = "embeddings/gaussian/tiny_b1_p1.parquet"
    shards = [o.uri for o in lake.objects.under("plates/tiny_b2_p1.zarr/")]
    shard = next(uri for uri in shards if not uri.endswith(".json"))
    profile = lake.look_up("select uri from part where kind = 'profile'")["uri"].item()
    lake.objects.remove([shard])
    lake.objects.write(embedding, b"short")
    data = lake.objects.read(profile)
    assert data is not None
    lake.objects.write(profile, data[:-8] + bytes(8))
    assert {p.problem.split(":")[0] for p in ud.check(lake)} == {shard, embedding}
    problems = {p.problem.split(":")[0]: p.mend for p in ud.check(lake, deep=True)}
    assert set(problems) == {shard, embedding, profile}
    assert problems[shard].startswith("unidino ingest ")
    assert problems[embedding].startswith("unidino embed ")
    assert all(lake.url in mend for mend in problems.values())
    without_copies(lake)
    with pytest.raises(LakeError, match="missing or damaged"):
        lake.resolve(embedding)
    assert ingest_tiny(lake, tiny_export).landed == ("tiny_b2_p1",)
    assert shard not in {p.problem for p in ud.check(lake)}


def test_wrong_credentials_are_one_line_that_names_the_variables(
    filled: RemoteLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unidino.lake.objects import Objects

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(LakeError, match="AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY") as told:
        Objects(filled.url).read("catalog.json")
    assert "wrong" not in str(told.value)


@pytest.mark.parametrize(
    "address", ["postgresql://me:secret@db.lab/x", "postgresql://db.lab/x?password=secret"]
)
def test_a_password_in_the_address_is_refused(
    served: tuple[Database, Bucket], address: str
) -> None:
    with pytest.raises(InputError, match=r"may hold no password.*PGPASSWORD") as told:
        create_remote(f"{served[1].url}/refused", address)
    assert "secret" not in str(told.value)


def test_a_database_that_is_not_there_is_one_line(served: tuple[Database, Bucket]) -> None:
    with pytest.raises(LakeError, match='database "nowhere" does not exist'):
        create_remote(f"{served[1].url}/nowhere", served[0].address("nowhere"))


def test_no_password_is_kept(
    filled: RemoteLake, tiny_export: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert ud.embed(filled, "gaussian", overwrite=True).plates
    for secret in (SECRET, os.environ["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in caplog.text
        runs = filled.query("from run").to_dicts()
        assert secret not in str(runs)
        for found in filled.objects.under(""):
            assert secret.encode() not in (filled.objects.read(found.uri) or b"")


def test_a_second_lake_may_not_have_the_same_catalog(
    filled: RemoteLake, served: tuple[Database, Bucket]
) -> None:
    with pytest.raises(LakeError, match="is the catalog of the lake"):
        create_remote(f"{served[1].url}/second", filled._place.catalog.address)


def test_writing_sql_is_for_folders(filled: RemoteLake) -> None:
    with pytest.raises(InputError, match="psql"):
        filled.execute("delete from well")
    with pytest.raises(InputError, match="statements are refused"):
        filled.query("delete from well")


def test_a_reader_may_read_and_is_told_that_it_may_not_write(
    filled: RemoteLake, served: tuple[Database, Bucket]
) -> None:
    from adbc_driver_postgresql import dbapi

    address = filled._place.catalog.address
    with dbapi.connect(address, autocommit=True) as con, con.cursor() as cursor:
        cursor.execute("create role reader login")
        cursor.execute("grant select on all tables in schema public to reader")
    catalog = PostgresCatalog(address.replace("postgres@", "reader@"), filled.path)
    with catalog.reading("from plate") as read:
        assert len(read.execute("from plate").fetchall()) == 2
    assert not catalog.is_writable
    with pytest.raises(LakeError, match="permission denied"), catalog.landing() as landing:
        landing.forget("plate", "plate_id", ["tiny_b1_p1"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select 1", set()),
        ("from well", {"well"}),
        ("select plate, well, field from image where plate = $plate", {"image"}),
        ("with well as (select 1) from plate", {"plate"}),
        ("from latest_quality", {"quality", "run"}),
        ("select avg(x) from (from embedding)", {"part"}),
        ("describe well", {"well"}),
        ("from duckdb_tables() where table_name = 'score'", {"score"}),
    ],
)
def test_the_tables_that_a_query_names(query: str, names: set[str]) -> None:
    assert named_tables(tables_without_rows(), query) - {"well"} == names - {"well"}
    assert ("well" in names) <= ("well" in named_tables(tables_without_rows(), query))
