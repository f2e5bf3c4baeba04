"""Shared parts of the commands: options, tables for people, JSON for programs."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unidino.core.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from unidino.lake.lake import Lake

LakeOption = Annotated[
    Path, typer.Option("--lake", envvar="UNIDINO_LAKE", help="Folder of the lake.")
]
UnitOption = Annotated[
    str | None,
    typer.Option(
        help="Unit of concentrations without one: M, mM, uM, nM ...; none: no concentrations."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT_LAKE = Path("lake")


def open_lake(lake: Path) -> "Lake":
    """The lake in a folder; see `Lake.open`."""
    from unidino.lake.lake import Lake

    return Lake.open(lake)


def create_lake(lake: Path) -> "Lake":
    """The lake in a folder, created if there is none; see `Lake.create`."""
    from unidino.lake.lake import Lake

    return Lake.create(lake)


@contextmanager
def lake_to_fill(lake: Path, *, dry_run: bool) -> "Iterator[Lake]":
    """The lake in a folder, created if there is none; a dry run creates none at its place."""
    from unidino.lake.lake import Lake

    if dry_run and not Lake(lake).catalog.exists():
        with TemporaryDirectory(prefix="unidino-") as folder:
            yield create_lake(Path(folder) / "lake")
    else:
        yield create_lake(lake)


def one_of(new: str, value: Any, old: str, old_value: Any) -> Any:
    """The value of an option that has an older spelling too.

    Raises InputError if both are given and differ.
    """
    if value is not None and old_value is not None and value != old_value:
        raise InputError(f"{old} is the older spelling of {new}; give one of them")
    return old_value if value is None else value


def show(table: "pl.DataFrame") -> None:
    """Print a table for people: as wide as the terminal, or 1000 characters without a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from unidino.core.text import cell

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in zip(table.columns, table.dtypes, strict=True):
        grid.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in table.iter_rows():
        grid.add_row(*(cell(value) for value in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000
    console.print(grid)


def emit(as_json: bool, document: Any, table: "pl.DataFrame | None" = None) -> None:
    """Print a result: as lines of JSON, or as a table (default: a table of the document)."""
    if as_json:
        for line in document if isinstance(document, list) else [document]:
            print(json.dumps(line, default=str))
    elif table is not None:
        show(table)
    else:
        import polars as pl

        show(pl.DataFrame([document]) if isinstance(document, Mapping) else pl.DataFrame(document))


def names(listed: str | None) -> list[str]:
    """The names in a list that is separated by commas."""
    return [name.strip() for name in listed.split(",")] if listed else []
