"""From catalog and store to training samples: raw crops of planes, drawn by SQL.

Shapes: B images, C channels of each that are seen at once (1 but for multi-channel networks),
G global and L local crops of each.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino import assets, store
from unidino.catalog import Lake, quoted, read_only_statement, scratch
from unidino.errors import InputError
from unidino.store import Plane

COLUMNS = ("dataset", "plate", "well", "field", "channel", "channel_index", "uri", "dtype",
           "p0_1", "p99_9")  # fmt: skip
_CELL_TRIES = 20
_CELL_SHARE = 0.01  # of a crop's pixels that must be above the plane's threshold
_MINIBATCHES_AHEAD = 2


@dataclass(frozen=True)
class Crops:
    """Raw crops of one minibatch, counts.

    images: rows of the samples' table. global_crops: (B, G, C, S, S). local_crops:
    (B, L, C, s, s).
    """

    images: NDArray[np.int64]
    global_crops: NDArray[np.uint16]
    local_crops: NDArray[np.uint16]


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
            raise InputError(f"--samples '{samples}' lacks the column control_type, which controls"
                             f" = {controls} needs")  # fmt: skip
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
            raise InputError(f"--samples '{samples}' has no field with all of the channels"
                             f" {', '.join(input_channels)}; there are {there}")  # fmt: skip
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


def stacked(table: pa.Table, input_channels: Sequence[str]) -> pa.Table:
    """Fields that have all of the channels: `channel_index`, `p0_1` and `p99_9` become lists."""
    con = scratch()
    try:
        con.register("sample", table)
        query = assets.sql("queries", "stacked_sample")
        return con.sql(query, params={"channels": list(input_channels)}).to_arrow_table()
    finally:
        con.close()


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
            {"seed": seed, "epoch": epoch, "every_channel": every_channel,
             "whole_repeats": whole_repeats},
        )  # fmt: skip
        return drawn.fetchnumpy()["image_id"].astype(np.int64)
    finally:
        con.close()


def padded(planes: Plane, size_px: int) -> Plane:
    """Planes (..., H, W), mirrored at their far edges until no side is shorter than size_px."""
    short = [0] * (planes.ndim - 2) + [max(0, size_px - side) for side in planes.shape[-2:]]
    return np.pad(planes, [(0, s) for s in short], mode="symmetric") if any(short) else planes


def random_crops(
    planes: Plane, num: int, size_px: int, rng: np.random.Generator, *, threshold: float = -1
) -> Plane:
    """Crops (num, C, size_px, size_px) at random places of planes (C, H, W), native resolution.

    threshold: counts that 1 % of a crop's pixels of the first channel must exceed, if 20 tries find
    such a crop.
    """
    planes = padded(planes, size_px)
    crops = []
    for _ in range(num):
        for _ in range(_CELL_TRIES):
            top = rng.integers(0, planes.shape[-2] - size_px + 1)
            left = rng.integers(0, planes.shape[-1] - size_px + 1)
            crop = planes[:, top : top + size_px, left : left + size_px]
            if threshold < 0 or np.count_nonzero(crop[0] > threshold) >= _CELL_SHARE * size_px**2:
                break
        crops.append(crop)
    return np.stack(crops)


class CropReader:
    """Reads minibatches of crops in threads, ahead of their use.

    sizes: (number, side in px) of the global and of the local crops.
    cells: crops must show cells, by Otsu's threshold of their plane.
    """

    def __init__(
        self,
        lake: Lake,
        samples: pa.Table,
        global_crops: tuple[int, int],
        local_crops: tuple[int, int],
        *,
        cells: bool = False,
        threads: int | None = None,
    ) -> None:
        self._lake = lake
        self._uris = samples["uri"]
        self._channels = per_channel(samples["channel_index"])
        self._global = global_crops
        self._local = local_crops
        self._cells = cells
        self._threads = threads or os.cpu_count() or 1

    def minibatches(
        self,
        order: NDArray[np.int64],
        batch_size: int,
        seed: int,
        epoch: int,
        *,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[Crops]:
        """Minibatches in order from number `first`, the last incomplete one left out.

        Each of `world` processes gets its part of every minibatch. The crops of a sample depend on
        seed, epoch and its place in the order alone.
        """
        part = batch_size // world
        starts = iter(range(first * batch_size, len(order) - batch_size + 1, batch_size))
        with ThreadPoolExecutor(self._threads) as pool:

            def submit(start: int) -> tuple[range, list[Future[tuple[Plane, Plane]]]]:
                places = range(start + rank * part, start + (rank + 1) * part)
                reads = [pool.submit(self._read, int(order[k]), (seed, epoch, k)) for k in places]
                return places, reads

            ahead = deque(submit(start) for start in islice(starts, _MINIBATCHES_AHEAD))
            while ahead:
                places, futures = ahead.popleft()
                ahead.extend(submit(start) for start in islice(starts, 1))
                read = [future.result() for future in futures]
                yield Crops(
                    order[places.start : places.stop],
                    np.stack([g for g, _ in read]),
                    np.stack([local for _, local in read]),
                )

    def _read(
        self, image: int, key: tuple[int, int, int]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        rng = np.random.default_rng(key)
        field = self._lake.resolve(self._uris[image].as_py())
        planes = np.stack([store.read_plane(field, int(c)) for c in self._channels[image]])
        threshold = otsu(planes[0]) if self._cells else -1.0
        global_crops, local_crops = (
            random_crops(planes, number, size_px, rng, threshold=threshold)
            for number, size_px in (self._global, self._local)
        )
        return global_crops.astype(np.uint16), local_crops.astype(np.uint16)


def otsu(plane: Plane) -> float:
    """Counts that part a plane (H, W) best into dark and bright.

    Source: Otsu 1979, doi 10.1109/TSMC.1979.4310076, as scikit-image computes it, on every fourth
    row and column.
    """
    from skimage.filters import threshold_otsu

    threshold: float = threshold_otsu(plane[::4, ::4])
    return float(threshold)
