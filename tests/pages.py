"""Pages of the documentation as programs: their blocks run in order, in a folder of their own.

A page may say in a comment where it runs: `<!-- run: data -->` in a folder with links to real data,
`<!-- run: after start/first-screen.md -->` in a copy of the folder that another page left, and
without a comment in an empty folder. Blocks:

    sh         commands; those of `unidino` run in this process
    python     statements; what they print is their output
    (no name)  what the blocks since the last such block wrote to standard output
    console    the same with the messages on standard error

`python tests/pages.py PAGE ...` writes the output that the blocks have now, and the pictures that
they drew, into the pages.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
DATA = ROOT.parent / "shared" / "data"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# Real data by the names that pages give them.
LINKS = {
    "BBBC021": "bbbc021_montage",
    "BBBC021_tables": "bbbc021",
    "CPJUMP1": "cpjump1",
    "JUMP": "jump",
    "transfluor": "transfluor",
    "operetta": "formats/operetta",
    "imagexpress": "formats/imagexpress",
    "cellvoyager": "formats/cellvoyager",
    "single_cells": "single_cell_tables",
    "known_pairs": "efaar",
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>\w+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PLACE = re.compile(r"<!-- run: (\w+) ?(\S*) -->")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]*pictures/[^)]+|examples/[^)]+)\)")
_SHELL = re.compile(r"[|&;<>]|\$\(|^(?!unidino )", re.MULTILINE)


@dataclass
class Block:
    """A fenced block of a page. mark: the word in a comment above it."""

    kind: str
    text: str
    mark: str | None
    start: int  # of the text in the page
    line: int


@dataclass
class Said:
    """What blocks wrote: to standard output, and in order with the messages."""

    out: str = ""
    both: str = ""

    def of(self, kind: str) -> str:
        """What an output block of a kind shows."""
        return self.out if kind == "" else self.both


@dataclass
class Done:
    """A page that ran. shown: each output block with what was written in its place."""

    shown: list[tuple[Block, str]] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found["kind"],
            found["text"],
            found["mark"],
            found.start("text"),
            text.count("\n", 0, found.start("kind")) + 1,
        )
        for found in _BLOCK.finditer(text)
    ]


def place(page: Path) -> tuple[str, str]:
    """Where a page runs: `empty`, `data`, or `after` with the page that it goes on from."""
    found = _PLACE.search(page.read_text(encoding="utf-8"))
    return (found[1], found[2]) if found else ("empty", "")


def runs(page: Path) -> bool:
    """Whether a page has anything to run."""
    return any(b.kind in ("sh", "python") and b.mark is None for b in blocks(page))


def link_data(folder: Path) -> None:
    """Links to the real data, and the tables that pages write by hand."""
    for name, target in LINKS.items():
        (folder / name).symlink_to(DATA / target)


def run_page(page: Path, folder: Path) -> Done:
    """Run the blocks of a page in a folder, which has what the page needs."""
    done, said = Done(), Said()
    scope: dict[str, object] = {}
    with _inside(folder):
        for block in blocks(page):
            if block.mark is not None:
                continue
            if block.kind == "sh":
                for statement in statements(block.text):
                    _run(statement, said, f"{page.name}:{block.line}")
            elif block.kind == "python":
                with _captured(said):
                    exec(compile(block.text, f"{page.name}:{block.line}", "exec"), scope)
            elif block.kind in ("", "console"):
                done.shown.append((block, _tidy(said.of(block.kind))))
                said = Said()
    return done


def statements(text: str) -> Iterator[str]:
    """The commands of a block; one may go over several lines."""
    waiting = ""
    for line in text.splitlines():
        waiting += line + "\n"
        if line.endswith("\\"):
            continue
        try:
            shlex.split(waiting, comments=True)
        except ValueError:  # a quotation is open
            continue
        if waiting.strip() and not waiting.lstrip().startswith("#"):
            yield waiting.strip()
        waiting = ""
    assert not waiting.strip(), f"a quotation is never closed: {waiting}"


def _run(statement: str, said: Said, where: str) -> None:
    if found := re.fullmatch(r"export (\w+)=(\S+)", statement):
        os.environ[found[1]] = found[2]
        return
    words = shlex.split(statement.replace("\\\n", " "))
    if words[0] == "unidino" and not _SHELL.search(_unquoted(statement)):
        _run_here(words, said, where)
        return
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        ["bash", "-eu", "-c", statement],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, f"{where}: {statement}\n{ran.stdout}\n{ran.stderr}"
    said.out += ran.stdout
    said.both += ran.stderr + ran.stdout


def _unquoted(statement: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", statement)


def _run_here(words: list[str], said: Said, where: str) -> None:
    """Run a command of unidino in this process, which has its packages loaded."""
    from unidino import cli

    before = said.both
    with _captured(said), patch.object(sys, "argv", words):
        try:
            cli.main()
        except SystemExit as exit_:
            status = exit_.code or 0
        else:
            status = 0
    assert status == 0, f"{where}: {shlex.join(words)}\n{said.both.removeprefix(before)}"


@contextlib.contextmanager
def _captured(said: Said) -> Iterator[None]:
    """Standard output and messages, added to what was said."""
    both = io.BytesIO()

    class Out(io.BytesIO):
        def write(self, data: object) -> int:
            both.write(data)  # type: ignore[arg-type]
            return super().write(data)  # type: ignore[arg-type]

    out = Out()
    stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
    stderr = io.TextIOWrapper(both, "utf-8", write_through=True)
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            yield
    finally:
        stdout.flush()
        stderr.flush()
        said.out += out.getvalue().decode()
        said.both += both.getvalue().decode()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder; the environment is restored afterwards."""
    before, environment = Path.cwd(), dict(os.environ)
    os.environ.pop("UNIDINO_LAKE", None)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def _tidy(text: str) -> str:
    """Output as a page shows it: without empty lines at its ends and blanks at those of lines."""
    lines = [line.rstrip() for line in text.splitlines() if not _PROGRESS.search(line)]
    return "\n".join(lines).strip("\n") + "\n"


