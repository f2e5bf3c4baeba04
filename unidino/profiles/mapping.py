"""Columns of wide tables by the names of the manifest: what --map says, and what names mean."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted
from unidino.core.user_sql import ask, confined
from unidino.plates import tables
from unidino.plates.meaning import Reading, give_meaning
from unidino.profiles.feature_columns import METADATA, canonical

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SHOWN = 12


def parse_map(text: str) -> dict[str, str]:
    """Expressions by column of the manifest, from `plate=Metadata_Plate,batch=left(plate, 5)`.

    Commas inside brackets and quotes are part of an expression.
    Raises InputError for a column that is not in the manifest.
    """
    given = {}
    known = [n for n in assets.manifest_schema()["properties"] if n not in ("path", "page")]
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if not equals or name.strip() not in known or not value.strip():
            raise InputError(
                f"--map '{part.strip()}': write COLUMN=ITS NAME, for one of {', '.join(known)}"
            )
        given[name.strip()] = value.strip()
    return given


def _parts(text: str) -> Iterator[str]:
    """Parts between commas that are in no brackets or quotes; a quote inside a word is none."""
    start = at = 0
    closing: list[str] = []
    while at < len(text):
        letter = text[at]
        if letter in "'\"" and not text[at - 1 : at].isalnum():
            end = text.find(letter, at + 1)
            at = end if end > 0 else at
        elif letter in _CLOSING:
            closing.append(_CLOSING[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        elif letter == "," and not closing:
            yield text[start:at]
            start = at + 1
        at += 1
    if text[start:].strip():
        yield text[start:]


def columns_of(mapped: Mapping[str, str], have: Sequence[str]) -> dict[str, str]:
    """The columns that the values of `mapped` name, by name of the manifest.

    A name may be quoted, or differ in case from the only column that is meant.
    """
    found = {}
    for name, value in mapped.items():
        bare = value
        if len(value) > 1 and value[0] == value[-1] == '"':
            bare = value[1:-1].replace('""', '"')
        alike = [c for c in have if c.strip().lower() == bare.strip().lower()]
        if bare in have:
            found[name] = bare
        elif len(alike) == 1:
            found[name] = alike[0]
    return found


def rename(
    con: Connection, table: str, mapped: Mapping[str, str], reading: Reading, name: str
) -> set[str]:
    """Names in `mapped` whose value is a column of the table; columns get the manifest's names.

    name: of the table's file. Columns are renamed by `mapped` first, then by the aliases of the
    manifest; other columns lose the prefix Metadata_. The names in the file are kept in the table
    `_original`.
    Raises InputError if two columns have one name and differ.
    """
    have = tables.columns(con, table)
    found = columns_of(mapped, have)
    # Its name may state a unit, so the concentration is converted under its own name.
    renamed = {new: column for new, column in found.items() if new != "concentration_um"}
    if any(new != column for new, column in renamed.items()):
        _give_names(con, table, renamed)
    _settle_twins(con, table, set(found))
    given: dict[str, str | None] = dict(found)
    if "concentration_um" in mapped:
        given.setdefault("concentration_um", None)
    was = give_meaning(con, table, reading, name, given)
    for column in tables.columns(con, table):
        bare = METADATA.sub("", column)
        taken = {c.lower() for c in tables.columns(con, table) if c != column}
        if bare and bare != column and bare.lower() not in taken:
            _rename(con, table, column, bare)
    _remember(con, have, tables.columns(con, table), was)
    return set(found)


def _give_names(con: Connection, table: str, found: Mapping[str, str]) -> None:
    """Rename columns; other columns that have one of the new names are dropped."""
    chosen = []
    for column, *_ in con.execute(f"describe {quoted(table)}").fetchall():
        names = [name for name, chosen_column in found.items() if chosen_column == column]
        if not names and column.lower() in found:
            log.warning(f"column '{column}' is left out, because of --map {column.lower()}=...")
            continue
        meant = canonical(column)
        if names and meant is not None and meant not in found:  # it has a meaning of its own
            names.append(column)
        chosen += [f"{quoted(column)} as {quoted(name)}" for name in names or [column]]
    query = f"select {', '.join(chosen)} from {quoted(table)}"
    con.execute(f"create or replace table {quoted(table)} as {query}")


def _remember(
    con: Connection, before: Sequence[str], after: Sequence[str], found: Mapping[str, str]
) -> None:
    """Keep the names that columns had in their file in the table `_original`."""
    con.execute("create table if not exists _original (original varchar, now varchar)")
    given = {column: name for name, column in found.items()}
    for column in before:
        names = (given.get(column), column, canonical(column), METADATA.sub("", column))
        now = next((name for name in names if name in after), None)
        if now is not None and now != column:
            con.execute("insert into _original values ($was, $now)", {"was": column, "now": now})


def _rename(con: Connection, table: str, column: str, new: str) -> None:
    con.execute(f"alter table {quoted(table)} rename column {quoted(column)} to {quoted(new)}")


def _settle_twins(con: Connection, table: str, given: set[str]) -> None:
    """Drop columns that repeat another one, such as Plate beside Metadata_Plate.

    given: names that `mapped` decides. Raises InputError if the two differ.
    """
    groups: dict[str, list[str]] = {}
    for column in tables.columns(con, table):
        groups.setdefault(METADATA.sub("", column.strip()).lower(), []).append(column)
    for name, (first, *others) in groups.items():
        if name not in assets.manifest_schema()["properties"] or name in given:
            continue
        for other in others:
            differs = first_row(
                con,
                f"select {quoted(first)}, {quoted(other)} from {quoted(table)}"
                f" where {quoted(first)} is distinct from {quoted(other)} limit 1",
            )
            if differs:
                raise InputError(
                    f"the columns '{first}' and '{other}' both name the {name}, and differ, as in"
                    f" '{differs[0]}' and '{differs[1]}'; choose one by --map {name}=\"{first}\""
                )
            con.execute(f"alter table {quoted(table)} drop column {quoted(other)}")
        if first != name and (others or first.lower() == name):
            _rename(con, table, first, name)


def keep_features(
    con: Connection,
    features: Sequence[str],
    values: NDArray[np.float64],
    mapped: Mapping[str, str],
) -> None:
    """Create the table `_feature` of those features (N, D) that expressions of `mapped` mention."""
    told = " ".join(mapped.values()).lower()
    used = {c: values[:, i] for i, c in enumerate(features) if c.strip() and c.lower() in told}
    if used:
        con.register("_used", pa.table({**used, "_line": np.arange(len(values)) + 2}))
        con.execute("create or replace table _feature as from _used")
        con.unregister("_used")


def compute(con: Connection, table: str, expressions: Mapping[str, str]) -> None:
    """Set or add columns of a table by SQL expressions over its columns.

    An expression may use the names of the file or those of the manifest. A whole number is the
    text of its digits.
    Raises InputError, with the reason, if an expression fails.
    """
    for name, expression in expressions.items():
        have = tables.columns(con, table)
        places = [c for (c, *_) in con.execute(f"describe {quoted(table)}").fetchall()]
        kept = "".join(f"{quoted(c)}, " for c in places if c != name)
        value = f"'{expression}'" if expression.isdecimal() else expression
        query = f"select {kept}({value})::varchar as {quoted(name)} from {quoted(table)}"
        try:
            with confined({table: _with_all_names(con, table)}, query) as apart:
                computed = ask(apart, query)
        except InputError as error:
            hint = f"; a text needs quotes: {name}='{expression}'" if expression.isalnum() else ""
            reason = str(error).removesuffix("; Candidate functions:")
            if "VARCHAR" in reason and "explicit type casts" in reason:
                hint = "; columns are text here: write a number as COLUMN::double"
            raise InputError(
                f"--map {name}={expression}: this is neither a column nor an expression over"
                f" {', '.join(have[:_SHOWN])}, ...: {reason}{hint}"
            ) from error
        lines = con.sql(f"select _line from {quoted(table)} order by _line").fetchall()
        if sorted(computed["_line"].to_pylist()) != [line for (line,) in lines]:
            raise InputError(
                f"--map {name}={expression}: this gives {computed.num_rows} rows for"
                f" {len(lines)}; write an expression with one value for each row"
            )
        con.register("_computed", computed)
        con.execute(f"create or replace table {quoted(table)} as from _computed")
        con.unregister("_computed")


def _with_all_names(con: Connection, table: str) -> pa.Table:
    """The table, with the names of the file beside those of the manifest, and with features.

    The features are those of the table `_feature`, if there is one.
    """
    taken = {c.lower() for c in tables.columns(con, table)}
    more = []
    renamed = con.execute("select original, now from _original").fetchall()
    for original, now in renamed:
        if now.lower() in taken and original.lower() not in taken:
            more.append(f", t.{quoted(now)} as {quoted(original)}")
            taken.add(original.lower())
    (has_features,) = first_row(
        con, "select count(*) from duckdb_tables() where table_name = '_feature'"
    )
    if not has_features:
        return con.sql(f"select t.*{''.join(more)} from {quoted(table)} as t").to_arrow_table()
    for column, *_ in con.execute("describe _feature").fetchall():
        if column.lower() not in taken and column != "_line":
            more.append(f", f.{quoted(column)}")
            taken.add(column.lower())
    return con.sql(
        f"select t.*{''.join(more)} from {quoted(table)} as t left join _feature as f"
        " on t._line = f._line"
    ).to_arrow_table()
