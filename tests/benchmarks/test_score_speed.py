"""How fast profiles are normalized and scored: against matrix products, numpy, and other programs.

Run with `python -m pytest -m benchmark tests/benchmarks/test_score_speed.py -s`. Each measurement
has a process of its own, so that its peak memory is its own; medians where rounds are said.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from servers import dask_cluster

pytestmark = pytest.mark.benchmark

_DATA = '''
import json, resource, sys, time
import numpy as np
num = int(sys.argv[1])
rng = np.random.default_rng(0)
vectors = rng.standard_normal((num, 1920), dtype=np.float32)
compound, batch = rng.integers(0, 300, num), rng.integers(0, 16, num)
moa = compound % 40

def peak():
    """Peak resident memory since the mark, MB."""
    lines = open("/proc/self/status").read().splitlines()
    return int(next(l for l in lines if l.startswith("VmHWM")).split()[1]) / 1e3

def mark():
    """Resident memory now, MB; the peak starts anew."""
    open("/proc/self/clear_refs", "w").write("5")
    return peak()
'''
_OURS = (
    _DATA
    + """
import polars as pl
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest
ids = np.arange(num)
rows = [pl.DataFrame({"profile_id": ids, "reason": r, "key": k.astype(str)})
        for r, k in (("compound", compound), ("batch", batch))]

a, b = vectors[:1024], np.resize(vectors, (16384, 1920))
out = np.empty((1024, 16384), np.float32)
def rate():
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        np.matmul(a, b.T, out=out)
        rates.append(2 * 1024 * 16384 * 1920 / (time.perf_counter() - start))
    return sorted(rates)[2]
first = rate()
before = mark()
start = time.perf_counter()
found = nearest(vectors, encode_keys(pl.concat(rows), ids), moa)
seconds = time.perf_counter() - start
memory = peak() - before
print(json.dumps({"seconds": seconds, "memory_mb": memory, "total_mb": peak(),
                  "gflops": (first + rate()) / 2e9,
                  "correct": int((moa[found.index[:, 0]] == moa).sum())}))
"""
)
# What the published program does: every distance in float64, then a pass over the rows that
# compares each one's names with all others' and pushes those that may not be neighbours away.
_PUBLISHED = (
    _DATA
    + """
import pandas as pd
from sklearn.metrics import pairwise_distances
table = pd.DataFrame(vectors.astype(np.float64))
del vectors
names = pd.DataFrame({n: pd.Series([f"{n}-{v:04d}" for v in k], dtype=object)
                      for n, k in (("compound", compound), ("batch", batch), ("moa", moa))})
before = mark()
start = time.perf_counter()
distances = pairwise_distances(table, metric="cosine")
far = distances.max()
np.fill_diagonal(distances, far)
for i in range(num):
    same = names["batch"] == names["batch"][i]
    distances[i, same] = far
    distances[i, names["compound"] == names["compound"][i]] = far
found = distances.argmin(axis=1)
print(json.dumps({"seconds": time.perf_counter() - start, "memory_mb": peak() - before,
                  "correct": int((moa[found] == moa).sum())}))
"""
)
_NORMALIZATION = """
import json, sys, time
import numpy as np, pandas as pd
from unidino.profiles.normalize import Step, learn_and_apply
plates, wells, dims = 27, 384, 1920
rng = np.random.default_rng(0)
raw = rng.normal(size=(plates * wells, dims))
units = np.repeat(np.arange(plates), wells)
names = [f"p{i:02d}" for i in range(plates)]

def ours():
    step = Step(1, "median_mad", None, names, units, np.ones(len(raw), bool))
    return learn_and_apply(step, np.array(raw))[0]

def plain():
    out = np.array(raw)
    for plate in range(plates):
        own = out[units == plate]
        own -= np.median(own, axis=0)
        own /= 1.4826 * np.median(np.abs(own), axis=0)
        out[units == plate] = own
    return out

