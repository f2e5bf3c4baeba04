"""One process opens a catalog once: its lock lasts as long as any of its threads reads."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from unidino.core import user_sql
from unidino.core.errors import InputError, LakeError
from unidino.lake import opened
from unidino.lake.lake import Lake

_WRITE = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute('create table new as select 1')"


def _another_process_may_write(lake: Lake) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(lake.catalog)], capture_output=True, text=True
    )
    assert done.returncode == 0 or "Conflicting lock is held" in done.stderr
    return done.returncode == 0


def _locks(lake: Lake) -> int:
    inode = lake.catalog.stat().st_ino
    return sum(f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())


def _snapshot(lake: Lake) -> None:
    with lake.snapshot():
        pass


@pytest.mark.parametrize(
    "other",
    [
        lambda lake: lake.look_up("from plate"),
        lambda lake: lake.query("select 1"),
        lambda lake: Lake.open(lake.path),
        lambda lake: lake.only_reads("from plate"),
        lambda lake: repr(lake),
        _snapshot,
    ],
)
def test_the_lock_of_a_query_outlasts_other_readers(
    lake: Lake, other: Callable[[Lake], object]
) -> None:
    with lake.confined() as con:
        beside = threading.Thread(target=other, args=(lake,))
        beside.start()
        beside.join()
        other(lake)
        if sys.platform == "linux":
            assert _locks(lake) == 1
        assert not _another_process_may_write(lake)
        assert con.sql("select count(*) from image").fetchall() == [(72,)]
    time.sleep(2 * opened._IDLE_S)
    assert _another_process_may_write(lake)
    assert lake.look_up("from new").rows() == [(1,)]


def test_a_query_opens_files_of_its_lake_and_no_other(lake: Lake, tmp_path: Path) -> None:
    for name in ("notes.csv", "no[t]es*.csv"):
        (lake.path / name).write_text("a\n1\n")
        literal = name.replace("[", "[[]").replace("*", "[*]")
        assert lake.query(f"from '{lake.path}/{literal}'").rows() == [(1,)]
    shutil.copy(lake.path / "notes.csv", tmp_path / "notes.csv")
    for place in (tmp_path / "notes.csv", lake.path / ".." / "notes.csv", lake.path / "*.csv"):
        with pytest.raises(InputError, match="disabled by configuration"):
            lake.query(f"from '{place}'")


def test_readers_that_follow_one_another_share_an_instance(lake: Lake) -> None:
    def read() -> None:
        with lake.held() as con:
            con.execute("create temp table mine as from plate")  # of this reader alone

    catalog = opened.open_catalog(lake.catalog)
    read()
    root = catalog._root
    for _ in range(3):
        read()
        assert catalog._root is root
    threading.Thread(target=read).start()
    lake.execute("create table new as select 1")  # it waits for none but those that read
    assert lake.look_up("from new").rows() == [(1,)]
    (lake.path / "later").mkdir()
    (lake.path / "later" / "a.csv").write_text("a\n5\n")
    assert lake.query(f"from '{lake.path}/later/a.csv'").rows() == [(5,)]
    time.sleep(3 * opened._IDLE_S)
    assert catalog._root is None


def test_readers_without_end_let_writers_in(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "_LONG_S", 0.2)
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            with lake.held() as con:
                con.sql("from plate").fetchall()
                time.sleep(0.05)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    start = time.monotonic()
    try:
        words = ["sql", "--write", "create table new as select 1", "--lake", str(lake.path)]
        done = subprocess.run(
            [sys.executable, "-m", "unidino", *words],
            capture_output=True,
            text=True,
        )
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 30


@pytest.mark.anywhere(remote="slow")
def test_a_long_reader_keeps_no_other_waiting(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "_LONG_S", 0.1)
    monkeypatch.setattr(opened, "_WAIT_FOR_END_S", 0.2)

    def read() -> None:
        for _ in range(20):
            lake.look_up("from plate")

    with lake.held():
        time.sleep(0.2)
        start = time.monotonic()
        reader = threading.Thread(target=read)
        reader.start()
        reader.join()
        assert time.monotonic() - start < 2


def test_an_idle_instance_gives_way_to_another_process(lake: Lake) -> None:
    script = (
        "import sys; from unidino.lake.lake import Lake; lake = Lake.open(sys.argv[1])\n"
        "for i in range(5): lake.execute(f'create or replace table new as select {i} as n')"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(lake.path)])
    while writer.poll() is None:
        lake.look_up("from plate")
    assert writer.returncode == 0
    assert lake.look_up("from new").rows() == [(4,)]


def test_a_script_may_open_the_catalog_itself_after_a_query(lake: Lake) -> None:
    script = (
        "import sys, duckdb, unidino as ud; lake = ud.Lake.open(sys.argv[1]);"
        " lake.query('from plate'); con = duckdb.connect(sys.argv[1] + '/catalog.duckdb');"
        " print(con.execute('select count(*) from plate').fetchone()[0])"
    )
    words = [sys.executable, "-c", script, str(lake.path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "2\n"


def test_a_writer_waits_for_the_readers_of_its_process(lake: Lake) -> None:
    reading, order = threading.Event(), []

    def read() -> None:
        with lake.held():
            reading.set()
            time.sleep(0.4)
            order.append("read")

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    lake.execute("create table new as select 1")
    order.append("written")
    reader.join()
    assert order == ["read", "written"]


def test_who_would_wait_for_himself_is_told_so_at_once(lake: Lake) -> None:
    with lake.held(), pytest.raises(LakeError, match="in use by another part of this program"):
        lake.execute("create table new as select 1")
    with lake.write(), pytest.raises(LakeError, match="in use by another part of this program"):
        lake.look_up("from plate")
    assert len(lake.look_up("from plate")) == 2


def test_a_catalog_that_was_replaced_is_read_anew(lake: Lake, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    shutil.copyfile(lake.catalog, other)
    with duckdb.connect(str(other)) as con:
        con.execute("create table new as select 2 as n")
    found: list[object] = []
    with lake.held():
        other.replace(lake.catalog)
        reader = threading.Thread(target=lambda: found.extend(lake.query("from new").rows()))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive(), "it waits until the old file is closed"
    reader.join()
    assert found == [(2,)]


def test_a_query_has_a_limit_of_memory_and_spills_into_a_private_folder(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_sql, "memory_bytes", lambda: 200_000_000)
    opened.close_idle()
    with pytest.raises(InputError, match="Out of Memory"):
        lake.query("select len(array_agg(md5(i::varchar))) from range(10000000) t(i)")
    settings = "select current_setting('memory_limit'), current_setting('temp_directory')"
    with lake.confined() as con:
        limit, folder = con.execute(settings).fetchall()[0]
        con.execute(
            "select count(*) from (select md5(i::varchar) m from range(3000000) t(i) order"
            " by m, i limit 2000000)"
        ).fetchall()
    assert limit == "95.3 MiB"
    assert Path(folder).parent.stat().st_mode & 0o777 == 0o700
    opened.close_idle()
    assert not Path(folder).exists()
