"""Images to vectors: planes are read ahead, cut into crops and embedded in batches of many images.

Shapes: I images, N crops, C channels that the network sees at once, S side of a crop, D embedding.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unidino.embeddings.crops import corners, crops_of, resized, resized_shape
from unidino.embeddings.forward import Forward
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models.config import ModelConfig
from unidino.models.networks import intensity_range

Row = dict[str, Any]
_PLANES_AHEAD = 32


@dataclass(frozen=True)
class Cut:
    """How fields become crops.

    cover: crops at the far edges too, so that no pixel is lost. short_side_px: fields are resized
    to it first.
    """

    cover: bool = False
    short_side_px: int | None = None


def num_crops_of(row: Row, config: ModelConfig, cut: Cut) -> int:
    """How many crops an image of height_px and width_px becomes."""
    height, width = row["height_px"], row["width_px"]
    if cut.short_side_px:
        height, width = resized_shape(height, width, cut.short_side_px)
    return len(corners((height, width), config.crop_size_px, config.stride_px, cover=cut.cover))


class Encoded(NamedTuple):
    """Vectors of images: means over crops (I, D), numbers of crops (I,).

    crops: (N, D) of single crops, if they were kept; places: their top and left in px (N, 2).
    """

    means: NDArray[np.float32]
    num_crops: NDArray[np.int32]
    crops: NDArray[np.float32] | None
    places: NDArray[np.int32]


class _Piece(NamedTuple):
    image: int
    crops: NDArray[Any]


def encode(
    lake: Lake,
    rows: Sequence[Row],
    num_dims: int,
    config: ModelConfig,
    forward: Forward,
    *,
    cut: Cut | None = None,
    keep_crops: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Encoded:
    """Vectors of images, in the order of their rows.

    rows: with uri, channel_index, dtype, p0_1 and p99_9; lists for a network of several channels.
    Crops of several images share a batch, and the next batch is made while one is computed.
    advance: called with the number of crops of each batch.
    Raises LakeError if a plane cannot be read.
    """
    sums = np.zeros((len(rows), num_dims), dtype=np.float64)
    num_crops = np.zeros(len(rows), dtype=np.int32)
    kept: list[NDArray[np.float32]] = []
    places: list[NDArray[np.int32]] = []
    ranges = torch.tensor(
        [
            intensity_range(config.intensity, *(r[k] for k in ("dtype", "p0_1", "p99_9")))
            for r in rows
        ],
        dtype=torch.float32,
    )
    in_flight: deque[tuple[NDArray[np.int64], Tensor]] = deque()

    def collect() -> None:
        owners, embedded = in_flight.popleft()
        vectors = embedded.cpu().numpy()
        if keep_crops:
            kept.append(vectors)
        np.add.at(sums, owners, vectors)
        np.add.at(num_crops, owners, 1)

    for pieces in _batches(_read_ahead(lake, rows, config, cut or Cut(), places), forward):
        owners = np.concatenate([np.full(len(p.crops), p.image) for p in pieces])
        counts = torch.from_numpy(np.concatenate([p.crops for p in pieces]))
        low, high = ranges[owners].unbind(dim=1)
        if forward.device.type == "cuda":
            counts = counts.pin_memory()
        in_flight.append((owners, forward(counts, low, high)))
        if len(in_flight) > 1:
            collect()
        advance(len(owners))
    while in_flight:
        collect()
    return Encoded(
        (sums / np.maximum(num_crops, 1)[:, None]).astype(np.float32),
        num_crops,
        np.concatenate(kept) if kept else None,
        np.concatenate(places) if places else np.empty((0, 2), np.int32),
    )


def _batches(pieces: Iterator[_Piece], forward: Forward) -> Iterator[list[_Piece]]:
    """Crops of successive images, as many as the network takes at once; the last ones fewer."""
    waiting: list[_Piece] = []
    room = forward.batch_size
    for image, crops in pieces:
        rest = crops
        while len(rest) >= room:
            yield [*waiting, _Piece(image, rest[:room])]
            rest, waiting, room = rest[room:], [], forward.batch_size
        if len(rest):
            waiting.append(_Piece(image, rest))
            room -= len(rest)
    if waiting:
        yield waiting


def _read_ahead(
    lake: Lake,
    rows: Sequence[Row],
    config: ModelConfig,
    cut: Cut,
    places: list[NDArray[np.int32]],
) -> Iterator[_Piece]:
    """The crops of each image in order, read by threads; their places are appended."""

    def read(row: Row) -> tuple[NDArray[Any], NDArray[np.int32]]:
        field = lake.resolve(row["uri"])
        channels = np.atleast_1d(row["channel_index"])
        planes: NDArray[Any] = np.stack([pixels.read_plane(field, int(c)) for c in channels])
        if cut.short_side_px and min(planes.shape[-2:]) != cut.short_side_px:
            planes = resized(planes, cut.short_side_px)
        grid = config.crop_size_px, config.stride_px
        return (
            crops_of(planes, *grid, cover=cut.cover),
            corners(planes.shape, *grid, cover=cut.cover),
        )

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        ahead: deque[Future[tuple[NDArray[Any], NDArray[np.int32]]]] = deque()
        for i in range(len(rows) + _PLANES_AHEAD):
            if i < len(rows):
                ahead.append(pool.submit(read, rows[i]))
            if i >= _PLANES_AHEAD:
                crops, corner = ahead.popleft().result()
                places.append(corner)
                yield _Piece(i - _PLANES_AHEAD, crops)
