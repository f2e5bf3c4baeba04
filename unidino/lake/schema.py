"""Tables of the catalog: they are created, and tables of an earlier version are upgraded."""

from functools import cache

import duckdb

from unidino.core import assets
from unidino.core.sql import quoted

_COLUMNS = """
select table_name, column_name || ' ' || data_type || ' ' || is_nullable from duckdb_columns()
where database_name = current_database() and not internal
union all
select table_name, constraint_text from duckdb_constraints()
where database_name = current_database()
"""


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create every table of `schemas` that is missing."""
    for statement in assets.ddl():
        con.execute(statement)


def outdated(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the tables that are missing or differ from `schemas`, in columns or CHECKs."""
    have = _signatures(con)
    return [name for name, want in _current().items() if have.get(name) != want]


def bring_up_to_date(con: duckdb.DuckDBPyConnection) -> None:
    """Create the outdated tables again, and keep all their rows.

    con: a connection in a transaction.
    """
    have = _signatures(con)
    old = [name for name in outdated(con) if name in have]
    for name in old:
        con.execute(f"create temp table {quoted(f'old_{name}')} as from {quoted(name)}")
        con.execute(f"drop table {quoted(name)}")
    create_tables(con)
    for name in old:
        con.execute(f"insert into {quoted(name)} by name {_upgraded(con, name)}")


def _upgraded(con: duckdb.DuckDBPyConnection, name: str) -> str:
    """The query of the rows that an upgraded table gets from `old_<name>`.

    `sql/upgrade` fills columns of tables that lacked them.
    """
    old = {row[0] for row in con.execute(f"describe {quoted(f'old_{name}')}").fetchall()}
    filled = "number" if name == "run" else "question_hash"
    if name in assets.names("upgrade") and filled not in old:
        return assets.sql("upgrade", name)
    return f"from {quoted(f'old_{name}')}"


@cache
def _current() -> dict[str, frozenset[str]]:
    con = duckdb.connect(":memory:")
    try:
        create_tables(con)
        return dict(sorted(_signatures(con).items()))
    finally:
        con.close()


def _signatures(con: duckdb.DuckDBPyConnection) -> dict[str, frozenset[str]]:
    lines: dict[str, set[str]] = {}
    for table, text in con.execute(_COLUMNS).fetchall():
        lines.setdefault(table, set()).add(text)
    return {table: frozenset(texts) for table, texts in lines.items()}
