"""The command line: each command parses its options, calls the library once, and prints.

Results go to standard output, progress and messages to standard error. Exit status: 0 for success,
1 for an error that the user can fix, 2 for wrong usage.
"""

import errno
import sys
from typing import Annotated

import typer

from unidino.cli import insight, lake, models, profiles, scores, training
from unidino.core.errors import UnidinoError
from unidino.core.log import log, show_messages

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From fluorescence plates on disk to features that can be trusted and queried.",
)
for command in (
    lake.demo,
    lake.ingest,
    training.train,
    training.embed,
    profiles.profile,
    profiles.import_profiles,
    profiles.export,
    scores.score,
    insight.attribute,
    insight.readouts,
    insight.plot,
    insight.report,
    insight.explore,
):
    app.command()(command)
app.command(cls=lake.QueryCommand)(lake.sql)
app.command()(lake.check)
app.add_typer(models.app, name="models")
_MAX_DETAILS = 1000
# Errors of files and disks that a user can mend.
_OF_THE_DISK = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


def main() -> None:
    """Run the command line; a UnidinoError is printed as one line, with exit status 1.

    A disk that is full, and a file or folder that may not be written, are errors of that kind too.
    """
    show_messages()
    try:
        app()
    except UnidinoError as error:
        for detail in error.details[:_MAX_DETAILS]:
            log.error(detail)
        if len(error.details) > _MAX_DETAILS:
            log.error(f"... and {len(error.details) - _MAX_DETAILS} more")
        log.error(f"error: {error}")
        sys.exit(1)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        place = f" '{error.filename}'" if error.filename else ""
        log.error(f"error: cannot read or write{place}: {error.strerror}")
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        from unidino import __version__

        print(f"unidino {__version__}")
        raise typer.Exit


@app.callback()
def unidino(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From fluorescence plates on disk to features that can be trusted and queried."""
