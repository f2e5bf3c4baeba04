"""Commands on a whole lake: demo, sql, tables, check."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    emit,
    open_lake,
    print_rows,
    show,
)
from unidino.core.choices import MAX_SEED, TableFormat
from unidino.core.errors import InputError, UnidinoError
from unidino.core.log import log


def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for all files of the demo.")] = Path(
        "demo"
    ),
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of the simulation and the training.")
    ] = 0,
    tutorial: Annotated[
        bool, typer.Option("--tutorial", help="Only make the plates of the tutorial.")
    ] = False,
    lake: Annotated[
        Path | None,
        typer.Option(help="Folder or address of an empty lake; default: in the folder."),
    ] = None,
) -> None:
    """Simulate two small screens and run every command on them."""
    from unidino.cli import app
    from unidino.cli.demo import demo as run_demo
    from unidino.cli.demo import write_tutorial

    if tutorial:
        num = write_tutorial(folder, seed=seed)
        log.info(f"{num} images of 4 plates are in {folder}, with platemap.csv and plates.csv")
        return

    def run(words: list[str]) -> None:
        app(words, standalone_mode=False)

    show(run_demo(folder, run, seed=seed, lake=lake))


class QueryCommand(TyperCommand):
    """A command whose argument may begin with `--`, as SQL does that begins with a comment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name for parameter in self.params for name in parameter.opts}
        return super().parse_args(ctx, [f"\n{a}" if _is_comment(a, options) else a for a in args])


def _is_comment(argument: str, options: set[str]) -> bool:
    name = argument.partition("=")[0]
    has_blank = "\n" in argument or any(c.isspace() for c in name)
    return argument.startswith("--") and name not in options and has_blank


def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement, or - for standard input.")
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    file: Annotated[Path | None, typer.Option(help="Read the statement from a file.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow changes to the catalog.")] = False,
    format_: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            help="Format of the rows, default table; json is one document, jsonl one object a line."
            " Lists are JSON in csv, and texts that a spreadsheet would compute (=1+1) get an"
            " apostrophe before them; NaN and infinity are null in JSON; types that a format lacks,"
            " such as intervals, are text.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Query tables of the lake: plate, well, field, image, embedding, profile, score ..."""
    text = _statement(query, file)
    if as_json and format_ not in (None, "json", "jsonl"):
        raise InputError(f"--json and --format {format_} contradict each other; give one of them")
    rows_as: TableFormat = format_ or ("jsonl" if as_json else "table")
    opened = open_lake(lake, writes=write)
    if not write or opened.only_reads(text):
        with opened.answer(text) as answer:
            print_rows(answer, rows_as)
        return
    with opened.executed(text) as done:
        if isinstance(done, int):
            log.info(f"{done} rows changed")
        elif done is not None:
            print_rows(done, rows_as)


def tables(
    table: Annotated[
        str | None, typer.Argument(help="Table whose columns are listed; default: all tables.")
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """List the tables that SQL reads; with a name, its columns and what they mean."""
    from unidino.core.errors import choose
    from unidino.lake.described import columns_of, tables_of

    opened = open_lake(lake)
    known = tables_of(opened)
    if table is None:
        rows = known
    else:
        choose("table", table, known["table"].to_list())
        rows = columns_of(opened, table)
    emit(as_json, rows.to_dicts(), rows)


def _statement(query: str | None, file: Path | None) -> str:
    """The text of the statement, from the command line, a file or standard input."""
    if (query is None) == (file is None):
        raise InputError("give one statement, --file FILE, or - for standard input")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8-sig")
        assert query is not None
        return sys.stdin.buffer.read().decode("utf-8-sig") if query == "-" else query
    except FileNotFoundError as error:
        raise InputError(f"no such file: '{file}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {file or 'standard input'} as UTF-8 text: {error}"
        ) from error


def check(
    lake: LakeOption = DEFAULT_LAKE,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file, and compare its hash.")
    ] = False,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Read every plane too, and compare its mean.")
    ] = False,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="First make a lost or damaged catalog, and what is kept beside it, anew.",
        ),
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="First remove what a command that was killed left.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the catalog and the files of a lake; each problem names the command that mends it."""
    from unidino.lake import leftovers
    from unidino.lake.check import check as run_check
    from unidino.lake.mending import Mender

    if rebuild:
        from unidino.models.model_files import rebuild as run_rebuild

        for line in run_rebuild(lake):
            log.info(line)
    opened = open_lake(lake, writes=clean)
    if clean:
        for item in leftovers.clean(opened):
            log.info(f"removed {item.uri}: {item.what}")
    problems = run_check(opened, deep=deep, pixels=pixels)
    rows = [asdict(problem) for problem in problems]
    remove = Mender(opened).of_leftover()
    for item in leftovers.leftovers(opened):
        mend = remove if item.is_ours else "move it elsewhere, if nobody needs it"
        rows.append({"check": "leftover", "problem": f"{item.uri}: {item.what}", "mend": mend})
    if rows:
        emit(as_json, rows)
    if problems:
        raise UnidinoError(f"{len(problems)} problems in the lake")
    log.info(f"the lake has no problems{', but leftovers' if rows else ''}")
