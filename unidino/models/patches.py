"""Patches of images that are drawn evenly over the datasets, channels and plates of a sample.

Shapes: M patches of P px a side.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.progress import progress_bar
from unidino.core.sql import scratch
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.lake.samples import COLUMNS
from unidino.models.codebook import Codebook, pooled_patches
from unidino.models.config import ModelConfig
from unidino.models.networks import intensity_range, scaled

_MOST_PLANES = 1_000
_MOST_PATCHES = 200_000


def draw_planes(table: pa.Table, seed: int) -> pa.Table:
    """At most 1,000 rows of a table of samples, each with its number of patches.

    See `sql/queries/drawn_planes.sql`.
    """
    con = scratch(())
    try:
        con.register("sample", table.select(COLUMNS))
        query = assets.sql("queries", "drawn_planes")
        values = {"seed": seed, "num_planes": _MOST_PLANES, "num_patches": _MOST_PATCHES}
        return con.sql(query, params=values).to_arrow_table()
    finally:
        con.close()


def read_patches(
    lake: Lake, planes: pa.Table, config: ModelConfig, codebook: Codebook, label: str
) -> NDArray[np.float32]:
    """Patches (M, P, P) in [0, 1] at random places of planes, pooled; constant ones are left out.

    planes: of `draw_planes`. label: of the progress bar.
    A plane that is smaller than a patch has none. Raises LakeError if a plane cannot be read.
    """

    patch_px, pooling = codebook.patch_px, codebook.pooling

    def read(image: int, row: dict[str, Any]) -> NDArray[np.float32]:
        counts = pixels.read_plane(lake.resolve(row["uri"]), row["channel_index"])
        if min(counts.shape) < patch_px * pooling:
            return np.empty((0, patch_px, patch_px), np.float32)
        ends = intensity_range(config.intensity, row["dtype"], row["p0_1"], row["p99_9"])
        low, high = torch.tensor([ends], dtype=torch.float32).unbind(dim=1)
        plane = scaled(torch.from_numpy(counts.astype(np.float32)).unsqueeze(0), low, high)
        patches = pooled_patches(plane, patch_px, pooling)[0]
        height, width = patches.shape[:2]
        rng = np.random.default_rng((config.seed % 2**32, image))
        num = min(row["num_patches"], height * width)
        rows, columns = np.divmod(rng.choice(height * width, num, replace=False), width)
        drawn: NDArray[np.float32] = patches[
            torch.from_numpy(rows), torch.from_numpy(columns)
        ].numpy()
        varying: NDArray[np.float32] = drawn[np.ptp(drawn, axis=(1, 2)) > 0]
        return varying

    rows = planes.to_pylist()
    with (
        progress_bar(label, len(rows), "planes") as advance,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        parts = []
        for part in pool.map(read, range(len(rows)), rows):
            parts.append(part)
            advance(1)
    return np.concatenate(parts)
