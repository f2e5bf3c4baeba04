"""Fields to features of segmented cells, by as many processes as there are cores."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unidino.core.processes import processes
from unidino.embeddings.crops import read_planes
from unidino.embeddings.embedder import Advance, Encoded, Row
from unidino.lake.lake import Lake
from unidino.models import cellprofiler
from unidino.models.config import ModelConfig

Vectors = dict[str, NDArray[np.float32]]


class CellEmbedder:
    """Vectors of each field: one for each group of features, a channel, `Shape` or `Correlation`.

    A field that lacks a channel of the plate, or shows no cell, is dropped.
    """

    unit = "images"
    about: Mapping[str, str] = {}

    def __init__(self, lake: Lake, config: ModelConfig) -> None:
        self._lake, self._config = lake, config

    def num_units(self, size: Row) -> int:
        """The number of images."""
        num_images: int = size["num_images"]
        return num_images

    def encode(self, images: Sequence[Row], advance: Advance) -> Encoded:
        """Features of the fields of a plate.

        Raises ModelError if the nuclear channel is unclear, or cp_measure is not installed.
        """
        dropped: Counter[str] = Counter()
        rows: list[Row] = []
        vectors: list[NDArray[np.float32]] = []

        def drop(reason: str, number: int) -> None:
            dropped[reason] += number
            advance(number)

        channels = list(dict.fromkeys(row["channel"] for row in images))
        fields = [list(group) for _, group in groupby(images, lambda r: (r["well"], r["field"]))]
        whole = [field for field in fields if len(field) == len(channels)]
        drop("field_without_all_channels", len(images) - len(whole) * len(channels))
        for field, groups in zip(whole, self._measured(whole, channels), strict=True):
            if groups is None:
                drop("field_without_cells", len(field))
                continue
            for index, (group, vector) in enumerate(groups.items()):
                rows.append(field[0] | {"channel": group, "channel_index": index})
                vectors.append(vector)
            advance(len(field))
        matrix = np.array(vectors, dtype=np.float32).reshape(-1, self._config.num_dims)
        return Encoded(rows, matrix, np.ones(len(rows), np.int32), +dropped)

    def _measured(
        self, fields: Sequence[Sequence[Row]], channels: Sequence[str]
    ) -> Iterator[Vectors | None]:
        """Vectors by group of each field, in order; None for a field without cells."""
        nuclei = self._config.nuclei or cellprofiler.nuclear_channel(channels)
        num_processes = min(os.cpu_count() or 1, len(fields) or 1)
        with processes(num_processes) as pool:
            results = [
                pool.submit(
                    _measure,
                    self._lake.resolve(field[0]["uri"]),
                    [row["channel_index"] for row in field],
                    [row["channel"] for row in field],
                    nuclei,
                )
                for field in fields
            ]
            for result in results:
                yield result.result()


def _measure(field: Path, indices: list[int], channels: list[str], nuclei: str) -> Vectors | None:
    return cellprofiler.measure(read_planes(field, indices), channels, nuclei)
