"""Small tools for DuckDB: quoted names, scratch connections, a read-only guard, error texts."""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from unidino.core import assets, stopping
from unidino.core.errors import InputError

Connection = duckdb.DuckDBPyConnection
_EXPLAIN = re.compile(r"explain\b\s*(analy[sz]e\b\s*)?(verbose\b\s*)?(?P<rest>.*)", re.I | re.S)
_OPTIONS = re.compile(r"^\([^()]*\)\s*")
# Statements of these functions read the catalog.
_SHOWS = re.compile(
    r"(?:pragma\s+(?P<pragma>table_info|storage_info|show|version|database_size|collations"
    r"|platform|user_agent|metadata_info)"
    r"|call\s+(?P<call>pragma_(?:table_info|storage_info|show|version|database_size|collations"
    r"|platform|user_agent|metadata_info)|duckdb_\w+))\s*(?P<arguments>\([^()]*\))?",
    re.IGNORECASE,
)
# A WITH clause may hold statements that write.
_WRITING_WITH = re.compile(
    r"\bas\s+(not\s+)?(materialized\s+)?\(\s*(?P<verb>copy|insert|update|delete|truncate|merge)\b",
    re.I,
)
# DuckDB runs parts of a PIVOT even to explain it, so what may write is refused before by its name.
_PIVOT_WITHOUT = re.compile(
    r"\b(?P<verb>copy|insert|update|delete|truncate|merge)\b"
    r"|\b(?P<function>query|json_execute_serialized_sql)\"?\s*\(",
    re.I,
)
# Operators of a plan that write; COPY of a WITH clause writes files, also those of the lake. The
# last runs a query that is hidden from the plan.
_WRITES = re.compile(
    r"COPY(?=_TO_FILE)|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|DROP|ALTER|ATTACH|EXPORT|SET\b"
    r"|CHECKPOINT|JSON_EXECUTE_SERIALIZED_SQL"
)
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}


def quoted(name: str) -> str:
    """The name as an SQL identifier. Names enter composed SQL only through this function."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as an SQL literal, for queries that are kept as text and take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def literal_path(path: Path | str) -> str:
    """The path as DuckDB reads files: characters of patterns stand for themselves."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def first_row(
    con: Connection, query: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """The first row of a query, or an empty tuple.

    All rows are fetched, because a pending result would block the next query of the connection.
    """
    rows: list[tuple[Any, ...]] = con.execute(query, dict(parameters or {})).fetchall()
    return rows[0] if rows else ()


def prepare(con: Connection, texts: Iterable[str] | None = None) -> Connection:
    """The connection, with the macros of `sql/macros`; Ctrl C ends its queries.

    texts: of queries; only the macros that they name are created. Default: all macros.
    """
    stopping.interruptible(con)
    macros = _macros()
    wanted = set(macros) if texts is None else _named_macros("\n".join(texts))
    for name, statement in macros.items():
        if name in wanted:
            con.execute(statement)
    return con


@cache
def _macros() -> dict[str, str]:
    """The statement of each macro, by its name; each stands after those that it names."""
    found = {}
    for room in assets.names("macros"):
        for text in re.split(r"(?=^create or replace )", assets.sql("macros", room), flags=re.M):
            if name := re.match(r"create or replace temp macro (\w+)", text):
                found[name[1]] = text
    return found


def _named_macros(text: str) -> set[str]:
    """Names of the macros that a text names, and of those that these name."""
    names = set(re.findall(r"\w+", text.lower()))
    if "duckdb_functions" in names:
        return set(_macros())
    found = names & set(_macros())
    inner = {name for macro in found for name in re.findall(r"\w+", _macros()[macro].lower())}
    return found if inner & set(_macros()) <= found else _named_macros(" ".join(found | inner))


def scratch(texts: Iterable[str] | None = None) -> Connection:
    """An in-memory connection with the macros, for tables outside the catalog.

    texts: see `prepare`. Most macros read texts of people, and cost more than many queries.
    """
    return prepare(duckdb.connect(":memory:", config=CONFIG), texts)


def keep_small(con: Connection) -> None:
    """Limit the memory of a connection to 400 MB; more data go to a temporary folder."""
    con.execute("set memory_limit = '400MB'")
    if con.execute("select current_setting('temp_directory')").fetchall() in ([("",)], [(".tmp",)]):
        con.execute("set temp_directory = $folder", {"folder": tempfile.gettempdir()})