def theirs():
    from pycytominer import normalize
    features = [f"Cells_{i}" for i in range(dims)]
    table = pd.DataFrame(raw, columns=features)
    table.insert(0, "Metadata_Plate", np.array(names)[units])
    return pd.concat([
        normalize(own, features=features, meta_features=["Metadata_Plate"], samples="all",
                  method="mad_robustize", mad_robustize_epsilon=0)
        for _, own in table.groupby("Metadata_Plate")
    ])[features].to_numpy()

which = {"ours": ours, "plain": plain, "theirs": theirs}[sys.argv[1]]
start = time.perf_counter()
got = which()
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "check": float(np.abs(got).sum())}))
"""


def _measured(code: str, *arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("num", [5_000, 20_000, 50_000])
def test_neighbours_against_the_matrix_product(num: int, capsys) -> None:
    got = _measured(_OURS, num)
    floor = 2 * num**2 * 1920 / got["gflops"] / 1e9
    with capsys.disabled():
        print(
            f"\nNSCB {num} x 1920: {got['seconds']:.2f} s, {got['seconds'] / floor:.2f} of"
            f" 2 N N D flop at {got['gflops']:.0f} Gflop/s; {got['memory_mb']:.0f} MB besides the"
            f" vectors, {got['total_mb']:.0f} MB in all"
        )


def test_neighbours_against_the_published_method(capsys) -> None:
    ratios, ours, theirs = [], {}, {}
    for _ in range(3):
        ours, theirs = _measured(_OURS, 10_000), _measured(_PUBLISHED, 10_000)
        assert ours["correct"] == theirs["correct"]
        ratios.append(theirs["seconds"] / ours["seconds"])
    with capsys.disabled():
        print(
            f"\nNSCB 10000 x 1920: {ours['seconds']:.2f} s, published method"
            f" {theirs['seconds']:.1f} s: {statistics.median(ratios):.1f} times"
            f" ({min(ratios):.1f}-{max(ratios):.1f}, 3 pairs); memory {ours['memory_mb']:.0f} MB"
            f" against {theirs['memory_mb']:.0f} MB"
        )


def test_normalization_against_pycytominer_and_numpy(capsys) -> None:
    rounds = [
        {w: _measured(_NORMALIZATION, w) for w in ("ours", "plain", "theirs")} for _ in range(3)
    ]
    for own in rounds:
        assert own["ours"]["check"] == pytest.approx(own["plain"]["check"], rel=1e-9)
        assert own["ours"]["check"] == pytest.approx(own["theirs"]["check"], rel=1e-9)
    seconds = {w: statistics.median(r[w]["seconds"] for r in rounds) for w in rounds[0]}
    with capsys.disabled():
        print(
            f"\nMAD robustize, 27 plates x 384 wells x 1920: {seconds['ours']:.2f} s;"
            f" plain numpy {seconds['plain']:.2f} s, pycytominer {seconds['theirs']:.1f} s"
            " (medians of 3 rounds)"
        )


def test_a_whole_screen_from_import_to_score(tmp_path: Path, capsys) -> None:
    """27 plates of 384 wells with 1920 features through the commands."""
    code = """
import sys, time, numpy as np, polars as pl
rng = np.random.default_rng(0)
folder = sys.argv[1]
num = 27 * 384
table = pl.DataFrame({
    "plate": [f"p{i // 384:02d}" for i in range(num)],
    "well": [f"{'ABCDEFGHIJKLMNOP'[i % 384 // 24]}{i % 24 + 1:02d}" for i in range(num)],
    "batch": [f"b{i // 384 // 2}" for i in range(num)],
    "compound": [f"c{i % 300}" for i in range(num)],
    "moa": [f"m{i % 300 % 40}" for i in range(num)],
}).hstack([pl.Series(f"f{i}", rng.normal(size=num)) for i in range(1920)])
table.write_parquet(folder + "/t.parquet")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    lines = []
    for words in (
        ["import-profiles", str(tmp_path / "t.parquet"), "--model", "m"],
        ["profile"],
        ["score", "--metric", "nscb"],
    ):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "unidino", *words, "--lake", str(tmp_path / "lake")],
            check=True,
            capture_output=True,
        )
        lines.append(f"{words[0]} {time.perf_counter() - start:.1f} s")
    with capsys.disabled():
        print(f"\n10,368 wells x 1920, whole commands: {', '.join(lines)}")


