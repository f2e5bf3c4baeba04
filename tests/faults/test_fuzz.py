"""Mutated inputs of every kind: each command succeeds, or ends with one line that says why.

UNIDINO_FUZZ_INPUTS: how many inputs (default 150). UNIDINO_FUZZ_SEED: of the generator (default 1).
UNIDINO_FUZZ_ONLY: kinds, separated by commas. UNIDINO_FUZZ_AT: the number of one input.
"""

import contextlib
import faulthandler
import io
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from fuzz_inputs import KINDS
from fuzz_models import VIT
from fuzz_nasty import mutate_bytes

from unidino import cli
from unidino.core import faults
from unidino.core.errors import UnidinoError
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models import registry
from unidino.models.config import ModelConfig
from unidino.models.networks import new_encoder

_NUM = int(os.environ.get("UNIDINO_FUZZ_INPUTS", "150"))
_SEED = os.environ.get("UNIDINO_FUZZ_SEED", "1")
_AT = os.environ.get("UNIDINO_FUZZ_AT")
_ONLY = os.environ.get("UNIDINO_FUZZ_ONLY", "")
_PATIENCE_S = 20
_MEMORY_MB = 2500  # that the largest input may take more than those before it


_WORDS_FOR = faults.words_for


class _TooLong(BaseException):
    pass


@pytest.fixture(scope="module")
def template(profiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake with profiles, and with a small network."""
    folder = tmp_path_factory.mktemp("template") / "lake"
    shutil.copytree(profiled, folder)
    config = ModelConfig(
        kind="vit",
        architecture=VIT,
        architecture_options={"depth": 1, "embed_dim": 32, "num_heads": 2},
        num_dims=32,
        crop_size_px=32,
        stride_px=32,
    )
    registry.register(Lake.open(folder), Run("test", {}), "vit", config, new_encoder(config))
    return folder


class _Laboratory:
    """Runs commands on a copy of a lake, and judges how they end."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template, self._folder = template, folder
        self._lake: Path | None = None
        self._right: dict[Path, object] = {}
        self.tried: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.faults: list[str] = []
        self.caught: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()

    def try_one(self, number: int) -> None:
        """Draw an input, run it, and count whether it held."""
        rng = random.Random(f"{_SEED}-{number}")
        names = [name for name, (_, weight) in KINDS.items() for _ in range(weight)]
        kind = rng.choice([name for name in names if not _ONLY or name in _ONLY.split(",")])
        folder = self._folder / f"input-{number}"
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            words = KINDS[kind][0](rng, folder)
        lake = self._fresh() if words[0][0] in "!?" or self._lake is None else self._lake
        damage = ""
        if words[0][0] == "!":
            damage = words.pop(0)[1:]
            with contextlib.suppress(UnidinoError):
                Lake.open(lake).execute(damage)
        elif words[0][0] == "?":
            damage = _damage(random.Random(words.pop(0)), lake)
        if words[0] == "ingest" and ("--in-place" in words or rng.random() < 0.5):
            lake = folder / "lake"
        elif words[0] == "ingest":
            words.append("--overwrite")
        if "--lake" not in words and words[0] != "demo":
            words += ["--lake", str(lake)]
        started = time.monotonic()
        with patch.object(faults, "words_for", self._note):
            status, messages, fault = _run([word.replace("\0", "") for word in words], folder)
        self.seconds[kind] += time.monotonic() - started
        if not fault and not damage:
            fault = self._fault_of_lake(lake)
        if damage or fault:
            self._lake = None
        elif lake.parent == self._folder:
            self._lake = lake
        self.tried[kind] += 1
        if fault:
            text = f"{number} {kind}: {fault} (exit {status})\n  {words}\n  {damage}\n  {messages}"
            self.faults.append(text)
        else:
            self.held[kind] += 1
            shutil.rmtree(folder, ignore_errors=True)

    def _note(self, error: BaseException) -> str | None:
        """What the last net says of an error, whose place is counted: a check may belong there."""
        at = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in at if "/unidino/" in frame.filename][-1]
        place = f"{own.filename.partition('/unidino/')[2]}:{own.lineno} {type(error).__name__}"
        self.caught[f"{place}: {error!s:.80}".replace("\n", " ")] += 1
        return _WORDS_FOR(error)

    def _fault_of_lake(self, lake: Path) -> str:
        """What a command left in a lake that is wrong; a lake that it did not change is right."""
        left = [f.name for f in lake.rglob(".*") if f.name.endswith(".tmp")]
        left += [f.name for f in (lake / ".locks").glob("catalog.new*")]
        if left:
            return f"left over: {left}"
        files = [f for f in lake.glob("catalog.duckdb*") if f.is_file()]
        state = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in sorted(files)]
        if not files or state == self._right.get(lake):
            return ""
        problems = check(Lake.open(lake))
        self._right[lake] = state
        return f"a wrong lake: {problems[0]}" if problems else ""

    def _fresh(self) -> Path:
        """A new copy of the lake."""
        folder = self._folder / "lake"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._template, folder)
        return folder


