"""Whatever fails, a command says it in one line, with the true reason and the next step."""

import errno
import os
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from safetensors import SafetensorError
from zarr.errors import MetadataValidationError

from unidino.core import faults
from unidino.core.errors import InputError
from unidino.lake.lake import Lake


def _of_numpy() -> None:
    np.empty((10**7, 10**7, 10**3))


def _of_torch() -> None:
    torch.empty(10**16)


def _of_duckdb() -> None:
    con = duckdb.connect(":memory:")
    con.execute("set memory_limit = '1MB'")
    con.execute("set temp_directory = ''")
    con.execute("create table x as select range a, random() b from range(10000000)")


def _of_arrow() -> None:
    pa.ipc.open_file(pa.py_buffer(b"no file"))


def _of_polars() -> None:
    pl.DataFrame({"a": [1]}).select("b")


def _raises(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("fail", "reason", "next_step"),
    [
        (_of_numpy, "there is not enough memory (Unable to allocate", "fewer --jobs"),
        (_of_torch, "there is not enough memory", "smaller --batch-size"),
        (_of_duckdb, "there is not enough memory", "end other programs"),
        (_raises(MemoryError()), "there is not enough memory:", "fewer --jobs"),
        (_raises(RecursionError("depth")), "nested too deeply", "check what"),
        (_raises(RuntimeError("can't start new thread")), "no more threads", "ulimit -u"),
        (_raises(BrokenProcessPool("gone")), "was killed", "fewer --jobs"),
        (lambda: b"\xff".decode(), "0xff", "save it as UTF-8"),
        (_of_arrow, "a table cannot be read", "check what was given"),
        (_of_polars, "a table cannot be read", "check what was given"),
        (lambda: duckdb.sql("from nowhere"), "nowhere does not exist", "unidino check"),
        (_raises(SafetensorError("header")), "a file is damaged: header", "unidino check"),
        (_raises(MetadataValidationError("no grid")), "a file is damaged: no grid", "check"),
        (lambda: Path("/nowhere/x").read_bytes(), "'/nowhere/x': No such file", "check the path"),
        (lambda: Path("/").read_bytes(), "'/': Is a directory", "name a file"),
        (lambda: Path("a" * 999).read_bytes(), "File name too long", "shorter name"),
        (lambda: os.mkdir("/"), "'/': File exists", "another place"),
        (_raises(OSError(errno.ENOSPC, "No space left on device", "/x")), "'/x': the disk", "room"),
        (_raises(OSError("[errno 28] No space left on device")), "the disk is full", "make room"),
        (_raises(duckdb.IOException("No space left on device")), "the disk is full", "make room"),
        (_raises(OSError(errno.EMFILE, "Too many open files", "/x")), "Too many", "ulimit -n"),
        (_raises(OSError(errno.EIO, "Input/output error", "/x")), "Input/output", "has a fault"),
        (
            _raises(OSError(errno.EROFS, "Read-only file system", "/x")),
            "Read-only",
            "may be written",
        ),
        (
            _raises(PermissionError(errno.EACCES, "Permission denied", "/x")),
            "'/x'",
            "ask its owner",
        ),
        (_raises(OSError("no HDF5")), "cannot read or write a file: no HDF5", ""),
    ],
)
def test_an_error_of_a_library_is_one_line(
    run_cli, lake: Lake, monkeypatch: pytest.MonkeyPatch, fail, reason: str, next_step: str
) -> None:
    monkeypatch.setattr(Lake, "open", lambda _: fail())
    status, out, err = run_cli("sql", "from plate", "--lake", lake.path)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert reason in err
    assert next_step in err


def test_a_bug_is_one_line_that_names_a_file_with_its_traceback(
    run_cli, lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Lake, "open", lambda _: {}["place\nof"])
    status, out, err = run_cli("sql", "from plate", "--lake", lake.path)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: this is a bug of unidino, not of what you gave: KeyError: no ")
    (log,) = tmp_path.glob("unidino-*.log")
    assert f"report it to the maintainers with the file '{log}'" in err
    assert "Traceback (most recent call last)" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("UNIDINO_DEBUG", "1")
    assert "Traceback (most recent call last)" in run_cli("sql", "1", "--lake", lake.path)[2]


def test_names_with_line_ends_stay_in_the_line(
    run_cli, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lake, "open", _raise_odd)
    status, _, err = run_cli("sql", "from plate", "--lake", lake.path)
    assert (status, err) == (1, "one\\ntwo\nerror: no file 'a\\nb\\x1b[31m'\n")


def _raise_odd(_: object) -> Lake:
    raise InputError("no file 'a\nb\x1b[31m'", ["one\ntwo"])


def test_a_broken_pipe_is_silent(lake: Lake) -> None:
    import subprocess
    import sys

    words = [sys.executable, "-m", "unidino", "sql", "from range(300000)", "--format", "csv"]
    process = subprocess.Popen(
        [*words, "--lake", str(lake.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "--model", "gaussian", "--all", "--shard", "²/3"),
        ("embed", "--model", "gaussian", "--all", "--shard", "9" * 5000 + "/1"),
        ("train", "--model", "m", "--seed", "-1"),
        ("train", "--model", "m", "--epochs", "0"),
        ("train", "--model", "m", "--epochs", "9" * 30),
        ("train", "--model", "m", "--batch-size", "-3"),
        ("train", "--model", "m", "--crop-size", "1000000"),
        ("score", "--metric", "nsc", "--neighbours", "0"),
        ("score", "--metric", "nsc", "--seed", "99999999999"),
        ("attribute", "--model", "gaussian", "--top", "0"),
        ("attribute", "--model", "gaussian", "--seeds", "-1"),
        ("attribute", "--model", "gaussian", "--seed", "nan"),
        ("readouts", "--table", "x.csv", "--folds", "1"),
        ("readouts", "--table", "x.csv", "--jobs", "1000000"),
        ("plot", "plate", "-o", "x.png", "--value", "avg(focus)", "--width-mm", "nan"),
        ("plot", "plate", "-o", "x.png", "--value", "avg(focus)", "--width-mm", "-1"),
        ("plot", "plate", "-o", "x.png", "--value", "avg(focus)", "--width-mm", "1e9"),
        ("plot", "plate", "-o", "x.png", "--value", "avg(focus)", "--dpi", "0"),
        ("plot", "plate", "-o", "x.png", "--value", "avg(focus)", "--dpi", "100000"),
        ("ingest", ".", "--max-pixels", "0"),
        ("ingest", ".", "--pyramid", "400"),
        ("ingest", ".", "--jobs", "99999999999999999999"),
        ("ingest", ".", "--layout", "filename", "--pattern", "(?P<well>a{99999999999})"),
        ("ingest", ".", "--layout", "filename", "--pattern", "(" * 5000 + "(?P<well>a)"),
        ("models", "create", "gaussian", "--model", "g", "--seed", "-5"),
        ("models", "create", "gaussian", "--model", "n" * 300),
        ("explore", "--port", "65536"),
        ("profile", "--normalize", "mad_robustize,clip=nan"),
        ("profile", "--statistics", "."),
    ],
)
def test_a_number_or_name_out_of_range_is_refused(
    run_cli, profiled: Path, words: tuple[str, ...]
) -> None:
    status, out, err = run_cli(*words, "--lake", profiled)
    assert status in (1, 2), err
    assert out == ""
    assert err.lower().count("error: ") == 1
    assert "bug of unidino" not in err
    assert "Traceback" not in err
