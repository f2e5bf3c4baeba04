"""Every kind of file is damaged in every way: checks find it, and what they name mends it.

The figures that are printed are, by kind of file: damages that were tried, that a check found, and
that the named command mended.
"""

import os
import random
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conftest import TINY

from unidino.embeddings.embed import embed
from unidino.insight.projection import project
from unidino.lake.check import check
from unidino.lake.lake import Lake
from unidino.lake.leftovers import leftovers
from unidino.models import baselines
from unidino.plates.convert import Form
from unidino.plates.ingest import ingest
from unidino.plates.manifest import Choice
from unidino.profiles.importing import import_profiles
from unidino.profiles.selection import Selection
from unidino.scores.accuracy import score
from unidino.scores.labels import score_labels

SEED = int(os.environ.get("UNIDINO_FAULT_SEED", "1"))
TABLES = (
    *("plate", "channel", "well", "field", "image", "model", "run", "part", "file"),
    *("score", "label_score", "readout_score", "attribution", "dose", "pair_score"),
    *("batch_mixing", "batch_drift"),
)
# A pattern of the files of each kind; one of them is chosen by the seed for each damage.
KINDS = {
    "shard": "plates/tiny_b1_p1.zarr/*/*/*/0/c.0.0.0",
    "zarr.json of an array": "plates/tiny_b1_p1.zarr/*/*/*/0/zarr.json",
    "zarr.json of a field": "plates/tiny_b1_p1.zarr/*/*/*/zarr.json",
    "zarr.json of a well": "plates/tiny_b1_p1.zarr/*/*/zarr.json",
    "zarr.json of a plate": "plates/tiny_b1_p1.zarr/zarr.json",
    "chunk of 0.4": "plates/old.zarr/*/*/*/0/*/0/0",
    ".zattrs of 0.4": "plates/old.zarr/**/.zattrs",
    ".zarray of 0.4": "plates/old.zarr/**/.zarray",
    "illumination": "illumination/*/*.npy",
    "record of a plate": "records/plates/*.parquet",
    "copy of the tables": "records/tables.*.parquet",
    "embedding": "embeddings/gaussian/*.parquet",
    "imported embedding": "embeddings/areas/*.parquet",
    "crop embedding": "crops/net/*.parquet",
    "profile": "profiles/gaussian/*/well/*.parquet",
    "imported profile": "profiles/theirs/none/compound/*.parquet",
    "statistic": "profiles/gaussian/*/statistics/*/*.parquet",
    "projection": "profiles/gaussian/*/projection-*/*/*.parquet",
    "weights": "models/net/model.safetensors",
    "configuration": "models/*/config.json",
    "record of a model": "models/*/record.json",
}
_AT_ONCE = 3


def _flip(path: Path, rng: random.Random, num: int) -> None:
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    for place in range(at, min(at + num, len(content))):
        content[place] ^= 0xFF
    path.write_bytes(content)


WAYS: dict[str, Callable[[Path, Path, random.Random], object]] = {
    "empty": lambda path, _, __: path.write_bytes(b""),
    "half": lambda path, _, __: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one byte": lambda path, _, rng: _flip(path, rng, 1),
    "a block": lambda path, _, rng: _flip(path, rng, 512),
    "gone": lambda path, _, __: path.unlink(),
    "another's": lambda path, other, __: shutil.copyfile(other, path),
}


