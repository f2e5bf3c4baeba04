"""Every block of the README runs, and every command is in it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from unidino import cli
from unidino.embeddings.embed import embed
from unidino.lake.lake import Lake
from unidino.models import baselines, networks, registry

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^(?:<!-- (\w+) -->\n)?```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text.strip() for mark, kind, text in BLOCKS if kind == "sh" and not mark]
TYPED = [text.strip() for _, kind, text in BLOCKS if kind == "text" and "unidino" in text]


@pytest.fixture
def demo_like(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose demo/lake has the demo's models, small."""
    from unidino.lake.runs import Run
    from unidino.models.config import ModelConfig

    (tmp_path / "demo").mkdir()
    shutil.move(lake.path, tmp_path / "demo" / "lake")
    lake = Lake.open(tmp_path / "demo" / "lake")
    config = ModelConfig(
        kind="vit",
        architecture="vit_tiny_patch16_224",
        architecture_options={"depth": 1},
        num_dims=192,
        crop_size_px=48,
        stride_px=48,
    )
    for name in ("demo_vit", "random_vit"):
        registry.register(lake, Run("test", {}), name, config, networks.new_encoder(config))
    baselines.create_model(lake, "gaussian", like="demo_vit")
    for name in ("demo_vit", "random_vit", "gaussian"):
        embed(lake, name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return tmp_path


def _columns(table: str) -> list[str]:
    lines = [line for line in table.splitlines() if line.strip()]
    return lines[0].split()


def test_every_shell_block_runs_and_prints_the_columns_shown(demo_like: Path) -> None:
    script = "\n".join(SHELL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^```\n( .*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(shown) == len(SHELL) - 1
    for table in shown:
        columns = [c for c in _columns(table) if c not in ("RNA", "ER", "AGP", "Mito")]
        assert re.search(r"\s+".join(map(re.escape, columns)), done.stdout), columns


def test_every_python_block_runs(demo_like: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = Lake.open("demo/lake")
    from unidino.profiles.profile import profile

    profile(lake)
    blocks = [text for _, kind, text in BLOCKS if kind == "python"]
    assert blocks
    for text in blocks:
        exec(compile(text, "README.md", "exec"), {})
    assert "(12, 5)" in capsys.readouterr().out


def test_every_sql_block_is_the_file_it_shows() -> None:
    rule = (ROOT / "sql" / "exclude" / "nscb.sql").read_text()
    for _, kind, text in BLOCKS:
        if kind == "sql":
            assert text in rule


@pytest.mark.parametrize("block", TYPED)
def test_every_typed_command_is_understood(block: str) -> None:
    """Commands on the reader's own files: the options are parsed, the files are not there."""
    import shlex

    group = typer.main.get_command(cli.app)
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words[0] == "torchrun":
            words = words[words.index("-m") + 1 :]
        assert words[0] == "unidino"
        command = group.commands[words[1]]
        command.make_context(words[1], words[2:])


def test_the_install_commands_are_whole_lines() -> None:
    marked = {mark: text.strip() for mark, kind, text in BLOCKS if mark}
    assert set(marked) == {"demo", "tests"}
    for text in marked.values():
        assert "\n" not in text
        assert text.startswith("python3 -m venv .venv && ")
    assert "unidino demo" in marked["demo"]
    assert "pytest" in marked["tests"]


def test_every_command_and_metric_is_in_the_readme() -> None:
    from unidino.scores.rules import metrics

    group = typer.main.get_command(cli.app)
    for name in group.commands:
        assert f"unidino {name}" in README, name
    for metric in metrics():
        assert f"`{metric}`" in README, metric
    for table in ("plate", "well", "image", "embedding", "profile", "score", "statistic"):
        assert f"`{table}`" in README


def test_every_local_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