_SCREEN = """
import sys
import numpy as np, polars as pl
import unidino as ud
folder, plates, wells, dims = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(0)
num = plates * wells
at = np.arange(num)
compound = rng.integers(0, 300, num)
vectors = rng.standard_normal((num, dims), dtype=np.float32)
vectors[rng.random(num) < 0.02] = vectors[0]  # ties
table = pl.DataFrame({
    "plate": [f"p{p:04d}" for p in at // wells],
    "well": [f"{chr(65 + w // 24)}{w % 24 + 1:02d}" for w in at % wells],
    "batch": [f"b{p % 16}" for p in at // wells],
    "compound": [f"c{c}" for c in compound],
    "moa": [f"m{c % 40}" for c in compound],
}).hstack([pl.Series(f"f{i}", vectors[:, i]) for i in range(dims)])
table.write_parquet(folder + "/t.parquet")
ud.import_profiles(ud.Lake.create(folder + "/lake"), folder + "/t.parquet", "m")
"""
_PRODUCT = """
import json, sys, time
import numpy as np
num, dims = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
a, b = (rng.standard_normal((n, dims), dtype=np.float32) for n in (1024, 16384))
out = np.empty((1024, 16384), np.float32)
seconds = []
for _ in range(5):
    start = time.perf_counter()
    np.matmul(a, b.T, out=out)
    seconds.append(time.perf_counter() - start)
print(json.dumps(sorted(seconds)[2] * num**2 / (1024 * 16384)))
"""


def _product_s(num: int, dims: int) -> float:
    """Seconds of the whole matrix product of num profiles with themselves."""
    printed = subprocess.run(
        [sys.executable, "-c", _PRODUCT, str(num), str(dims)], capture_output=True, check=True
    )
    return float(json.loads(printed.stdout))


def test_a_whole_score_against_the_matrix_product(tmp_path: Path, capsys) -> None:
    """846 plates of 24 wells with 1,920 features; the command makes the profiles first."""
    sizes = (846, 24, 1920)
    subprocess.run([sys.executable, "-c", _SCREEN, str(tmp_path), *map(str, sizes)], check=True)
    ratios, seconds = [], []
    for nth in range(5):
        lake = shutil.copytree(tmp_path / "lake", tmp_path / f"lake{nth}")
        os.sync()  # a lake at rest, not one that is still being written
        before = _product_s(846 * 24, 1920)
        command = ["-m", "unidino", "score", "--metric", "nscb", "--lake", str(lake)]
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
        ratios.append(2 * seconds[-1] / (before + _product_s(846 * 24, 1920)))
    with capsys.disabled():
        print(
            f"\nscore --metric nscb, 20304 x 1920 of 846 plates, profiles made first:"
            f" {statistics.median(seconds):.1f} s, {statistics.median(ratios):.2f} of the matrix"
            f" product ({min(ratios):.2f}-{max(ratios):.2f}, 5 rounds)"
        )


def test_two_workers_against_one_process(tmp_path: Path, capsys) -> None:
    """50,304 profiles with 384 features, by one process and by two workers of a thread each."""
    import unidino as ud
    from unidino.scores.on_cluster import score_on_cluster

    sizes = (131, 384, 384)
    subprocess.run([sys.executable, "-c", _SCREEN, str(tmp_path), *map(str, sizes)], check=True)
    lake = ud.Lake.open(tmp_path / "lake")
    ud.profile(lake)
    start = time.perf_counter()
    (one,) = ud.score(lake, "nscb")
    middle = time.perf_counter()
    with dask_cluster(tmp_path, "") as scheduler:
        started = time.perf_counter()
        (shared,) = score_on_cluster(lake, "nscb", scheduler=scheduler)
        end = time.perf_counter()
    assert shared.as_json() == one.as_json()
    assert shared.outcome.equals(one.outcome)
    with capsys.disabled():
        print(
            f"\nNSCB 50304 x 384: one process {middle - start:.1f} s, two workers"
            f" {end - started:.1f} s, equal"
        )
