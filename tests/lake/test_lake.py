"""A lake opens, locks, refuses and moves as a user expects."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unidino.core.errors import InputError, LakeError
from unidino.core.sql import quoted, read_only_statement, scratch
from unidino.lake import schema
from unidino.lake.lake import Lake


def test_no_lake_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="unidino ingest"):
        Lake.open(tmp_path)


def test_a_folder_of_other_things_is_not_made_a_lake(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LakeError, match="neither empty nor a lake"):
        Lake.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_error_inside_a_transaction_leaves_nothing(lake: Lake) -> None:
    before = lake.query("from plate")

    def half_done() -> None:
        with lake.write() as con:
            con.execute("delete from plate")
            con.execute("select no_such_column from plate")

    with pytest.raises(duckdb.Error):
        half_done()
    assert lake.query("from plate").equals(before)


@pytest.mark.anywhere(remote="slow")
@pytest.mark.parametrize(
    "statement",
    [
        "delete from well",
        "create table t (i integer)",
        "copy well to 'stolen.csv'",
        "explain analyze delete from well",
        "explain analyze copy well to 'stolen.csv'",
        "attach 'other.duckdb'",
        "install httpfs",
        "set threads = 1",
        "select 1; delete from well",
        "",
    ],
)
def test_a_read_only_query_refuses_to_write(
    lake: Lake, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = lake.query("from well")
    with pytest.raises(InputError):
        lake.query(statement)
    assert lake.query("from well").equals(before)
    assert not (tmp_path / "stolen.csv").exists()


@pytest.mark.anywhere(remote="slow")
@pytest.mark.parametrize(
    "statement",
    [
        "from well",
        "explain select 1",
        "describe well",
        "summarize well",
        "with a as (from well) from a",
    ],
)
def test_a_read_only_query_reads(lake: Lake, statement: str) -> None:
    assert lake.query(statement).height > 0


def test_a_moved_lake_still_works(lake: Lake, tmp_path: Path) -> None:
    from unidino.lake.check import check

    lake.path.rename(tmp_path / "moved")
    moved = Lake.open(tmp_path / "moved")
    assert check(moved) == []
    uri = moved.query("select uri from plate limit 1").item()
    assert not Path(uri).is_absolute()
    assert moved.resolve(uri).is_dir()


def test_writers_wait_for_each_other(lake: Lake) -> None:
    code = (
        "import sys, time, duckdb; con = duckdb.connect(sys.argv[1]); print('held', flush=True);"
        " time.sleep(1.5); con.close()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lake.catalog)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    started = time.monotonic()
    lake.execute("update plate set barcode = 'waited'")
    assert time.monotonic() - started > 0.5
    holder.communicate(timeout=20)
    assert lake.query("select distinct barcode from plate").item() == "waited"


def test_a_held_catalog_is_named_with_its_holder(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unidino.lake.file_catalog._LOCK_PATIENCE_S", 0.1)
    code = (
        "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('held', flush=True);"
        " sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lake.catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LakeError, match=f"in use by process {holder.pid}"):
            lake.query("from plate")
        holder.communicate("\n", timeout=20)


def test_a_snapshot_does_not_shut_writers_out(lake: Lake) -> None:
    with lake.snapshot() as con:
        done = threading.Event()

        def write() -> None:
            lake.execute("update plate set barcode = 'written'")
            done.set()

        thread = threading.Thread(target=write)
        thread.start()
        assert done.wait(10)
        thread.join()
        assert con.execute("select count(barcode) from plate").fetchall() == [(0,)]


@given(st.text(min_size=1).filter(lambda name: "\0" not in name))
def test_any_name_survives_quoting(name: str) -> None:
    con = duckdb.connect()
    con.execute(f"create table t ({quoted(name)} integer)")
    assert con.execute("describe t").fetchall()[0][0] == name


def test_vector_macros_agree_with_numpy() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7, 5))
    weights = rng.integers(1, 9, 7)
    con = scratch()
    con.execute("create table t (v double[], w integer)")
    con.executemany(
        "insert into t values (?, ?)",
        [(v.tolist(), int(w)) for v, w in zip(vectors, weights, strict=True)],
    )
    row = con.execute(
        "select mean_vector(v), weighted_mean_vector(v, w), median_vector(v), mad_vector(v),"
        " stddev_vector(v) from t"
    ).fetchall()[0]
    median = np.median(vectors, axis=0)
    expected = (
        vectors.mean(axis=0),
        np.average(vectors, axis=0, weights=weights),
        median,
        np.median(np.abs(vectors - median), axis=0),
        vectors.std(axis=0),
    )
    for got, want in zip(row, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_read_only_statement_accepts_what_it_returns() -> None:
    con = scratch()
    assert read_only_statement(con, "select 1") == "select 1"


@pytest.mark.parametrize("open_lake", [Lake.open, Lake.create])
def test_a_catalog_of_an_earlier_version_is_brought_up_to_date(
    lake: Lake, open_lake: Callable[[Path], Lake]
) -> None:
    before = lake.query("from plate order by plate_id")
    with lake.write() as con:
        con.execute("drop table attribution")
        con.execute("drop table part")
        con.execute(
            "create table part (uri varchar primary key, kind varchar check (kind in"
            " ('embedding')), model varchar, num_rows bigint, sha256 varchar,"
            " inputs_hash varchar, run_id varchar)"
        )
        con.execute("insert into part values ('a', 'embedding', 'm', 3, 's', 'i', 'r')")
    opened = open_lake(lake.path)
    assert opened.look_up("select uri, kind, num_rows, level from part").rows() == [
        ("a", "embedding", 3, None)
    ]
    with opened.write() as con:
        con.execute(
            "insert into part (uri, kind, model, num_rows, sha256, inputs_hash, run_id)"
            " values ('b', 'projection', 'm', 3, 's', 'i', 'r')"
        )
    assert opened.look_up("from attribution").is_empty()
    assert opened.query("from plate order by plate_id").equals(before)
    with opened.write() as con:
        assert schema.outdated(con) == []


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_a_folder_that_a_file_manager_has_looked_at_is_new(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert Lake.create(tmp_path).query("select count(*) from plate").item() == 0


@pytest.mark.parametrize(
    "query",
    [
        "select row_of(well) as r, count(*) from well group by all",
        "select MEDIAN_VECTOR(embedding) from embedding",
        "from query('select canonical' || '_well(well) as w from well')",
        "select function_name from duckdb_functions() where function_name = 'mean_vector'",
    ],
)
def test_a_query_has_the_macros_that_it_needs(profiled: Path, query: str) -> None:
    assert len(Lake.open(profiled).query(query)) > 0


def test_a_misspelt_macro_is_proposed(profiled: Path) -> None:
    with pytest.raises(InputError, match=r"mean_vectr does not exist.*Did you mean \"mean_vector"):
        Lake.open(profiled).query("select mean_vectr(embedding) from embedding")
