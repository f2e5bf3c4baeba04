"""SQL of users runs in processes of its own: within limits, and in nobody's way."""

import os
import threading
import time
from collections.abc import Iterator
from operator import add

import polars as pl
import pytest

from unidino.core.errors import InputError
from unidino.explorer import apart, cached_lake
from unidino.explorer.apart import Apart
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.query import run_query
from unidino.lake.lake import Lake

_LONG = "select count(*) from range(1000000) a, range(1000000) b where (a.range * b.range) % 7 = 1"


@pytest.fixture(scope="module")
def processes() -> Iterator[Apart]:
    processes = Apart()
    yield processes
    processes.close()
    assert not processes.folder.exists()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_GRACE_S", 0.2)


def test_a_value_comes_back_and_an_error_is_its_line(processes: Apart, cached: CachedLake) -> None:
    assert processes.run(add, 1, 2, patience_s=30) == 3
    result = processes.run(run_query, cached.lake, "select count(*) from image", patience_s=30)
    assert result.rows.item() == 72
    with pytest.raises(InputError, match="drop statements are refused"):
        processes.run(run_query, cached.lake, "drop table well", patience_s=30)


def test_what_does_not_stop_is_ended_and_the_next_call_is_answered(
    processes: Apart, impatient: None
) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match="stopped after 1 s; select fewer rows"):
        processes.run(time.sleep, 60, patience_s=1)
    assert time.monotonic() - start < 5
    assert processes.run(add, 1, 2, patience_s=30) == 3


def test_what_ends_its_process_is_one_line(processes: Apart) -> None:
    with pytest.raises(InputError, match="GB of memory; select fewer values"):
        processes.run(os._exit, 1, patience_s=30)
    with pytest.raises(InputError, match="GB of memory; select fewer values"):
        processes.run(bytearray, 1 << 40, patience_s=30)
    with pytest.raises(InputError, match="the answer has 300 MB"):
        processes.run(bytes, 300 << 20, patience_s=30)
    assert processes.run(add, 1, 2, patience_s=30) == 3


def test_files_of_queries_are_for_this_user_only(processes: Apart) -> None:
    assert processes.folder.stat().st_mode & 0o777 == 0o700


def test_more_than_a_few_are_told_that_the_page_is_busy(
    cached: CachedLake, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_lake, "_EXPRESSION_S", 3.0)
    said: list[str] = []

    def colour(number: int) -> None:
        with pytest.raises(InputError) as error:
            cached.colours("tiny", f"({_LONG} and {number} = {number}) + well_row")
        said.append(str(error.value))

    threads = [threading.Thread(target=colour, args=(number % 4,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    assert len(cached.colours("tiny", "moa").codes) == 12, "a column needs no query"
    assert time.monotonic() - start < 1
    for thread in threads:
        thread.join()
    assert sum("the page is busy" in line for line in said) >= 2
    assert sum("stopped after 3 s" in line for line in said) >= 1
    assert len(cached.colours("tiny", "well_row + 1").codes) == 12


def test_a_query_of_the_page_keeps_no_writer_waiting(copied: Lake, impatient: None) -> None:
    cached = CachedLake(copied)
    counts = "select count(*) as n from model"
    assert cached.run(counts).rows["n"].to_list() == [1]
    said: list[str] = []

    def run() -> None:
        heavy = _LONG.replace("1000000", "20000")
        result = cached.run(f"select (select count(*) from model) as n, ({heavy}) as m")
        said.append(str(result.rows["n"].to_list()))

    reader = threading.Thread(target=run)
    reader.start()
    time.sleep(0.3)
    start = time.monotonic()
    copied.execute("delete from model")
    assert time.monotonic() - start < 5
    reader.join()
    assert said == ["[1]"]
    assert cached.run(counts).rows.equals(pl.DataFrame({"n": [0]}))
    cached.close()
