"""A lake that may only be read serves everything that reads, and is left as it is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from unidino.lake.lake import Lake
from unidino.lake.overlay import to_compute_in

# Runs several commands in one process; its exit status is the number of those that failed.
_COMMANDS = """
import json, sys
from unidino import cli
failed = 0
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = words
    try:
        cli.main()
    except SystemExit as end:
        failed += bool(end.code)
sys.exit(failed)
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _as_a_user() -> list[str]:
    """The words before a command that make it obey permissions, which root does not."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root writes everywhere, and setpriv is not at hand")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def _files(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture
def shelf(profiled: Path, tmp_path: Path) -> Iterator[Path]:
    """Folder of a lake with profiles, without the right to write."""
    folder = tmp_path / "shelf"
    shutil.copytree(profiled, folder)
    shutil.rmtree(folder / ".locks")
    _allow(folder, writing=False)
    before = _files(folder)
    yield folder
    assert _files(folder) == before
    _allow(folder, writing=True)


def _allow(folder: Path, *, writing: bool) -> None:
    for path in [folder, *folder.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | 0o200 if writing else mode & ~0o222)


@pytest.fixture
def read(shelf: Path, tmp_path: Path) -> Run:
    """A function that runs Python on the lake as a user who may only read it."""

    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [*_as_a_user(), sys.executable, *map(str, words)]
        env = os.environ | {"UNIDINO_LAKE": str(shelf), "TMPDIR": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env
        )

    return run


@pytest.mark.slow
def test_maps_reports_and_exports_are_made_and_not_kept(read: Run, tmp_path: Path) -> None:
    made = [
        ("plot", "map", "-o", "map.png", "--model", "gaussian", "--method", "pca"),
        ("plot", "similarity", "-o", "similar.png"),
        ("plot", "plate", "-o", "plate.png", "--value", "avg(focus)", "--model", "gaussian"),
        ("report", "-o", "page.html"),
        ("export", "raw.csv", "--model", "gaussian", "--normalize", "none"),
    ]
    done = read("-c", _COMMANDS, json.dumps(made))
    said = f"the lake '{tmp_path}/shelf' is read-only here: what is computed is not kept\n"
    assert (done.returncode, done.stderr) == (0, said)
    for name in ("map.png", "similar.png", "plate.png", "page.html", "raw.csv"):
        assert (tmp_path / name).stat().st_size > 0
    assert "Lake shelf" in (tmp_path / "page.html").read_text()
    assert not list(tmp_path.glob("unidino-lake-*"))


def test_what_reads_needs_nothing_more(read: Run) -> None:
    words = [("sql", "from profile"), ("check",), ("models",), ("models", "show", "gaussian")]
    done = read("-c", _COMMANDS, json.dumps(words))
    said = ["the lake has no problems", "this package has base too; `unidino embed` brings it"]
    assert (done.returncode, done.stderr.splitlines()) == (0, said)


def test_the_verbs_and_the_page_read_too(read: Run) -> None:
    script = """
import json, os, unidino as ud
lake = ud.Lake.open(os.environ["UNIDINO_LAKE"])
(found,) = ud.project(lake, ud.Selection(models=["gaussian"]), method="pca")
from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.server import make_app
page = make_app(CachedLake(lake)).server.test_client().get("/", base_url="http://127.0.0.1")
try:
    ud.profile(lake, ud.Selection(normalize="none"))
except ud.UnidinoError as error:
    print(json.dumps([len(found.points), page.status_code, str(error)]))
"""
    done = read("-c", script)
    assert done.returncode == 0, done.stderr
    points, status, error = json.loads(done.stdout)
    assert (points, status) == (12, 200)
    assert "is read-only here, so that profiles/gaussian/none/well/tiny.parquet" in error


def test_what_writes_is_one_line(read: Run) -> None:
    refused = [
        ("score", "--metric", "nsc"),
        ("attribute", "--model", "gaussian"),
        ("models", "create", "random_vit"),
        ("sql", "delete from well", "--write"),
        ("profile", "--normalize", "none"),
        ("embed", "--model", "base", "--all"),
        ("plot", "scores", "-o", "shelf/scores.png"),
        ("sql", "from well", "--lake", "shelf/none"),
    ]
    done = read("-c", _COMMANDS, json.dumps(refused))
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, len(lines)) == (len(refused), len(refused)), done.stderr
    assert "Traceback" not in done.stderr
    assert sum("this command writes to it" in line for line in lines) == 6


def test_a_catalog_of_an_earlier_version_is_read(read: Run, shelf: Path) -> None:
    catalog = shelf / "catalog.duckdb"
    state = catalog.stat()
    catalog.chmod(0o600)
    with duckdb.connect(catalog) as con:
        con.execute("drop table label_score")
    os.utime(catalog, ns=(state.st_atime_ns, state.st_mtime_ns))
    catalog.chmod(0o400)
    done = read("-m", "unidino", "sql", "select count(*) as n from label_score", "--json")
    assert (done.returncode, done.stdout) == (0, '{"n": 0}\n')
    done = read("-m", "unidino", "score", "--metric", "nsc")
    assert (done.returncode, "this command writes to it" in done.stderr) == (1, True)


def test_a_lake_that_may_be_written_is_itself(lake: Lake) -> None:
    assert to_compute_in(lake) is lake