def _damage(rng: random.Random, lake: Path) -> str:
    """Change the bytes of one file of a lake; says which."""
    files = sorted(f for f in lake.rglob("*") if f.is_file() and ".locks" not in f.parts)
    path = rng.choice(files) if rng.random() < 0.7 else lake / "catalog.duckdb"
    match rng.randrange(4):
        case 0:
            path.write_bytes(mutate_bytes(rng, path.read_bytes()))
        case 1:
            path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size + 1)])
        case 2:
            path.unlink()
        case _:
            path.write_bytes(b"")
    return f"damaged {path}"


def _late(signal_number: int, frame: object) -> None:
    raise _TooLong


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(_PATIENCE_S)
    faulthandler.dump_traceback_later(4 * _PATIENCE_S, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _run(words: list[str], folder: Path) -> tuple[object, str, str]:
    """Exit status, messages, and what is wrong with how the command ended."""
    out, err = (io.TextIOWrapper(io.BytesIO(), errors="backslashreplace") for _ in "ab")
    before_mb = _peak_mb()
    started = time.monotonic()
    status: object = 0
    fault = ""
    home = Path.cwd()
    os.chdir(folder)
    try:
        with (
            patch.object(sys, "argv", ["unidino", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
            _limited(),
        ):
            warnings.simplefilter("ignore")
            cli.main()
    except SystemExit as end:
        status = end.code or 0
    except _TooLong:
        fault = f"took over {_PATIENCE_S} s"
    except BaseException:
        fault = "escaped: " + traceback.format_exc()[-1500:]
    finally:
        os.chdir(home)
    err.flush()
    messages = err.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    lines = messages.splitlines()
    if not fault and "bug of unidino" in messages:
        log = messages.partition("with the file '")[2].partition("'")[0]
        fault = "a bug: " + Path(log).read_text()[-1800:]
    elif not fault and ("Traceback" in messages or status not in (0, 1, 2)):
        fault = "a traceback or another exit status"
    elif not fault and status == 1 and sum(line.startswith("error: ") for line in lines) != 1:
        fault = "not one line of error"
    elif not fault and status == 1 and (len(lines[-1]) > 4000 or not lines[-1].startswith("error")):
        fault = "the last line is no short error"
    elif not fault and _peak_mb() > before_mb + _MEMORY_MB:
        fault = f"took {_peak_mb() - before_mb} MB"
    elif not fault and time.monotonic() - started > _PATIENCE_S:
        fault = "too slow"
    return status, messages[-1500:], fault


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.slow
def test_every_input_ends_in_success_or_in_one_line(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    laboratory = _Laboratory(template, tmp_path)
    started = time.monotonic()
    for number in range(_NUM) if _AT is None else [int(_AT)]:
        laboratory.try_one(number)
        if os.environ.get("UNIDINO_FUZZ_LOG"):
            with open(os.environ["UNIDINO_FUZZ_LOG"], "w") as log:
                print(number, time.monotonic() - started, file=log)
                print(laboratory.seconds, file=log)
                print("\n".join(map(str, laboratory.caught.most_common())), file=log)
                print("\n\n".join(laboratory.faults), file=log)
    tried, held = laboratory.tried, laboratory.held
    with capfd.disabled():
        print(f"\nseed {_SEED}: {tried.total()} inputs, {held.total()} held,", end=" ")
        print(f"{time.monotonic() - started:.0f} s; tried / held:", end=" ")
        print(", ".join(f"{kind} {tried[kind]} / {held[kind]}" for kind in KINDS))
    assert not laboratory.faults, "\n\n".join(laboratory.faults)
