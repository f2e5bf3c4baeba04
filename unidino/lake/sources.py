"""Tables that a damaged catalog is made anew of: those of its copy, and what can still be read."""

from contextlib import closing, suppress
from datetime import datetime

import duckdb
import pyarrow as pa

from unidino.core.sql import CONFIG, Connection, quoted
from unidino.lake import records
from unidino.lake.lake import Lake
from unidino.lake.opened import close_idle

OF_PLATES = ("channel", "well", "field", "image")


def age(tables: dict[str, pa.Table]) -> tuple[int, datetime]:
    """How new a source is: number of its runs, and the end of the last one."""
    runs = tables.get("run")
    if runs is None:
        return 0, datetime.min
    return runs.num_rows, max(filter(None, runs["ended"].to_pylist()), default=datetime.min)


def from_copy(lake: Lake) -> dict[str, pa.Table]:
    """The tables of the newest copy that is whole."""
    whole = [p for p in records.copies_of_tables(lake.path) if records.is_whole_record(p)]
    if not whole:
        return {}
    copy = records.newest(whole)
    with closing(duckdb.connect(config=CONFIG)) as con:
        return {
            table: con.sql(f"from {quoted(records.read_rows(con, copy, table))}").to_arrow_table()
            for table in records.tables_in(con, copy)
        }


def from_catalog(lake: Lake) -> dict[str, pa.Table]:
    """The tables of the catalog that can still be read."""
    tables: dict[str, pa.Table] = {}
    with suppress(duckdb.Error), closing(_opened(lake)) as con:
        for table in (*records.COPIED, *OF_PLATES):
            with suppress(duckdb.Error):
                tables[table] = con.sql(f"from {quoted(table)}").to_arrow_table()
    return tables


def _opened(lake: Lake) -> Connection:
    if not lake.catalog.is_file():
        return duckdb.connect(config=CONFIG)
    close_idle()
    return duckdb.connect(str(lake.catalog), read_only=True, config=CONFIG)
