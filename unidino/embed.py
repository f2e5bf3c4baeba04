"""Model and plate to an embedding table: one vector for every image.

Shapes: N crops, C channels that the network sees at once, S side of a crop, D embedding.
"""

import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from unidino import assets, store
from unidino.catalog import Lake, Run, digest, land_part, written_beside
from unidino.errors import InputError, choose
from unidino.model import Encoder, ModelConfig, intensity_range, load_config, load_encoder, scaled
from unidino.progress import progress_bar, say
from unidino.samples import padded, stacked
from unidino.store import Plane

_PLANES_AHEAD = 32
_ROW = ("plate", "well", "field", "channel_index", "channel")


@dataclass(frozen=True)
class Embedded:
    """What an embedding run did: plates done, plates that were there, images and crops.

    num_left_out: images that are blank, damaged or not here.
    """

    plates: tuple[str, ...]
    skipped: tuple[str, ...]
    num_images: int
    num_crops: int
    num_left_out: int


def crops_of(planes: Plane, size_px: int, stride_px: int) -> NDArray[Any]:
    """Crops (N, C, S, S) of planes (C, H, W), row by row; what the grid does not reach is left out.

    Planes shorter than a crop are mirrored at their far edges to the crop's size.
    Source: Morelli et al. 2025, section 2.2.2.
    """
    padded_planes = padded(planes, size_px)
    windows = np.lib.stride_tricks.sliding_window_view(
        padded_planes, (size_px, size_px), axis=(1, 2)
    )[:, ::stride_px, ::stride_px]
    return np.moveaxis(windows, 0, 2).reshape(-1, len(planes), size_px, size_px)


def embed(
    lake: Lake,
    model: str,
    *,
    plates: Sequence[str] = (),
    where: str | None = None,
    batch_size: int = 64,
    device: str = "cpu",
    overwrite: bool = False,
) -> Embedded:
    """What was embedded: each plate's table is whole or absent, and those that are there are kept.

    plates: names; where: SQL condition over the table plate; with neither, every plate.
    Raises UnidinoError for an unknown model or plate, LakeError if an image cannot be read.
    """
    config = load_config(lake, model)
    chosen = _chosen_plates(lake, plates, where)
    done = dict(
        lake.look_up(
            "select uri, inputs_hash from part where kind = 'embedding' and model = $model",
            {"model": model},
        ).iter_rows()
    )
    weights = lake.look_up("select weights_hash from model where model = $m", {"m": model}).item()
    todo, skipped = [], []
    for plate, content_hash in chosen:
        inputs = digest(weights, config.model_dump(), content_hash)
        uri = f"embeddings/{model}/{plate}.parquet"
        if done.get(uri) == inputs and lake.resolve(uri).is_file() and not overwrite:
            skipped.append(plate)
        else:
            todo.append((plate, uri, inputs))
    run = Run("embed", {"model": model, "plates": [plate for plate, _, _ in todo]})
    totals = np.zeros(3, dtype=int)
    landed: list[str] = []
    if todo:
        torch_device = torch.device(device)
        encoder = load_encoder(lake, model, torch_device) if config.kind == "vit" else None
        names = [plate for plate, _, _ in todo]
        images = {plate: _images(lake, plate) for plate in names}
        num_images = sum(len(rows) for rows in images.values())
        with progress_bar(f"embed {model}", num_images, "images") as advance:
            for plate, uri, inputs in todo:
                rows, dropped = _inputs(images[plate], config)
                advance(dropped.total())
                if not rows:
                    counted = ", ".join(f"{n} {qc}" for qc, n in dropped.items())
                    say(f"plate {plate} has no image to embed ({counted})")
                    continue
                landed.append(plate)
                if encoder:
                    vectors, num_crops = embed_planes(
                        lake, rows, encoder, config, batch_size, torch_device, advance
                    )
                else:
                    vectors, num_crops = gaussian(rows, config)
                table = _table(model, rows, vectors, num_crops)
                with written_beside(lake.resolve(uri)) as path:
                    pq.write_table(table, path, compression="none", use_dictionary=list(_TEXT))
                part = {"kind": "embedding", "model": model, "plate": plate,
                        "num_rows": len(rows), "inputs_hash": inputs,
                        "dropped": json.dumps(dropped)}  # fmt: skip
                land_part(lake, run, uri, part)
                totals += (len(rows), int(num_crops.sum()), dropped.total())
    return Embedded(tuple(landed), tuple(skipped), *totals.tolist())


# Images that have no pixels to embed, or nothing on them.
_NOT_EMBEDDED = ("blank", "damaged", "absent")
_TEXT = ("model", "plate", "well", "channel")


def _chosen_plates(lake: Lake, plates: Sequence[str], where: str | None) -> list[tuple[str, str]]:
    """Name and content hash of the plates to embed."""
    known = lake.look_up("select plate_id from plate order by 1")["plate_id"].to_list()
    for plate in plates:
        choose("plate", plate, known)
    query = f"select plate_id, content_hash from plate where {where or 'true'} order by plate_id"
    rows = [row for row in lake.look_up(query).iter_rows() if not plates or row[0] in plates]
    if not rows:
        raise InputError(f'no plate fits --where "{where}"' if where else "the lake has no plate")
    return rows


