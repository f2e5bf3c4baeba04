"""Minibatches of crops do not depend on threads or processes."""

import os

import numpy as np
import pytest

from unidino.core.errors import InputError
from unidino.lake import pixels
from unidino.lake.lake import Lake
from unidino.training.reader import CropReader
from unidino.training.samples import draw_epoch, select_samples


def test_crops_do_not_depend_on_threads(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    table = select_samples(lake, "training_sample")
    order = draw_epoch(table, 0, 0)
    read = []
    for threads in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        reader = CropReader(lake, table, (2, 32), (3, 16))
        read.append(list(reader.minibatches(order, 5, 0, 0)))
    assert len(read[0]) == len(order) // 5
    for a, b in zip(*read, strict=True):
        np.testing.assert_array_equal(a.global_crops, b.global_crops)
        np.testing.assert_array_equal(a.local_crops, b.local_crops)
    assert read[0][0].global_crops.shape == (5, 2, 1, 32, 32)


def test_processes_share_every_minibatch(lake: Lake) -> None:
    table = select_samples(lake, "training_sample")
    order = draw_epoch(table, 0, 0)
    reader = CropReader(lake, table, (2, 32), (3, 16))
    whole = list(reader.minibatches(order, 6, 0, 0))
    parts = [list(reader.minibatches(order, 6, 0, 0, rank=r, world=2)) for r in range(2)]
    later = list(reader.minibatches(order, 6, 0, 0, first=2))
    for i, crops in enumerate(whole):
        both = np.concatenate([part[i].global_crops for part in parts])
        np.testing.assert_array_equal(crops.global_crops, both)
        if i >= 2:
            np.testing.assert_array_equal(crops.local_crops, later[i - 2].local_crops)


def test_a_sample_of_several_channels_is_one_place_of_a_field(lake: Lake) -> None:
    table = select_samples(lake, "training_sample", input_channels=["Tubulin", "DNA"])
    assert table.num_rows == 24
    assert table["channel_index"].to_pylist() == [[2, 0]] * 24
    order = draw_epoch(table, 0, 0)
    assert sorted(order) == list(range(24))
    both = next(CropReader(lake, table, (2, 32), (3, 16)).minibatches(order, 4, 0, 0))
    assert both.global_crops.shape == (4, 2, 2, 32, 32)
    for i, image in enumerate(both.images):
        row = table.slice(image, 1).to_pylist()[0]
        field = lake.resolve(row["uri"])
        planes = np.stack([pixels.read_plane(field, c) for c in row["channel_index"]])
        windows = np.lib.stride_tricks.sliding_window_view(planes, (32, 32), axis=(1, 2))
        places = windows[0].reshape(-1, 32 * 32) == both.global_crops[i, 0, 0].ravel()
        (place,) = np.flatnonzero(places.all(axis=1))
        np.testing.assert_array_equal(
            windows[1].reshape(-1, 32, 32)[place], both.global_crops[i, 0, 1]
        )
    with pytest.raises(
        InputError, match="no field with all of the channels DNA, ER; the channels are"
    ):
        select_samples(lake, "training_sample", input_channels=["DNA", "ER"])
