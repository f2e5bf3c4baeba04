"""The command line: each command parses its options, calls the library once, and prints.

Results go to standard output, progress and messages to standard error. Exit status: 0 for success,
1 for an error, 2 for wrong usage, 130 for Ctrl C.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from unidino.cli import insight, lake, models, places, plates, profiles, scores, training
from unidino.core import faults, stopping
from unidino.core.errors import UnidinoError
from unidino.core.log import log, show_messages
from unidino.core.text import one_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From fluorescence plates on disk to features that can be trusted and queried.",
)
for command in (
    lake.demo,
    plates.ingest,
    plates.count_cells,
    training.train,
    training.embed,
    profiles.profile,
    profiles.import_profiles,
    profiles.export,
    scores.score,
    scores.nearest,
    scores.batches,
    insight.attribute,
    insight.dose,
    insight.readouts,
    insight.quality,
    insight.plot,
    insight.report,
    insight.explore,
):
    app.command()(command)
app.command(cls=lake.QueryCommand)(lake.sql)
app.command()(lake.tables)
app.command()(lake.check)
app.add_typer(models.app, name="models")
app.add_typer(places.app, name="lake")
_MAX_DETAILS = 20
_MAX_LINE = 3000  # characters


def main() -> None:
    """Run the command line; every error is one line, with exit status 1, and Ctrl C one with 130.

    An error that the program does not know is a bug: the line says so and names a file with the
    traceback. UNIDINO_DEBUG=1 shows tracebacks.
    """
    show_messages()
    with stopping.on_ctrl_c():
        try:
            app()
        # The last net: what is caught here is said, and the program ends.
        except BaseException as error:
            if not stopping.is_asked():  # else the error is what Ctrl C has left
                _end(error)
    if stopping.is_asked():
        stopping.say()
        stopping.leave()


def _end(error: BaseException) -> NoReturn:
    """Print an error with its details, and end with exit status 1; an exit goes on."""
    if not isinstance(error, Exception):
        raise error
    details: Sequence[str] = ()
    if isinstance(error, UnidinoError):
        line, details = str(error), error.details
    else:
        line = faults.words_for(error) or faults.words_for_bug(error)
    if os.environ.get("UNIDINO_DEBUG") == "1":
        log.error("".join(traceback.format_exception(error)))
    for detail in details[:_MAX_DETAILS]:
        log.error(_shown(detail))
    if len(details) > _MAX_DETAILS:
        log.error(f"... and {len(details) - _MAX_DETAILS} more of {len(details)}")
    log.error(_shown(f"error: {line}"))
    sys.exit(1)


def _shown(text: str) -> str:
    """A message in one line; of a very long one, its beginning and its end."""
    line = one_line(text)
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 500]} ... {line[-500:]}"


def _version(wanted: bool) -> None:
    if wanted:
        from unidino import __version__

        print(f"unidino {__version__}")
        raise typer.Exit


@app.callback()
def unidino(
    context: typer.Context,
    lake_: Annotated[
        Path | None,
        typer.Option("--lake", help="Folder of the lake; it may also stand after the command."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From fluorescence plates on disk to features that can be trusted and queried."""
    if lake_ is not None:
        # The commands read the variable where they have no --lake of their own.
        before = os.environ.get("UNIDINO_LAKE")
        os.environ["UNIDINO_LAKE"] = str(lake_)
        context.call_on_close(lambda: _restore(before))


def _restore(lake_: str | None) -> None:
    if lake_ is None:
        os.environ.pop("UNIDINO_LAKE", None)
    else:
        os.environ["UNIDINO_LAKE"] = lake_
