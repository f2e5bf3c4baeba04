"""From catalog and store to training samples: raw crops of planes, drawn by SQL.

Shapes: B images, G global and L local crops of each.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino import assets, store
from unidino.catalog import Lake, quoted, read_only_statement, scratch
from unidino.errors import InputError
from unidino.store import Plane

_COLUMNS = ("dataset", "plate", "well", "field", "channel", "channel_index", "uri", "dtype",
            "p0_1", "p99_9")  # fmt: skip


@dataclass(frozen=True)
class Crops:
    """Raw crops of one minibatch, counts.

    images: rows of the samples' table. global_crops: (B, G, S, S). local_crops: (B, L, s, s).
    """

    images: NDArray[np.int64]
    global_crops: NDArray[np.uint16]
    local_crops: NDArray[np.uint16]


def select_samples(lake: Lake, samples: str) -> pa.Table:
    """Images to train on: the rows of a view of the lake, or of a SELECT over its tables.

    Raises InputError if the query fails, lacks a column of `training_sample`, or has no row.
    """
    query = f"from {quoted(samples)}" if samples.isidentifier() else samples
    with lake.snapshot(("plate", "channel", "well", "field", "image", "part")) as con:
        read_only_statement(con, query)
        try:
            table = con.sql(query).to_arrow_table()
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"--samples '{samples}': {reason}") from error
    missing = [c for c in _COLUMNS if c not in table.column_names]
    if missing:
        raise InputError(
            f"--samples '{samples}' lacks the column {missing[0]}; it must give"
            f" {', '.join(_COLUMNS)} (start from `select * from training_sample`)"
        )
    if table.num_rows == 0:
        raise InputError(f"--samples '{samples}' gives no image; ingest plates or widen the query")
    keys = [(c, "ascending") for c in ("dataset", "plate", "well", "field", "channel_index")]
    return table.select(_COLUMNS).sort_by(keys)


def draw_epoch(samples: pa.Table, seed: int, epoch: int) -> NDArray[np.int64]:
    """Rows of `samples` that make up an epoch, in order: see `sql/queries/epoch.sql`."""
    con = scratch()
    try:
        image_id = pa.array(np.arange(samples.num_rows))
        con.register("sample", samples.append_column("image_id", image_id))
        drawn = con.execute(assets.sql("queries", "epoch"), {"seed": seed, "epoch": epoch})
        return drawn.fetchnumpy()["image_id"].astype(np.int64)
    finally:
        con.close()


def padded(plane: Plane, size_px: int) -> Plane:
    """The plane (H, W), mirrored at its far edges until no side is shorter than size_px."""
    short = [max(0, size_px - side) for side in plane.shape]
    return np.pad(plane, [(0, s) for s in short], mode="symmetric") if any(short) else plane


def random_crops(plane: Plane, num: int, size_px: int, rng: np.random.Generator) -> Plane:
    """Crops (num, size_px, size_px) at random places of a plane, native resolution."""
    plane = padded(plane, size_px)
    tops = rng.integers(0, plane.shape[0] - size_px + 1, num)
    lefts = rng.integers(0, plane.shape[1] - size_px + 1, num)
    return np.stack(
        [plane[t : t + size_px, left : left + size_px] for t, left in zip(tops, lefts, strict=True)]
    )


class CropReader:
    """Reads minibatches of crops in threads, ahead of their use.

    sizes: (number, side in px) of the global and of the local crops.
    """

    def __init__(
        self,
        lake: Lake,
        samples: pa.Table,
        global_crops: tuple[int, int],
        local_crops: tuple[int, int],
        *,
        threads: int = 2,
    ) -> None:
        self._fields = [lake.resolve(uri) for uri in samples["uri"].to_pylist()]
        self._channels: list[int] = samples["channel_index"].to_pylist()
        self._global = global_crops
        self._local = local_crops
        self._threads = threads

    def minibatches(
        self, order: NDArray[np.int64], batch_size: int, seed: int, epoch: int
    ) -> Iterator[Crops]:
        """Minibatches in order, the last incomplete one left out.

        The crops of a sample depend on seed, epoch and its place in the order alone.
        """
        starts = iter(range(0, len(order) - batch_size + 1, batch_size))
        with ThreadPoolExecutor(self._threads) as pool:

            def submit(start: int) -> list[Future[tuple[Plane, Plane]]]:
                places = range(start, start + batch_size)
                return [pool.submit(self._read, int(order[k]), (seed, epoch, k)) for k in places]

            ahead = [(start, submit(start)) for start in islice(starts, 2)]
            while ahead:
                start, futures = ahead.pop(0)
                for following in islice(starts, 1):
                    ahead.append((following, submit(following)))
                read = [future.result() for future in futures]
                yield Crops(
                    order[start : start + batch_size],
                    np.stack([g for g, _ in read]),
                    np.stack([local for _, local in read]),
                )

    def _read(
        self, image: int, key: tuple[int, int, int]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        rng = np.random.default_rng(key)
        plane = store.read_plane(self._fields[image], self._channels[image])
        crops = [random_crops(plane, n, size, rng) for n, size in (self._global, self._local)]
        return crops[0].astype(np.uint16), crops[1].astype(np.uint16)
