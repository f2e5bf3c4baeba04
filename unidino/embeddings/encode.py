"""Images to vectors by a network: planes are read ahead, cut into crops and embedded in batches.

Shapes: I images, N crops, C channels that the network sees at once, S side of a crop, D embedding.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unidino.core import stopping
from unidino.core.errors import ModelError
from unidino.embeddings.crops import corners, crops_of, read_planes, resized, resized_shape
from unidino.embeddings.embedder import Advance, Encoded, Row
from unidino.embeddings.forward import Forward, device_of, forward_of
from unidino.embeddings.how import Cut, How
from unidino.embeddings.inputs import inputs_of
from unidino.lake.lake import Lake
from unidino.models.config import ModelConfig
from unidino.models.networks import intensity_range
from unidino.models.registry import load_network

_PLANES_AHEAD = 32


class NetworkEmbedder:
    """Vectors of images by a network: of the crops of each, averaged.

    The network is loaded when it is first needed.
    """

    unit = "crops"

    def __init__(self, lake: Lake, model: str, config: ModelConfig, how: How) -> None:
        self._lake, self._model, self._config, self._how = lake, model, config, how

    @cached_property
    def _forward(self) -> Forward:
        how = self._how
        device = device_of(how.device)
        return forward_of(
            load_network(self._lake, self._model, device),
            self._config,
            device,
            precision=how.precision,
            engine=how.engine,
            batch_size=how.batch_size,
        )

    @property
    def about(self) -> dict[str, str]:
        """Engine, precision and device."""
        return self._forward.about

    def num_units(self, size: Row) -> int:
        """The number of crops."""
        height, width = size["height_px"], size["width_px"]
        config, cut = self._config, self._how.cut
        if cut.short_side_px:
            height, width = resized_shape(height, width, cut.short_side_px)
        places = corners((height, width), config.crop_size_px, config.stride_px, cover=cut.cover)
        num_images: int = size["num_images"]
        return len(places) * num_images // config.num_inputs

    def encode(self, images: Sequence[Row], advance: Advance) -> Encoded:
        """Mean vectors over the crops of each image, or of each field for several channels."""
        config, how = self._config, self._how
        rows, dropped = inputs_of(images, config.input_channels)
        if not rows:
            no_vectors = np.empty((0, config.num_dims), np.float32)
            return Encoded(rows, no_vectors, np.empty(0, np.int32), dropped)
        encoded = encode(
            self._lake,
            rows,
            config,
            self._forward,
            cut=how.cut,
            keep_crops=how.keep == "crop",
            advance=advance,
        )
        self._check(encoded)
        return replace(encoded, dropped=dropped)

    def _check(self, encoded: Encoded) -> None:
        """Raise ModelError if a vector has a number that is NaN or infinite."""
        for vectors in (encoded.means, encoded.crops):
            if vectors is None:
                continue
            wrong = np.asarray(~np.isfinite(vectors).all(axis=1))
            if wrong.any():
                raise ModelError(
                    f"model '{self._model}' embeds {wrong.sum()} of {len(wrong)} images or crops as"
                    " numbers that are NaN or infinite; nothing of this plate is kept: check its"
                    " weights, or use --precision fp32"
                )


class _Piece(NamedTuple):
    """Crops of one image, by its index."""

    image: int
    crops: NDArray[Any]


def encode(
    lake: Lake,
    rows: Sequence[Row],
    config: ModelConfig,
    forward: Forward,
    *,
    cut: Cut | None = None,
    keep_crops: bool = False,
    advance: Advance = lambda _: None,
) -> Encoded:
    """Vectors of images, in the order of their rows.

    rows: with uri, channel_index, dtype, p0_1 and p99_9; lists for a network of several channels.
    Crops of several images share a batch, and the next batch is read while one is computed.
    advance: called with the number of crops of each batch.
    Raises LakeError if a plane cannot be read.
    """
    sums = np.zeros((len(rows), config.num_dims), dtype=np.float64)
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
        rows,
        (sums / np.maximum(num_crops, 1)[:, None]).astype(np.float32),
        num_crops,
        crops=np.concatenate(kept) if kept else None,
        places=np.concatenate(places),
    )


def _batches(pieces: Iterator[_Piece], forward: Forward) -> Iterator[list[_Piece]]:
    """Crops of successive images, a whole batch at a time; the last batch may be smaller."""
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
    """The crops of each image in order, read by threads; appends their corners to `places`."""

    def read(row: Row) -> tuple[NDArray[Any], NDArray[np.int32]]:
        stopping.check()
        planes: NDArray[Any] = read_planes(
            lake.resolve(row["uri"]), np.atleast_1d(row["channel_index"])
        )
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
