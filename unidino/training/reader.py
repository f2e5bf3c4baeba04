"""Raw crops of planes, read in threads ahead of their use.

Shapes: B images, C channels of each that are seen at once (1 but for multi-channel networks),
G global and L local crops of each.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.embeddings.crops import otsu, random_crops, read_planes
from unidino.lake.lake import Lake
from unidino.training.samples import per_channel

_MINIBATCHES_AHEAD = 2
_STAGED_AT_ONCE = 16
_PIECE = 8  # samples that a thread reads at a time


@dataclass(frozen=True)
class Crops:
    """Raw crops of one minibatch, in counts.

    images: indices of the samples (B,). global_crops: (B, G, C, S, S). local_crops:
    (B, L, C, s, s).
    """

    images: NDArray[np.int64]
    global_crops: NDArray[np.uint16]
    local_crops: NDArray[np.uint16]


class CropReader:
    """Reads minibatches of crops in threads, ahead of their use.

    global_crops, local_crops: number and side in px.
    cells: crops must show cells, by Otsu's threshold of their plane. stage: fields of a remote lake
    are brought to this machine ahead of the minibatches that need them; else when they are read.
    """

    def __init__(
        self,
        lake: Lake,
        samples: pa.Table,
        global_crops: tuple[int, int],
        local_crops: tuple[int, int],
        *,
        cells: bool = False,
        stage: bool = True,
    ) -> None:
        self._lake = lake
        self._uris = samples["uri"]
        self._channels = per_channel(samples["channel_index"])
        self._global = global_crops
        self._local = local_crops
        self._cells = cells
        self._stages = stage and lake.is_remote
        self._num_threads = os.cpu_count() or 1

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
        """Minibatches in order from number `first`; an incomplete one at the end is left out.

        Each of `world` processes gets its part of every minibatch. The crops of a sample depend
        only on seed, epoch and its place in the order.
        """
        part = batch_size // world
        starts = iter(range(first * batch_size, len(order) - batch_size + 1, batch_size))
        needed = order[first * batch_size :]
        with self._staged(needed), ThreadPoolExecutor(self._num_threads) as pool:

            def submit(start: int) -> tuple[Crops, list[Future[None]]]:
                places = range(start + rank * part, start + (rank + 1) * part)
                images = order[places.start : places.stop]
                crops = self._empty(images)
                pieces = range(0, part, _PIECE)
                reads = [
                    pool.submit(self._fill, crops, range(at, min(at + _PIECE, part)), places, key)
                    for at in pieces
                ]
                return crops, reads

            key = (seed, epoch)
            ahead = deque(submit(start) for start in islice(starts, _MINIBATCHES_AHEAD))
            while ahead:
                crops, reads = ahead.popleft()
                ahead.extend(submit(start) for start in islice(starts, 1))
                for read in reads:
                    read.result()
                yield crops

    @contextmanager
    def _staged(self, order: NDArray[np.int64]) -> Iterator[None]:
        """Bring the fields of samples here in their order while the block runs.

        A field that fails is tried again by the thread that reads it, which says why.
        """
        if not self._stages:
            yield
            return
        with ThreadPoolExecutor(_STAGED_AT_ONCE) as pool:
            for uri in dict.fromkeys(self._uris.take(pa.array(order)).to_pylist()):
                pool.submit(self._lake.resolve, uri)
            try:
                yield
            finally:
                pool.shutdown(cancel_futures=True)

    def _empty(self, images: NDArray[np.int64]) -> Crops:
        """A minibatch whose crops are to be filled."""
        num_channels = len(self._channels[0])
        global_crops, local_crops = (
            np.empty((len(images), number, num_channels, side, side), np.uint16)
            for number, side in (self._global, self._local)
        )
        return Crops(images, global_crops, local_crops)

    def _fill(self, crops: Crops, some: range, places: range, key: tuple[int, int]) -> None:
        """Read some samples of a minibatch, and write their crops to where they belong."""
        for index in some:
            image = int(crops.images[index])
            rng = np.random.default_rng((*key, places[index]))
            field = self._lake.resolve(self._uris[image].as_py())
            planes = read_planes(field, self._channels[image])
            threshold = otsu(planes[0]) if self._cells else -1.0
            for filled, (number, side) in (
                (crops.global_crops, self._global),
                (crops.local_crops, self._local),
            ):
                filled[index] = random_crops(planes, number, side, rng, threshold=threshold)