_NUMBER = re.compile(r"(\d+(?:\.\d+)?|(?<![\w)])\.\d+)(?:e([+-]?\d+))?")
_PROGRESS = re.compile(r": [\d,]+ of [\d,]+ .* left$")  # on slow machines
_VARYING = re.compile(
    r"\S+\.(png|html)\s+\d+|\d+(\.\d+)? (s|ms|MB|GB)\b|[0-9a-f]{12,}|─+|\d{4}-\d\d-\d\d[ T][\d:.]+"
)


def differences(shown: str, written: str) -> list[str]:
    """Lines that differ, but for times, sizes and the last digits of decimal numbers."""
    a, b = _comparable(shown), _comparable(written)
    if len(a) != len(b):
        return [f"{len(a)} lines are shown, {len(b)} were written", *b]
    return [f"- {x}\n+ {y}" for x, y in zip(a, b, strict=True) if not _alike(x, y)]


def _comparable(text: str) -> list[str]:
    lines = (_VARYING.sub("~", line) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]


def _alike(a: str, b: str) -> bool:
    one, other = [[m[0] for m in _NUMBER.finditer(x)] for x in (a, b)]
    if _NUMBER.sub("#", a) != _NUMBER.sub("#", b) or len(one) != len(other):
        return False
    return all(_near(x, y) for x, y in zip(one, other, strict=True))


def _near(a: str, b: str) -> bool:
    if not any(c in a + b for c in ".e"):
        return int(a) == int(b)
    x, y = float(a), float(b)
    return abs(x - y) <= max(0.06, 0.15 * abs(x))


def _write(page: Path, folder: Path) -> None:
    done = run_page(page, folder)
    text = page.read_text(encoding="utf-8")
    for block, written in reversed(done.shown):
        text = text[: block.start] + written + text[block.start + len(block.text) :]
    page.write_text(text, encoding="utf-8")
    for link in _PICTURE.findall(text):
        drawn = folder / Path(link).name
        if drawn.is_file():
            target = (page.parent / link).resolve()
            target.parent.mkdir(exist_ok=True)
            shutil.copy(drawn, target)


def prepare(page: Path, folder: Path, left_by: dict[Path, Path]) -> None:
    """Fill the folder in which a page runs. left_by: folders of the pages that ran."""
    how, other = place(page)
    if how == "after":
        shutil.copytree(left_by[_before(other)], folder, symlinks=True, dirs_exist_ok=True)
    folder.mkdir(exist_ok=True)
    if how == "data":
        link_data(folder)


def _before(other: str) -> Path:
    return (DOCS / other).resolve()


def needed(page: Path) -> list[Path]:
    """The pages that run before a page, and itself."""
    how, other = place(page)
    return [*(needed(_before(other)) if how == "after" else []), page]


def main(names: list[str]) -> None:
    """Write the output of the pages that are named; folders are kept in DOCS_RUN, if it is set."""
    kept = Path(os.environ.get("DOCS_RUN") or tempfile.mkdtemp(prefix="pages-"))
    kept.mkdir(exist_ok=True)
    for name in names:
        page = Path(name).resolve()
        left_by: dict[Path, Path] = {}
        for each in needed(page):
            folder = kept / each.stem
            left_by[each] = folder
            if each != page and folder.is_dir():
                continue
            shutil.rmtree(folder, ignore_errors=True)
            prepare(each, folder, left_by)
            _write(each, folder) if each == page else run_page(each, folder)
        print(f"{page.relative_to(ROOT)}: {len(blocks(page))} blocks")


if __name__ == "__main__":
    main(sys.argv[1:])
