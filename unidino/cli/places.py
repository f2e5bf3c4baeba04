"""Commands over whole lakes: `unidino lake create` and `unidino lake copy`."""

from typing import Annotated

import typer

from unidino.cli.output import JsonOption, emit
from unidino.core.errors import InputError
from unidino.core.log import log

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make and copy lakes.")


@app.command()
def create(
    place: Annotated[str, typer.Argument(help="Folder, or s3://, gs://, az:// or file:// URL.")],
    catalog: Annotated[
        str | None,
        typer.Option(help="Of a URL: PostgreSQL database, as postgresql://HOST/DATABASE."),
    ] = None,
) -> None:
    """Make an empty lake; a lake at a URL keeps its tables in PostgreSQL."""
    from unidino.lake.lake import Lake, is_url

    if not is_url(place):
        if catalog:
            raise InputError("--catalog is for lakes at a URL; a folder has its catalog in it")
        log.info(repr(Lake.create(place)))
        return
    if not catalog:
        raise InputError("a lake at a URL needs --catalog postgresql://HOST/DATABASE")
    from unidino.lake.remote import create_remote

    log.info(repr(create_remote(place, catalog)))


@app.command()
def copy(
    old: Annotated[str, typer.Argument(help="Folder or URL of the lake.")],
    new: Annotated[str, typer.Argument(help="Folder or URL of an empty lake, or of a new folder.")],
    as_json: JsonOption = False,
) -> None:
    """Copy a lake with all its files and tables; every file is compared with its hash."""
    from unidino.lake.copying import copy_lake
    from unidino.lake.lake import Lake, is_url

    source = Lake.open(old)
    target = Lake.open(new) if is_url(new) else Lake.create(new)
    done = copy_lake(source, target)
    emit(as_json, done.frame.to_dicts()[0])
