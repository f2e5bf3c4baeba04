"""A damaged catalog: what DuckDB raises for one, as one line with the way back."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from unidino.core.errors import LakeError, UnidinoError
from unidino.core.sql import sql_error

# DuckDB raises its plain Error for a wrong checksum of a block or of its log.
_ALWAYS = (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
_TELLING = re.compile(
    r"corrupt|checksum|replaying WAL|read enough bytes|not a valid DuckDB", re.IGNORECASE
)


def is_damage(error: BaseException | None) -> bool:
    """Whether an error of DuckDB says that the file of the catalog is damaged."""
    if isinstance(error, _ALWAYS):
        return True
    is_of_file = type(error) is duckdb.Error or isinstance(error, duckdb.IOException)
    return is_of_file and bool(_TELLING.search(str(error)))


def way_back(catalog: Path) -> str:
    """The end of a message of a catalog that cannot be used: the command that makes it anew."""
    lake = shlex.quote(str(catalog.parent))
    return f"; if it is damaged or lost, make it anew: `unidino check --rebuild --lake {lake}`"


@contextmanager
def damage_is_told(catalog: Path) -> Iterator[None]:
    """A block over the catalog; errors that say that it is damaged become LakeError."""
    try:
        yield
    except (duckdb.Error, UnidinoError) as error:
        # Queries of users were given a reason already.
        cause = error.__cause__ if isinstance(error, UnidinoError) else error
        if isinstance(error, LakeError) or not isinstance(cause, duckdb.Error):
            raise
        if not is_damage(cause):
            raise
        raise LakeError(f"{catalog} is damaged: {sql_error(cause)}{way_back(catalog)}") from error
