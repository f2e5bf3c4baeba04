"""Fields to features of segmented cells, by as many processes as there are cores."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.models import cellprofiler
from unidino.models.config import ModelConfig

Row = dict[str, Any]


def measure_fields(
    lake: Lake,
    rows: list[Row],
    config: ModelConfig,
    dropped: Counter[str],
    advance: Callable[[int], None],
) -> tuple[list[Row], NDArray[np.float32]]:
    """Rows, one for each field and group of features, and their vectors (num_rows, D).

    rows: images of a plate, in order. A field that lacks a channel of the plate, or shows no cell,
    is left out and counted in `dropped`. Raises ModelError if no channel is the nuclei's.
    """
    channels = list(dict.fromkeys(row["channel"] for row in rows))
    nuclei = config.nuclei or cellprofiler.nuclear_channel(channels)
    fields = [list(images) for _, images in groupby(rows, lambda r: (r["well"], r["field"]))]
    whole = [images for images in fields if len(images) == len(channels)]
    _count(dropped, "field_without_all_channels", len(rows) - len(whole) * len(channels), advance)
    found: list[Row] = []
    vectors: list[NDArray[np.float32]] = []
    tasks = [
        (lake.resolve(f[0]["uri"]), [r["channel_index"] for r in f], [r["channel"] for r in f])
        for f in whole
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(tasks) or 1), context) as pool:
        jobs = [pool.submit(_measure, *task, nuclei) for task in tasks]
        for images, job in zip(whole, jobs, strict=True):
            groups = job.result()
            if groups is None:
                _count(dropped, "field_without_cells", len(images), advance)
                continue
            for index, (group, vector) in enumerate(groups.items()):
                found.append(images[0] | {"channel": group, "channel_index": index})
                vectors.append(vector)
            advance(len(images))
    return found, np.array(vectors, dtype=np.float32)


def _count(dropped: Counter[str], reason: str, number: int, advance: Callable[[int], None]) -> None:
    if number:
        dropped[reason] += number
        advance(number)


def _measure(
    field: Path, indices: list[int], channels: list[str], nuclei: str
) -> dict[str, NDArray[np.float32]] | None:
    planes = np.stack([pixels.read_plane(field, index) for index in indices])
    return cellprofiler.measure(planes, channels, nuclei)
