"""From raw crops to the augmented views of a minibatch.

Shapes: B images of this process, C channels, G global views of side S, L local views of side s.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Generator, Tensor

from unidino.models.networks import intensity_range, scaled
from unidino.training.augment import NUM_DRAWS, augmented, noisy, saturated
from unidino.training.processes import Processes
from unidino.training.reader import Crops
from unidino.training.recipe import TrainConfig
from unidino.training.samples import per_channel


class ViewMaker:
    """Makes the views of minibatches.

    The random numbers of an image depend on the seed and the step, not on the number of processes.
    table: the samples.
    """

    def __init__(self, config: TrainConfig, table: pa.Table, processes: Processes) -> None:
        self._config, self._processes = config, processes
        self._low, self._high = (r.to(processes.device) for r in _ranges(table, config))

    def __call__(self, crops: Crops, step: int) -> tuple[Tensor, Tensor]:
        """Augmented global (G * B, C, S, S) and local (L * B, C, s, s) views, view-major."""
        config, device = self._config, self._processes.device
        generator = torch.Generator().manual_seed(seed_of(config.seed, step))
        images = torch.from_numpy(crops.images).to(device)
        num_images, rank = len(crops.images), self._processes.rank
        places = range(rank * num_images, (rank + 1) * num_images)
        generators = [
            torch.Generator().manual_seed(seed_of(config.seed, step, place)) for place in places
        ]
        views = []
        for raw in (crops.global_crops, crops.local_crops):
            num_views, num_channels = raw.shape[1:3]
            shape = (NUM_DRAWS + 1, num_views, config.batch_size, num_channels)
            draws = torch.rand(shape, generator=generator)[:, :, places.start : places.stop]
            draws = draws.flatten(1, 2)
            counts = torch.from_numpy(raw).to(device).transpose(0, 1).flatten(0, 1)
            low, high = (r[images].repeat(num_views, 1) for r in (self._low, self._high))
            changed = augmented(scaled(counts, low, high), draws[:-1], config)
            if config.noise:
                noise = _per_image(torch.randn, changed, num_views, generators)
                changed = noisy(changed, noise, draws[-1], config.noise)
            if config.saturation_noise:
                chance = _per_image(torch.rand, changed, num_views, generators)
                changed = saturated(changed, chance, config.saturation_noise)
            views.append(changed)
        return views[0], views[1]


def _per_image(
    draw: Callable[..., Tensor], views: Tensor, num_views: int, generators: Sequence[Generator]
) -> Tensor:
    """Random numbers for view-major views (V * B, C, H, W), of a generator for each image."""
    shape = (num_views, *views.shape[1:])
    return torch.stack([draw(shape, generator=g) for g in generators], dim=1).flatten(0, 1)


def seed_of(*parts: int) -> int:
    """A seed that depends on all of the numbers."""
    text = "|".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


def _ranges(table: pa.Table, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """Counts that map to 0 and 1 for each image of the samples: two tensors (num_images, C)."""
    low, high = (per_channel(table[c]).astype(np.float32) for c in ("p0_1", "p99_9"))
    if config.intensity == "dtype":
        dtypes = table["dtype"].to_pylist()
        maxima = {dtype: intensity_range("dtype", dtype, 0, 0)[1] for dtype in set(dtypes)}
        low = np.zeros_like(low)
        high[:] = np.array([maxima[dtype] for dtype in dtypes], dtype=np.float32)[:, None]
    return torch.from_numpy(low), torch.from_numpy(high)