def read_only_statement(
    con: Connection, query: str, parameters: Mapping[str, Any] | None = None
) -> str:
    """The query without comments, if it is one statement that only reads.

    DuckDB rewrites PIVOT into several statements; it reads if it can stand where a table can. What
    DuckDB plans to do decides at last, because a WITH clause may hold COPY, INSERT and others.
    Raises InputError for a statement that writes, for several statements, and for invalid SQL.
    """
    statement = _one_statement(con, query)
    if as_table := _called_table(_without_comments(statement.query)):
        statement = _one_statement(con, as_table)
    read = _without_comments(statement.query)
    explained = _explained(con, read)
    if explained is not None:
        statement = _one_statement(con, explained)
    text, code = _without_comments(statement.query), _code(statement.query)
    is_pivot = statement.type == duckdb.StatementType.MULTI
    if is_pivot and not _stands_for_a_table(con, text):
        writes: str | None = text.split(maxsplit=1)[0]
    elif is_pivot or statement.type == duckdb.StatementType.SELECT:
        found = (_PIVOT_WITHOUT if is_pivot else _WRITING_WITH).search(code)
        writes = found[found.lastgroup or 0] if found else _planned_writes(con, text, parameters)
    else:
        writes = statement.type.name
    if writes:
        raise InputError(
            f"{writes.lower()} statements are refused: a query only reads"
            " (`unidino sql --write` may change the catalog)"
        )
    return read


def _called_table(statement: str) -> str | None:
    """The SELECT of a PRAGMA or CALL that shows something of the catalog; None for others."""
    found = _SHOWS.fullmatch(statement)
    if not found:
        return None
    name = found["pragma"] or found["call"]
    prefix = "pragma_" if found["pragma"] else ""
    return f"from {prefix}{name.lower()}{found['arguments'] or '()'}"


def _one_statement(con: Connection, query: str) -> duckdb.Statement:
    try:
        statements = con.extract_statements(query)
    except duckdb.Error as error:
        raise InputError(sql_error(error)) from error
    if len(statements) != 1:
        raise InputError(f"expected one SQL statement, got {len(statements)}")
    return statements[0]


def _without_comments(query: str) -> str:
    """The statement without comments and without semicolons at its end."""
    return _kept(query, {duckdb.token_type.comment}).strip().rstrip("; \n\r\t")


def _code(query: str) -> str:
    """The statement without comments and constant texts."""
    return _kept(query, {duckdb.token_type.comment, duckdb.token_type.string_const})


def _kept(query: str, left_out: set[duckdb.token_type]) -> str:
    text = query.encode()  # tokens count bytes
    tokens = [*duckdb.tokenize(query), (len(text), None)]
    kept = [
        b" " if kind in left_out else text[start:end]
        for (start, kind), (end, _) in pairwise(tokens)
    ]
    return b"".join(kept).decode()


def _explained(con: Connection, text: str) -> str | None:
    """The statement that an EXPLAIN explains; None for another statement."""
    found = _EXPLAIN.match(text)
    if not found:
        return None
    rest = found["rest"]
    try:
        con.extract_statements(rest)  # parentheses may hold the statement, or options before it
    except duckdb.Error:
        return _OPTIONS.sub("", rest)
    return rest


def _stands_for_a_table(con: Connection, text: str) -> bool:
    """Whether a statement is a query, which `from (...)` takes; other statements it does not."""
    try:
        return len(con.extract_statements(f"from (\n{text}\n)")) == 1
    except duckdb.Error:
        return False


def _planned_writes(con: Connection, text: str, parameters: Mapping[str, Any] | None) -> str | None:
    """What a query would write, by the plan of DuckDB; None if it only reads."""
    plans = con.execute(f"explain (format json) {text}", dict(parameters or {})).fetchall()
    for _, plan in plans:
        for name in re.findall(r'"name": *"([^"]*)"', plan):
            reads = name.endswith("_JOIN")  # PIECEWISE_MERGE_JOIN is no MERGE
            if not reads and (found := _WRITES.search(name)):
                return found[0]
    return None


def outcome(con: Connection, query: str) -> duckdb.DuckDBPyRelation | int | None:
    """What the last of these statements gives: rows, the number of rows it changed, or nothing."""
    last = con.extract_statements(query)[-1]
    answer = con.sql(query)
    if answer is None or last.type == duckdb.StatementType.SELECT:
        return answer
    changes = duckdb.ExpectedResultType.CHANGED_ROWS in last.expected_result_type
    if changes and not re.search(r"\breturning\b", _code(last.query), re.IGNORECASE):
        counts = answer.fetchall()
        return int(counts[0][0]) if counts else None
    return None if answer.columns == ["Success"] else answer


def table_of(rows: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table; a column that a row lacks is NULL there."""
    if isinstance(rows, pa.Table):
        return rows
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def sql_error(error: BaseException) -> str:
    """The error of DuckDB as one line, with the names that it proposes."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [""]
    proposals = [line for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
    return "; ".join([lines[0].rstrip("!") or type(error).__name__, *proposals[:1]])
