"""Commands that are killed at a system call that writes leave whole data, and end well when rerun.

`strace` lists the calls of an undisturbed run that touch the lake, and kills a run at one of them.
UNIDINO_FAULTS is the number of kills, UNIDINO_FAULT_SEED chooses them.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from unidino.lake import leftovers
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.models.baselines import create_model
from unidino.profiles.profile import profile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
_KILLS = int(os.environ.get("UNIDINO_FAULTS", "30"))
_SEED = int(os.environ.get("UNIDINO_FAULT_SEED", "0"))
_CALLS = "write,pwrite64,writev,rename,renameat2,mkdir,rmdir,unlink,unlinkat,fsync,fdatasync"
_CALLS += ",ftruncate,symlink,link"
_TRAIN = (
    '{"architecture_options": {"depth": 1, "embed_dim": 48, "num_heads": 3}, "epochs": 2,'
    ' "steps_per_epoch": 2, "batch_size": 4, "crop_size_px": 32, "local_crop_size_px": 16,'
    ' "learning_rate_warmup": 0, "num_outputs": 32, "head_hidden": 32}'
)
# What differs between two undisturbed runs: names and times of runs.
_COLUMNS = {"run_id", "created", "started", "ended", "number", "computed"}
_NO_CONTENT = re.compile(r"catalog|\.locks/|tensorboard|train\.jsonl|records/|record\.json")


@dataclass(frozen=True)
class Case:
    """A command over a lake. again: the command after a kill, if it is another one."""

    name: str
    words: tuple[str, ...]
    again: Callable[[Path, tuple[str, ...]], tuple[str, ...]] = lambda lake, words: words


def _train_again(lake: Path, words: tuple[str, ...]) -> tuple[str, ...]:
    if (lake / "models" / "net" / "checkpoint.safetensors").exists():
        return ("train", "--model", "net", "--resume")
    return words


_INGEST = ("ingest", "EXPORT", "--layout", "harmony", "--jobs", "1")
_TRAINING = ("train", "--model", "net", "--recipe", "small", "--config", "CONFIG")
_CASES = (
    Case("ingest", _INGEST),
    Case("overwrite", (*_INGEST, "--overwrite", "--dataset", "other")),
    Case("import", ("import-profiles", "TABLE", "--model", "areas")),
    Case("model", ("models", "create", "codebook", "--model", "book")),
    Case("embed", ("embed", "--model", "gaussian", "--all", "--overwrite")),
    Case("profile", ("profile", "--model", "gaussian", "--normalize", "standardize")),
    Case("score", ("score", "--metric", "nsb", "--model", "gaussian")),
    Case("sql", ("sql", "update well set moa = 'x'", "--write")),
    Case("train", _TRAINING, _train_again),
)


@pytest.fixture(scope="module")
def start(
    ingested: Path, tiny_export: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Folders of lakes that the commands start from, and the files that they read."""
    folder = tmp_path_factory.mktemp("start")
    shutil.copytree(ingested, folder / "profiled")
    lake = Lake.open(folder / "profiled")
    create_model(lake, "gaussian")
    from unidino.embeddings.embed import embed

    embed(lake, "gaussian")
    profile(lake)
    (folder / "table.csv").write_text(
        "plate,well,compound,area\n" + "".join(f"q,A{n:02d},c{n},{n}.5\n" for n in range(1, 9))
    )
    (folder / "config.json").write_text(_TRAIN)
    return {"lake": folder / "profiled", "EXPORT": tiny_export} | {
        "TABLE": folder / "table.csv",
        "CONFIG": folder / "config.json",
    }


def _run(words: tuple[str, ...], lake: Path, start: dict[str, Path], *tracer: str) -> int:
    command = [str(start.get(word, word)) for word in words]
    done = subprocess.run(
        [*tracer, sys.executable, "-m", "unidino", *command, "--lake", str(lake)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if not tracer:
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    return done.returncode


def _new_lake(case: Case, start: dict[str, Path], folder: Path) -> Path:
    if case.name != "ingest":
        shutil.copytree(start["lake"], folder)
    return folder


def _calls(case: Case, start: dict[str, Path], folder: Path) -> list[tuple[str, int]]:
    """Every call of a run that touches its lake: its name, and its number of that name in its
    thread."""
    lake, log = _new_lake(case, start, folder / "traced"), folder / "strace.log"
    _run(case.words, lake, start, *_tracer(), "-y", "-e", f"trace={_CALLS}", "-o", str(log))
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if call := re.match(r"(\d+) +(\w+)\(", line):
            seen[call[1], call[2]] += 1
            if str(lake) in line:
                found.append((call[2], seen[call[1], call[2]]))
    assert found
    return sorted(set(found))


def _tracer() -> tuple[str, ...]:
    return ("strace", "-f", "-qq", "-s", "0")


def _content(folder: Path) -> dict[str, object]:
    """Every row but for names and times of runs, and every byte of files that rows name."""
    lake, rows = Lake.open(folder), dict[str, object]()
    kept = f"columns(lambda c: c not in {tuple(sorted(_COLUMNS))})"
    for table in ("plate", "channel", "well", "field", "image", "model", "part", "score"):
        # A score that had landed before the kill is there twice: each run adds its own.
        query = f"select distinct {kept} from {table} order by all"
        rows[table] = lake.query(query).to_dicts()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _NO_CONTENT.search(name):
            # A plate that replaced another has one of two names.
            rows[name.replace("~2.zarr", ".zarr")] = hashlib.sha256(path.read_bytes()).hexdigest()
    return rows


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_kills_at_calls_that_write(
    case: Case,
    start: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leftovers, "_AGE_S", 0.0)
    rng = random.Random(f"{_SEED} {case.name}")
    calls = _calls(case, start, tmp_path)
    whole = _new_lake(case, start, tmp_path / "whole")
    _run(case.words, whole, start)
    expected = _content(whole)
    num, killed = -(-_KILLS // len(_CASES)), 0
    for number in range(num):
        name, nth = rng.choice(calls)
        lake = _new_lake(case, start, tmp_path / str(number))
        inject = f"inject={name}:signal=SIGKILL:when={nth}"
        killed += _run(case.words, lake, start, *_tracer(), "-e", inject) != 0
        if (lake / "catalog.duckdb").exists():
            assert not check(Lake.open(lake)), (name, nth)
        again = case.again(lake, case.words)
        is_there = case.name in ("model", "train") and _has_model(lake, case)
        if not is_there:
            _run(again, lake, start)
        leftovers.clean(Lake.open(lake))
        assert not check(Lake.open(lake), deep=True), (name, nth)
        assert not leftovers.leftovers(Lake.open(lake)), (name, nth)
        assert _content(lake) == expected, (name, nth)
        shutil.rmtree(lake)
    with capsys.disabled():
        print(
            f"\n{case.name}: {killed} of {num} runs killed at one of {len(calls)} calls, all whole"
        )


def _has_model(lake: Path, case: Case) -> bool:
    """Whether the model of a command had landed before it was killed."""
    name = case.words[case.words.index("--model") + 1]
    return not Lake.open(lake).query("from model where model = $m", {"m": name}).is_empty()
