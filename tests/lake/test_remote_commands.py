"""Every command says of a remote lake what it says of the same lake in a folder."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from server_fixtures import NewRemote
from servers import Bucket, Database

from unidino.lake.copying import copy_lake
from unidino.lake.lake import Lake

Cli = Callable[..., tuple[int, str, str]]
# Two of a kind write into the lake, so that what stands later reads what stands earlier.
COMMANDS = [
    "tables --json",
    "tables well",
    "models",
    "models show gaussian --json",
    "count-cells --channel DNA --json",
    "profile --level compound",
    "score --metric nsc --json",
    "score --measure activity --json",
    "score --measure map --metric nsb --json",
    "nearest tiny-01 --json",
    "quality --json",
    "attribute --model gaussian --seeds 5 --json",
    "batches --json",
    "sql 'select plate, well, channel, embedding[1:3] as v from embedding order by all' --json",
    "sql 'select dataset, model, accuracy from score order by all' --json",
    "check --deep --json",
]
FILES = {
    "export {0} --model gaussian": "profiles.csv",
    "plot map -o {0}": "map.png",
    "plot plate --value num_cells -o {0}": "plate.png",
    "report -o {0}": "report.html",
}


@pytest.fixture(scope="module")
def lakes(
    profiled: Path, new_remote: NewRemote, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, Lake]:
    """A lake with profiles in a folder, and its copy in PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("commands") / "lake"
    shutil.copytree(profiled, folder)
    remote = new_remote()
    copy_lake(Lake.open(folder), remote)
    return Lake.open(folder), remote


@pytest.mark.slow
def test_commands_say_the_same(lakes: tuple[Lake, Lake], run_cli: Cli) -> None:
    for command in COMMANDS:
        told = []
        for lake in lakes:
            status, out, err = run_cli(*shlex.split(command), "--lake", lake.address)
            assert status == 0, f"{command}: {err}"
            told.append(re.sub(r'"seconds": [0-9.]+', "", out))
        assert told[0] == told[1], command


@pytest.mark.slow
def test_commands_write_the_same_files(
    lakes: tuple[Lake, Lake], run_cli: Cli, tmp_path: Path
) -> None:
    for command, name in FILES.items():
        written = []
        for number, lake in enumerate(lakes):
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            words = command.format(path).split()
            status, _, err = run_cli(*words, "--lake", lake.address)
            assert status == 0, f"{command}: {err}"
            written.append(path)
        assert all(path.stat().st_size > 1000 for path in written), command
        if name.endswith(".csv"):
            assert written[0].read_text() == written[1].read_text()


@pytest.mark.slow
def test_the_commands_of_the_page_for_laboratories(
    served: tuple[Database, Bucket],
    tiny_export: Path,
    profiled: Path,
    run_cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page's own lines, with the addresses of servers that run here."""
    database, storage = served
    page = Path(__file__).parents[2] / "docs" / "guides" / "laboratory.md"
    blocks = re.findall(r"```text\n(.+?)```", page.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(profiled, "lake")
    shutil.copytree(tiny_export, "exports/2026-03")
    database.create("unidino")
    places = {
        "s3://screens/lake": f"{storage.url}/page",
        "postgresql://db.lab/unidino": database.address("unidino"),
    }

    def run(line: str) -> None:
        for name, place in places.items():
            line = line.replace(name, place)
        if "ingest" in line:  # labels, which the score needs
            line += " --platemap exports/2026-03/platemap.csv"
            line += " --metadata exports/2026-03/plates.csv"
        status, _, err = run_cli(*shlex.split(line)[1:])
        assert status == 0, f"{line}: {err}"

    (first,) = (block for block in blocks if "lake create" in block)
    for line in first.splitlines():
        if line.startswith("export "):
            monkeypatch.setenv("UNIDINO_LAKE", places["s3://screens/lake"])
        elif line.startswith("unidino "):
            run(line)
    database.create("second")
    second = f"{storage.url}/second"
    run(f"unidino lake create {second} --catalog {database.address('second')}")
    (copies,) = (block for block in blocks if "lake copy" in block)
    places["s3://screens/lake"] = second
    for line in copies.splitlines():
        run(line)
    query = "select plate, well, channel, embedding from embedding order by all"
    copied = Lake.open(tmp_path / "laptop").query(query)
    assert copied.equals(Lake.open(profiled).query(query))
    (rights,) = (block for block in blocks if "grant" in block)
    grants = [shlex.split(line)[-1] for line in rights.splitlines()]
    database.run("unidino", "create role readers", "create role writers", *grants)
