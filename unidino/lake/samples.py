"""Images to learn from, selected by a view of the lake or by a user's SELECT."""

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.sql import quoted
from unidino.core.user_sql import ask
from unidino.lake.lake import Lake

COLUMNS = (
    "dataset",
    "plate",
    "well",
    "field",
    "channel",
    "channel_index",
    "uri",
    "dtype",
    "p0_1",
    "p99_9",
)


def query_samples(lake: Lake, samples: str, option: str) -> pa.Table:
    """Rows of a view or SELECT that has the columns of `training_sample`.

    option: the command's option that gave the query, for messages.
    Raises InputError if the query fails, lacks a column of `training_sample`, or has no row.
    """
    query = f"from {quoted(samples)}" if samples.isidentifier() else samples
    with lake.confined() as con:
        table = ask(con, query, what=f"{option} '{samples}'")
    missing = [c for c in COLUMNS if c not in table.column_names]
    if missing:
        raise InputError(
            f"{option} '{samples}' lacks the column {missing[0]}; it must have"
            f" {', '.join(COLUMNS)} (start from `select * from training_sample`)"
        )
    if table.num_rows == 0:
        raise InputError(f"{option} '{samples}' selects no image; ingest plates or widen the query")
    return table