def _images(lake: Lake, plate: str) -> list[dict[str, Any]]:
    """Images of a plate in the order of its table, each with the uri of its field."""
    return lake.look_up(assets.sql("queries", "images_of_plate"), {"plate": plate}).to_dicts()


def _inputs(
    images: list[dict[str, Any]], config: ModelConfig
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What a model embeds of a plate's images, and why it does not embed the others."""
    rows = [row for row in images if row["qc"] not in _NOT_EMBEDDED]
    dropped = Counter(row["qc"] for row in images if row["qc"] in _NOT_EMBEDDED)
    if config.input_channels:
        num_images = sum(row["channel"] in config.input_channels for row in rows)
        dropped["no_input_of_the_model"] = len(rows) - num_images
        if num_images:
            rows = stacked(pa.Table.from_pylist(rows), config.input_channels).to_pylist()
        else:
            rows = []
        dropped["field_without_all_channels"] = num_images - len(rows) * len(config.input_channels)
    return rows, +dropped


def embed_planes(
    lake: Lake,
    rows: list[dict[str, Any]],
    encoder: Encoder,
    config: ModelConfig,
    batch_size: int,
    device: torch.device,
    advance: Any,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Mean crop embedding (num_images, D) of each image, and its number of crops.

    Crops of several planes share a minibatch; planes are read in threads ahead of their use.
    """
    sums = np.zeros((len(rows), encoder.num_dims), dtype=np.float64)
    counts = np.zeros(len(rows), dtype=np.int32)
    waiting: list[tuple[int, NDArray[Any]]] = []

    def flush() -> None:
        if not waiting:
            return
        owners = np.concatenate([np.full(len(crops), i) for i, crops in waiting])
        counts_in = torch.from_numpy(np.concatenate([crops for _, crops in waiting])).to(device)
        ranges = [
            intensity_range(config.intensity, *(rows[i][k] for k in ("dtype", "p0_1", "p99_9")))
            for i in owners
        ]
        low, high = torch.tensor(ranges, dtype=torch.float32, device=device).unbind(dim=1)
        with torch.inference_mode():
            embedded = encoder(scaled(counts_in, low, high))
        np.add.at(sums, owners, embedded.double().cpu().numpy())
        np.add.at(counts, owners, 1)
        advance(len({i for i, _ in waiting}))
        waiting.clear()

    for i, crops in _crops_ahead(lake, rows, config):
        start = 0
        while start < len(crops):
            room = batch_size - sum(len(c) for _, c in waiting)
            waiting.append((i, crops[start : start + room]))
            start += room
            if sum(len(c) for _, c in waiting) == batch_size:
                flush()
    flush()
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32), counts


def _crops_ahead(
    lake: Lake, rows: list[dict[str, Any]], config: ModelConfig
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Index and crops of each image in order, read by threads a few planes ahead."""

    def read(row: dict[str, Any]) -> NDArray[Any]:
        channels = np.atleast_1d(row["channel_index"])
        field = lake.resolve(row["uri"])
        planes = np.stack([store.read_plane(field, int(c)) for c in channels])
        return crops_of(planes, config.crop_size_px, config.stride_px)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        ahead: deque[Future[NDArray[Any]]] = deque()
        for i in range(len(rows) + _PLANES_AHEAD):
            if i < len(rows):
                ahead.append(pool.submit(read, rows[i]))
            if i >= _PLANES_AHEAD:
                yield i - _PLANES_AHEAD, ahead.popleft().result()


def gaussian(
    rows: list[dict[str, Any]], config: ModelConfig
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Standard normal vectors (num_images, D), the same for every field of a well and channel.

    So a well's profile is itself a draw from the standard normal, as in the paper's baseline.
    """
    vectors = np.empty((len(rows), config.num_dims), dtype=np.float32)
    for i, row in enumerate(rows):
        key = f"{config.seed}|{row['plate']}|{row['well']}|{row['channel']}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
        vectors[i] = np.random.default_rng(seed).standard_normal(config.num_dims)
    return vectors, np.ones(len(rows), dtype=np.int32)


def _table(
    model: str,
    rows: list[dict[str, Any]],
    vectors: NDArray[np.float32],
    num_crops: NDArray[np.int32],
) -> pa.Table:
    """The embedding table of a plate, in the schema of `schemas/embedding.arrow.json`."""
    num_dims = vectors.shape[1]
    schema = assets.arrow_schema("embedding", num_dims)
    columns = {name: [row[name] for row in rows] for name in _ROW} | {
        "channel_index": [np.min(row["channel_index"]) for row in rows],
        "model": [model] * len(rows),
        "num_crops": num_crops,
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), num_dims),
    }
    return pa.Table.from_pydict({name: columns[name] for name in schema.names}, schema=schema)
