"""How well a network in training separates labels: 1-NN accuracy over wells under one rule.

Shapes: W wells, D features of a channel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from unidino.core.errors import InputError
from unidino.core.statistics import median_and_mad
from unidino.embeddings.encode import encode
from unidino.embeddings.forward import forward_of
from unidino.embeddings.inputs import stacked
from unidino.lake.lake import Lake
from unidino.lake.samples import query_samples
from unidino.models.config import ModelConfig
from unidino.models.networks import Encoder
from unidino.scores.keys import encode_keys
from unidino.scores.neighbours import nearest


@dataclass(frozen=True)
class Probe:
    """Images with labels; called with an encoder, it returns the accuracy of its embeddings.

    rows: of `labelled_sample`. Wells are compared within a dataset. Their features are centred by
    the median of their plate and scaled by its median absolute deviation. A neighbour may not have
    the same value of `exclude`.
    """

    lake: Lake
    rows: list[dict[str, Any]]
    config: ModelConfig
    device: torch.device

    @classmethod
    def of(cls, lake: Lake, query: str, config: ModelConfig, device: torch.device) -> "Probe":
        """The probe on a view or SELECT with the columns of `labelled_sample`.

        Without a column `exclude`, the compound is excluded.
        Raises InputError if a column is missing, or no label has a neighbour.
        """
        table = query_samples(lake, query, "--probe")
        if "exclude" not in table.column_names and "compound" in table.column_names:
            table = table.append_column("exclude", table["compound"])
        missing = [c for c in ("label", "exclude") if c not in table.column_names]
        if missing:
            raise InputError(
                f"--probe '{query}' lacks the column {missing[0]}; start from"
                " `select * from labelled_sample`"
            )
        if config.input_channels:
            table = stacked(table, config.input_channels)
        frame = pl.DataFrame(pl.from_arrow(table))
        reachable = (
            frame.group_by("dataset", "label")
            .agg(pl.col("exclude").n_unique().alias("num_excludes"))
            .filter(pl.col("num_excludes") > 1)
        )
        kept = frame.join(reachable, on=["dataset", "label"], how="semi")
        if kept.is_empty():
            raise InputError(
                f"--probe '{query}' has no label that an allowed neighbour has too:"
                " all wells of a label have one value of `exclude` (by default the compound)"
            )
        order = ["dataset", "plate", "well", "field", "channel_index"]
        return cls(lake, kept.sort(order).to_dicts(), config, device)

    def __call__(self, encoder: Encoder) -> dict[str, float]:
        """Accuracy by dataset."""
        training = encoder.training
        forward = forward_of(encoder, self.config, self.device)
        vectors = encode(self.lake, self.rows, self.config, forward).means
        encoder.train(training)
        frame = pl.DataFrame(self.rows).with_columns(
            pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
        )
        return {str(name[0]): _accuracy(rows) for name, rows in sorted(frame.group_by("dataset"))}


def _accuracy(images: pl.DataFrame) -> float:
    """Share of a dataset's wells whose nearest allowed well has their label."""
    wells = images.partition_by("plate", "well", maintain_order=True)
    channels = images["channel"].unique().sort().to_list()
    profiles = []
    for well in wells:
        means = {
            str(name[0]): group["vector"].to_numpy().mean(axis=0)
            for name, group in well.group_by("channel")
        }
        if set(means) == set(channels):
            profiles.append((well.row(0, named=True), np.concatenate([means[c] for c in channels])))
    features = np.stack([vector for _, vector in profiles])
    about = pl.DataFrame(
        [{k: row[k] for k in ("plate", "exclude", "label")} for row, _ in profiles]
    )
    for plate in about["plate"].unique():
        on_plate = (about["plate"] == plate).to_numpy()
        features[on_plate] = _robust(features[on_plate])
    ids = np.arange(len(about))
    keys = pl.DataFrame(
        {"profile_id": ids, "reason": "exclude", "key": about["exclude"].cast(pl.String)}
    )
    labels = about["label"].rank("dense").to_numpy().astype(np.int64)
    found = nearest(features.astype(np.float32), encode_keys(keys, ids), labels)
    nearest_one = found.index[:, 0]
    return float((labels[nearest_one] == labels)[nearest_one >= 0].mean())


def _robust(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (W, D) of a plate minus their median, divided by their spread; 0 if that is 0."""
    centre, spread = median_and_mad(np.ascontiguousarray(features.T))
    centred = features - centre
    scaled: NDArray[np.float32] = np.divide(
        centred, spread, out=np.zeros_like(centred), where=spread > 0
    )
    return scaled
