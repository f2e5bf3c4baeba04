"""Random vectors in place of embeddings: the baseline of no information."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from unidino.embeddings.embedder import Advance, Encoded, Row
from unidino.embeddings.inputs import inputs_of
from unidino.models.config import ModelConfig


class GaussianEmbedder:
    """Standard normal vectors, the same for every field of a well and channel.

    So the profile of a well is itself a draw from the standard normal distribution, as in the
    paper's baseline.
    """

    unit = "images"
    about: Mapping[str, str] = {}

    def __init__(self, config: ModelConfig) -> None:
        self._config = config

    def num_units(self, size: Row) -> int:
        """The number of vectors."""
        num_images: int = size["num_images"]
        return num_images // self._config.num_inputs

    def encode(self, images: Sequence[Row], advance: Advance) -> Encoded:
        """Random vectors, drawn from the seed and the names of plate, well and channel."""
        config = self._config
        rows, dropped = inputs_of(images, config.input_channels)
        vectors = np.empty((len(rows), config.num_dims), dtype=np.float32)
        for vector, row in zip(vectors, rows, strict=True):
            key = f"{config.seed}|{row['plate']}|{row['well']}|{row['channel']}"
            seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
            vector[:] = np.random.default_rng(seed).standard_normal(config.num_dims)
        advance(len(rows))
        return Encoded(rows, vectors, np.ones(len(rows), np.int32), dropped)
