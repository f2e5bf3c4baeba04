"""Shared parts of the commands: options, tables for people, JSON for programs."""

import json
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unidino.core.choices import TableFormat
from unidino.core.errors import InputError, LakeError
from unidino.core.log import log
from unidino.core.stopping import temporary_folder

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyRelation

    from unidino.lake.lake import Lake

LakeOption = Annotated[
    Path, typer.Option("--lake", envvar="UNIDINO_LAKE", help="Folder or address of the lake.")
]
UnitOption = Annotated[
    str | None,
    typer.Option(
        help="Unit of concentrations without one: M, mM, uM, nM ...; none: no concentrations."
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object a line; NaN and infinity are null."),
]
DEFAULT_LAKE = Path("lake")
_EXPLAINED = ["explain_key", "explain_value"]
_UNFOLDED = 1_000_000  # characters; no line of a table is as long
_DOCUMENT = 60  # characters of JSON in a table; --json and other formats have all


def open_lake(lake: Path, *, writes: bool = False) -> "Lake":
    """The lake in a folder; see `Lake.open`.

    writes: the command keeps its results in the lake. It ends before it computes them if the lake
    may only be read; LakeError says so.
    """
    from unidino.lake.lake import Lake
    from unidino.lake.opened import keep_open

    keep_open()
    opened = Lake.open(lake)
    asked = opened if opened.is_remote else Lake(lake)
    if writes and not asked.is_writable:
        raise LakeError(
            f"the lake '{lake}' is read-only here, and this command writes to it; ask its owner for"
            " the right to write, or copy the lake"
        )
    return opened


def check_output(file: Path) -> None:
    """Raise InputError if a file may not be written, before what it shows is computed."""
    if file.is_dir():
        raise InputError(f"'{file}' is a folder; name a file in it by -o FOLDER/NAME")
    folder = next(above for above in file.absolute().parents if above.exists())
    if not folder.is_dir():
        raise InputError(f"'{folder}' is no folder, so that '{file}' cannot be written")
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"'{file}' may not be written: you have no right to write to '{folder}'; name another"
            " place"
        )


def create_lake(lake: Path) -> "Lake":
    """The lake in a folder, created if there is none; see `Lake.create`."""
    from unidino.lake.lake import Lake
    from unidino.lake.opened import keep_open

    keep_open()
    return Lake.create(lake)


@contextmanager
def lake_to_fill(lake: Path, *, dry_run: bool) -> "Iterator[Lake]":
    """The lake in a folder, created if there is none; a dry run creates none at its place."""
    from unidino.lake.lake import Lake, is_url
    from unidino.lake.opened import keep_open

    keep_open()
    if is_url(lake):
        yield open_lake(lake, writes=not dry_run)
    elif dry_run and not Lake(lake).exists:
        with temporary_folder() as folder:
            yield create_lake(folder / "lake")
    else:
        if not dry_run and Lake(lake).exists:
            open_lake(lake, writes=True)
        yield create_lake(lake)


def one_of(new: str, value: Any, old: str, old_value: Any) -> Any:
    """The value of an option that has an older spelling too.

    Raises InputError if both are given and differ.
    """
    if value is not None and old_value is not None and value != old_value:
        raise InputError(f"{old} is the older spelling of {new}; give one of them")
    return old_value if value is None else value


def show(
    table: "pl.DataFrame", numbers: Collection[str] = (), documents: Collection[str] = ()
) -> None:
    """Print a table for people, as wide as the terminal; without a terminal a row is one line.

    numbers: columns that hold numbers as text. documents: columns of JSON, which are shortened.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from unidino.core.text import cell

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in zip(table.columns, table.dtypes, strict=True):
        align = "right" if dtype.is_numeric() or name in numbers else "left"
        grid.add_column(cell(name), justify=align, overflow="fold")  # type: ignore[arg-type]
    most = [_DOCUMENT if name in documents else None for name in table.columns]
    for row in table.iter_rows():
        grid.add_row(*(_at_most(cell(v), num) for v, num in zip(row, most, strict=True)))
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNFOLDED
    console.print(grid)


def _at_most(text: str, most: int | None) -> str:
    """The text, or its beginning and length if it has more characters than it may."""
    if most is None or len(text) <= most:
        return text
    return f"{text[: most - 20]}... {len(text):,} characters"


def emit(as_json: bool, document: Any, table: "pl.DataFrame | None" = None) -> None:
    """Print a result: as lines of JSON, or as a table (default: a table of the document)."""
    if as_json:
        for line in document if isinstance(document, list) else [document]:
            print(json.dumps(_finite(line), default=str, allow_nan=False))
    elif table is not None:
        show(table)
    else:
        import polars as pl

        show(pl.DataFrame([document]) if isinstance(document, Mapping) else pl.DataFrame(document))


def _finite(value: Any) -> Any:
    """A document with null for NaN and infinity, which JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def print_rows(answer: "DuckDBPyRelation", format_: TableFormat) -> None:
    """Print the rows of a query in a format; all of them are computed before the first is printed.

    Raises InputError for a column that the format cannot hold, and for bytes on a terminal.
    """
    import polars as pl

    from unidino.core import formats
    from unidino.core.spreadsheets import computed, guarded

    match format_:
        case "table":
            _show_rows(answer)
        case "csv":
            rows = pl.concat(formats.csv_frames(answer))
            for column in computed(rows):
                log.warning(
                    f"column '{column}' has texts that begin with = + - or @; in CSV they get an"
                    " apostrophe before them, so that no spreadsheet computes them (json and"
                    " parquet keep them as they are)"
                )
            _print_text([guarded(rows).write_csv()])
        case "json":
            _print_text(["[", ",\n ".join(formats.json_objects(answer)), "]\n"])
        case "jsonl":
            _print_text([f"{line}\n" for line in formats.json_objects(answer)])
        case "parquet":
            _print_bytes(formats.parquet(answer), format_)
        case "arrow":
            _print_bytes(formats.arrow(answer), format_)


def _show_rows(answer: "DuckDBPyRelation") -> None:
    import polars as pl

    from unidino.core.columns import for_people, is_number

    rows = pl.DataFrame(for_people(answer).to_arrow_table())
    if rows.columns == _EXPLAINED:  # a drawing
        _print_text([f"{text}\n" for text in rows["explain_value"]])
    else:
        kinds = list(zip(answer.columns, answer.types, strict=True))
        show(
            rows,
            [name for name, kind in kinds if is_number(kind)],
            [name for name, kind in kinds if str(kind) == "JSON"],
        )


def _print_text(pieces: Iterable[str]) -> None:
    """Print text in UTF-8, whatever the terminal is set to."""
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode(errors="surrogatepass"))
    sys.stdout.buffer.flush()


def _print_bytes(content: bytes, format_: TableFormat) -> None:
    if sys.stdout.isatty():
        raise InputError(f"{format_} is no text; write it to a file: `> rows.{format_}`")
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def names(listed: str | None) -> list[str]:
    """The names in a list that is separated by commas."""
    return [name.strip() for name in listed.split(",")] if listed else []
