"""Ctrl C: one line, exit status 130, within two seconds, and nothing is half landed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from sampled import slow

from unidino.core import stopping
from unidino.lake.check import check
from unidino.lake.lake import Lake

_LIMIT_S = 2.0
_SEED = int(os.environ.get("UNIDINO_FAULT_SEED", "1"))
_ENDLESS = "select sum(a.range * b.range) from range(10000000) a, range(1000000) b"
_PATIENT = "stopping._PATIENCE_S = 25\n"  # in a script that must end by itself


def _start(*words: object) -> "subprocess.Popen[str]":
    """A command that gets Ctrl C as in a terminal, also if these tests run in the background."""
    return _start_python("-m", "unidino", *words)


def _start_script(*words: object) -> "subprocess.Popen[str]":
    """A Python program that has said that it is ready."""
    process = _start_python(*words)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _start_python(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def _stop(process: "subprocess.Popen[str]", *, group: bool = False) -> tuple[int, str, float]:
    """Exit status, messages and seconds until the end after Ctrl C."""
    started = time.monotonic()
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    try:
        _, messages = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, messages, time.monotonic() - started


def _wait_until_busy(process: "subprocess.Popen[str]", catalog: Path) -> None:
    """Wait until a command has the catalog open, or for 6 seconds, and then for another second."""
    files = Path(f"/proc/{process.pid}/fd")
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        time.sleep(0.05)
        with contextlib.suppress(OSError):
            if catalog.resolve() in {file.resolve() for file in files.iterdir()}:
                break
    time.sleep(1)


def _left_over(lake: Path) -> list[str]:
    temporary = [f for f in lake.rglob(".*") if f.name.endswith(".tmp")]
    return [str(f) for f in (*temporary, *(lake / ".locks").glob("catalog.new*"))]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of 24 wells that takes a second or two to ingest."""
    folder = tmp_path_factory.mktemp("export") / "Images"
    folder.mkdir()
    noise = np.random.default_rng(0).poisson(400, (1024, 1024)).astype(np.uint16)
    for well in range(24):
        name = f"r{well // 6 + 1:02d}c{well % 6 + 1:02d}f01p01-ch1sk1fk1fl1.tiff"
        tifffile.imwrite(folder / name, np.roll(noise, well, axis=0), compression="deflate")
    return folder.parent


@pytest.mark.parametrize(
    "words",
    [
        ("sql", _ENDLESS),
        ("explore", "--no-browser", "--port", "0"),
        *slow(
            (("sql", "--write", f"create table x as {_ENDLESS}"),),
            (("score", "--metric", "nsc", "--where", f"({_ENDLESS}) > 0"),),
        ),
    ],
)
def test_a_query_and_a_page_are_stopped(lake: Lake, profiled: Path, words) -> None:
    shutil.rmtree(lake.path)
    shutil.copytree(profiled, lake.path)
    process = _start(*words, "--lake", lake.path)
    _wait_until_busy(process, lake.catalog)
    status, messages, seconds = _stop(process)
    assert (status, messages) == (stopping.STATUS, f"{stopping.LINE}\n")
    assert seconds < 2 * _LIMIT_S  # others use this machine too
    assert check(lake) == []


