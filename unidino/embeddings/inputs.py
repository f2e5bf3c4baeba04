"""The inputs of a model among the images of a plate: single images, or channels of a field."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from unidino.core import assets
from unidino.core.sql import scratch
from unidino.embeddings.embedder import Row


def stacked(table: pa.Table, input_channels: Sequence[str]) -> pa.Table:
    """Fields that have all of the channels: `channel_index`, `p0_1` and `p99_9` become lists."""
    con = scratch(())
    try:
        con.register("sample", table)
        query = assets.sql("queries", "stacked_sample")
        return con.sql(query, params={"channels": list(input_channels)}).to_arrow_table()
    finally:
        con.close()


def inputs_of(
    images: Sequence[Row], input_channels: Sequence[str]
) -> tuple[list[Row], Counter[str]]:
    """What a model embeds of images, and how many images are dropped by reason.

    input_channels: names of the channels that the model sees at once; none: one at a time.
    """
    if not input_channels:
        return list(images), Counter()
    num_inputs = sum(row["channel"] in input_channels for row in images)
    rows: list[Row] = []
    if num_inputs:
        rows = stacked(pa.Table.from_pylist(list(images)), input_channels).to_pylist()
    dropped = Counter(no_input_of_the_model=len(images) - num_inputs)
    dropped["field_without_all_channels"] = num_inputs - len(rows) * len(input_channels)
    return rows, +dropped
