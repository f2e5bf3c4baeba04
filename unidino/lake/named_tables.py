"""Tables of the catalog that a query names, so that no others need to be loaded."""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from unidino.core.sql import Connection
from unidino.lake.catalog import TABLES
from unidino.lake.views import OVER_PARTS, OVER_TABLES

# Functions that show what the catalog holds, or run a query that is hidden from its tree.
_OF_ALL = re.compile(r"duckdb_.*|pragma_.*|query.*|json_execute.*")


def named_tables(con: Connection, query: str | None) -> set[str]:
    """Names of the tables that a query reads, directly or through a view; all without a query.

    Of a statement that is no SELECT, such as DESCRIBE, every table that occurs as a word in it.
    """
    if query is None:
        return set(TABLES)
    found = _in_tree(con, query)
    words = set(re.findall(r"\w+", query.lower())) if found is None else found
    names = words & set(TABLES)
    for view, tables in OVER_TABLES.items():
        names |= tables if view in words else set()
    return names | ({"part"} if words & set(OVER_PARTS) else set())


def _in_tree(con: Connection, query: str) -> set[str] | None:
    """Names of relations in the tree of a SELECT; None for other statements and hidden queries."""
    try:
        ((text,),) = con.execute("select json_serialize_sql($query)", {"query": query}).fetchall()
    except duckdb.Error:
        return None
    tree = json.loads(text)
    if tree.get("error"):
        return None
    nodes = list(_nodes(tree))
    functions = [node.get("function", {}) for node in nodes if node.get("type") == "TABLE_FUNCTION"]
    if any(_OF_ALL.fullmatch(str(f.get("function_name", "")).lower()) for f in functions):
        return None
    return {str(n["table_name"]).lower() for n in nodes if n.get("type") == "BASE_TABLE"}


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