def test_a_stopped_ingest_leaves_nothing_and_is_run_again(export: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    words = ("ingest", export, "--layout", "harmony", "--dataset", "d", "--lake", lake)
    process = _start(*words)
    deadline = time.monotonic() + 60
    while not list((lake / "plates").glob(".*.tmp/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    status, messages, seconds = _stop(process)
    assert (status, messages.splitlines()[-1]) == (stopping.STATUS, stopping.LINE)
    assert "Traceback" not in messages
    assert seconds < 2 * _LIMIT_S
    assert _left_over(lake) == []
    assert check(Lake.open(lake)) == []
    done = _start(*words)
    assert (done.communicate()[1].count("error"), done.returncode) == (0, 0)


def test_a_program_that_is_busy_outside_of_python_ends_all_the_same(tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    left = tmp_path / "half-written"
    script.write_text(
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "from unidino.core import stopping\n"
        "with stopping.on_ctrl_c(), stopping.unfinished(Path(sys.argv[1])) as path:\n"
        "    path.mkdir()\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)  # many minutes\n"
    )
    process = _start_script(script, left)
    time.sleep(1)  # until it is outside of Python
    status, messages, _ = _stop(process)
    assert (status, messages) == (stopping.STATUS, f"{stopping.LINE}\n")
    assert not left.exists()


def test_a_command_in_the_background_is_not_stopped(lake: Lake) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "unidino", "sql", "select 1", "--lake", str(lake.path)],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def test_threads_end_between_two_pieces_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping.check()
    stopping._asked.set()
    try:
        with pytest.raises(stopping.Stopped):
            stopping.check()
    finally:
        stopping._asked.clear()


def test_a_module_that_is_being_imported_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text(
        "import time\n"
        "print('ready', flush=True)\n"
        "for _ in range(10):\n"
        "    time.sleep(0.01)\n"
        "print('imported', flush=True)\n"
    )
    script = tmp_path / "importing.py"
    script.write_text(
        "import time\n"
        "from unidino.core import stopping\n"
        f"{_PATIENT}"
        "with stopping.on_ctrl_c():\n"
        "    try:\n"
        "        import slow_module\n"
        "        time.sleep(60)\n"
        "    except stopping.Stopped:\n"
        "        print('stopped', flush=True)\n"
    )
    process = _start_script(script)
    process.send_signal(signal.SIGINT)
    out, messages = process.communicate(timeout=30)
    assert (out, messages, process.returncode) == ("imported\nstopped\n", "", 0)


def test_threads_whose_work_is_cut_off_say_nothing(tmp_path: Path) -> None:
    script = tmp_path / "threads.py"
    script.write_text(
        "import duckdb, threading, time\n"
        "from unidino.core import stopping\n"
        f"{_PATIENT}"
        "def work(con):\n"
        f"    con.execute({_ENDLESS!r})\n"
        "def failing():\n"
        "    raise ValueError('of its own')\n"
        "with stopping.on_ctrl_c():\n"
        "    con = stopping.interruptible(duckdb.connect())\n"
        "    bad = threading.Thread(target=failing)\n"
        "    bad.start(), bad.join()\n"
        "    thread = threading.Thread(target=work, args=(con,))\n"
        "    thread.start()\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    except stopping.Stopped:\n"
        "        thread.join()\n"
    )
    process = _start_script(script)
    status, messages, _ = _stop(process)
    assert status == 0
    assert messages.splitlines()[-1] == "ValueError: of its own"
    assert messages.count("Traceback") == 1


@pytest.mark.parametrize(
    "busy",
    [
        "from joblib import Parallel, delayed\n"
        "    Parallel(2)(delayed(abs)(n) for n in range(2))\n",
        "import atexit, threading\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "    atexit.register(print, 'Python ends, and aborts if the thread is in a library')\n",
    ],
    ids=["processes that wait", "a thread in a library"],
)
def test_the_end_is_quiet_whatever_is_left_of_the_work(tmp_path: Path, busy: str) -> None:
    script = tmp_path / "busy.py"
    script.write_text(
        f"import time\nfrom unidino.core import stopping\nwith stopping.on_ctrl_c():\n    {busy}"
        "print('ready', flush=True)\nstopping.leave()\n"
    )
    process = _start_script(script)
    out, messages = process.communicate(timeout=30)
    assert (process.returncode, out, messages) == (stopping.STATUS, "", "")


def _commands(export: Path, folder: Path) -> dict[str, tuple[object, ...]]:
    changes = folder / "c.json"
    changes.write_text('{"architecture_options": {"depth": 1}, "batch_size": 8}')
    return {
        "ingest": ("ingest", export, "--layout", "harmony", "--dataset", "d"),
        "embed": ("embed", "--model", "base", "--all"),
        "train": ("train", "--model", "t", "--recipe", "small", "--config", changes),
        "profile": ("profile", "--normalize", "mad_robustize+spherize"),
        "score": ("score", "--metric", "nsc"),
        "map": ("plot", "map", "-o", folder / "m.png"),
        "report": ("report", "-o", folder / "r.html"),
        "explore": ("explore", "--no-browser", "--port", "0"),
        "sql": ("sql", _ENDLESS),
        "sql --write": ("sql", "--write", f"create table x as {_ENDLESS}"),
        "attribute": ("attribute", "--model", "gaussian", "--seeds", "40"),
        "check": ("check", "--pixels"),
        "models create": ("models", "create", "codebook"),
    }


@pytest.mark.slow
def test_commands_that_are_stopped_at_random_times(
    export: Path, profiled: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(_SEED)
    commands = _commands(export, tmp_path)
    whole: dict[str, float] = {}
    faults, slowest = [], (0.0, "")
    for number in range(3 * len(commands)):
        name = list(commands)[number % len(commands)]
        lake = tmp_path / "lake"
        fresh: Callable[[], object] = lambda: shutil.copytree(profiled, lake)  # noqa: B023, E731
        for measure in (name not in whole, False):
            shutil.rmtree(lake, ignore_errors=True)
            if name != "ingest":
                fresh()
            if measure:
                started = time.monotonic()
                process = _start(*commands[name], "--lake", lake)
                try:
                    process.communicate(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                whole[name] = time.monotonic() - started
        process = _start(*commands[name], "--lake", lake)
        at = rng.uniform(0.1, 1) * whole[name]
        time.sleep(at)
        status, messages, seconds = _stop(process, group=rng.random() < 0.4)
        slowest = max(slowest, (seconds, f"{name} at {at:.2f} s"))
        ended = status == 0 or (status == stopping.STATUS and messages.count("stopped") == 1)
        right = not (lake / "catalog.duckdb").exists() or check(Lake.open(lake)) == []
        if not ended or "Traceback" in messages or _left_over(lake) or not right:
            faults.append(f"{name} at {at:.2f} s: {status} {messages[-500:]} {_left_over(lake)}")
    with capfd.disabled():
        num = 3 * len(commands)
        took, which = slowest
        print(f"\nCtrl C, seed {_SEED}: {num} / {num - len(faults)}, slowest {took:.1f} s: {which}")
    assert not faults, "\n".join(faults)
