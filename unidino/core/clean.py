"""Texts of tables as they are kept. DuckDB takes minutes to plan a query that does this for
thousands of columns, Arrow cleans one after the other."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from unidino.core.sql import Connection, first_row, quoted

_ROWS = 65_536  # that are cleaned together


def clean_texts(con: Connection, table: str, *, verbatim: Collection[str] = ()) -> None:
    """Make a table anew, in its order, with clean columns of text.

    Texts are trimmed and in Unicode's composed form (NFC). Those that say that a value is missing
    (the macro missing_words) are NULL.
    verbatim: columns that stay as they are, as the names of files must.
    """
    blank_ends, missing = first_row(con, "select blank_ends(), missing_words()")
    words = pa.array(missing)

    def clean(field: pa.Field, texts: pa.Array) -> pa.Array:
        if field.name in verbatim or not pa.types.is_string(field.type):
            return texts
        trimmed = pc.replace_substring_regex(texts, pattern=blank_ends, replacement="")
        composed = pc.utf8_normalize(trimmed, "NFC")
        return pc.if_else(pc.is_in(composed, words), None, composed)

    rows = con.cursor().sql(f"from {quoted(table)}").to_arrow_reader(_ROWS)
    batches = (
        pa.record_batch([*map(clean, rows.schema, batch.columns)], schema=rows.schema)
        for batch in rows
    )
    con.register("_clean", pa.RecordBatchReader.from_batches(rows.schema, batches))
    con.execute("create or replace table cleaned as from _clean")
    con.unregister("_clean")
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table cleaned rename to {quoted(table)}")
