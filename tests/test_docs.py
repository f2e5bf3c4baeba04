"""Every block of README and documentation runs, and prints what the page shows."""

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pages
import pytest
import typer

from unidino import cli

ROOT = pages.ROOT
RUN = [page for page in pages.PAGES if pages.runs(page)]


def _id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function that runs a page once, and returns the folder that it left."""
    folders: dict[Path, Path] = {}
    failed: dict[Path, list[str]] = {}

    def run(page: Path) -> Path:
        for each in pages.needed(page):
            if each in folders:
                continue
            if pages.place(each)[0] == "data" and not pages.DATA.exists():
                pytest.skip(f"{pages.DATA} is not at hand")
            folder = tmp_path_factory.mktemp(each.stem)
            pages.prepare(each, folder, folders)
            done = pages.run_page(each, folder)
            folders[each] = folder
            failed[each] = [
                f"{_id(each)}:{block.line}: {line}"
                for block, written in done.shown
                for line in pages.differences(block.text, written)
            ]
        assert not failed[page], "\n".join(failed[page])
        return folders[page]

    return run


@pytest.mark.parametrize("page", RUN, ids=_id)
def test_every_block_runs_and_prints_what_is_shown(
    page: Path, left: Callable[[Path], Path]
) -> None:
    folder = left(page)
    for link in pages._PICTURE.findall(page.read_text()):
        if "pictures/" in link:
            assert (page.parent / link).resolve().is_file(), link
    assert folder.is_dir()


def test_a_page_that_shows_something_else_is_found() -> None:
    assert not pages.differences("n 96  .614 (.5-.7)\n", "n  96 .615 (.52-.71)\n")
    assert pages.differences("n 96\n", "n 95\n")
    assert pages.differences("accuracy .61\n", "accuracy .95\n")
    assert pages.differences("a\n", "a\nb\n")
    assert not pages.differences("4 plates in 3.1 s\n", "4 plates in 9.9 s\n")


TYPED = [
    pytest.param(block.text, id=f"{_id(page)}:{block.line}")
    for page in pages.PAGES
    for block in pages.blocks(page)
    if block.kind == "text" and "unidino " in block.text and "─►" not in block.text
]


@pytest.mark.parametrize("text", TYPED)
def test_every_typed_command_is_understood(text: str) -> None:
    """Commands on the reader's own files: the options are parsed, the files are not there."""
    group = typer.main.get_command(cli.app)
    for line in pages.statements(text):
        words = shlex.split(line.replace("\\\n", " "))
        if words[0] == "torchrun":
            words = words[words.index("-m") + 1 :]
        if words[0] != "unidino":
            continue
        command, rest = group.commands[words[1]], words[2:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(command.name, rest)


def test_the_install_commands_are_whole_lines() -> None:
    marked = {b.mark: b.text.strip() for b in pages.blocks(ROOT / "README.md") if b.mark}
    assert set(marked) == {"demo", "tests"}
    for text in marked.values():
        assert "\n" not in text
        assert text.startswith("python3 -m venv .venv && ")
    assert "unidino demo" in marked["demo"]
    assert "pytest" in marked["tests"]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in pages.PAGES:
        for named in re.findall(r"'(?:unidino|\.)\[(\w+)\]'", page.read_text()):
            assert named in extras["optional-dependencies"], f"{named} in {page}"


@pytest.mark.parametrize("page", pages.PAGES, ids=_id)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{target} in {page}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", to.read_text(), re.MULTILINE)
            assert anchor in map(_slug, heads), f"{target} in {page}"


def _slug(head: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head.lower())).strip("-")


def test_every_page_is_in_the_contents() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    for page in pages.PAGES[1:]:
        assert f"- {page.relative_to(pages.DOCS).as_posix()}\n" in text


def test_every_sql_block_that_is_no_query_is_a_file_that_it_shows() -> None:
    files = [path.read_text() for path in (ROOT / "sql").rglob("*.sql")]
    shown = [b.text for page in pages.PAGES for b in pages.blocks(page) if b.kind == "sql"]
    assert shown
    for text in shown:
        assert any(text.strip() in file for file in files), text


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    import runpy

    module = runpy.run_path(str(pages.DOCS / "generated.py"))
    return {name: make() for name, make in module["MADE"].items()}


def test_the_reference_has_every_command_and_option(reference: dict[str, str]) -> None:
    def check(command: object, name: str) -> None:
        assert re.search(rf"(^|\n\n)##+ unidino {name}\n\n", reference["commands"]), name
        for parameter in command.params:  # type: ignore[attr-defined]
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert f"`{parameter.opts[0]}" in reference["commands"], (name, parameter.opts)
        for sub, each in getattr(command, "commands", {}).items():
            check(each, f"{name} {sub}")

    for name, command in typer.main.get_command(cli.app).commands.items():
        check(command, name)
    assert "One of `paper`, `published`, `small`" in reference["commands"]


def test_the_reference_has_every_name_rule_and_setting(reference: dict[str, str]) -> None:
    import unidino as ud
    from unidino.core import assets
    from unidino.scores.rules import metrics

    for name in set(ud.__all__) - {"__version__"}:
        assert re.search(rf"^::: unidino\.[\w.]+\.{name}$", reference["python"], re.MULTILINE)
    for rule in metrics():
        assert f"## {rule}\n" in reference["rules"]
    for step in assets.names("normalize"):
        assert f"## {step}\n" in reference["normalizations"]
    for key in ud.TrainConfig.model_fields:
        assert f"| `{key}` |" in reference["training"]
    for table in ("plate", "well", "image", "embedding", "profile", "score", "latest", "cell"):
        assert f"## {table}\n" in reference["tables"]
    for column in assets.manifest_schema()["properties"]:
        assert f"| `{column}` |" in reference["manifest"]


def test_the_glossary_has_every_rule() -> None:
    from unidino.scores.rules import metrics

    text = (pages.DOCS / "start" / "glossary.md").read_text()
    for rule in metrics():
        assert f"| {rule if rule == 'any' else rule.upper()} |" in text