@pytest.fixture(scope="module")
def sound(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with every kind of file and of row."""
    folder = tmp_path_factory.mktemp("damage")
    lake = Lake.create(folder / "lake")
    tables = {"platemap": tiny_export / "platemap.csv", "metadata": [tiny_export / "plates.csv"]}
    choice = Choice(channel_names=TINY.channels)
    estimate = Form(illumination="estimate")
    ingest(lake, tiny_export, "harmony", choice=choice, form=estimate, **tables)
    old = Choice(channel_names=TINY.channels, plate_names=["tiny_b1_p1=old", "tiny_b2_p1=old2"])
    ingest(lake, tiny_export, "harmony", dataset="old", choice=old, form=Form(ngff="0.4"))
    baselines.create_model(lake, "gaussian")
    embed(lake, "gaussian", where="dataset = 'tiny'")
    baselines.create_model(lake, "random_vit", "net", like="base")
    embed(lake, "net", plates=["tiny_b1_p1"], keep="crop")
    rows = [f"tiny_b1_p1,{row}{column:02d},{column}.5\n" for row in "BC" for column in (2, 3, 4)]
    areas = folder / "areas.csv"
    areas.write_text("Metadata_Plate,Metadata_Well,area\n" + "".join(rows))
    import_profiles(lake, areas, "areas")
    theirs = folder / "theirs.csv"
    theirs.write_text("compound,f1,f2\n" + "".join(f"c{i},{i}.5,{i * i}.25\n" for i in range(4)))
    import_profiles(lake, theirs, "theirs", level="compound")
    chosen = Selection(models=["gaussian"])
    score(lake, ["nsc", "nscb"], chosen)
    score_labels(lake, "map", "nsc", chosen)
    project(lake, chosen, method="pca")
    assert check(lake, deep=True, pixels=True) == []
    assert leftovers(lake) == []
    return lake.path


def _rows(lake: Lake) -> dict[str, list[str]]:
    """Every row of every table, in no order."""
    return {table: sorted(map(repr, lake.look_up(f"from {table}").rows())) for table in TABLES}


def _problems(lake: Path, *, deep: bool = False) -> list[tuple[str, str]]:
    """Path and mending command of each problem."""
    found = check(Lake.open(lake), deep=deep)
    return [(problem.problem.split(":")[0], problem.mend) for problem in found]


def _names(problem: str, file: str) -> bool:
    """Whether the path of a problem is a file, or the field of that file."""
    return fnmatch(file, problem) or file.startswith(f"{problem}/")


def _carry_out(run_cli: Callable[..., tuple[int, str, str]], commands: list[str]) -> str:
    """Run commands as they are named, each once; what they said."""
    said = ""
    for command in dict.fromkeys(commands):
        words = shlex.split(command)
        if words[0] != "unidino":
            return said + command
        said += "".join(map(str, run_cli(*words[1:])))
    return said


def _cases(sound: Path, way: str, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Kind, file to damage, and another file of the kind."""
    for kind, pattern in KINDS.items():
        files = [p.relative_to(sound).as_posix() for p in sorted(sound.glob(pattern))]
        assert files, kind
        file = rng.choice(files)
        content = (sound / file).read_bytes()
        others = [f for f in files if (sound / f).read_bytes() != content]
        yield kind, file, rng.choice(others or ["catalog.duckdb"])


@pytest.mark.slow
def test_every_damage_is_found_and_mended(
    sound: Path,
    tmp_path: Path,
    run_cli: Callable[..., tuple[int, str, str]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several kinds are damaged at once, as a power loss does."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(SEED)
    tried, found, mended = Counter[str](), Counter[str](), Counter[str]()
    failed = []
    started = time.monotonic()
    for way, harm in WAYS.items():
        cases = list(_cases(sound, way, rng))
        rng.shuffle(cases)
        for batch in (cases[i::_AT_ONCE] for i in range(_AT_ONCE)):
            lake = tmp_path / "lake"
            shutil.copytree(sound, lake)
            for _, file, other in batch:
                harm(lake / file, sound / other, rng)
            problems = _problems(lake)
            said = _carry_out(run_cli, [mend for _, mend in problems])
            left = _problems(lake)
            for kind, file, _ in batch:
                is_found = any(_names(problem, file) for problem, _ in problems)
                is_mended = not any(_names(problem, file) for problem, _ in left)
                tried[kind] += 1
                found[kind] += is_found
                mended[kind] += is_found and is_mended
                if not (is_found and is_mended):
                    failed.append((kind, way, file, is_found, is_mended))
            if left:
                failed.append((way, str(left), [b[:2] for b in batch], said[-800:]))
            shutil.rmtree(lake)
    with capfd.disabled():
        print(f"\nseed {SEED}, {time.monotonic() - started:.0f} s; kind: tried, found, mended")
        for kind in tried:
            print(f"{kind}: {tried[kind]}, {found[kind]}, {mended[kind]}")
        print(f"all: {tried.total()}, {found.total()}, {mended.total()}")
    assert not failed, "\n".join(map(str, failed))


def _damaged_catalogs(sound: Path, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Ways to damage a catalog, and its bytes afterwards."""
    content = (sound / "catalog.duckdb").read_bytes()
    size = len(content)
    yield "empty", b""
    yield "another file", b"not a catalog" * 100
    yield "zeros", bytes(size)
    for place in (1, 4096, 12288, size // 2, size - 4096):
        yield f"cut at {place}", content[:place]
    for _ in range(12):
        at, num = rng.randrange(size), rng.choice((1, 64, 4096))
        changed = bytes(byte ^ 0xFF for byte in content[at : at + num])
        yield f"{num} bytes at {at}", content[:at] + changed + content[at + num :]


@pytest.mark.slow
def test_a_damaged_catalog_is_one_line_and_made_anew(
    sound: Path,
    tmp_path: Path,
    run_cli: Callable[..., tuple[int, str, str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Bytes that DuckDB does not use may change unnoticed: then nothing is lost either."""
    rng = random.Random(SEED)
    lake = Lake(sound)
    expected = _rows(lake)
    question = (["nsc"], Selection(models=["gaussian"]))
    digits = [s.accuracy for s in score(lake, *question)]
    expected = _rows(lake)
    tried, found, rebuilt, harmless = 0, 0, 0, 0
    for what, content in [("gone", None), *_damaged_catalogs(sound, rng)]:
        folder = tmp_path / "lake"
        shutil.copytree(sound, folder)
        if content is None:
            (folder / "catalog.duckdb").unlink()
        else:
            (folder / "catalog.duckdb").write_bytes(content)
        tried += 1
        status, _, said = run_cli("check", "--lake", folder)
        errors = [line for line in said.splitlines() if line.startswith("error")]
        assert "Traceback" not in said, what
        if status == 0:
            harmless += 1
            assert _rows(Lake.open(folder)) == expected, what
        else:
            found += 1
            assert len(errors) == 1, (what, said)
            named = errors[0].split("`")[1] if "`" in errors[0] else ""
            assert named == f"unidino check --rebuild --lake {folder}", (what, said)
            for command in (("sql", "from part"), ("sql", "from image"), ("models",)):
                status, _, said = run_cli(*command, "--lake", folder)
                assert "Traceback" not in said, (what, command)
            assert run_cli("check", "--rebuild", "--lake", folder)[0] == 0, what
            anew = Lake.open(folder)
            assert _rows(anew) == expected, what
            assert [s.accuracy for s in score(anew, *question)] == digits, what
            rebuilt += 1
        shutil.rmtree(folder)
    with capfd.disabled():
        print(f"\ncatalogs: {tried} damaged, {found} found, {rebuilt} rebuilt, {harmless} harmless")
    assert found == rebuilt == tried - harmless
