"""Views of a lake: over tables of the catalog, and over the files that the table part lists."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.log import log
from unidino.core.sql import Connection, literal_path, sql_error

if TYPE_CHECKING:
    from unidino.lake.lake import Lake

# Views over tables, each after the views that it reads, with the tables that it needs.
OVER_TABLES = {
    "located_image": {"plate", "well", "field", "image"},
    "training_sample": {"plate", "well", "field", "image"},
    "labelled_sample": {"plate", "well", "field", "image"},
    "latest": {
        *("score", "label_score", "attribution", "readout_score", "pair_score", "batch_mixing"),
        *("dose", "run"),
    },
    "latest_quality": {"quality", "run"},
}
QUOTE = "'"
OVER_PARTS = ("embedding", "crop_embedding", "profile", "statistic", "projection", "cell")
# Words of queries that may list all views, or read one without its name.
_OF_ANY = re.compile(
    r"\b(show|describe|desc|summarize|information_schema|sqlite_master|from_substrait|query\w*"
    r"|pg_\w+|duckdb_\w+|pragma\w*)\b"
)


def may_read(texts: Collection[str]) -> set[str]:
    """Names of the views that queries of users may read: all, if a query may list them."""
    text = "\n".join(texts).lower()
    if _OF_ANY.search(text):
        return {*OVER_TABLES, *OVER_PARTS}
    return _named(text) | {view for view in OVER_PARTS if view in text}


def create_views_over_tables(
    con: Connection,
    tables: Collection[str],
    *,
    of: str | None = None,
    views: Collection[str] = (*OVER_TABLES,),
) -> None:
    """Create the views whose tables are in `tables`.

    of: a query of the program; only the views that it needs are created. Default: all of `views`.
    """
    wanted = set(views) if of is None else _named(of)
    for view, reads in OVER_TABLES.items():
        if view in wanted and reads <= set(tables):
            con.execute(f"create temp view {view} as {assets.sql('views', view)}")


def _named(query: str) -> set[str]:
    """Names of the views that a query reads, directly or through another view."""
    found = {view for view in OVER_TABLES if view in query}
    return found.union(*(_named(assets.sql("views", view)) for view in found))


def create_views_over_parts(
    con: Connection,
    lake: "Lake",
    *,
    of: str | None = None,
    views: Collection[str] = OVER_PARTS,
) -> None:
    """Create a view for each kind of vectors, over the files that the table part lists.

    of: a query; only the files of views that it may name are needed. Default: all. Missing files
    are left out with a warning. If a file is damaged, every query of its view says so; other views
    can be queried. views: the kinds, of which only these are created.
    """
    for kind in OVER_PARTS:
        if kind not in views:
            continue
        query = "select uri from part where kind = $kind order by uri"
        uris = [uri for (uri,) in con.execute(query, {"kind": kind}).fetchall()]
        is_named = of is None or kind in of.lower()
        paths = lake.bring(uris) if is_named else []
        files = [path for path in paths if path.is_file()]
        if missing := len(paths) - len(files):
            log.warning(f"{missing} {kind} files are missing; run `unidino check`")
        if not files:
            con.register(kind, pa.Table.from_batches([], assets.arrow_schema(kind)))
            continue
        listed = [literal_path(path) for path in files]
        con.execute(f"set variable {kind}_files = $files", {"files": listed})
        try:
            con.execute(f"create temp view {kind} as {assets.sql('views', kind)}")
        except duckdb.Error as error:
            con.register(f"_no_{kind}", pa.Table.from_batches([], assets.arrow_schema(kind)))
            said = _damaged(files) or f"a file of {kind}s is damaged ({sql_error(error)})"
            text = f"{said}; `unidino check` names the command that makes it again"
            con.execute(
                f"create temp view {kind} as select _none.* from _no_{kind} as _none,"
                f" (select error('{text.replace(QUOTE, 2 * QUOTE)}') as said) where said is null"
            )


def _damaged(files: Sequence[Path]) -> str | None:
    """What is wrong with the first file that is no whole Parquet file."""
    for path in files:
        try:
            pq.read_metadata(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            return f"'{path}' is damaged ({str(error).strip().splitlines()[0]})"
    return None
