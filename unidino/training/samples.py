"""From catalog and store to training samples: raw crops of planes, drawn by SQL.

Shapes: B images, C channels of each that are seen at once (1 but for multi-channel networks),
G global and L local crops of each.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import quoted, read_only_statement, scratch
from unidino.embeddings.crops import stacked
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


def select_samples(
    lake: Lake,
    samples: str,
    *,
    controls: float = 1.0,
    input_channels: Sequence[str] = (),
    seed: int = 0,
) -> pa.Table:
    """Images to train on: the rows of a view of the lake, or of a SELECT over its tables.

    controls: share of negative and positive controls to keep, the same of each plate.
    input_channels: names of channels that are one sample together; without, each image is one.
    Raises InputError if the query fails, lacks a column of `training_sample`, or has no row.
    """
    table = query_samples(lake, samples, "--samples")
    if controls < 1:
        if "control_type" not in table.column_names:
            raise InputError(
                f"--samples '{samples}' lacks the column control_type, which controls"
                f" = {controls} needs"
            )
        con = scratch()
        try:
            con.register("sample", table)
            query = assets.sql("queries", "sampled_controls")
            table = con.sql(query, params={"share": controls, "seed": seed}).to_arrow_table()
        finally:
            con.close()
    if input_channels:
        there = ", ".join(sorted(set(table["channel"].to_pylist())))
        table = stacked(table, input_channels)
        if table.num_rows == 0:
            raise InputError(
                f"--samples '{samples}' has no field with all of the channels"
                f" {', '.join(input_channels)}; there are {there}"
            )
    keys = [(c, "ascending") for c in ("dataset", "plate", "well", "field")]
    if not input_channels:
        keys.append(("channel_index", "ascending"))
    return table.select(COLUMNS).sort_by(keys).combine_chunks()


def query_samples(lake: Lake, samples: str, option: str) -> pa.Table:
    """Rows of a view or SELECT that has the columns of `training_sample`.

    option: the command's option that gave it. Raises InputError as `select_samples`.
    """
    query = f"from {quoted(samples)}" if samples.isidentifier() else samples
    with lake.snapshot(("plate", "channel", "well", "field", "image", "part")) as con:
        read_only_statement(con, query)
        try:
            table = con.sql(query).to_arrow_table()
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{option} '{samples}': {reason}") from error
    missing = [c for c in COLUMNS if c not in table.column_names]
    if missing:
        raise InputError(
            f"{option} '{samples}' lacks the column {missing[0]}; it must give"
            f" {', '.join(COLUMNS)} (start from `select * from training_sample`)"
        )
    if table.num_rows == 0:
        raise InputError(f"{option} '{samples}' gives no image; ingest plates or widen the query")
    return table


def per_channel(column: pa.ChunkedArray) -> NDArray[Any]:
    """Values (N, C) of a column of samples: numbers, or lists of as many."""
    values = column.combine_chunks()
    num_rows = len(values)
    if pa.types.is_list(values.type):
        values = values.flatten()
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return numbers.reshape(num_rows, -1)


def draw_epoch(
    samples: pa.Table,
    seed: int,
    epoch: int,
    *,
    every_channel: bool = False,
    whole_repeats: bool = False,
) -> NDArray[np.int64]:
    """Rows of `samples` that make up an epoch, in order: see `sql/queries/epoch.sql`."""
    con = scratch()
    try:
        keys = samples.select(["dataset", "plate", "well", "field", "channel_index"])
        image_id = pa.array(np.arange(samples.num_rows))
        con.register("sample", keys.append_column("image_id", image_id))
        drawn = con.execute(
            assets.sql("queries", "epoch"),
            {
                "seed": seed,
                "epoch": epoch,
                "every_channel": every_channel,
                "whole_repeats": whole_repeats,
            },
        )
        return drawn.fetchnumpy()["image_id"].astype(np.int64)
    finally:
        con.close()
