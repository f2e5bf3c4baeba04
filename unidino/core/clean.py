"""Texts of tables as they are kept. DuckDB takes minutes to plan a query that does this for
thousands of columns, Arrow cleans one after the other."""

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted

_ROWS, _VALUES = 65_536, 4_000_000  # that are cleaned together, at most


def clean_texts(
    con: Connection, table: str, *, verbatim: Collection[str] = ()
) -> dict[str, tuple[int, str]]:
    """Make a table anew, in its order, with clean columns of text.

    Returns, by column, the number of errors of spreadsheets such as #REF!, and the first of them.
    Texts are trimmed and in Unicode's composed form (NFC). Those that say that a value is missing
    (the macros missing_words, spreadsheet_errors, dashes) are NULL.
    verbatim: columns that stay as they are, as the names of files must.
    """
    blank_ends, missing, error, dashes = first_row(
        con, "select blank_ends(), missing_words(), spreadsheet_errors(), dashes()"
    )
    words, without_dashes = pa.array([*missing, *dashes]), pa.array(missing)
    signed = _with_plus_signs(con, table)

    found: dict[str, tuple[int, str]] = {}

    def clean(texts: pa.Array, words: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
        """The clean texts, the trimmed ones, and which of these are errors of a spreadsheet."""
        trimmed = pc.replace_substring_regex(texts, pattern=blank_ends, replacement="")
        composed = pc.utf8_normalize(trimmed, "NFC")
        is_word = pc.is_in(composed, words)
        is_error = pc.match_substring_regex(composed, error)
        cleaned = pc.if_else(pc.or_kleene(is_word, is_error), None, composed)
        return cleaned, composed, pc.and_not(pc.fill_null(is_error, False), is_word)

    def clean_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch whose columns are cleaned as one, because a pattern is compiled in each call."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        texts = {
            field.name
            for field in batch.schema
            if pa.types.is_string(field.type) and field.name not in verbatim
        }
        for names, of in ((texts - signed, words), (texts & signed, without_dashes)):
            if names:
                whole = pa.concat_arrays([columns[n].cast(pa.large_string()) for n in names])
                cleaned, trimmed, is_error = clean(whole, of.cast(pa.large_string()))
                has_errors = pc.any(is_error).as_py()
                for place, name in enumerate(names):
                    rows = (place * batch.num_rows, batch.num_rows)
                    columns[name] = cleaned.slice(*rows).cast(pa.string())
                    if has_errors and (
                        errors := trimmed.slice(*rows).filter(is_error.slice(*rows))
                    ):
                        num, first = found.get(name, (0, errors[0].as_py()))
                        found[name] = (num + len(errors), first)
        return pa.record_batch(list(columns.values()), schema=batch.schema)

    relation = con.cursor().sql(f"from {quoted(table)}")
    num_rows = max(1, min(_ROWS, _VALUES // max(1, len(relation.columns))))
    rows = relation.to_arrow_reader(num_rows)
    batches = map(clean_batch, rows)
    con.register("_clean", pa.RecordBatchReader.from_batches(rows.schema, batches))
    con.execute("create or replace table cleaned as from _clean")
    con.unregister("_clean")
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table cleaned rename to {quoted(table)}")
    return found


def say_spreadsheet_errors(found: Mapping[str, tuple[int, str]], file: str) -> None:
    """Warn of the values that `clean_texts` found to be errors of a spreadsheet."""
    for column, (num, first) in found.items():
        what = "value is an error" if num == 1 else "values are errors"
        log.warning(f"{file}: {column}: {num} {what} of a spreadsheet ({first}): missing")


def _with_plus_signs(con: Connection, table: str) -> set[str]:
    """The columns of text with a value that is a plus sign."""
    found: set[str] = set()
    plus = pa.array(["+"])
    for batch in con.cursor().sql(f"from {quoted(table)}").to_arrow_reader(_ROWS):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            is_new = name not in found and pa.types.is_string(column.type)
            if is_new and pc.any(pc.is_in(column, plus)).as_py():
                found.add(name)
    return found
