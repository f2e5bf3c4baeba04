"""Statements that show the catalog are queries; others that call something are not."""

import pytest

from unidino.core.errors import InputError
from unidino.core.sql import read_only_statement, scratch


@pytest.mark.parametrize(
    "statement",
    [
        "pragma table_info('well')",
        "PRAGMA version;",
        "call pragma_version()",
        "call duckdb_tables()",
        "pragma table_info('well') -- columns",
        "call pragma_table_info('well')",
    ],
)
def test_statements_that_show_the_catalog_are_read(statement: str) -> None:
    con = scratch()
    con.execute("create table well (plate varchar)")
    assert con.execute(read_only_statement(con, statement)).fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "pragma memory_limit = '1GB'",
        "pragma enable_profiling",
        "call force_checkpoint()",
        "pragma import_database('x')",
        "call pragma_version(); drop table well",
        "pragma table_info('x'); drop table well",
    ],
)
def test_other_pragmas_and_calls_are_refused(statement: str) -> None:
    con = scratch()
    con.execute("create table well (plate varchar)")
    with pytest.raises(InputError):
        read_only_statement(con, statement)
