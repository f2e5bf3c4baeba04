"""Processes that work side by side give results in order, and do not outlive who started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joblib import delayed

from unidino.core.processes import side_by_side

_SIDE_BY_SIDE = "list(side_by_side([delayed(wait)(folder, n) for n in range(2)], 2))"
_POOL = "list(processes(2).map(partial(wait, folder), range(2)))"


def wait(folder: Path, number: int) -> None:
    (folder / f"{number}").write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_calls(jobs: int) -> None:
    calls = [delayed(divmod)(number, 3) for number in range(20)]
    assert list(side_by_side(calls, jobs)) == [divmod(number, 3) for number in range(20)]


def slow_pid() -> int:
    time.sleep(0.1)
    return os.getpid()


def test_there_are_no_more_processes_than_cores() -> None:
    calls = [delayed(slow_pid)() for _ in range(20)]
    assert len(set(side_by_side(calls, 20))) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("work", [_SIDE_BY_SIDE, _POOL])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, work: str) -> None:
    script = tmp_path / "started.py"
    script.write_text(
        "import sys\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from joblib import delayed\n"
        "from test_processes import wait\n"
        "from unidino.core.processes import processes, side_by_side\n"
        "if __name__ == '__main__':\n"
        "    folder = Path(sys.argv[1])\n"
        f"    {work}\n"
    )
    started = subprocess.Popen([sys.executable, script, tmp_path])
    numbers = [tmp_path / "0", tmp_path / "1"]
    deadline = time.monotonic() + 60
    while not all(f.is_file() and f.read_text() for f in numbers) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(f.read_text()) for f in numbers]
    started.send_signal(signal.SIGKILL)
    started.wait()
    deadline = time.monotonic() + 20
    while any(map(_is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in workers if _is_running(pid)] == []


def _is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that ended may still be listed."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
