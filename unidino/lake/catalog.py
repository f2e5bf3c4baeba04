"""What a catalog does for a lake, whatever keeps its tables.

A catalog is a DuckDB file in the folder of the lake (`file_catalog`), or a PostgreSQL database
(`postgres`). Queries run in DuckDB in both. All that is written goes through a landing, which is
one transaction: a table gets rows, in place of rows of the same key, or loses rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from unidino.core.sql import Connection

TABLES = (
    "plate",
    "channel",
    "well",
    "field",
    "image",
    "model",
    "run",
    "part",
    "score",
    "label_score",
    "readout_score",
    "attribution",
    "pair_score",
    "batch_mixing",
    "batch_drift",
    "quality",
    "dose",
    "file",
)
# Tables with a row or more a well: of a large lake they are read plate by plate.
BY_PLATE = ("channel", "well", "field", "image")
KEYS = {"plate": "plate_id", "run": "run_id", "part": "uri", "file": "uri", "model": "model"}
Rows: TypeAlias = pa.Table | Sequence[Mapping[str, Any]]


class Landing(Protocol):
    """A transaction that writes to the catalog; no other landing runs meanwhile."""

    def put(self, table: str, rows: Rows, *, instead_of: str | None = None) -> None:
        """Insert rows by column name; missing columns stay NULL.

        instead_of: a column; rows of the table with one of the new values in it go first.
        """

    def forget(self, table: str, column: str, values: Sequence[str]) -> None:
        """Delete the rows that have one of these values in a column."""

    def clear(self, table: str) -> None:
        """Delete every row of a table."""

    def next_number(self) -> int:
        """The number of a run that lands now: one more than that of the run before."""

    def tables(
        self, names: Sequence[str], plates: Sequence[str] | None = None
    ) -> AbstractContextManager[Connection]:
        """A connection with these tables as the transaction sees them, for queries only.

        plates: rows of the tables in `BY_PLATE` and `file` are wanted of these plates; default all.
        """


class Catalog(Protocol):
    """The tables of a lake."""

    def reading(
        self,
        query: str | None = None,
        plates: Sequence[str] | None = None,
    ) -> AbstractContextManager[Connection]:
        """A confined connection with one consistent state of the tables, for queries only.

        query: the tables that it names are enough; default all. plates: see `Landing.tables`.
        """

    def landing(self) -> AbstractContextManager[Landing]:
        """A transaction, which is committed, or rolled back after any error."""

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        """A lock across all processes that use the lake; yields whether this process holds it.

        wait: wait until another process releases it. It ends when its process ends or is killed.
        """
