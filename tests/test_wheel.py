"""The wheel carries its SQL and schemas, and runs without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    zipfile.ZipFile(path).extractall(folder / "site")
    return folder / "site"


def test_every_sql_and_schema_file_is_in_the_wheel(wheel: Path) -> None:
    for room in ("sql", "schemas"):
        files = {p.relative_to(ROOT) for p in (ROOT / room).rglob("*") if p.is_file()}
        packed = wheel / "unidino" / "_assets"
        assert files == {p.relative_to(packed) for p in (packed / room).rglob("*") if p.is_file()}


def test_what_the_page_looks_like_is_in_the_wheel(wheel: Path) -> None:
    own = {p.name for p in (ROOT / "unidino" / "explorer" / "assets").iterdir()}
    assert own == {p.name for p in (wheel / "unidino" / "explorer" / "assets").iterdir()} != set()


def test_the_table_of_published_weights_is_in_the_wheel(wheel: Path) -> None:
    assert (wheel / "unidino" / "models" / "published.json").is_file()
    for file in ("config.json", "model.safetensors", "card.md", "train.jsonl"):
        assert (wheel / "unidino" / "models" / "base" / file).is_file()


def test_an_installed_wheel_makes_a_lake(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import unidino, unidino.core.assets\n"
        "assert unidino.__file__.startswith(sys.argv[1]), unidino.__file__\n"
        "lake = unidino.Lake.create(sys.argv[2])\n"
        "print(lake.query('select count(*) from embedding').item())\n"
        "from unidino.reports.page import TEMPLATE\n"
        "assert TEMPLATE.is_file()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(wheel), str(tmp_path / "lake")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
