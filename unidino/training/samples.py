"""The samples of a training, selected and drawn by SQL: one row of a table each.

Shapes: N samples, C channels of each that are seen at once (1 but for multi-channel networks).
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import scratch
from unidino.embeddings.inputs import stacked
from unidino.lake.lake import Lake
from unidino.lake.samples import COLUMNS, query_samples
from unidino.training.recipe import TrainConfig

_MOST_NAMES = 8


def select_samples(
    lake: Lake,
    samples: str,
    *,
    controls: float = 1.0,
    input_channels: Sequence[str] = (),
    seed: int = 0,
) -> pa.Table:
    """Images to train on: the rows of a view of the lake, or of a SELECT over its tables.

    controls: share of the negative and positive controls of each plate to keep.
    input_channels: names of channels that form one sample together; none: each image is a sample.
    Raises InputError if the query fails, lacks a column of `training_sample`, or has no row.
    """
    table = query_samples(lake, samples, "--samples")
    if controls < 1:
        if "control_type" not in table.column_names:
            raise InputError(
                f"--samples '{samples}' lacks the column control_type, which"
                f" controls = {controls} needs"
            )
        con = scratch(())
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
                f" {', '.join(input_channels)}; the channels are {there}"
            )
    keys = [(c, "ascending") for c in ("dataset", "plate", "well", "field")]
    if not input_channels:
        keys.append(("channel_index", "ascending"))
    return table.select(COLUMNS).sort_by(keys).combine_chunks()


def per_channel(column: pa.ChunkedArray) -> NDArray[Any]:
    """Values (N, C) of a column of samples that holds numbers, or lists of C numbers."""
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
    """Indices of the samples of an epoch, in order: see `sql/queries/epoch.sql`."""
    con = scratch(())
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


class Order:
    """The order in which a training takes its samples, epoch by epoch.

    An epoch is one pass over the samples, or a stretch of an endless sequence of passes.
    Raises InputError if a pass is shorter than a minibatch and makes an epoch.
    """

    def __init__(self, samples: pa.Table, config: TrainConfig) -> None:
        self._samples, self._config = samples, config
        self._pass = lru_cache(maxsize=2)(self._draw_pass)
        self._length = len(self._pass(0))
        self.steps_per_epoch = config.steps_per_epoch or self._steps_per_pass()

    def epoch(self, number: int) -> NDArray[np.int64]:
        """Indices of the samples of an epoch, in order."""
        if self._config.steps_per_epoch is None:
            return self._pass(number)
        num = self.steps_per_epoch * self._config.batch_size
        return stretch(self._pass, self._length, number * num, num)

    def _draw_pass(self, number: int) -> NDArray[np.int64]:
        config = self._config
        return draw_epoch(
            self._samples,
            config.seed,
            number,
            every_channel=config.channels == "all",
            whole_repeats=config.balance == "repeats",
        )

    def _steps_per_pass(self) -> int:
        num_samples, batch_size = self._length, self._config.batch_size
        if num_samples < batch_size:
            raise InputError(
                f"an epoch has {num_samples} samples, fewer than one minibatch of {batch_size};"
                f" pass --batch-size {num_samples} or less"
            )
        return num_samples // batch_size


def stretch(
    draw_pass: Callable[[int], NDArray[np.int64]], length: int, start: int, num: int
) -> NDArray[np.int64]:
    """Samples number `start` to `start + num` of an endless sequence of passes over all samples.

    draw_pass: the samples of pass number n, in order. length: of every pass.
    """
    first, last = start // length, (start + num - 1) // length
    passes = np.concatenate([draw_pass(number) for number in range(first, last + 1)])
    return passes[start - first * length :][:num]


def rows_hash(samples: pa.Table) -> str:
    """SHA-256 (hex) of the rows of a table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, samples.schema) as writer:
        writer.write_table(samples)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def image_names(samples: pa.Table, images: NDArray[np.int64]) -> str:
    """Plate, well, field and channel of the first of some samples, by their indices."""
    rows = samples.take(pa.array(images[:_MOST_NAMES])).to_pylist()
    names = [f"{r['plate']}/{r['well']}/{r['field']}/{r['channel']}" for r in rows]
    return ", ".join(names) + (" ..." if len(images) > _MOST_NAMES else "")
